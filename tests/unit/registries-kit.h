/* What the tests of registries share: the province's pack, a store of an engine, an open room. */
#ifndef CHAPAR_TEST_REGISTRIES_KIT_H
#define CHAPAR_TEST_REGISTRIES_KIT_H

#include "registries/registries.h"
#include "store-kit.h"

#include <stdarg.h>

#define ID "0499370899"
#define OTHER "0060495219"

struct kit {
  struct store *store;
  struct identity *identity;
  struct registries *g;
  struct arena *arena;
};

static const char *kit_postgres; /* NULL: SQLite */
static struct pack *kit_pack;
static const unsigned char kit_secret[32] = "thirty-two bytes for the tests..";

static void kit_told(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  if (!warning) print_message("%s:%u: %s\n", file, line, message);
}

static inline int kit_empty(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM registry_record", "") < 0 || store_exec(tx, err, "DELETE FROM registry_change", "") < 0 ||
         store_exec(tx, err, "DELETE FROM registry_event", "") < 0 || store_exec(tx, err, "DELETE FROM registry_person", "") < 0 ||
         store_exec(tx, err, "DELETE FROM registry_person_past", "") < 0 || store_exec(tx, err, "DELETE FROM registry_export", "") < 0 ||
         store_exec(tx, err, "DELETE FROM ledger_pending", "") < 0 ||
         store_exec(tx, err, "DELETE FROM ledger_leaf", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_span", "") < 0 ||
         store_exec(tx, err, "DELETE FROM ledger_late", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_tile", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_state", "") < 0 ? -1 : 0;
}

static inline int kit_setup(void **state) {
  static const char *const rooms[] = {"trust", "identity", "sessions", "registries", NULL};
  struct kit *k = base_alloc(sizeof *k);
  char where[600];
  if (!kit_postgres) kit_new_where(false, where, sizeof where);
  must(store_open(kit_postgres ? kit_postgres : where, NULL, &k->store, err));
  must(store_migrate(k->store, rooms, err));
  must(store_write(k->store, STORE_FRONT, kit_empty, NULL, err));
  struct identity_options i = {.secret = kit_secret};
  must(identity_open(k->store, k->store, &i, &k->identity, err));
  struct registries_options o = {.secret = kit_secret, .identity = k->identity};
  must(registries_open(k->store, NULL, kit_pack, &o, &k->g, err));
  k->arena = arena_new(4 * 1024 * 1024);
  *state = k;
  return 0;
}

static inline int kit_teardown(void **state) {
  struct kit *k = *state;
  registries_close(k->g);
  identity_close(k->identity);
  store_close(k->store);
  arena_free(k->arena);
  free(k);
  return 0;
}

/* Judge and put; attributes as JSON text. */
static inline struct record_change kit_put(struct kit *k, const char *registry, const char *json, enum record_source source, const char *event, bool revoke) {
  const struct registry *r = pack_find_registry(kit_pack, registry);
  json_t *in = json_loads(json, 0, NULL), *good = NULL, *errors = NULL;
  assert_non_null(r);
  assert_non_null(in);
  if (registries_check(kit_pack, r, in, LANG_EN, k->arena, &good, &errors)) fail_msg("%s: %s", json, json_dumps(errors, 0));
  struct record_change c = {.registry = r, .attributes = good, .source = source, .event = event, .revoke = revoke, .tracking = event ? "6037000000000000" : NULL};
  must(registries_put_many(k->g, &c, 1, err));
  json_decref(in);
  json_decref(good);
  c.attributes = NULL;
  return c;
}

static inline struct actor kit_staff(const char *organisation, int role) {
  struct actor a = {.kind = ACTOR_STAFF, .username = "u", .role_count = 1};
  snprintf(a.roles[0].organisation, sizeof a.roles[0].organisation, "%s", organisation);
  a.roles[0].role = role;
  return a;
}

static inline struct actor kit_citizen(struct kit *k, const char *id, enum assurance assurance) {
  struct actor a = {.kind = ACTOR_CITIZEN, .assurance = assurance};
  snprintf(a.national_id, sizeof a.national_id, "%s", id);
  identity_person_key(k->identity, id, a.person);
  return a;
}

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
#define KIT_RUN(tests)                                                                \
  do {                                                                                \
    static char where[600];                                                           \
    struct err e = {0};                                                               \
    struct pack_report report = {.line = kit_told};                                   \
    if (kit_start(NULL) != 0 || language_init(&e) != 0) return 1;                     \
    kit_pack = pack_compile("packs/khorasan-razavi", &report);                        \
    if (!kit_pack) return 1;                                                          \
    int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);            \
    if (kit_pg_start() == 0) {                                                        \
      kit_new_where(true, where, sizeof where);                                       \
      kit_postgres = where;                                                           \
      failed += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);         \
    }                                                                                 \
    kit_pg_stop();                                                                    \
    kit_stop(NULL);                                                                   \
    pack_unref(kit_pack);                                                             \
    return failed;                                                                    \
  } while (0)

#endif
