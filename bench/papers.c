/* Certificates as PDF, from a case's answers to the bytes: build/bench-papers THREADS SECONDS [FILE] prints one line of JSON; FILE gets one paper. */
#include "app/app.h"
#include "certificates/inside.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct certificates g;
static struct pack *pack;
static const struct service *service;
static char *data;
static atomic_bool over;

static int one(int64_t n, void **pdf, size_t *size) {
  struct arena *a = arena_new(4 * 1024 * 1024);
  struct err err;
  char code[CERTIFICATE_CODE];
  struct case_outcome o = {.tracking = "1234567890123452", .service = service->code, .owner = "takapo", .data = data, .def = service, .pack = pack, .result = RESULT_APPROVED,
                           .decided_at = 1795682100000};
  struct certificate row = {.tracking = o.tracking, .issue = 1, .decided = o.decided_at, .issued = o.decided_at + n, .title_fa = service->certificate.title.fa,
                            .title_en = service->certificate.title.en, .valid_until = day_of(o.decided_at) + 365};
  certificate_code_make(&g, o.tracking, n, code);
  row.code = code;
  int rc = certificate_number(&g, a, &o, &row, &err) || certificate_paper(&g, a, &o, &row, pdf, size, &err) ? -1 : 0;
  if (rc) fprintf(stderr, "bench-papers: %s\n", err.message);
  arena_free(a);
  return rc;
}

static void *work(void *arg) {
  int64_t made = 0;
  while (!over) {
    void *pdf;
    size_t size;
    if (one(made, &pdf, &size)) exit(1);
    free(pdf);
    made++;
  }
  *(int64_t *)arg = made;
  return NULL;
}

static double processor(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int64_t resident(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_maxrss;
}

int main(int argc, char **argv) {
  enum { MOST = 64 };
  int threads = argc > 2 ? atoi(argv[1]) : 0, seconds = argc > 2 ? atoi(argv[2]) : 0;
  struct err err;
  struct store *store;
  char folder[] = "/tmp/bench-papers-XXXXXX", where[64], key[64];
  if (threads < 1 || threads > MOST || seconds < 1 || !mkdtemp(folder)) return fprintf(stderr, "bench-papers THREADS SECONDS [FILE]\n"), 2;
  snprintf(where, sizeof where, "sqlite:%s/db", folder);
  snprintf(key, sizeof key, "%s/key", folder);
  log_set_level(LOG_ERROR);
  if (language_init(&err) || store_open(where, NULL, &store, &err) || store_migrate(store, (const char *const[]){"store", "trust", NULL}, &err) ||
      trust_open(store, &(struct trust_options){.key_file = key, .origin = "bench/ledger", .node = "bench"}, &g.trust, &err) || !(pack = app_compile("packs/khorasan-razavi", true)))
    return fprintf(stderr, "bench-papers: %s\n", err.message), 1;
  service = pack_find(pack, "takapo-register");
  data = json_canonical(json_array_get(service->examples, 0));
  g.o.fill = paper_fill;
  g.base_url = base_strdup("https://khorasan.example");
  void *pdf;
  size_t size;
  int64_t began = clock_mono(), made[MOST], all = 0;
  if (one(0, &pdf, &size)) return 1;
  int64_t first = clock_mono() - began;
  if (argc > 3 && file_write(argv[3], pdf, size, 0644, &err)) return 1;
  free(pdf);
  pthread_t t[MOST];
  double cpu = processor();
  int64_t before = resident();
  began = clock_mono();
  for (int i = 0; i < threads; i++) pthread_create(&t[i], NULL, work, &made[i]);
  sleep((unsigned)seconds);
  over = true;
  for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
  double took = (double)(clock_mono() - began) / 1000;
  for (int i = 0; i < threads; i++) all += made[i];
  printf("{\"threads\":%d,\"papers\":%lld,\"per_second\":%.1f,\"processor_ms\":%.2f,\"bytes\":%zu,\"first_ms\":%lld,\"resident_kb\":%lld,\"grown_kb\":%lld}\n", threads, (long long)all,
         (double)all / took, (processor() - cpu) * 1000 / (double)all, size, (long long)first, (long long)resident(), (long long)(resident() - before));
  trust_close(g.trust);
  store_close(store);
  return 0;
}
