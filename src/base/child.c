/* Helper processes: this program once more under another name, with one channel and, once it has begun, hardly a call to the kernel. */
#include "base/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

int child_begin(char *const argv[], const int *channels, size_t count, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t how;
  sigset_t none;
  if (strcmp(program_invocation_name, argv[0]) == 0) return ENOEXEC; /* whoever was begun under this name and comes here is no helper: it would go on for ever */
  sigemptyset(&none);
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&how);
  int high[4] = {-1, -1, -1, -1};        /* out of the way of the numbers that they get */
  for (size_t i = 0; i < count && i < BASE_COUNT(high); i++) {
    high[i] = fcntl(channels[i], F_DUPFD_CLOEXEC, 16);
    posix_spawn_file_actions_adddup2(&files, high[i], CHILD_CHANNEL + (int)i);
  }
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setpgroup(&how, 0);    /* an interrupt typed at a terminal is the parent's to judge */
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  int rc = posix_spawn(pid, "/proc/self/exe", &files, &how, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  for (size_t i = 0; i < BASE_COUNT(high); i++)
    if (high[i] >= 0) close(high[i]);
  return rc;
}

int child_complain(const char *who, const char *what, const char *name) {
  dprintf(2, "chapar: %s: %s %s\n", who, what, name);
  return -1;
}

/* ---- shutting the doors ---- */

/* A service manager's own filter may forbid changing limits (EPERM): then its limits hold, and the filter below all the same. */
static int limits(const char *who, int files) {
  const struct { int what; rlim_t most; } rows[] = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_NPROC, 0}, {RLIMIT_NOFILE, (rlim_t)files}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++)
    if (setrlimit((__rlimit_resource_t)rows[i].what, &(struct rlimit){rows[i].most, rows[i].most}) && errno != EPERM) return child_complain(who, "cannot limit itself:", strerrordesc_np(errno));
  return 0;
}

/* No file at all, where the kernel knows how (the filter says the same where calls that open are not among those allowed). */
static void no_files(void) {
  struct landlock_ruleset_attr all = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
  long rules = syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
  if (rules < 0) return;
  syscall(SYS_landlock_restrict_self, (int)rules, 0);
  close((int)rules);
}

int child_shut(const char *who, int files, const int *more, size_t count) {
  static const int calls[] = {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(futex), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(exit),
                              SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
                              SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield), SCMP_SYS(getpid), SCMP_SYS(gettid)};
  if (limits(who, files)) return -1;
  if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return child_complain(who, "cannot give up privileges:", strerrordesc_np(errno));
  no_files();
  scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
  int rc = f ? 0 : -1;
  for (size_t i = 0; i < BASE_COUNT(calls) && rc == 0; i++) rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
  for (size_t i = 0; i < count && rc == 0; i++) rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, more[i], 0);
  /* memory, but none that could be run */
  if (rc == 0) rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (rc == 0) rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (rc == 0) rc = seccomp_load(f);
  seccomp_release(f);
  return rc ? child_complain(who, "the sandbox cannot be made:", strerrordesc_np(-rc)) : 0;
}

/* ---- capabilities ---- */

void privileges_keep(uint64_t keep) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}, {0}};
  for (int cap = 0; cap < 64; cap++)
    if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* without CAP_SETPCAP it stays, and is of no use */
  for (int cap = 0; cap < 64; cap++)
    if (!(keep >> cap & 1)) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, cap, 0, 0);
  if (syscall(SYS_capget, &head, data)) return;
  for (int i = 0; i < 2; i++) {
    uint32_t mask = (uint32_t)(keep >> 32 * i);
    data[i].permitted &= mask;
    data[i].effective &= mask;
    data[i].inheritable &= mask;
  }
  syscall(SYS_capset, &head, data);
}
