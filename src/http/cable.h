/* Inside http: one connection to a peer, made by libcurl (names, addresses of both families), then bytes over it, plain or through TLS, until a deadline. */
#ifndef CHAPAR_HTTP_CABLE_H
#define CHAPAR_HTTP_CABLE_H

#include "http/inner.h"

#include <openssl/ssl.h>

struct cable {
  int fd;
  SSL *ssl;
  struct cable *prev, *next; /* of all that are connected */
  atomic_bool cut;
  int64_t until; /* how long what is read now may be waited for; 0: not, or it has come */
  int64_t limit; /* ms: what the system waits at most for a read of this connection (SO_RCVTIMEO); 0: not told yet */
};

enum cable_got { CABLE_END = 0 /* it has ended */, CABLE_LATER = -1 /* nothing now, or not enough yet */, CABLE_BROKEN = -2, CABLE_LATE = -3 /* nothing until then */ };

/* base: "http://host:port". The deadline is of clock_mono. ERR_UNAVAILABLE with what libcurl says of it. */
int cable_connect(struct cable *w, const char *base, int64_t deadline, struct err *err);
/* What is spoken over it from now on. name: whom to ask for and, when `judged`, whose certificate it must be. mark: found by SSL_get_app_data. */
int cable_secure(struct cable *w, SSL_CTX *ctx, const char *name, bool judged, void *mark, int64_t deadline, struct err *err);
void cable_close(struct cable *w);
/* Bytes, or one of cable_got. Reading waits for the first bytes until then (clock_mono), writing never waits. until 0: reading does not either. */
ssize_t cable_read(struct cable *w, void *p, size_t n, int64_t until);
ssize_t cable_write(struct cable *w, const void *p, size_t n);
/* Until something can be read or written: what of POLLIN and POLLOUT, 0: the deadline (clock_mono) came. */
int cable_wait(struct cable *w, int64_t deadline);
/* Nothing has come over it that nobody asked for, and it has not ended. */
bool cable_quiet(const struct cable *w);

#endif
