/* What the store's tests share: temporary folders, and a PostgreSQL of the test's own. */
#ifndef STORE_KIT_H
#define STORE_KIT_H

#include "store/store.h"
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

__attribute__((unused)) static char kit_dir[128], kit_pg[512];

#define must(call)                                                                      \
  do {                                                                                  \
    struct err e_ = {0};                                                                \
    struct err *err = &e_;                                                              \
    if ((call) < 0) fail_msg("%s: %s: %s", #call, err_name(e_.code), e_.message);       \
  } while (0)
#define refused(call, expected)                                                         \
  do {                                                                                  \
    struct err e_ = {0};                                                                \
    struct err *err = &e_;                                                              \
    if ((call) >= 0) fail_msg("%s: was expected to fail", #call);                       \
    if (e_.code != (expected)) fail_msg("%s: %s: %s", #call, err_name(e_.code), e_.message); \
  } while (0)

static inline void kit_sleep(int ms) { nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL); }

/* Run a program, its first line of output into out; its exit status. */
static inline int kit_run(char *const argv[], char *out, size_t room) {
  int fd[2];
  if (pipe(fd) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    dup2(fd[1], 1);
    close(fd[0]);
    close(fd[1]);
    execvp(argv[0], argv);
    _exit(127);
  }
  close(fd[1]);
  FILE *f = fdopen(fd[0], "r");
  if (out != NULL && fgets(out, (int)room, f) != NULL) out[strcspn(out, "\n")] = '\0';
  while (fgetc(f) != EOF) continue;
  fclose(f);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int kit_start(void **state) {
  const char *base = getenv("TMPDIR");
  snprintf(kit_dir, sizeof kit_dir, "%.80s/chapar-store-XXXXXX", base != NULL ? base : "/tmp");
  log_set_level(LOG_ERROR);
  if (mkdtemp(kit_dir) == NULL) return -1;
  return chmod(kit_dir, 0755);
}

static inline int kit_stop(void **state) {
  char *argv[] = {"rm", "-rf", kit_dir, NULL};
  return kit_run(argv, NULL, 0);
}

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
