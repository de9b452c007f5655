/* Two sequencers at once over one store, on both engines: one history, each leaf once. */
#include "trust-kit.h"

enum { WRITERS = 2, LEAVES = 3000, STEP = 7 };

struct node {
  struct store *s;
  struct trust *t;
  int64_t from, placed;
  _Atomic bool *stop;
};

static void *sequencing(void *arg) {
  struct node *n = arg;
  struct err e = {0};
  while (!*n->stop) {
    int64_t placed = 0;
    n->t->signed_at = 0; /* sign as often as it can */
    if (trust_sequence(n->t, &placed, &e) != 0 && e.code != ERR_UNAVAILABLE) log_write(LOG_ERROR, "test", "%s: %s", n->t->node, e.message);
    n->placed += placed;
    if (n->placed % 3 == 0) n->t->lease_until = 0; /* asks for the lease again and again */
    if (n->placed > LEAVES / 3 && placed > 0) { /* gives it away in the middle of its work */
      store_lease(n->s, "ledger", n->t->node, 0, NULL, NULL);
      kit_sleep(2);
    }
  }
  return NULL;
}

static void *appending(void *arg) {
  struct node *n = arg;
  for (int64_t i = 0; i < LEAVES; i += STEP) {
    kit_append(n->s, n->from + i, LEAVES - i < STEP ? LEAVES - i : STEP);
    kit_sleep(1);
  }
  return NULL;
}

static int count_work(struct store_tx *tx, void *arg, struct err *err) {
  int64_t *n = arg;
  if (store_value(tx, &n[0], 0, err, "SELECT COUNT(*) FROM ledger_leaf", "") != 0 ||
      store_value(tx, &n[1], 0, err,
        "SELECT (SELECT COUNT(*) FROM ledger_pending) + (SELECT COUNT(*) FROM ledger_leaf WHERE idx >= COALESCE((SELECT size FROM ledger_state WHERE name = 'log'), 0))", "") != 0)
    return -1;
  return store_value(tx, &n[2], 0, err, "SELECT COUNT(*) FROM ledger_head", "");
}

static void two_nodes(const char *where) {
  struct node nodes[2];
  pthread_t threads[2], writers[WRITERS];
  _Atomic bool stop = false;
  char key[256];
  kit_path(key, store_engine_of(nodes[0].s = kit_open(where, NULL)) == STORE_POSTGRES ? "pg.pem" : "lite.pem");
  for (int i = 0; i < 2; i++) {
    struct trust_options o = {.key_file = key, .origin = "test.example/ledger", .node = i == 0 ? "first" : "second"};
    if (i > 0) nodes[i].s = kit_open(where, NULL);
    nodes[i].stop = &stop;
    nodes[i].placed = 0;
    nodes[i].from = i * 1000000;
    must(trust_open(nodes[i].s, &o, &nodes[i].t, err));
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, sequencing, &nodes[i]), 0);
    assert_int_equal(pthread_create(&writers[i], NULL, appending, &nodes[i]), 0);
  }
  for (int i = 0; i < WRITERS; i++) pthread_join(writers[i], NULL);
  int64_t n[3] = {0}, until = clock_mono() + 30000;
  do {
    kit_sleep(50);
    must(store_read(nodes[0].s, count_work, n, err));
  } while (n[1] > 0 && clock_mono() < until);
  stop = true;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  assert_int_equal(n[0], 2 * LEAVES);
  assert_int_equal(n[1], 0);
  print_message("%lld leaves by one, %lld by the other, %lld heads\n", (long long)nodes[0].placed, (long long)nodes[1].placed,
                (long long)n[2]);
  for (int i = 0; i < 2; i++) { /* the lease may still be the other's */
    store_lease(nodes[i].s, "ledger", nodes[i].t->node, 0, NULL, NULL);
    nodes[i].t->lease_until = 0;
  }
  kit_sleep(5);
  kit_sequence(nodes[1].t);
  int64_t size;
  must(trust_size(nodes[1].t, &size, err));
  assert_int_equal(size, 2 * LEAVES);
  for (int i = 0; i < 2; i++) {
    must(trust_verify(nodes[i].t, NULL, err));
    trust_close(nodes[i].t);
    store_close(nodes[i].s);
  }
}

static void on_sqlite(void **state) {
  char where[300];
  snprintf(where, sizeof where, "sqlite:%s/fork.db", kit_dir);
  two_nodes(where);
}

static void on_postgres(void **state) {
  char where[300] = "", folder[256];
  const char *given = getenv("CHAPAR_TEST_PG");
  kit_path(folder, "pg");
  char *start[] = {"tests/lib/pg.sh", "start", folder, NULL}, *end[] = {"tests/lib/pg.sh", "kill", folder, NULL};
  if (given == NULL && kit_run(start, where, sizeof where) != 0) skip();
  if (given != NULL) {
    PGconn *c = PQconnectdb(given);
    char sql[200], name[80];
    snprintf(name, sizeof name, "trust%d_%llx", (int)getpid(), (unsigned long long)clock_now());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'", name);
    PQclear(PQexec(c, sql));
    PQfinish(c);
    snprintf(where, sizeof where, "%s%cdbname=%s", given, strchr(given, '?') != NULL ? '&' : '?', name);
  }
  two_nodes(where);
  if (given == NULL) kit_run(end, NULL, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(on_sqlite), cmocka_unit_test(on_postgres)};
  return cmocka_run_group_tests_name("trust-fork", tests, kit_start, kit_stop);
}
