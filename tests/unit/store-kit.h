/* What the store's tests share: temporary folders, and a PostgreSQL of the test's own. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include "kit.h"
#include "store/store.h"
#include <libpq-fe.h>
#include <pthread.h>

__attribute__((unused)) static char kit_pg[512];

static inline int kit_pg_do(const char *what, char *out, size_t room) {
  char dir[160];
  snprintf(dir, sizeof dir, "%s/pg", kit_dir);
  char *argv[] = {"tests/lib/pg.sh", (char *)(uintptr_t)what, dir, NULL};
  return kit_run(argv, out, room);
}

/* A server for this program: CHAPAR_TEST_PG, or one of our own. 0, or -1 where there is none (the tests are skipped). */
static inline int kit_pg_start(void) {
  const char *given = getenv("CHAPAR_TEST_PG");
  if (given != NULL) snprintf(kit_pg, sizeof kit_pg, "%s", given);
  return given != NULL || kit_pg_do("start", kit_pg, sizeof kit_pg) == 0 ? 0 : -1;
}

static inline void kit_pg_stop(void) {
  if (getenv("CHAPAR_TEST_PG") == NULL && kit_pg[0] != '\0') kit_pg_do("kill", NULL, 0);
}

static inline void kit_new_where(bool pg, char *where, size_t room) {
  static int number;
  number++;
  if (!pg) {
    snprintf(where, room, "sqlite:%s/%d.db", kit_dir, number);
    return;
  }
  char sql[200], name[80];
  snprintf(name, sizeof name, "t%d_%d_%llx", (int)getpid(), number, (unsigned long long)clock_now()); /* a number of a process comes again */
  snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'", name);
  PGconn *c = PQconnectdb(kit_pg);
  PGresult *r = PQexec(c, sql);
  if (PQresultStatus(r) != PGRES_COMMAND_OK) fail_msg("%s", PQerrorMessage(c));
  PQclear(r);
  PQfinish(c);
  snprintf(where, room, "%s%cdbname=%s", kit_pg, strchr(kit_pg, '?') != NULL ? '&' : '?', name);
}

#endif
