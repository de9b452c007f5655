/* A prober elsewhere: it measures by the centre's plan and keeps what it measured in files; another thread reports them, signed, and takes the plan. */
#include "network/hub.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIME_MOST (INT64_C(1) << 52)             /* of what the centre says that it is: ms */
enum { TARGETS_MOST = 20000, QUEUE_FILES = 60000, PLAN_MS = 30000, BATCH_MS = 5000, TOGETHER = 2000, CATCH_UP_MS = 200, PAUSE_MS = 1000, PAUSE_MOST_MS = 30000, AHEAD_MS = 86400000, REPORTS_SINCE = 1000 };

struct hub {
  const struct network_hub_options *o;
  EVP_PKEY *key;
  struct link *link;
  struct schedule due;
  struct hub_spot *spots;
  struct hub_checks *checks;
  int count;
  bool planned;
  json_t *samples;
  struct hub_again again;
  int unsent;                        /* results in a row that could not be sent */
  pthread_mutex_t lock;              /* what all threads see: */
  char boot[40];                     /* of this machine, as it is running now */
  struct hub_clock clock;
  enum prober_trouble trouble;
  json_t *soon;                      /* codes that the centre wants measured as soon as may be */
  int64_t first;                     /* number of the first sample in samples */
  json_t *plan;                      /* that has come and is not in effect yet */
  int64_t revision, next;            /* of the last plan; number that the centre wants next */
  int64_t report;                    /* number of the last report: only grows */
  bool timed;                        /* the last report was taken: its answer told the time */
};

/* ---- time, and what the next run must know ---- */

enum { DRIFT = 5000 /* clocks run apart by one in so many, at worst */, NEAR_MS = 100 };

int64_t hub_age(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t age_of(void *ctx) { return hub_age(); }

int64_t hub_clock_ahead(const struct hub_clock *c) { return c->learned ? c->ahead : clock_now() - c->apart - hub_age(); }

/* What was learned with less doubt is kept until the clocks may have run apart, or the two cannot both be true; and what is nearly the same, so that the same measurement is told alike. */
void hub_clock_learn(struct hub_clock *c, int64_t sent, int64_t got, int64_t now) {
  int64_t doubt = (got - sent) / 2 + 1, ahead = now - (sent + got) / 2, old = c->doubt + (got - c->learned) / DRIFT, other = ahead > c->ahead ? ahead - c->ahead : c->ahead - ahead;
  if (!c->learned || doubt <= old || other > doubt + old) {
    if (!c->learned || other > NEAR_MS) c->ahead = ahead;
    c->doubt = doubt;
    c->learned = got;
  }
  c->apart = clock_now() - hub_age() - c->ahead;
}

/* FOLDER/numbers.json. Its writing may be of a little while ago: numbers go on behind what was given since. */
static void keep_numbers(struct hub *h) {
  char *file = base_printf("%s/numbers.json", h->o->folder);
  struct err err;
  pthread_mutex_lock(&h->lock);
  json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "boot", h->boot, "ahead", (json_int_t)h->clock.ahead, "doubt", (json_int_t)h->clock.doubt, "learned", (json_int_t)h->clock.learned,
                        "apart", (json_int_t)h->clock.apart, "first", (json_int_t)h->first, "report", (json_int_t)h->report);
  pthread_mutex_unlock(&h->lock);
  char *text = json_canonical(o);
  if (file_write(file, text, strlen(text), 0600, &err)) log_write(LOG_WARN, "network", "%s", err.message);
  json_decref(o);
  free(text);
  free(file);
}

/* False: nothing is known, and nothing is measured before the centre has told the next number. */
static bool remember_numbers(struct hub *h) {
  char *file = base_printf("%s/numbers.json", h->o->folder), *text;
  size_t size = 0;
  struct err err;
  if ((text = file_read("/proc/sys/kernel/random/boot_id", sizeof h->boot, &size, &err))) snprintf(h->boot, sizeof h->boot, "%.*s", (int)strcspn(text, "\n"), text);
  else { /* it is kept from services: this run of the program for itself */
    unsigned char own[16];
    random_bytes(own, sizeof own);
    hex_encode(own, sizeof own, h->boot);
  }
  free(text);
  json_t *o = (text = file_read(file, 4096, &size, &err)) ? json_read(text, size, 2, &err) : NULL;
  bool known = json_int(o, "first", 0) > 0;
  if (known) {
    h->first = json_int(o, "first", 0) + HUB_BATCH_MOST;
    h->report = json_int(o, "report", 0) + REPORTS_SINCE;
    h->clock.apart = json_int(o, "apart", 0);
    if (h->boot[0] && base_same(json_str(o, "boot"), h->boot)) h->clock = (struct hub_clock){h->clock.apart, json_int(o, "ahead", 0), json_int(o, "doubt", 0), json_int(o, "learned", 0)};
  }
  json_decref(o);
  free(text);
  free(file);
  return known;
}

/* ---- measuring ---- */

static char *file_of(const char *folder, int64_t first) { return base_printf("%s/q-%015lld.json", folder, (long long)first); }

static json_t *rounded(double ms) { return json_real(isnan(ms) ? 0 : round(ms * 1000) / 1000); }

const char *const hub_row_names[HUB_ROW] = {"number", "name", "up", "in_octets", "out_octets", "in_errors", "out_errors", "in_bps", "out_bps"};

json_t *hub_sample(const char *code, const struct core_result *r) {
  const struct measured *m = &r->m;
  json_t *s = json_pack("[s,I,i,i]", code, (json_int_t)r->sent_at, m->sent, m->lost);
  if (m->lost < m->sent) {
    const double v[] = {m->min, m->median, m->p95, m->max, m->jitter};
    for (int i = 0; i < 5; i++) json_array_append_new(s, rounded(v[i]));
  }
  return s;
}

static void hub_done(void *ctx, const struct core_result *r) {
  struct hub *h = ctx;
  struct hub_spot *s = &h->spots[r->node];
  struct core_result told = *r;
  if (r->unsent) told.m.sent = told.m.lost = 0;
  s->fails = told.m.lost >= told.m.sent ? s->fails + 1 : 0;
  h->unsent = r->unsent ? h->unsent + 1 : 0;
  int64_t pause = hub_pause(&h->again, s->interval, s->fails), now = clock_mono();
  schedule_set(&h->due, r->node, pause < s->interval ? now + pause : schedule_next(r->node, s->interval, now));
  json_array_append_new(h->samples, hub_sample(s->code, &told));
}

/* Once it is known to be silent it is asked as often as everybody. */
int64_t hub_pause(const struct hub_again *again, int64_t interval, int fails) { return fails && fails < again->attempts && again->retry_ms < interval ? again->retry_ms : interval; }

/* Why nothing leaves this machine. */
static void look_at_link(struct hub *h) {
  enum prober_trouble t = !link_there(h->link) ? TROUBLE_HELPER : link_robbed(h->link) ? TROUBLE_LOST : h->unsent < h->again.attempts ? TROUBLE_NONE : link_method(h->link, AF_INET) == PING_NONE ? TROUBLE_SOCKET : TROUBLE_UNSENT;
  pthread_mutex_lock(&h->lock);
  h->trouble = t;
  pthread_mutex_unlock(&h->lock);
}

/* What the centre asks for is bounded here, too. */
static int within(const json_t *o, const char *key, int64_t dflt, int64_t least, int64_t most) {
  int64_t v = json_int(o, key, dflt);
  return (int)(v < least ? least : v > most ? most : v);
}

static void plan_takes_effect(struct hub *h, const json_t *plan) {
  const json_t *list = json_object_get(plan, "offices"), *o;
  size_t i;
  schedule_free(&h->due);
  free(h->spots);
  h->count = json_array_size(list) > TARGETS_MOST ? TARGETS_MOST : (int)json_array_size(list);
  h->spots = base_alloc(((size_t)h->count + 1) * sizeof *h->spots);
  struct ping_options p = {.packets = within(plan, "packets", 5, 1, NETWORK_PACKETS_MOST), .gap_ms = within(plan, "gap_ms", 200, 10, 5000), .timeout_ms = within(plan, "timeout_ms", 1500, 100, 10000),
                           .ctx = h, .done = hub_done, .label = age_of};
  h->planned = true;
  h->again = (struct hub_again){within(plan, "attempts", 3, 1, 20), within(plan, "retry_ms", 5000, 100, 600000)};
  link_open(h->link, &p, h->count);
  schedule_init(&h->due, h->count);
  json_array_foreach(list, i, o) {
    if (i >= TARGETS_MOST) break;
    struct hub_spot *s = &h->spots[i];
    *s = (struct hub_spot){.interval = within(o, "interval_ms", 60000, 100, 86400000)};
    snprintf(s->code, sizeof s->code, "%s", json_str(o, "code") ? json_str(o, "code") : "");
    snprintf(s->address, sizeof s->address, "%s", json_str(o, "address") ? json_str(o, "address") : "");
    s->checks = address_ok(s->address) ? checks_parse(json_str(o, "checks"), s->check, &s->icmp) : 0;
    if (s->checks < 0) s->checks = 0;
    if (s->icmp && link_target(h->link, (int)i, s->address) == 0) schedule_set(&h->due, (int)i, schedule_next((int)i, s->interval < 5000 ? s->interval : 5000, clock_mono()));
  }
  hub_checks_plan(h->checks, h->spots, h->count, within(plan, "check_ms", 5000, 100, 30000), &h->again);
}

/* What the other thread brought. */
static void look_at_plan(struct hub *h) {
  pthread_mutex_lock(&h->lock);
  json_t *plan = h->plan, *soon = h->soon, *code;
  size_t i;
  h->plan = h->soon = NULL;
  if (!json_array_size(h->samples) && h->first < h->next) h->first = h->next;
  pthread_mutex_unlock(&h->lock);
  if (plan) plan_takes_effect(h, plan);
  json_array_foreach(soon, i, code)
    for (int k = 0; k < h->count; k++)
      if (h->spots[k].icmp && !link_busy(h->link, k) && base_same(h->spots[k].code, json_string_value(code))) schedule_sooner(&h->due, k, clock_mono());
  json_decref(plan);
  json_decref(soon);
}

static void keep_batch(struct hub *h) {
  size_t n = json_array_size(h->samples);
  struct err err;
  if (!n) return;
  pthread_mutex_lock(&h->lock);
  json_t *all = json_pack("{s:s,s:I,s:O}", "boot", h->boot, "ahead", (json_int_t)hub_clock_ahead(&h->clock), "samples", h->samples);
  pthread_mutex_unlock(&h->lock);
  char *text = json_canonical(all), *file = file_of(h->o->folder, h->first);
  json_decref(all);
  int rc = file_write(file, text, strlen(text), 0600, &err);
  if (rc) log_write(LOG_WARN, "network", "%s", err.message);
  while (rc && json_array_size(h->samples) > HUB_BATCH_MOST - 500) json_array_remove(h->samples, 0); /* a full disk: the oldest are lost */
  if (rc == 0) {
    pthread_mutex_lock(&h->lock);
    h->first += (int64_t)n;
    pthread_mutex_unlock(&h->lock);
    json_array_clear(h->samples);
    keep_numbers(h);
  }
  free(file);
  free(text);
}

/* ---- what waits on the disk ---- */

static int by_number(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Numbers of the first samples of files, in order; caller frees. */
static size_t queued(const char *folder, int64_t **out) {
  size_t count = 0, room = 64;
  int64_t number, *list = base_alloc(room * sizeof *list);
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!base_starts(e->d_name, "q-") || strlen(e->d_name) != 22 || strcmp(e->d_name + 17, ".json") != 0) continue;
    char digits[16];
    memcpy(digits, e->d_name + 2, 15);
    digits[15] = 0;
    if (parse_i64(digits, &number)) continue;
    if (count == room) list = base_realloc(list, (room *= 2) * sizeof *list);
    list[count++] = number;
  }
  if (d) closedir(d);
  qsort(list, count, sizeof *list, by_number);
  *out = list;
  return count;
}

/* From ages to the centre's time. */
static void shift(json_t *list, int64_t ahead) {
  size_t i;
  json_t *one;
  json_array_foreach(list, i, one)
    if (json_is_integer(json_array_get(one, 1))) json_array_set_new(one, 1, json_integer(json_integer_value(json_array_get(one, 1)) + ahead));
}

/* In the centre's time: ages of this start of the machine (boot; NULL: none is) by what is known now, others by what was known then. */
static json_t *file_samples(const char *folder, int64_t first, const char *boot, int64_t ahead) {
  char *file = file_of(folder, first);
  size_t size = 0;
  struct err err;
  char *text = file_read(file, HUB_REPORT_MOST, &size, &err);
  json_t *all = text ? json_read(text, size, 4, &err) : NULL, *list = json_incref(json_object_get(all, "samples"));
  if (!json_is_array(list)) { /* not whole: the disk was full */
    unlink(file);
    json_decref(list);
    list = NULL;
  } else shift(list, boot && boot[0] && base_same(json_str(all, "boot"), boot) ? ahead : json_int(all, "ahead", 0));
  json_decref(all);
  free(file);
  free(text);
  return list;
}

static void drop(const struct hub *h, int64_t first) {
  char *file = file_of(h->o->folder, first);
  unlink(file);
  free(file);
}

/* Files that follow each other without a gap, oldest first, as the samples of one report; how many files. */
static size_t gather(const struct hub *h, const int64_t *list, size_t count, int64_t ahead, json_t *into) {
  size_t used = 0;
  while (used < count) {
    if (used && list[used] != list[0] + (int64_t)json_array_size(into)) break;
    json_t *more = file_samples(h->o->folder, list[used], h->boot, ahead);
    if (more && used && json_array_size(into) + json_array_size(more) > TOGETHER) {
      json_decref(more);
      break;
    }
    if (more) json_array_extend(into, more);
    json_decref(more);
    used++;
    if (json_array_size(into) >= TOGETHER) break;
  }
  return used;
}

/* ---- reporting ---- */

/* One report, also without samples; the plan comes with the answer. */
static int report(struct hub *h, int64_t from, int64_t ahead, json_t *samples, size_t backlog, int64_t oldest, struct err *err) {
  char *answer = NULL, *path = base_printf("/probe/%s", h->o->name);
  size_t size = 0;
  int64_t sent = hub_age(), now = sent + ahead;
  pthread_mutex_lock(&h->lock);
  const char *trouble = trouble_text(h->trouble);
  int64_t apart = h->clock.apart;
  h->report = h->report + 1 > now ? h->report + 1 : now;
  pthread_mutex_unlock(&h->lock);
  json_t *all = json_pack("{s:s,s:I,s:I,s:I,s:I,s:s,s:s,s:I,s:I,s:O}", "name", h->o->name, "report", (json_int_t)h->report, "from", (json_int_t)from, "now", (json_int_t)now, "apart", (json_int_t)apart,
                          "version", CHAPAR_VERSION, "trouble", trouble, "backlog", (json_int_t)backlog, "oldest", (json_int_t)(oldest > now ? now : oldest), "samples", samples);
  json_t *rows = h->timed ? hub_checks_rows(h->checks, HUB_ROWS_MOST) : json_array(), *told = json_deep_copy(rows);
  shift(told, ahead);
  json_object_set_new(all, "interfaces", told);
  char *body = json_canonical(all), *signature = hub_sign(h->key, HUB_REPORT, body, strlen(body));
  int rc = h->o->call(h->o->ctx, path, signature, body, strlen(body), &answer, &size, err);
  if (rc == 0) hub_checks_told(h->checks, rows);
  json_t *plan = rc == 0 ? json_read(answer, size, 6, err) : NULL;
  int64_t theirs = json_int(plan, "now", 0);
  if (rc == 0 && !(theirs > 0 && theirs < TIME_MOST)) rc = err_set(err, ERR_INVALID, "the centre's answer cannot be read");
  pthread_mutex_lock(&h->lock);
  h->timed = rc == 0; /* whatever may be wrong, the next report asks for the time first */
  if (rc == 0) hub_clock_learn(&h->clock, sent, hub_age(), theirs);
  else if (err->code == ERR_CONFLICT) h->report += AHEAD_MS; /* our clock was set back, and what we remembered is lost */
  else if (err->code == ERR_FORBIDDEN || err->code == ERR_INVALID) h->report = 0; /* it may have been numbered by a clock that was far ahead */
  pthread_mutex_unlock(&h->lock);
  if (rc == 0) {
    char *file = base_printf("%s/plan.json", h->o->folder);
    struct err why;
    pthread_mutex_lock(&h->lock);
    bool other = json_int(plan, "revision", 0) != h->revision;
    h->next = json_int(plan, "next", 0);
    h->revision = json_int(plan, "revision", 0);
    json_decref(h->soon);
    h->soon = json_incref(json_object_get(plan, "again"));
    if (other) {
      json_decref(h->plan);
      h->plan = json_incref(plan);
    }
    pthread_mutex_unlock(&h->lock);
    if (other && file_write(file, answer, size, 0600, &why)) log_write(LOG_WARN, "network", "%s", why.message);
    free(file);
  }
  json_decref(plan);
  json_decref(rows);
  json_decref(all);
  free(answer);
  free(path);
  free(body);
  free(signature);
  return rc;
}

/* What was measured first goes first, after an answer that tells the time. 1: there is more; 0 nothing waits; -1 the centre did not take it. */
static int send_some(struct hub *h, bool plan, struct err *err) {
  int64_t *list, oldest = 0;
  size_t count = queued(h->o->folder, &list), begin = count > QUEUE_FILES ? count - QUEUE_FILES : 0, used = 0;
  json_t *samples = json_array();
  for (size_t i = 0; i < begin; i++) drop(h, list[i]);
  if (begin) log_write(LOG_WARN, "network", "the oldest measurements are lost, %zu files: the queue is full", begin);
  pthread_mutex_lock(&h->lock);
  int64_t ahead = hub_clock_ahead(&h->clock);
  pthread_mutex_unlock(&h->lock);
  if (h->timed) used = gather(h, list + begin, count - begin, ahead, samples);
  if (json_array_size(samples)) oldest = json_integer_value(json_array_get(json_array_get(samples, 0), 1));
  pthread_mutex_lock(&h->lock);
  int64_t from = used ? list[begin] : h->first;
  pthread_mutex_unlock(&h->lock);
  int rc = json_array_size(samples) || plan || (count && !h->timed) ? report(h, from, ahead, samples, count - begin - used, oldest, err) : 0;
  for (size_t i = 0; rc == 0 && i < used; i++) drop(h, list[begin + i]);
  rc = rc ? -1 : count - begin > used;
  json_decref(samples);
  free(list);
  return rc;
}

static void tell_outcome(const struct hub *h, const char *trouble, const char *sending) {
  char *file = base_printf("%s/state.json", h->o->folder), at[32];
  struct err err;
  clock_rfc3339(clock_now(), at);
  json_t *o = json_object();
  json_put(o, "at", at);
  json_put(o, "trouble", trouble);
  json_put(o, "sending", sending);
  char *text = json_canonical(o);
  file_write(file, text, strlen(text), 0600, &err);
  json_decref(o);
  free(text);
  free(file);
}

/* Asks again soon where the centre answers, ever later where it does not, and takes its time for what has piled up. */
static void *reporter_main(void *ctx) {
  struct hub *h = ctx;
  int64_t asked = 0, told = 0, pause = 0, batch = h->o->probe.retry_ms > 0 ? h->o->probe.retry_ms : BATCH_MS;
  bool well = false;
  enum prober_trouble sending = TROUBLE_NONE;
  while (!*h->o->stop) {
    struct err err = {0};
    bool plan = !asked || clock_mono() - asked > PLAN_MS;
    int rc = send_some(h, plan, &err);
    if (rc >= 0 && plan) asked = clock_mono();
    if (rc < 0 && (well || !told)) log_write(LOG_WARN, "network", "the centre has not taken the report: %s", err.message);
    if (rc >= 0 && !well) log_write(LOG_INFO, "network", "the centre takes the reports");
    pthread_mutex_lock(&h->lock);
    enum prober_trouble now = h->trouble;
    pthread_mutex_unlock(&h->lock);
    if (now != sending) log_write(now ? LOG_WARN : LOG_INFO, "network", now ? "nothing can be sent: %s" : "packets can be sent again%s", trouble_text(now));
    if (now != sending || well != (rc >= 0) || !told || clock_mono() - told > 60000) {
      told = clock_mono();
      tell_outcome(h, rc < 0 ? err.message : NULL, now ? trouble_text(now) : NULL);
      sending = now;
    }
    well = rc >= 0;
    pause = rc >= 0 ? 0 : err.code == ERR_RATE ? PAUSE_MS : pause * 2 > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause ? pause * 2 : PAUSE_MS;
    for (int64_t end = clock_mono() + (rc > 0 ? CATCH_UP_MS : rc == 0 ? batch : pause); clock_mono() < end && !*h->o->stop;) clock_wait(100);
  }
  return NULL;
}

/* ---- the whole ---- */

/* The plan of before, until the centre answers. */
static void remember_plan(struct hub *h) {
  char *file = base_printf("%s/plan.json", h->o->folder);
  size_t size = 0;
  struct err err;
  char *text = file_read(file, HUB_REPORT_MOST * 8, &size, &err);
  json_t *plan = text ? json_read(text, size, 6, &err) : NULL;
  if (plan) plan_takes_effect(h, plan);
  json_decref(plan);
  free(text);
  free(file);
}

static void measure_on(struct hub *h) {
  int64_t kept = clock_mono(), batch = h->o->probe.retry_ms > 0 ? h->o->probe.retry_ms : BATCH_MS;
  while (!*h->o->stop) {
    int64_t now = clock_mono(), at = 0, due, wait = clock_mono_us() + 100000;
    look_at_plan(h);
    for (int node; h->planned && (node = schedule_first(&h->due, &at)) >= 0 && at <= now;) {
      schedule_remove(&h->due, node);
      if (!link_start(h->link, node)) schedule_set(&h->due, node, now + h->spots[node].interval);
    }
    int64_t next = link_turn(h->link, clock_mono_us());
    if (next > wait) next = wait;
    if (h->planned && schedule_first(&h->due, &due) >= 0 && due * 1000 < next) next = due * 1000;
    if (next < clock_mono_us() + 1000) next = clock_mono_us() + 1000;
    link_wait(link_ready(h->link), next);
    hub_checks_take(h->checks, h->samples);
    look_at_link(h);
    if (now - kept < batch && json_array_size(h->samples) < HUB_BATCH_MOST / 2) continue;
    kept = now;
    keep_batch(h);
  }
}

int network_hub_run(const struct network_hub_options *o, struct err *err) {
  struct hub h = {.o = o, .samples = json_array(), .first = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .revision = -1, .again = {3, 5000}};
  int64_t *list;
  pthread_t reporter, checker;
  int rc = -1;
  h.checks = hub_checks_new(o->probe.snmp_access, o->stop);
  h.link = o->probe.helper ? o->probe.helper : link_new(o->probe.source4, o->probe.source6);
  h.key = hub_open_key(o->folder, err);
  if (h.key) {
    bool known = remember_numbers(&h);
    size_t count = queued(o->folder, &list);
    if (count && h.first <= list[count - 1] + HUB_BATCH_MOST) h.first = list[count - 1] + HUB_BATCH_MOST + 1;
    free(list);
    if (known) remember_plan(&h);
    if (pthread_create(&checker, NULL, hub_checks_main, h.checks)) rc = err_set(err, ERR_UNAVAILABLE, "no thread could be started");
    else {
      rc = pthread_create(&reporter, NULL, reporter_main, &h) ? err_set(err, ERR_UNAVAILABLE, "no thread could be started") : 0;
      if (rc == 0) {
        measure_on(&h);
        pthread_join(reporter, NULL);
      } else *o->stop = true;
      pthread_join(checker, NULL);
      hub_checks_take(h.checks, h.samples);
      keep_batch(&h);
    }
  }
  if (h.link != o->probe.helper) link_free(h.link);
  schedule_free(&h.due);
  hub_checks_free(h.checks);
  free(h.spots);
  json_decref(h.plan);
  json_decref(h.soon);
  json_decref(h.samples);
  EVP_PKEY_free(h.key);
  return rc;
}

int network_hub_join(const char *folder, const char *code, char **body, char **signature, struct err *err) {
  char key[64];
  if (network_hub_key(folder, key, err)) return -1;
  EVP_PKEY *own = hub_open_key(folder, err);
  if (!own) return -1;
  json_t *o = json_object();
  json_put(o, "code", code);
  json_put(o, "key", key);
  *body = json_canonical(o);
  *signature = hub_sign(own, HUB_JOIN, *body, strlen(*body));
  json_decref(o);
  EVP_PKEY_free(own);
  return 0;
}

size_t network_hub_backlog(const char *folder, int64_t *oldest) {
  int64_t *list;
  size_t count = queued(folder, &list);
  json_t *samples = count ? file_samples(folder, list[0], NULL, 0) : NULL;
  *oldest = json_integer_value(json_array_get(json_array_get(samples, 0), 1));
  json_decref(samples);
  free(list);
  return count;
}
