/* The head that the key remembers: kept beside the key, so that no restored store can make it sign another history. */
#include "trust/inner.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int head_lock(const struct trust *t, struct err *err) {
  int fd = open(t->key_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_set(err, ERR_UNAVAILABLE, "cannot open %s: %s", t->key_file, strerror(errno));
  while (flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    int why = errno;
    close(fd);
    return err_set(err, ERR_UNAVAILABLE, "cannot lock %s: %s", t->key_file, strerror(why));
  }
  return fd;
}

int head_remembered(const struct trust *t, struct remembered *out, struct err *err) {
  struct err why = {0};
  size_t n;
  memset(out, 0, sizeof *out);
  char *text = file_read(t->head_file, NOTE_MOST, &n, &why);
  if (text == NULL && why.code == ERR_NOT_FOUND) return 0;
  if (text == NULL) return err_set(err, why.code, "%s", why.message);
  struct note note;
  const struct log_name *name = trust_name(t);
  int rc = note_parse(text, n, &note, &why) != 0 || checkpoint_parse(note.text, note.size, &out->head, &why) != 0 ? -1 : 0;
  if (rc == 0 && name != NULL && strcmp(out->head.origin, name->key.name) == 0)
    rc = checkpoint_open(text, n, &name->key, &note, &out->head, &why);
  free(text);
  if (rc != 0)
    return err_set(err, ERR_CONFLICT,
                   "%s, the last head this key signed, is damaged (%s): put it back, or take it away and begin a declared new log",
                   t->head_file, why.message);
  out->found = true;
  return 0;
}

int64_t head_generation(const struct trust *t, const struct remembered *m) {
  int64_t g = 0;
  size_t n = strlen(t->base);
  if (!m->found || strncmp(m->head.origin, t->base, n) != 0) return 0;
  if (m->head.origin[n] == '\0') return 1;
  return m->head.origin[n] == '/' && parse_i64(m->head.origin + n + 1, &g) == 0 && g > 1 && g < INT32_MAX ? g : 0;
}

static int continues(const struct trust *t, const struct log_name *name, int64_t size, const unsigned char *root,
                     const struct remembered *before, const struct proof *p, struct err *err) {
  if (!before->found) return 0;
  int64_t g = head_generation(t, before);
  if (g > 0 && g < name->generation) return 0; /* the store declares a new log */
  if (g == 0 || g > name->generation)
    return err_set(err, ERR_CONFLICT,
                   "this key last signed for the log %s, which this store does not know; the store is too old, or the key is another's",
                   before->head.origin);
  if (size >= before->head.size && merkle_check_consistency(before->head.size, size, before->head.root, root, p)) return 0;
  return err_set(
    err, ERR_CONFLICT,
    "the store is behind the last signed head, or differs from it: %lld leaves were signed, %lld are here. "
    "Restore a newer copy, or begin a declared new log",
    (long long)before->head.size, (long long)size);
}

int head_sign(struct trust *t, const struct log_name *name, int64_t size, const unsigned char *root, const struct remembered *before,
              const struct proof *p, char **checkpoint, struct err *err) {
  *checkpoint = NULL;
  if (continues(t, name, size, root, before, p, err) != 0) return -1;
  char *text = checkpoint_sign(&t->key, &name->key, size, root);
  if (file_write(t->head_file, text, strlen(text), 0600, err) == 0) {
    *checkpoint = text;
    return 0;
  }
  free(text);
  return -1;
}
