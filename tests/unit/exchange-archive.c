/* The log goes into archives and out of the store: each state in which a process may die, what is damaged, what may not go yet, by age and by size. */
#include "exchange/archive.h"
#include "exchange/publish.h"
#include "exchange-kit.h"
#include <dirent.h>

static char dir[100], folder[150], twin[150];
static struct exchange *x;

static void open_again(struct exchange_options o) {
  exchange_close(x);
  o.folder = dir;
  o.node = "a";
  o.window_s = 2;
  must(exchange_open(&o, &x, err));
}

static int begin(void **state) {
  snprintf(dir, sizeof dir, "%.60s/chapar-archive-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  assert_non_null(mkdtemp(dir));
  snprintf(folder, sizeof folder, "%s/archive", dir);
  snprintf(twin, sizeof twin, "%s/aside", dir);
  must(exchange_init(&(struct exchange_init){.folder = dir, .server = "KHR/GOV/1/one", .address = "https://127.0.0.1:5500"}, err));
  open_again((struct exchange_options){0});
  must(exchange_operate(x, err));
  must(exchange_member_put(x, "KHR/GOV/1", "یک", "One", "op", err));
  must(exchange_member_put(x, "KHR/GOV/1/ask", "پرسش", "Ask", "op", err));
  must(exchange_member_put(x, "KHR/GOV/1/tell", "پاسخ", "Tell", "op", err));
  must(exchange_publish(x, err));
  clock_set(clock_now()); /* time passes when a test says so */
  return 0;
}

static int end(void **state) {
  char *away = base_printf("rm -rf %s", dir);
  exchange_close(x);
  assert_int_equal(system(away), 0);
  free(away);
  return 0;
}

static void later(int64_t ms) { clock_set(clock_now() + ms); }

/* Until the messages of this id have places under a signed head: one is signed once a second of real time. */
static void settle(const char *id) {
  int64_t placed;
  for (bool all = false; !all; usleep(all ? 0 : 50000)) {
    json_t *o, *m;
    size_t i;
    must(trust_sequence(x->ledger, &placed, err));
    must(exchange_evidence(x, &(struct evidence_ask){.message_id = id}, &o, err));
    all = true;
    json_array_foreach(json_object_get(o, "messages"), i, m) all = all && json_str(json_object_get(m, "receipt"), "checkpoint");
    json_decref(o);
  }
}

static int count_work(struct store_tx *tx, void *arg, struct err *err) { return store_value(tx, arg, 0, err, "SELECT COUNT(*) FROM exchange_message", ""); }
static int64_t live(void) {
  int64_t n;
  must(store_read(x->store, count_work, &n, err));
  return n;
}

static int64_t archive(int64_t older_than_ms, const char **left) {
  json_t *done;
  must(exchange_archive(x, &(struct exchange_archive_run){.older_than_ms = older_than_ms}, &done, err));
  static char kept[200];
  snprintf(kept, sizeof kept, "%s", json_str(done, "left") ? json_str(done, "left") : "");
  if (left) *left = kept;
  int64_t n = json_int(done, "messages", -1);
  json_decref(done);
  return n;
}

/* In this gateway's words, wherever it lies: a true bundle with this many messages. */
static void proved(const char *id, size_t messages) {
  json_t *o;
  char *said;
  must(exchange_evidence(x, &(struct evidence_ask){.message_id = id}, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "messages")), messages);
  char *text = json_dumps(o, JSON_INDENT(1));
  struct err e;
  if (exchange_evidence_verify(text, strlen(text), NULL, NULL, &said, &e)) fail_msg("%s: %s\n%s", id, e.message, text);
  assert_non_null(strstr(said, "It answers the request above and no other."));
  free(said);
  free(text);
  json_decref(o);
}

static size_t files(const char *end_, char last[200]) {
  size_t n = 0, e = strlen(end_);
  DIR *d = opendir(folder);
  for (struct dirent *f; d && (f = readdir(d)) != NULL;) {
    size_t len = strlen(f->d_name);
    if (len < e || strcmp(f->d_name + len - e, end_) != 0) continue;
    n++;
    if (last) snprintf(last, 200, "%.190s", f->d_name);
  }
  if (d) closedir(d);
  return n;
}

static void out_of_the_log(void **state) {
  char name[200], *path, *said, *big = base_alloc(40001);
  json_t *o, *before, *after;
  int64_t size;
  for (int i = 0; i < 40000; i++) big[i] = (char)('a' + i % 7);
  kit_exchanged(x, "KHR-1", "{\"parcel\":12}", false);
  kit_exchanged(x, "KHR-2", big, false);
  kit_exchanged(x, "KHR-3", big, true);
  settle("KHR-3");
  assert_int_equal(archive(0, NULL), 0); /* a message that comes again is known by its row for three windows */
  assert_int_equal(live(), 6);
  must(trust_size(x->ledger, &size, err));
  must(trust_consistency(x->ledger, 3, size, &before, err));
  later(10000);
  assert_int_equal(archive(0, NULL), 6);
  assert_int_equal(live(), 0);
  must(trust_consistency(x->ledger, 3, size, &after, err));
  assert_true(json_equal(before, after));
  for (int i = 1; i <= 3; i++) {
    char id[10];
    snprintf(id, sizeof id, "KHR-%d", i);
    proved(id, 2);
  }
  must(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-1", .asker = "KHR/GOV/1/ask"}, &o, err));
  json_decref(o);
  refused(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-1", .asker = "KHR/GOV/1/tel"}, &o, err), ERR_NOT_FOUND);
  refused(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-9"}, &o, err), ERR_NOT_FOUND);
  assert_int_equal(files(ARCHIVE_END, name), 1);
  path = base_printf("%s/%s", folder, name);
  must(exchange_archive_verify(path, NULL, NULL, &said, err));
  assert_non_null(strstr(said, "holds 6 messages"));
  free(said);
  must(exchange_archive_evidence(path, &(struct evidence_ask){.message_id = "KHR-2"}, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "messages")), 2);
  assert_int_equal(json_array_size(json_object_get(o, "directories")), 1);
  json_decref(o);
  refused(exchange_archive_evidence(path, &(struct evidence_ask){.message_id = "KHR-9"}, &o, err), ERR_NOT_FOUND);
  assert_int_equal(rename(path, twin), 0); /* on a tape */
  refused(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-1"}, &o, err), ERR_UNAVAILABLE);
  must(exchange_archives(x, &o, err));
  assert_false(json_flag(json_array_get(o, 0), "there", true));
  json_decref(o);
  assert_int_equal(rename(twin, path), 0);
  json_decref(before);
  json_decref(after);
  free(path);
  free(big);
}

static void aside(const json_t *archive, bool away) {
  char *here = base_printf("%s/%s", folder, json_str(archive, "name")), *there = base_printf("%s/%s.away", dir, json_str(archive, "name"));
  assert_int_equal(away ? rename(here, there) : rename(there, here), 0);
  free(here);
  free(there);
}

/* An answer whose request is in an archive is found with it. */
static void on_both_sides(void **state) {
  kit_exchanged(x, "KHR-4", "{}", false);
  settle("KHR-4");
  int64_t between = clock_now() + 5000;
  later(10000);
  assert_int_equal(archive(0, NULL), 2);
  kit_exchanged(x, "KHR-4", "{}", false); /* asked again, with the same id */
  settle("KHR-4");
  json_t *o;
  must(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-4"}, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "messages")), 4);
  json_decref(o);
  later(10000);
  assert_int_equal(archive(0, NULL), 2);
  proved("KHR-4", 4);
  /* a time of them asks the archives of that time alone; a directory is in each that names it, and one that is there is enough */
  json_t *list;
  must(exchange_archives(x, &list, err));
  for (size_t i = 1; i < json_array_size(list); i++) aside(json_array_get(list, i), true);
  must(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-4", .from = between}, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "messages")), 2);
  assert_int_equal(json_array_size(json_object_get(o, "directories")), 1);
  json_decref(o);
  refused(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-4", .until = between}, &o, err), ERR_UNAVAILABLE);
  for (size_t i = 1; i < json_array_size(list); i++) aside(json_array_get(list, i), false);
  json_decref(list);
  must(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-4", .until = between}, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "messages")), 2);
  json_decref(o);
  /* of one archive, too, what lies in the time alone */
  kit_exchanged(x, "KHR-5", "{}", false);
  between = clock_now() + 5000;
  later(10000);
  kit_exchanged(x, "KHR-5", "{}", false);
  settle("KHR-5");
  later(10000);
  assert_int_equal(archive(0, NULL), 4);
  for (int i = 0; i < 2; i++) {
    must(exchange_evidence(x, &(struct evidence_ask){.message_id = "KHR-5", .from = i ? between : 0, .until = i ? 0 : between}, &o, err));
    assert_int_equal(json_array_size(json_object_get(o, "messages")), 2);
    json_decref(o);
  }
}

/* What archives hold counts as much as what the log holds, contents and directories. */
static void no_more_than_a_bundle(void **state) {
  const struct evidence_ask a = {.message_id = "KHR-2"};
  json_t *messages = json_array(), *directories = json_array();
  must(archives_find(x, &a, messages, directories, 0, err));
  assert_int_equal(json_array_size(messages), 2);
  assert_int_equal(json_array_size(directories), 1);
  must(archives_find(x, &a, messages, directories, EVIDENCE_BYTES, err)); /* all of it is there already */
  json_array_clear(directories);
  json_array_clear(messages);
  refused(archives_find(x, &a, messages, directories, EVIDENCE_BYTES, err), ERR_LIMIT);
  json_array_clear(messages);
  refused(archives_find(x, &a, messages, directories, EVIDENCE_BYTES - 40100, err), ERR_LIMIT); /* the contents fit, the directory does not */
  assert_int_equal(json_array_size(messages), 2);
  json_decref(messages);
  json_decref(directories);
}

/* Copies of files and tables make the states in which a process may have died; the next run ends each. */
static void died(void **state) {
  char name[200], *path, *part;
  json_t *list;
  for (int i = 0; i < 5; i++) {
    char id[20];
    snprintf(id, sizeof id, "DIED-%d", i);
    kit_exchanged(x, id, "{\"a\":1}", false);
  }
  settle("DIED-4");
  later(10000);
  /* while writing: half a file, which is no archive */
  part = base_printf("%s/20200101T000000000Z-00000000" ARCHIVE_END ".part", folder);
  must(file_write(part, "half", 4, 0600, err));
  /* after naming, before recording: an archive of a twin store is what this process would have written */
  char *copy = base_printf("cp %s/exchange.db %s.db && cp %s/exchange.db-wal %s.db-wal 2>/dev/null; true", dir, twin, dir, twin);
  assert_int_equal(system(copy), 0);
  assert_int_equal(archive(0, NULL), 10);
  assert_int_equal(live(), 0);
  assert_int_not_equal(access(part, F_OK), 0);
  must(exchange_archives(x, &list, err));
  snprintf(name, sizeof name, "%s", json_str(json_array_get(list, 0), "name"));
  size_t before = files(ARCHIVE_END, NULL);
  json_decref(list);
  exchange_close(x);
  x = NULL;
  char *back = base_printf("rm -f %s/exchange.db*; mv %s.db %s/exchange.db; [ ! -f %s.db-wal ] || mv %s.db-wal %s/exchange.db-wal", dir, twin, dir, twin, twin, dir);
  assert_int_equal(system(back), 0);
  open_again((struct exchange_options){0});
  assert_int_equal(live(), 10);
  assert_int_equal(archive(0, NULL), 0); /* what the file holds is not written again */
  assert_int_equal(live(), 0);
  assert_int_equal(files(ARCHIVE_END, NULL), before);
  for (int i = 0; i < 5; i++) {
    char id[20];
    snprintf(id, sizeof id, "DIED-%d", i);
    proved(id, 2);
  }
  path = base_printf("%s/%s", folder, name);
  assert_int_equal(access(path, F_OK), 0);
  free(path);
  free(part);
  free(copy);
  free(back);
}

static int half_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "UPDATE exchange_archive SET state = 'verified' WHERE state = 'closed'", "") < 0 ? -1 : 0;
}
/* Between slices: recorded, some messages out, others not; the file is read again and nothing is lost or counted twice. */
static void died_between(void **state) {
  json_t *list, *one;
  size_t i;
  must(store_write(x->store, STORE_FRONT, half_work, NULL, err));
  assert_int_equal(archive(0, NULL), 0);
  must(exchange_archives(x, &list, err));
  assert_true(json_array_size(list) >= 4);
  json_array_foreach(list, i, one) assert_string_equal(json_str(one, "state"), "closed");
  json_decref(list);
  proved("DIED-3", 2);
}

/* What is cut off, changed or another's takes nothing out of the log. */
static void damaged(void **state) {
  char name[200], *path, *said;
  const char *left;
  size_t n;
  kit_exchanged(x, "DAMAGED-1", "{\"a\":1}", false);
  settle("DAMAGED-1");
  later(10000);
  files(ARCHIVE_END, name);
  path = base_printf("%s/%s", folder, name);
  char *whole = file_read(path, 0, &n, NULL), *bad = base_printf("%s/bad" ARCHIVE_END, folder);
  assert_non_null(whole);
  size_t believed = 0;
  for (size_t at = 0; at < n; at += n / 40 + 1) {
    whole[at] ^= 0x20;
    must(file_write(bad, whole, n, 0600, err));
    whole[at] ^= 0x20;
    if (at < 10 && at > 3) continue; /* time and flags of gzip's head say nothing of the content */
    if (exchange_archive_verify(bad, NULL, NULL, &said, NULL) == 0) believed++;
    free(said);
  }
  assert_int_equal(believed, 0);
  for (size_t cut = 0; cut < n; cut += n / 20 + 1) {
    must(file_write(bad, whole, cut, 0600, err));
    refused(exchange_archive_verify(bad, NULL, NULL, &said, err), ERR_MALFORMED);
  }
  assert_int_equal(archive(0, &left), 2); /* the others go on; it is told */
  assert_non_null(strstr(left, "damaged"));
  assert_int_equal(unlink(bad), 0);
  assert_int_equal(archive(0, &left), 0);
  assert_string_equal(left, "");
  free(whole);
  free(bad);
  free(path);
}

/* Where archives cannot be written nothing is gone, and a sentence says so. A disk that fills up in the middle: tests/e2e/keeping.mjs. */
static void nowhere(void **state) {
  char *wrong = base_printf("%s/gateway.json/archive", dir);
  json_t *done;
  kit_exchanged(x, "FULL-1", "{}", false);
  settle("FULL-1");
  later(10000);
  open_again((struct exchange_options){.archive_folder = wrong});
  struct err e = {0};
  assert_int_equal(exchange_archive(x, &(struct exchange_archive_run){.older_than_ms = 0}, &done, &e), -1);
  assert_non_null(strstr(e.message, "stays in the log"));
  assert_int_equal(live(), 2);
  open_again((struct exchange_options){0});
  assert_int_equal(archive(0, NULL), 2);
  proved("FULL-1", 2);
  free(wrong);
}

/* No time-stamp where there is an authority: it stays, and why is told; unless it is said otherwise. */
static void unstamped(void **state) {
  const char *left;
  json_t *done;
  open_again((struct exchange_options){.tsa = true});
  kit_exchanged(x, "STAMP-1", "{}", false);
  settle("STAMP-1");
  later(10000);
  assert_int_equal(archive(0, &left), 0);
  assert_non_null(strstr(left, "time-stamp"));
  assert_int_equal(live(), 2);
  must(exchange_archive(x, &(struct exchange_archive_run){.older_than_ms = 0, .unstamped = true}, &done, err));
  assert_int_equal(json_int(done, "messages", 0), 2);
  json_decref(done);
}

/* By the settings, in the rounds of jobs of a gateway: by age a day at a time, by size down to four fifths. */
static void by_itself(void **state) {
  char *big = base_alloc(60001);
  unsigned char noise[30000];
  json_t *status;
  open_again((struct exchange_options){.keep_days = 2});
  kit_exchanged(x, "AGE-1", "{}", false);
  settle("AGE-1");
  later(2 * 86400000LL + 43200000);
  exchange_close(x);
  x = NULL;
  open_again((struct exchange_options){.keep_days = 2});
  assert_int_equal(live(), 2); /* two days and a half: not a day's worth yet */
  later(86400000);
  while (live() > 0) {
    exchange_jobs(x);
    usleep(20000);
  }
  proved("AGE-1", 2);
  for (int i = 0; i < 30; i++) {
    char id[20];
    snprintf(id, sizeof id, "SIZE-%d", i);
    random_bytes(noise, sizeof noise);
    hex_encode(noise, sizeof noise, big);
    kit_exchanged(x, id, big, false);
  }
  settle("SIZE-29");
  later(86400000);
  open_again((struct exchange_options){.keep_mb = 1});
  for (bool less = false; !less;) {
    exchange_jobs(x);
    must(exchange_log_status(x, &status, err));
    int64_t bytes = json_int(status, "bytes", 0);
    less = live() < 60 && bytes > 0 && bytes <= 1 << 20;
    json_decref(status);
    usleep(20000);
  }
  assert_true(live() > 10);
  for (int i = 0; i < 30; i += 7) {
    char id[20];
    snprintf(id, sizeof id, "SIZE-%d", i);
    proved(id, 2);
  }
  free(big);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(out_of_the_log), cmocka_unit_test(on_both_sides), cmocka_unit_test(no_more_than_a_bundle), cmocka_unit_test(died), cmocka_unit_test(died_between), cmocka_unit_test(damaged),
                                     cmocka_unit_test(nowhere), cmocka_unit_test(unstamped), cmocka_unit_test(by_itself)};
  return cmocka_run_group_tests(tests, begin, end);
}
