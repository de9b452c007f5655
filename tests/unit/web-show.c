#include "channels/web/inside.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* After signing in one goes back to a page of ours, never elsewhere. */
static void next_is_ours(void **state) {
  (void)state;
  static const char *const good[] = {"/", "/mine", "/services/a-b/form/2?from=check", "/cases/6037990000000000"};
  static const char *const bad[] = {"", "mine", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/a\r\nSet-Cookie: x", "/a\\b", "/\xd9\x87"};
  for (size_t i = 0; i < BASE_COUNT(good); i++) assert_ptr_equal(safe_next(good[i]), good[i]);
  for (size_t i = 0; i < BASE_COUNT(bad); i++) assert_null(safe_next(bad[i]));
  char *text = base_alloc(600);
  memset(text, '/', 1);
  memset(text + 1, 'a', 598);
  assert_null(safe_next(text));
  free(text);
  assert_null(safe_next(NULL));
}

static void qr_is_a_path(void **state) {
  (void)state;
  json_t *o = qr_json("https://khorasan.example/cases/6037990000000000");
  assert_non_null(o);
  assert_true(json_int(o, "size", 0) >= 29 && json_int(o, "size", 0) <= 60);
  const char *path = json_str(o, "path");
  assert_true(base_starts(path, "M4 4h7v1h-7z")); /* the finder pattern, inside the quiet zone */
  assert_int_equal(strspn(path, "M0123456789 hvz-"), strlen(path));
  json_decref(o);
  char *much = base_alloc(5000);
  memset(much, 'x', 4999);
  assert_null(qr_json(much));
  free(much);
}

static void empty_is_false(void **state) {
  (void)state;
  json_t *o = json_object();
  put(o, "a", "");
  put(o, "b", NULL);
  put(o, "c", "x");
  put_list(o, "d", json_array());
  assert_true(json_is_null(json_object_get(o, "a")));
  assert_true(json_is_null(json_object_get(o, "b")));
  assert_string_equal(json_str(o, "c"), "x");
  assert_true(json_is_false(json_object_get(o, "has_d")));
  fault(o, "#f", "wrong");
  fault(o, NULL, "again");
  assert_int_equal(json_array_size(json_object_get(o, "faults")), 2);
  assert_true(json_is_true(json_object_get(o, "has_faults")));
  json_decref(o);
}

/* Every word that a template names is known, and every partial exists. */
static void templates_name_known_words(void **state) {
  (void)state;
  size_t n;
  struct err err;
  assert_int_equal(language_init(&err), 0);
  const struct embedded *all = embedded_all(&n);
  for (size_t i = 0; i < n; i++) {
    if (!base_starts(all[i].name, "templates/web/")) continue;
    for (const char *p = (const char *)all[i].data; (p = strstr(p, "{{")) != NULL; p += 2) {
      const char *q = p + 2 + strspn(p + 2, "#^/{");
      char name[80], key[160];
      size_t size = strcspn(q, "}");
      if (size >= sizeof name) continue;
      memcpy(name, q, size);
      name[size] = 0;
      if (base_starts(name, "t.")) {
        snprintf(key, sizeof key, "web.%s", name + 2);
        if (!word_known(key)) fail_msg("%s: no word %s", all[i].name, key);
      } else if (base_starts(name, "> ")) {
        snprintf(key, sizeof key, "templates/%s.mustache", name + 2);
        if (!embedded_find(key)) fail_msg("%s: no partial %s", all[i].name, key);
      }
    }
  }
  struct template_set *set = NULL;
  assert_int_equal(template_load("templates/", &set, &err), 0);
  template_free(set);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(next_is_ours), cmocka_unit_test(qr_is_a_path), cmocka_unit_test(empty_is_false),
                                     cmocka_unit_test(templates_name_known_words)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
