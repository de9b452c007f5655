/* Files, the clock, the log, the embedded files. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];

static int setup(void **state)
{
  snprintf(folder, sizeof folder, "/tmp/chapar-base-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
  char *paths[] = {"a/b/c", "a/b", "a", "file", "log", "", NULL};
  for (char **p = paths; *p; p++) {
    char *path = base_printf("%s/%s", folder, *p);
    if (remove(path) && errno != ENOENT) fail_msg("%s is left", path);
    free(path);
  }
  return 0;
}

static void files_are_written_whole(void **state)
{
  struct err e;
  struct stat st;
  char *path = base_printf("%s/file", folder), *data;
  size_t n;
  assert_int_equal(file_write(path, "one\0two", 7, 0600, &e), 0);
  assert_int_equal(file_write(path, "three", 5, 0640, &e), 0);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0640);
  data = file_read(path, 0, &n, &e);
  assert_int_equal(n, 5);
  assert_string_equal(data, "three");
  free(data);
  data = file_read(path, 5, NULL, &e);
  assert_non_null(data);
  free(data);
  assert_null(file_read(path, 4, &n, &e));
  assert_int_equal(e.code, ERR_TOO_LARGE);
  assert_int_equal(file_write(path, "", 0, 0640, &e), 0);
  data = file_read(path, 0, &n, &e);
  assert_string_equal(data, "");
  free(data);
  free(path);
  path = base_printf("%s/absent", folder);
  assert_null(file_read(path, 0, &n, &e));
  assert_int_equal(e.code, ERR_NOT_FOUND);
  free(path);
  assert_null(file_read(folder, 0, &n, &e));
  path = base_printf("%s/absent/file", folder);
  assert_int_equal(file_write(path, "x", 1, 0600, &e), -1);
  assert_int_equal(e.code, ERR_NOT_FOUND);
  free(path);
  assert_null(file_read("/dev/zero", 100000, &n, &e)); /* no size is known beforehand */
  assert_int_equal(e.code, ERR_TOO_LARGE);
}

static void folders_are_made_with_their_parents(void **state)
{
  struct err e;
  char *path = base_printf("%s/a/b//c/", folder), *file = base_printf("%s/file", folder);
  assert_int_equal(dir_make(path, 0700, &e), 0);
  assert_int_equal(dir_make(path, 0700, &e), 0);
  assert_int_equal(access(path, X_OK), 0);
  assert_int_equal(file_write(file, "x", 1, 0600, &e), 0);
  assert_int_equal(dir_make(file, 0700, &e), -1);
  assert_int_equal(e.code, ERR_CONFLICT);
  free(path);
  free(file);
  assert_int_equal(dir_make("/", 0700, &e), 0);
  assert_int_equal(dir_make("/proc/nothing/here", 0700, &e), -1);
}

static void times_go_there_and_back(void **state)
{
  static const struct { const char *text; int64_t ms; const char *back; } rows[] = {
    {"1970-01-01T00:00:00Z", 0, NULL}, {"2026-11-23T10:15:00Z", 1795428900000, NULL}, {"1969-12-31T23:59:59Z", -1000, NULL},
    {"2024-02-29T00:00:00Z", 1709164800000, NULL}, {"0000-01-01T00:00:00Z", -62167219200000, NULL}, {"9999-12-31T23:59:59Z", 253402300799000, NULL},
    {"2026-11-23T13:45:00+03:30", 1795428900000, "2026-11-23T10:15:00Z"}, {"2026-11-23t10:15:00.1239z", 1795428900123, "2026-11-23T10:15:00Z"},
    {"2016-12-31T23:59:60Z", 1483228800000, "2017-01-01T00:00:00Z"}, {"2017-01-01T03:29:60+03:30", 1483228800000, "2017-01-01T00:00:00Z"}};
  char text[32];
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    int64_t ms = 1;
    assert_int_equal(clock_parse(rows[i].text, &ms), 0);
    assert_true(ms == rows[i].ms);
    clock_rfc3339(ms, text);
    assert_string_equal(text, rows[i].back ? rows[i].back : rows[i].text);
  }
  static const char *const bad[] = {"", "2026-11-23", "2026-11-23 10:15:00Z", "2026-11-23T10:15:00", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T12:00:60Z",
    "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0330", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "26-01-01T00:00:00Z", "2026-1-01T00:00:00Z"};
  int64_t ms;
  for (size_t i = 0; i < BASE_COUNT(bad); i++)
    if (!clock_parse(bad[i], &ms)) fail_msg("read %s", bad[i]);
  assert_int_equal(clock_parse(NULL, &ms), -1);
  clock_rfc3339_ms(-1, text);
  assert_string_equal(text, "1969-12-31T23:59:59.999Z");
  clock_rfc3339_ms(INT64_MAX, text);
  assert_string_equal(text, "9999-12-31T23:59:59.999Z");
  clock_rfc3339(INT64_MIN, text);
  assert_string_equal(text, "0000-01-01T00:00:00Z");
  for (int64_t day = -719528; day < 2932897; day += 37) {
    clock_rfc3339(day * 86400000 + 3661000, text);
    assert_int_equal(clock_parse(text, &ms), 0);
    assert_true(ms == day * 86400000 + 3661000);
  }
}

static void the_clock_can_be_simulated(void **state)
{
  int64_t real = clock_now(), mono = clock_mono();
  assert_true(real > 1700000000000);
  clock_set(1795428900000);
  assert_true(clock_now() == 1795428900000);
  assert_true(clock_mono() >= mono);
  clock_set(0);
  assert_true(clock_now() >= real);
}

static void *write_lines(void *arg)
{
  for (int i = 0; i < 200; i++) log_write(LOG_WARN, "test", "thread %s line %d of \"سلام\"\n\x01\xFF", (const char *)arg, i);
  return NULL;
}

static void the_log_writes_whole_json_lines(void **state)
{
  char *path = base_printf("%s/log", folder);
  int kept = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
  pthread_t threads[4];
  static char names[4][2] = {"a", "b", "c", "d"};
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, write_lines, names[i]);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  log_write(LOG_DEBUG, "test", "not shown");
  log_set_level(LOG_ERROR);
  log_write(LOG_WARN, "test", "not shown");
  log_set_level(LOG_INFO);
  log_json(json_pack("{s:i,s:s}", "status", 200, "route", "/fa"));
  char long_text[5000];
  memset(long_text, 'x', sizeof long_text - 1);
  long_text[sizeof long_text - 1] = '\0';
  log_write(LOG_ERROR, "test", "%s", long_text);
  dup2(kept, STDERR_FILENO);
  close(kept);
  close(fd);
  char *text = file_read(path, 0, NULL, NULL), *at = NULL;
  int lines = 0;
  for (char *line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at), lines++) {
    json_t *v = json_read(line, strlen(line), 1, NULL);
    if (!v) fail_msg("%s", line);
    if (lines < 800) {
      assert_string_equal(json_str(v, "level"), "warn");
      assert_string_equal(json_str(v, "room"), "test");
      assert_non_null(strstr(json_str(v, "message"), "\"سلام\"\n\x01\xEF\xBF\xBD"));
      int64_t ms;
      assert_int_equal(clock_parse(json_str(v, "at"), &ms), 0);
    }
    if (lines == 800) assert_string_equal(line, "{\"status\":200,\"route\":\"/fa\"}");
    json_decref(v);
  }
  assert_int_equal(lines, 802);
  free(text);
  free(path);
}

static void embedded_files_are_found(void **state)
{
  size_t n;
  const struct embedded *all = embedded_all(&n);
  for (size_t i = 0; i < n; i++) {
    if (i) assert_true(strcmp(all[i - 1].name, all[i].name) < 0);
    assert_ptr_equal(embedded_find(all[i].name), &all[i]);
    assert_int_equal(strlen(all[i].sha256), 64);
    assert_int_equal(all[i].data[all[i].size], 0);
    size_t size;
    char *data = file_read(all[i].name, 0, &size, NULL); /* tests run in the root of the repository */
    assert_non_null(data);
    assert_int_equal(size, all[i].size);
    assert_memory_equal(data, all[i].data, size);
    free(data);
  }
  assert_null(embedded_find("templates/nothing"));
  assert_null(embedded_find(""));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(files_are_written_whole), cmocka_unit_test(folders_are_made_with_their_parents), cmocka_unit_test(times_go_there_and_back),
    cmocka_unit_test(the_clock_can_be_simulated), cmocka_unit_test(the_log_writes_whole_json_lines), cmocka_unit_test(embedded_files_are_found),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
