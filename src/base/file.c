#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_error(struct err *err, const char *what, const char *path)
{
  int e = errno;
  enum err_code code = e == ENOENT || e == ENOTDIR ? ERR_NOT_FOUND : e == EACCES || e == EPERM ? ERR_FORBIDDEN : ERR_UNAVAILABLE;
  return err_set(err, code, "%s %s: %s", what, path, strerrordesc_np(e));
}

char *file_read(const char *path, size_t most, size_t *n, struct err *err)
{
  struct buf b = {.cap = SIZE_MAX};
  char *result = NULL;
  struct stat st;
  if (!most) most = (size_t)64 * 1024 * 1024;
  if (n) *n = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 || fstat(fd, &st)) {
    system_error(err, "cannot open", path);
    goto out;
  }
  if (S_ISREG(st.st_mode) && st.st_size > 0 && (uintmax_t)st.st_size > most) {
    err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, most);
    goto out;
  }
  for (;;) {
    char part[16384];
    ssize_t got = read(fd, part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      system_error(err, "cannot read", path);
      goto out;
    }
    if (!got) break;
    if ((size_t)got > most - b.len) {
      err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, most);
      goto out;
    }
    buf_add(&b, part, (size_t)got);
  }
  if (n) *n = b.len;
  result = buf_take(&b);
out:
  if (fd >= 0) close(fd);
  buf_free(&b);
  return result;
}

static int write_all(int fd, const char *p, size_t n)
{
  while (n) {
    ssize_t done = write(fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -1;
    p += done;
    n -= (size_t)done;
  }
  return 0;
}

/* Make a rename durable: fsync of the folder that holds path. */
static int sync_folder(const char *path)
{
  const char *slash = strrchr(path, '/');
  char *folder = !slash ? base_strdup(".") : slash == path ? base_strdup("/") : base_printf("%.*s", (int)(slash - path), path);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(folder);
  if (fd < 0) return -1;
  int result = fsync(fd);
  int kept = errno;
  close(fd);
  errno = kept;
  return result;
}

int file_write(const char *path, const void *data, size_t n, unsigned mode, struct err *err)
{
  char *temporary = base_printf("%s.XXXXXX", path);
  int result = -1, fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0) {
    system_error(err, "cannot make a file beside", path);
    goto out;
  }
  if (write_all(fd, data, n) || fchmod(fd, mode) || fsync(fd)) {
    system_error(err, "cannot write", path);
    goto undo;
  }
  int closed = close(fd);
  fd = -1;
  if (closed || rename(temporary, path)) {
    system_error(err, "cannot write", path);
    goto undo;
  }
  if (sync_folder(path)) system_error(err, "cannot make durable", path);
  else result = 0;
  goto out;
undo:
  if (fd >= 0) close(fd);
  unlink(temporary);
out:
  free(temporary);
  return result;
}

int dir_make(const char *path, unsigned mode, struct err *err)
{
  char *part = base_strdup(path);
  int result = 0;
  struct stat st;
  for (char *p = part; *p && !result; p++) {
    bool slash = *p == '/';
    if (p == part && slash) continue;
    if (!slash && p[1]) continue;
    if (slash) *p = '\0';
    if (mkdir(part, mode) && errno != EEXIST) result = system_error(err, "cannot make the folder", part);
    if (slash) *p = '/';
  }
  if (!result && stat(path, &st)) result = system_error(err, "cannot make the folder", path);
  else if (!result && !S_ISDIR(st.st_mode)) result = err_set(err, ERR_CONFLICT, "%s is not a folder", path);
  free(part);
  return result;
}
