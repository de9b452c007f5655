/* Which processes of a gateway's folder are alive: each holds the lock of a file of its own, and the lock ends with it. What stands in the store as being
 * done by a process that has ended is nobody's. */
#include "exchange/side.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDING ".lock"

static char *folder_of(const struct exchange *x) { return base_printf("%s/processes", x->folder); }

/* Locked, and still the file of that name: who looks for the ended ones may have removed it in between. -1: another's, or an error (errno). */
static int lock_of(const char *path, int flags) {
  for (int i = 0; i < 100; i++) {
    struct stat s;
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &s)) {
      int why = errno;
      close(fd);
      errno = why;
      return -1;
    }
    if (s.st_nlink) return fd;
    close(fd);
  }
  errno = EAGAIN;
  return -1;
}

/* Those that were killed leave their files. */
static void remove_ended(const char *folder) {
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    char *path = base_printf("%s/%s", folder, e->d_name);
    int fd = lock_of(path, 0);
    if (fd >= 0) {
      unlink(path);
      close(fd);
    }
    free(path);
  }
  if (d) closedir(d);
}

void process_open(struct exchange *x) {
  unsigned char bytes[16];
  struct process *p = &x->sides->process;
  random_bytes(bytes, sizeof bytes);
  hex_encode(bytes, sizeof bytes, p->name);
  p->lock = -1;
  pthread_mutex_init(&p->changing, NULL);
}

const char *process_name(struct exchange *x, struct err *err) {
  struct process *p = &x->sides->process;
  pthread_mutex_lock(&p->changing);
  if (p->lock < 0) {
    char *folder = folder_of(x), *path = base_printf("%s/%s" ENDING, folder, p->name);
    if (dir_make(folder, 0700, err) == 0) {
      remove_ended(folder);
      p->lock = lock_of(path, O_CREAT);
      if (p->lock < 0) err_set(err, ERR_UNAVAILABLE, "%s cannot be locked: %s", path, strerror(errno));
    }
    free(path);
    free(folder);
  }
  bool there = p->lock >= 0;
  pthread_mutex_unlock(&p->changing);
  return there ? p->name : NULL;
}

bool process_ended(struct exchange *x, const char *name) {
  if (strcmp(name, x->sides->process.name) == 0) return false;
  char *folder = folder_of(x), *path = base_printf("%s/%s" ENDING, folder, name);
  int fd = lock_of(path, 0);
  bool ended = fd >= 0 || errno == ENOENT;
  if (fd >= 0) {
    unlink(path);
    close(fd);
  }
  free(path);
  free(folder);
  return ended;
}

void process_close(struct exchange *x) {
  struct process *p = &x->sides->process;
  if (p->lock >= 0) {
    char *folder = folder_of(x), *path = base_printf("%s/%s" ENDING, folder, p->name);
    unlink(path);
    close(p->lock);
    free(path);
    free(folder);
  }
  pthread_mutex_destroy(&p->changing);
}
