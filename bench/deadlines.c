/* The deadline run: N open cases whose clocks have all run out, while people go on submitting.
 * The cases are submitted through the engine under a clock of some weeks ago and left alone; then the clock is today's, and the jobs run as in
 * `chapar serve` (every 200 ms) until nothing is due. Beside it: submissions at a steady rate, timed from when each was due to its commit, first
 * without the run, then while it runs.
 * Build: ninja -C build bench-deadlines. Usage: bench-deadlines --pack PACK (--data DIR | --store URL --keys DIR) [--cases 100000] [--rate 200] */
#include "app/app.h"
#include "app/generate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { FLYING = 2000, ALONE_SECONDS = 10, MOST = 200000, DAY_MS = 86400000 };

struct bench {
  struct platform p;
  struct samples *words;
  const struct service *services[64];
  size_t service_count;
  struct chance chance;
  pthread_mutex_t lock;
  pthread_cond_t idle;
  int flying;
  int64_t number, failed;
  int64_t took[MOST];      /* microseconds */
  size_t took_count;
  bool timed;
};

struct one {
  struct bench *b;
  struct case_submission s;
  json_t *data;
  int64_t due;             /* clock_us */
  char key[40];
};

static void stop_at(const char *what, const struct err *err) {
  fprintf(stderr, "bench-deadlines: %s: %s\n", what, err->message);
  exit(1);
}

static int64_t clock_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void nap_until(int64_t us) {
  int64_t left = us - clock_us();
  if (left > 0) nanosleep(&(struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000}, NULL);
}

static void filed(void *arg, int rc, const struct err *err) {
  struct one *o = arg;
  struct bench *b = o->b;
  pthread_mutex_lock(&b->lock);
  if (rc && b->failed++ == 0) fprintf(stderr, "bench-deadlines: not filed: %s\n", err ? err->message : "");
  if (rc == 0 && b->timed && b->took_count < MOST) b->took[b->took_count++] = clock_us() - o->due;
  if (--b->flying == FLYING - 1 || b->flying == 0) pthread_cond_broadcast(&b->idle);
  pthread_mutex_unlock(&b->lock);
  json_decref(o->s.errors);
  json_decref(o->data);
  free(o);
}

static void file_one(struct bench *b, int64_t due) {
  struct one *o = base_alloc(sizeof *o);
  struct err err;
  const struct service *s = b->services[b->number % (int64_t)b->service_count];
  o->b = b;
  o->due = due;
  o->data = generate_answers(b->p.pack, s, b->words, &b->chance, cases_today());
  if (!o->data) o->data = json_incref(json_array_get(s->examples, 0));
  snprintf(o->key, sizeof o->key, "deadline-%lld", (long long)b->number++);
  o->s = (struct case_submission){.service = s, .data = o->data, .key = o->key, .caller = "bench", .lang = LANG_FA, .intake = INTAKE_API, .actor = {.kind = ACTOR_SYSTEM}};
  pthread_mutex_lock(&b->lock);
  while (b->flying >= FLYING) pthread_cond_wait(&b->idle, &b->lock);
  b->flying++;
  pthread_mutex_unlock(&b->lock);
  if (cases_submit(b->p.cases, &o->s, filed, o, &err)) filed(o, -1, &err);
}

static void settle(struct bench *b) {
  pthread_mutex_lock(&b->lock);
  while (b->flying) pthread_cond_wait(&b->idle, &b->lock);
  pthread_mutex_unlock(&b->lock);
}

static int64_t jobs_once(struct bench *b) {
  struct err err;
  int64_t done = 0, placed;
  if (cases_jobs(b->p.cases, &done, &err)) stop_at("jobs", &err);
  if (trust_sequence(b->p.trust, &placed, &err)) stop_at("ledger", &err);
  return done;
}

/* ---- the run, on a thread of its own as in the server ---- */

struct run { struct bench *b; int64_t done, us, processor; _Atomic bool over; };

static int64_t processor_us(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void *run_thread(void *arg) {
  struct run *r = arg;
  int64_t began = clock_us(), before = processor_us(), some;
  setpriority(PRIO_PROCESS, (id_t)gettid(), 10); /* as in the server */
  while ((some = jobs_once(r->b)) > 0) {
    r->done += some;
    r->us = clock_us() - began;
    if (cases_more(r->b->p.cases)) continue;
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000}, NULL);
  }
  r->processor = processor_us() - before;
  r->over = true;
  return NULL;
}

static int by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

static double percentile(struct bench *b, double share) {
  qsort(b->took, b->took_count, sizeof b->took[0], by_size);
  return b->took_count ? (double)b->took[(size_t)((double)(b->took_count - 1) * share)] / 1000 : 0;
}

/* Submissions at a rate, until the run is over or (run NULL) for some seconds. Prints and answers the 99th percentile in ms. */
static double submissions(struct bench *b, int64_t rate, struct run *run, const char *name) {
  int64_t began = clock_us(), n = 0;
  b->took_count = 0;
  b->timed = true;
  while (run ? !run->over : n < rate * ALONE_SECONDS) {
    int64_t due = began + n++ * 1000000 / rate;
    nap_until(due);
    file_one(b, due);
  }
  settle(b);
  b->timed = false;
  double p99 = percentile(b, 0.99);
  printf("SUBMISSIONS %s n %zu p50 %.1f ms p99 %.1f ms\n", name, b->took_count, percentile(b, 0.5), p99);
  fflush(stdout);
  return p99;
}

static void fill(struct bench *b, int64_t cases) {
  clock_set(day_start(cases_today() - 60) + INT64_C(12) * 3600000);
  int64_t began = clock_us();
  for (int64_t i = 0; i < cases; i++) {
    file_one(b, 0);
    if (i % 20000 == 19999) {
      settle(b);
      while (jobs_once(b)) continue;
      fprintf(stderr, "%lld of %lld cases, %.0f s\n", (long long)i + 1, (long long)cases, (double)(clock_us() - began) / 1e6);
    }
  }
  settle(b);
  while (jobs_once(b)) continue;
  clock_set(0);
}

static void choose_services(struct bench *b) {
  for (size_t i = 0; i < pack_services(b->p.pack) && b->service_count < BASE_COUNT(b->services); i++) {
    const struct service *s = pack_service(b->p.pack, i);
    if (s->handled_external || s->staff_only || s->one_open_per_person || s->mandate.present || s->about_field || !json_array_size(s->examples)) continue;
    b->services[b->service_count++] = s;
  }
}

int main(int argc, char **argv) {
  struct settings set;
  struct words_left left;
  struct err err;
  const char *cases = "100000", *rate = "200";
  struct own_flag own[] = {{"--cases", &cases}, {"--rate", &rate}, {NULL, NULL}};
  int64_t n = 0, each = 0;
  if (language_init(&err)) stop_at("language", &err);
  int rc = settings_read(&set, argc - 1, argv + 1, own, &left);
  if (rc) return rc;
  if (parse_i64(cases, &n) || n < 1 || parse_i64(rate, &each) || each < 1)
    return fputs("usage: bench-deadlines --pack PACK (--data DIR | --store URL --keys DIR) [--cases 100000] [--rate 200]\n", stderr), 2;
  struct bench *b = base_alloc(sizeof *b);
  pthread_mutex_init(&b->lock, NULL);
  pthread_cond_init(&b->idle, NULL);
  b->chance.state = 1405;
  set.demo = true;
  if (platform_open(&b->p, &set, PLATFORM_ALL) || samples_load(&b->words, &err)) return 1;
  choose_services(b);
  fill(b, n);
  double alone = submissions(b, each, NULL, "alone");
  struct run run = {.b = b};
  pthread_t thread;
  pthread_create(&thread, NULL, run_thread, &run);
  double beside = submissions(b, each, &run, "beside");
  pthread_join(thread, NULL);
  printf("DEADLINES %lld SECONDS %.1f RATE %.0f/s PROCESSOR %.0f us (submissions included) SUBMISSION-P99-RATIO %.2f FAILED %lld\n", (long long)run.done,
         (double)run.us / 1e6, run.us ? (double)run.done / ((double)run.us / 1e6) : 0, run.done ? (double)run.processor / (double)run.done : 0,
         alone > 0 ? beside / alone : 0, (long long)b->failed);
  platform_close(&b->p);
  return 0;
}
