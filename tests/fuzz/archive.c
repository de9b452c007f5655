/* An archive of evidence, as somebody may hand it in: first the file as its bytes are, then the same bytes as the text inside of one, which gets past
 * the unpacking. Read, judged, searched; whatever it is, what comes is an answer or a sentence. */
#include "exchange/archive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

static void judge(const void *data, size_t size) {
  static int fd = -1;
  static char path[40];
  struct err err;
  struct archive_reader *r;
  json_t *out = NULL;
  char *sentence = NULL;
  const char *line;
  size_t n;
  int64_t place, last = -1;
  if (fd < 0) {
    fd = memfd_create("archive", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  }
  if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
  if (archive_open(path, &r, &err) != 0) abort();
  int rc;
  while ((rc = archive_next(r, &line, &n, &place, &err)) == 1) {
    if (place < last || place >= (int64_t)size || line[n] != '\n' || memchr(line, '\n', n) != NULL) abort();
    last = place;
  }
  if (rc < 0 && err.code != ERR_MALFORMED) abort();
  archive_close(r);
  if (exchange_archive_verify(path, NULL, NULL, &sentence, &err) == 0 && sentence == NULL) abort();
  if (exchange_archive_evidence(path, &(struct evidence_ask){.message_id = "m1"}, &out, &err) == 0 && json_array_size(json_object_get(out, "messages")) == 0) abort();
  free(sentence);
  json_decref(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  z_stream z = {0};
  judge(data, size);
  if (size == 0 || deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
  size_t room = deflateBound(&z, size + 1);
  unsigned char *text = malloc(size + 1), *packed = malloc(room);
  if (text == NULL || packed == NULL) abort();
  memcpy(text, data, size);
  text[size] = '\n';
  z.next_in = text;
  z.avail_in = (unsigned)size + 1;
  z.next_out = packed;
  z.avail_out = (unsigned)room;
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
  judge(packed, room - z.avail_out);
  deflateEnd(&z);
  free(text);
  free(packed);
  return 0;
}
