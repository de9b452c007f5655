/* What the tests of every room share: calls that must succeed or be refused, a folder of the program's own, programs beside it. */
#ifndef KIT_H
#define KIT_H

#include "base/base.h"
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Where a number above 0 is an answer too; rooms whose calls answer 0 alone define it before as rc != 0. */
#ifndef KIT_FAILED
#define KIT_FAILED(rc) ((rc) < 0)
#endif

__attribute__((unused)) static char kit_dir[128];

#define must(call)                                                                           \
  do {                                                                                       \
    struct err e_ = {0};                                                                     \
    struct err *err = &e_;                                                                   \
    if (KIT_FAILED(call)) fail_msg("%s: %s: %s", #call, err_name(e_.code), e_.message);      \
  } while (0)
#define refused(call, expected)                                                              \
  do {                                                                                       \
    struct err e_ = {0};                                                                     \
    struct err *err = &e_;                                                                   \
    if (!KIT_FAILED(call)) fail_msg("%s: was expected to fail", #call);                      \
    if (e_.code != (expected)) fail_msg("%s: %s: %s", #call, err_name(e_.code), e_.message); \
  } while (0)

static inline void kit_sleep(int ms) { nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL); }

/* Run a program, its first line of output into out; its exit status. */
static inline int kit_run(char *const argv[], char *out, size_t room) {
  int fd[2], status = 0;
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
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int kit_start(void **state) {
  const char *base = getenv("TMPDIR");
  snprintf(kit_dir, sizeof kit_dir, "%.80s/chapar-unit-XXXXXX", base != NULL ? base : "/tmp");
  log_set_level(LOG_ERROR);
  return mkdtemp(kit_dir) == NULL || chmod(kit_dir, 0755) != 0 ? -1 : 0;
}

static inline int kit_stop(void **state) {
  char *argv[] = {"rm", "-rf", kit_dir, NULL};
  return kit_run(argv, NULL, 0);
}

#endif
