/* Paths as rights see them: every known way round a right is refused, or needs the right to what it could also mean. */
#include "exchange/side.h"
#include "store-kit.h"

static void normal(const char *raw, const char *expected) {
  char out[SIDE_PATH];
  struct err err;
  if (path_normalise(raw, out, sizeof out, &err)) fail_msg("%s: %s", raw, err.message);
  assert_string_equal(out, expected);
}

static void refuse(const char *raw) {
  char out[SIDE_PATH];
  struct err err;
  if (path_normalise(raw, out, sizeof out, &err) == 0) fail_msg("%s was taken as %s", raw, out);
  assert_int_equal(err.code, ERR_INVALID);
}

static void normalised(void **state) {
  normal("", "");
  normal("/", "/");
  normal("/a/b/c", "/a/b/c");
  normal("/a/b/./c", "/a/b/c");
  normal("/a/b/d/../c", "/a/b/c");
  normal("/a/b/../../c", "/c");
  normal("/a/b/%2e/c", "/a/b/c");
  normal("/a/b/d/%2e%2E/c", "/a/b/c");
  normal("/a//b///c", "/a/b/c");
  normal("/a/b/", "/a/b/");
  normal("/a/..", "/");
  normal("/a/.", "/a/");
  normal("/%D8%A2%D8%A8", "/آب");
  normal("/a%2Fb", "/a%2Fb");
  normal("/a%2fb", "/a%2Fb");
  normal("/Case/case", "/Case/case");
  normal("/...", "/...");
  normal("/a..b/c..", "/a..b/c..");
  normal("/a%20b;x=1", "/a b;x=1");
  normal("/%25", "/%");
}

static void ways_out(void **state) {
  static const char *const list[] = {"/..", "/../a", "/a/../../b", "/%2e%2e/a", "/a/%2e%2e/%2e%2e/b", "/a/.%2e/%2e./b", "/a/..;/b", "/a/..;x=1/b", "/a/%2e%2e;/b", "/a/..%2Fb", "/a/%2e%2e%2fb",
                                     "/public%2F..%2Fadmin", "/a/..%5Cb", "/a/%252e%252e/b", "/a/%252e%252e%252fb", "/a%2F..", "/a/.%2e%2fb"};
  for (size_t i = 0; i < BASE_COUNT(list); i++) refuse(list[i]);
}

static void unsound(void **state) {
  static const char *const list[] = {"a", "/%", "/%2", "/%zz", "/%00", "/a\\b", "/a b", "/\x80", "/%0a", "/%1f", "/%7f", "/a?b", "/a#b", "/%c0%af", "/%ff", "/<>"};
  for (size_t i = 0; i < BASE_COUNT(list); i++) refuse(list[i]);
  char *wide = base_alloc(SIDE_PATH + 10);
  memset(wide, 'a', SIDE_PATH + 5);
  wide[0] = '/';
  refuse(wide);
  free(wide);
}

/* X-Road's own table, and what its stars are told to mean. */
static void globs(void **state) {
  static const struct { const char *glob, *path; bool fits; } t[] = {
    {"**", "", true}, {"***", "match/anything/*", true}, {"**", "/a/b/c", true}, {"/*/", "/a/", true}, {"/*/", "/a/b/", false}, {"", "", true}, {"", " ", false},
    {".^$+{[]|()", ".^$+{[]|()", true}, {"**/bar/**", "a/b/c/bar/e/f", true}, {"**/bar/**", "a/b/c/foo/e/f", false}, {"**\\*", "/what/ever*", true}, {"**\\*", "/what/ever!", false},
    {"simple", "simple", true}, {"simple", "prefix.simple.suffix", false}, {"**/*/**", "something/bar/something/else", true}, {"**/*/**", "/bar/", true}, {"**/*/**", "//", true},
    {"**/*/**", "something/else", false}, {"\\A", "\\A", true}, {"\\*", "*", true}, {"\\*", "\\*", false}, {"\\\\", "\\", true}, {"aa\\", "aa\\", true},
    {"/persons/*", "/persons/1", true}, {"/persons/*", "/persons/1/secret", false}, {"/persons/*", "/persons/", true}, {"/persons/**", "/persons/1/secret", true},
    {"/persons/*", "/Persons/1", false}, {"/*/name", "/1/name", true}, {"/*/name", "/1/2/name", false}, {"/**/name", "/1/2/name", true}, {"/a*c", "/abbbc", true}, {"/a*c", "/abb/c", false},
    {"**a**b**c", "xaxbxc", true}, {"**a**b**c", "xaxcxb", false}, {"/*/*/x", "/a/b/x", true}, {"/*/*/x", "/a/x", false}, {"*", "", true}, {"*", "/", false}};
  for (size_t i = 0; i < BASE_COUNT(t); i++)
    if (glob_match(t[i].glob, t[i].path) != t[i].fits) fail_msg("<%s> <%s> should be %d", t[i].glob, t[i].path, t[i].fits);
}

static void glob_is_quick(void **state) { /* no blow-up: ends */
  char glob[400] = "", path[4000];
  for (int i = 0; i < 60; i++) memcpy(glob + 3 * i, "**a", 4);
  memset(path, 'a', sizeof path - 2);
  path[sizeof path - 2] = 'b';
  path[sizeof path - 1] = 0;
  assert_false(glob_match(glob, path));
  for (int i = 0; i < 100; i++) memcpy(glob + 2 * i, "*a", 3);
  assert_false(glob_match(glob, path));
}

/* ---- rights in the store ---- */

struct kit { struct exchange x; };
#define PROVIDER "KR/GOV/100/registry"
#define SERVICE PROVIDER "/persons"
#define CLIENT "KR/GOV/200/desk"

static int setup(void **state) {
  static const char *const rooms[] = {"exchange", NULL};
  struct kit *k = base_alloc(sizeof *k);
  char where[600];
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &k->x.store, err));
  must(store_migrate(k->x.store, rooms, err));
  must(services_open(&k->x, err));
  must(exchange_service_put(&k->x, &(struct exchange_service){.id = SERVICE, .kind = "REST", .url = "http://127.0.0.1:1/base"}, err));
  *state = k;
  return 0;
}

static int teardown(void **state) {
  struct kit *k = *state;
  services_close(&k->x);
  store_close(k->x.store);
  free(k);
  return 0;
}

static bool may(struct kit *k, const char *client, const char *method, const char *raw) {
  struct exchange_id who, service;
  struct right right;
  struct err why;
  char path[SIDE_PATH];
  must(exchange_id_parse(client, 3, 4, &who, err));
  must(exchange_id_parse(SERVICE, 5, 5, &service, err));
  return path_normalise(raw, path, sizeof path, &why) == 0 && access_check(&k->x, NULL, &who, &service, method, path, &right, &why) == 0;
}

static void rights(void **state) {
  struct kit *k = *state;
  char id[40], other[40];
  assert_false(may(k, CLIENT, "GET", "/public/1"));
  must(exchange_grant(&k->x, &(struct exchange_grant){.subject = CLIENT, .service = SERVICE, .method = "GET", .path = "/public/*", .purpose = "registration"}, "test", id, err));
  assert_true(may(k, CLIENT, "GET", "/public/1"));
  assert_false(may(k, CLIENT, "POST", "/public/1"));
  assert_false(may(k, CLIENT, "get", "/public/1"));
  assert_false(may(k, "KR/GOV/200/other", "GET", "/public/1"));
  assert_false(may(k, "KR/GOV/200", "GET", "/public/1"));
  static const char *const round[] = {"/public/../secret", "/public/%2e%2e/secret", "/public/..%2fsecret", "/public/1%2Fsecret", "/public/..;/secret", "/PUBLIC/1", "/public//1/2", "/public/1/secret", "/public/a%5Cb"};
  for (size_t i = 0; i < BASE_COUNT(round); i++)
    if (may(k, CLIENT, "GET", round[i])) fail_msg("%s went round", round[i]);
  assert_true(may(k, CLIENT, "GET", "/public//1"));
  assert_true(may(k, CLIENT, "GET", "/x/../public/1"));
  must(exchange_grant(&k->x, &(struct exchange_grant){.subject = CLIENT, .service = SERVICE, .path = "/public/**"}, "test", other, err));
  assert_true(may(k, CLIENT, "GET", "/public/1%2Fsecret"));
  must(exchange_revoke(&k->x, other, "test", "enough", err));
  assert_false(may(k, CLIENT, "GET", "/public/1%2Fsecret"));
  refused(exchange_revoke(&k->x, other, "test", "enough", err), ERR_NOT_FOUND);
  must(exchange_revoke(&k->x, id, "test", "enough", err));
  assert_false(may(k, CLIENT, "GET", "/public/1"));
}

static void groups_and_time(void **state) {
  struct kit *k = *state;
  char id[40];
  must(exchange_group(&k->x, "desks", CLIENT, true, "test", err));
  must(exchange_grant(&k->x, &(struct exchange_grant){.subject = "group:desks", .service = SERVICE, .until = clock_now() + 1000000}, "test", id, err));
  assert_true(may(k, CLIENT, "PATCH", "/anything"));
  must(exchange_group(&k->x, "desks", CLIENT, false, "test", err));
  refused(exchange_group(&k->x, "desks", CLIENT, false, "test", err), ERR_NOT_FOUND);
  must(exchange_group(&k->x, "desks", CLIENT, true, "test", err));
  assert_true(may(k, CLIENT, "PATCH", "/anything"));
  clock_set(clock_now() + 2000000);
  assert_false(may(k, CLIENT, "PATCH", "/anything"));
  clock_set(0);
}

static void refusals(void **state) {
  struct kit *k = *state;
  char id[40];
  refused(exchange_grant(&k->x, &(struct exchange_grant){.subject = "nobody", .service = SERVICE}, "t", id, err), ERR_INVALID);
  refused(exchange_grant(&k->x, &(struct exchange_grant){.subject = CLIENT, .service = PROVIDER}, "t", id, err), ERR_INVALID);
  refused(exchange_grant(&k->x, &(struct exchange_grant){.subject = CLIENT, .service = SERVICE, .method = "BREW"}, "t", id, err), ERR_INVALID);
  refused(exchange_grant(&k->x, &(struct exchange_grant){.subject = CLIENT, .service = SERVICE, .path = "relative"}, "t", id, err), ERR_INVALID);
  refused(exchange_grant(&k->x, &(struct exchange_grant){.subject = CLIENT, .service = SERVICE, .from = 2, .until = 1}, "t", id, err), ERR_INVALID);
  static const char *const urls[] = {"ftp://x", "http://", "http://u:p@x/", "http://x/?q", "http://x/#f", "http://x/ a", "x"};
  for (size_t i = 0; i < BASE_COUNT(urls); i++) refused(exchange_service_put(&k->x, &(struct exchange_service){.id = SERVICE, .kind = "REST", .url = urls[i]}, err), ERR_INVALID);
  refused(exchange_service_put(&k->x, &(struct exchange_service){.id = PROVIDER "/listMethods", .kind = "REST", .url = "http://x"}, err), ERR_INVALID);
  refused(exchange_subsystem_put(&k->x, CLIENT, "mutual", "", err), ERR_INVALID);
  refused(exchange_subsystem_put(&k->x, CLIENT, "perhaps", "", err), ERR_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(normalised), cmocka_unit_test(ways_out), cmocka_unit_test(unsound), cmocka_unit_test(globs), cmocka_unit_test(glob_is_quick),
                                     cmocka_unit_test_setup_teardown(rights, setup, teardown), cmocka_unit_test_setup_teardown(groups_and_time, setup, teardown),
                                     cmocka_unit_test_setup_teardown(refusals, setup, teardown)};
  return cmocka_run_group_tests(tests, kit_start, kit_stop);
}
