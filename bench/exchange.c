/* What signing costs a gateway: CPU microseconds of one thread for the digest, making and checking of a signed request and answer, beside OpenSSL's bare
 * ECDSA P-256 in the same run; then what logging costs, by 64 threads that each keep a request and its answer and wait until both are durable. ninja -C build bench-exchange && build/bench-exchange [ROUNDS] */
#include "exchange/signature.h"

#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct key { EVP_PKEY *key; unsigned char spki[128]; size_t size; char keyid[65]; };

static int sign(void *ctx, enum exchange_key which, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err) {
  struct key *k = ctx;
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
  *size = 80;
  int rc = EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, der, size, digest, n) == 1 ? 0 : -1;
  EVP_PKEY_CTX_free(c);
  return rc;
}

static double cpu_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void stop(const char *what, const struct err *err) {
  fprintf(stderr, "%s: %s\n", what, err->message);
  exit(1);
}

static void bare(struct key *k, int rounds, double *signs, double *checks) {
  unsigned char hash[32] = {1}, der[80];
  size_t n = 0;
  double began = cpu_us();
  for (int i = 0; i < rounds; i++) {
    hash[1] = (unsigned char)i;
    if (sign(k, EXCHANGE_KEY_SIGN, hash, 32, der, &n, NULL) != 0) exit(1);
  }
  *signs = (cpu_us() - began) / rounds;
  began = cpu_us();
  for (int i = 0; i < rounds; i++) {
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
    if (EVP_PKEY_verify_init(c) != 1 || EVP_PKEY_verify(c, der, n, hash, 32) != 1) exit(1);
    EVP_PKEY_CTX_free(c);
  }
  *checks = (cpu_us() - began) / rounds;
}

struct figures { double digest, make, check; };

/* One request of a citizen's data: eight headers, five of them of the protocol. */
static void request(struct message *m, struct arena *a, const struct http_content *body) {
  static const char *const lines[][2] = {{"X-Road-Client", "KHR/GOV/101/health"}, {"Content-Type", "application/json"}, {"Accept", "application/json"}, {"X-Road-Service", "KHR/GOV/102/land/parcels"},
    {"X-Road-Id", "KHR-9f6c3c1e-8a54-4ad6-9b5e-0b1f2f0e8d11"}, {"X-Road-UserId", "clerk"}, {"X-Road-Request-Id", "0d9b6a54-2a0d-4c1f-9f2d-6a1f2f0e8d11"}, {"X-Road-Issue", "6037-1234-5678"}};
  *m = (struct message){.method = "POST", .target_uri = "https://gateway.land.example:5500/r1/KHR/GOV/102/land/parcels/find?number=12", .arena = a, .content = body};
  for (size_t i = 0; i < BASE_COUNT(lines); i++) message_add(m, lines[i][0], lines[i][1], NULL);
}

static struct figures run(struct key *k, size_t size, int rounds) {
  struct arena *a = arena_new(1 << 20);
  char *data = base_alloc(size + 1);
  memset(data, 'x', size);
  struct http_content body = {data, -1, (int64_t)size};
  struct exchange_signer by = {sign, k};
  struct figures f = {0};
  struct err err = {0};
  for (int i = 0; i < rounds; i++) {
    struct message m;
    struct signed_by claimed;
    const char *base;
    arena_reset(a);
    request(&m, a, &body);
    double t0 = cpu_us();
    if (message_digest(&m, &err) != 0) stop("digest", &err);
    double t1 = cpu_us();
    if (signature_make(&m, NULL, &by, k->keyid, clock_now(), &base, &err) != 0) stop("sign", &err);
    double t2 = cpu_us();
    f.digest += t1 - t0;
    f.make += t2 - t1;
    m.digested = false; /* as it comes to the other side */
    t2 = cpu_us();
    if (signature_read(&m, &claimed, &err) != 0 || signature_check(&m, NULL, k->spki, k->size, &base, &err) != 0) stop("check", &err);
    f.check += cpu_us() - t2;
  }
  free(data);
  arena_free(a);
  return (struct figures){f.digest / rounds, f.make / rounds, f.check / rounds};
}

/* ---- logging ---- */

enum { THREADS = 64, SECONDS = 5 };
struct writing { struct exchange *x; struct message *m; const char *base, *keyid; struct exchange_id client, service; _Atomic int64_t done; _Atomic bool stop; };

static void *write_on(void *arg) {
  struct writing *w = arg;
  struct err err = {0};
  struct message own = *w->m;
  own.arena = arena_new(1 << 20); /* an arena is one thread's */
  while (!w->stop) {
    arena_reset(own.arena);
    struct evidence *e = evidence_begin(w->x);
    struct kept k = {.side = SIDE_PRODUCER, .message_id = "KHR-9f6c3c1e-8a54-4ad6-9b5e-0b1f2f0e8d11", .client = &w->client, .service = &w->service, .message = &own, .base = w->base,
                     .keyid = w->keyid, .at = clock_now()};
    for (int i = 0; i < 2; i++)
      if (evidence_put(e, &k, &err) != 0) stop("log", &err);
    if (evidence_wait(e, &err) != 0) stop("log", &err);
    evidence_end(e);
    w->done += 2;
  }
  arena_free(own.arena);
  return NULL;
}

static void *sequence(void *arg) {
  struct writing *w = arg;
  int64_t placed;
  while (!w->stop) {
    trust_sequence(w->x->ledger, &placed, NULL);
    usleep(200000);
  }
  return NULL;
}

static double process_us(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int away(const char *path, const struct stat *st, int type, struct FTW *f) { return remove(path); }

static void logging(struct key *k, size_t size) {
  struct writing w = {0};
  struct err err = {0};
  char folder[] = "/var/tmp/chapar-bench-XXXXXX", *data = base_alloc(size + 1);
  const char *base;
  struct http_content body = {data, -1, (int64_t)size};
  struct exchange_signer by = {sign, k};
  struct message m;
  struct arena *a = arena_new(1 << 20);
  pthread_t threads[THREADS + 1];
  memset(data, 'x', size);
  request(&m, a, &body);
  if (mkdtemp(folder) == NULL || signature_make(&m, NULL, &by, k->keyid, clock_now(), &base, &err) != 0) stop("sign", &err);
  if (exchange_init(&(struct exchange_init){.folder = folder, .server = "KHR/GOV/1/one", .address = "https://127.0.0.1:5500"}, &err) != 0 ||
      exchange_open(&(struct exchange_options){.folder = folder, .node = "bench"}, &w.x, &err) != 0 ||
      exchange_id_parse("KHR/GOV/101/health", 4, 4, &w.client, &err) != 0 || exchange_id_parse("KHR/GOV/102/land/parcels", 5, 5, &w.service, &err) != 0)
    stop("gateway", &err);
  w.m = &m;
  w.base = base;
  w.keyid = k->keyid;
  int64_t began = clock_mono();
  double cpu = process_us();
  pthread_create(&threads[THREADS], NULL, sequence, &w);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, write_on, &w);
  sleep(SECONDS);
  w.stop = true;
  for (int i = 0; i <= THREADS; i++) pthread_join(threads[i], NULL);
  double ms = (double)(clock_mono() - began), us = process_us() - cpu;
  printf("%9zuB %12.0f %12.1f\n", size, (double)w.done * 1000 / ms, us / (double)w.done);
  exchange_close(w.x);
  nftw(folder, away, 16, FTW_DEPTH | FTW_PHYS);
  free(data);
  arena_free(a);
}

int main(int argc, char **argv) {
  static const size_t sizes[] = {0, 1024, 10 * 1024, 1024 * 1024};
  int rounds = argc > 1 ? atoi(argv[1]) : 5000;
  if (rounds < 10) rounds = 10;
  struct key k = {.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")};
  unsigned char *p = k.spki, hash[32];
  k.size = (size_t)i2d_PUBKEY(k.key, &p);
  sha256(k.spki, k.size, hash);
  hex_encode(hash, 32, k.keyid);
  double signs, checks;
  bare(&k, rounds / 10 + 1, &signs, &checks);
  bare(&k, rounds, &signs, &checks);
  printf("CPU microseconds of one thread, %d rounds\n", rounds);
  printf("openssl's bare ECDSA P-256: sign %.1f, verify %.1f\n\n", signs, checks);
  printf("%10s %12s %12s %8s %12s %8s\n", "content", "digest", "sign", "× bare", "check", "× bare");
  for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
    int n = sizes[i] > 100000 ? rounds / 20 + 1 : rounds;
    struct figures f = run(&k, sizes[i], n);
    printf("%9zuB %12.1f %12.1f %8.2f %12.1f %8.2f\n", sizes[i], f.digest, f.make, f.make / signs, f.check, (f.check - f.digest) / checks);
  }
  puts("\ncheck is with the digest of what came; its ratio is without.");
  log_set_level(LOG_ERROR);
  printf("\nmessages logged by %d threads, sequenced meanwhile\n%10s %12s %12s\n", THREADS, "content", "messages/s", "CPU µs each");
  logging(&k, 1024);
  logging(&k, 10 * 1024);
  EVP_PKEY_free(k.key);
  return 0;
}
