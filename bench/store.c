/* How many small durable work functions a second the store commits, and its peer: one commit per request.
 * Usage: bench-store WHERE [SUBMITTERS [SECONDS [INSERTS]]]; WHERE as for store_open, an empty store of its own. */
#include "store/store.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { LATENCIES = 2000000 };
static struct store *s;
static int inserts = 5;
static _Atomic int64_t next_id, finished;
static _Atomic bool stop;
static int *latency_us;

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void must(int rc, const struct err *err) {
  if (rc >= 0) return;
  fprintf(stderr, "%s\n", err->message);
  exit(1);
}

static int make(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "CREATE TABLE IF NOT EXISTS bench (id @id NOT NULL, n BIGINT NOT NULL, body TEXT, "
                             "PRIMARY KEY (id, n)) WITHOUT ROWID", "") < 0 ? -1 : 0;
}

static int insert(struct store_tx *tx, void *arg, struct err *err) {
  static const char body[] =
    "{\"field\":\"a hundred bytes or so, as an event of a case has them, with the answers of the form inside it\"}";
  for (int i = 0; i < inserts; i++)
    if (store_put(tx, err, "INSERT INTO bench (id, n, body) VALUES (?1, ?2, ?3)", "tit", (const char *)arg, (int64_t)i, body) != 0)
      return -1;
  return 0;
}

static void *submitter(void *arg) {
  char id[40];
  struct err err;
  while (!stop) {
    int64_t n = next_id++;
    snprintf(id, sizeof id, "%016llx%lld", (unsigned long long)((uint64_t)n * 0x9E3779B97F4A7C15ull), (long long)n);
    int64_t began = now_us();
    must(store_write(s, STORE_FRONT, insert, id, &err), &err);
    int64_t k = finished++;
    if (k < LATENCIES) latency_us[k] = (int)(now_us() - began);
  }
  return NULL;
}

static int by_size(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static double measure(const char *where, int batch, int submitters, int seconds) {
  struct err err;
  struct store_options o = {.batch = batch, .wal_guard = getenv("GUARD") ? strtoull(getenv("GUARD"), NULL, 10) << 20 : 0};
  must(store_open(where, &o, &s, &err), &err);
  must(store_write(s, STORE_FRONT, make, NULL, &err), &err);
  pthread_t thread[1024];
  stop = false;
  finished = 0;
  int64_t began = now_us();
  for (int i = 0; i < submitters; i++) pthread_create(&thread[i], NULL, submitter, NULL);
  while (now_us() - began < seconds * 1000000LL) nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  stop = true;
  for (int i = 0; i < submitters; i++) pthread_join(thread[i], NULL);
  double rate = (double)finished * 1e6 / (double)(now_us() - began);
  struct store_stats stats;
  store_stats(s, &stats);
  size_t n = finished < LATENCIES ? (size_t)finished : LATENCIES;
  qsort(latency_us, n, sizeof *latency_us, by_size);
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  printf("batch %d: %.0f works/s, %lld commits, p50 %.1f ms, p99 %.1f ms, most %.1f ms, truncations %lld, retries %lld, "
         "resident %ld MB\n", batch, rate,
         (long long)stats.commits, latency_us[n / 2] / 1000.0, latency_us[n * 99 / 100] / 1000.0, latency_us[n - 1] / 1000.0,
         (long long)stats.wal_truncations, (long long)stats.retries, use.ru_maxrss / 1024);
  store_close(s);
  return rate;
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: bench-store WHERE [SUBMITTERS [SECONDS [INSERTS]]]\n"), 2;
  int submitters = argc > 2 ? atoi(argv[2]) : 64, seconds = argc > 3 ? atoi(argv[3]) : 5;
  if (argc > 4) inserts = atoi(argv[4]);
  if (submitters < 1 || submitters > 1024 || seconds < 1 || inserts < 1) return 2;
  latency_us = base_alloc(LATENCIES * sizeof *latency_us);
  next_id = clock_now() * 1000;
  double grouped = measure(argv[1], 0, submitters, seconds), single = measure(argv[1], 1, submitters, seconds);
  printf("ratio to one commit per request: %.1f\n", grouped / single);
  free(latency_us);
  return 0;
}
