/* Fill an empty store with N believable cases, as fast as the engine itself takes them: the same cases_submit and cases_act as behind the
 * JSON interface, thousands in flight, events, ledger, deadlines and search words included; nothing is written past the engine.
 * Services come by the volume of their identity forms, so that a few desks hold most cases; arrivals are spread over the days, most are
 * decided within days, some are late and escalated, the last days' are open. Nobody is told (no notices), and effects on registries, which
 * are not wired yet and would do nothing one commit at a time, are dropped.
 * Build: ninja -C build bench-fill. Usage: bench-fill --pack PACK (--data DIR | --store URL --keys DIR) --cases N [--days 240] [--seed 1405] */
#include "app/app.h"
#include "app/generate.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLYING = 4000, DAY_MS = 86400000 };

struct pending {
  char tracking[TRACKING_SIZE];
  const struct service *service;
  const char *holder;
  json_t *data;
  int state, steps;
  int64_t due_at;
  bool closed;
  struct chance chance;
};

struct fill {
  struct platform p;
  struct samples *words;
  uint64_t seed;
  struct pending **open;
  size_t count, room;
  pthread_mutex_t lock;
  pthread_cond_t idle;
  int flying;
  int64_t submitted, acted, refused, failed;
  double weight[256], weights;
};

static void begin_one(struct fill *s) {
  pthread_mutex_lock(&s->lock);
  while (s->flying >= FLYING) pthread_cond_wait(&s->idle, &s->lock);
  s->flying++;
  pthread_mutex_unlock(&s->lock);
}

static void end_one(struct fill *s) { /* with the lock held */
  if (--s->flying == FLYING - 1 || s->flying == 0) pthread_cond_broadcast(&s->idle);
}

static void settle(struct fill *s) {
  pthread_mutex_lock(&s->lock);
  while (s->flying) pthread_cond_wait(&s->idle, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

static void stop_at(const char *what, const struct err *err) {
  fprintf(stderr, "bench-fill: %s: %s\n", what, err->message);
  exit(1);
}

/* ---- arrivals ---- */

struct arrival {
  struct fill *fill;
  struct case_submission s;
  struct pending *p;
  char key[32];
};

static void arrived(void *arg, int rc, const struct err *err) {
  struct arrival *a = arg;
  struct fill *s = a->fill;
  pthread_mutex_lock(&s->lock);
  if (rc) {
    if (s->failed++ == 0) fprintf(stderr, "bench-fill: not filed: %s\n", err ? err->message : "");
    json_decref(a->p->data);
    free(a->p);
  } else {
    if (s->count == s->room) {
      s->room = s->room ? 2 * s->room : 4096;
      s->open = base_realloc(s->open, s->room * sizeof *s->open);
    }
    memcpy(a->p->tracking, a->s.tracking, TRACKING_SIZE);
    a->p->state = service_state(a->p->service, a->s.state);
    s->open[s->count++] = a->p;
    s->submitted++;
  }
  end_one(s);
  pthread_mutex_unlock(&s->lock);
  free(a);
}

static double fraction(struct chance *c) { return (double)(chance_next(c) >> 11) / 9007199254740992.0; }

static const struct service *draw_service(struct fill *s, struct chance *c) {
  double at = fraction(c) * s->weights;
  for (size_t i = 0; i < pack_services(s->p.pack) && i < BASE_COUNT(s->weight); i++)
    if ((at -= s->weight[i]) < 0) return pack_service(s->p.pack, i);
  return pack_service(s->p.pack, 0);
}

static void weigh(struct fill *s) {
  for (size_t i = 0; i < pack_services(s->p.pack) && i < BASE_COUNT(s->weight); i++) {
    const struct service *def = pack_service(s->p.pack, i);
    double days = !def->volume_per || strcmp(def->volume_per, "year") == 0 ? 365 : strcmp(def->volume_per, "month") == 0 ? 30 : 1;
    s->weights += s->weight[i] = def->handled_external || def->mandate.present || def->about_field ? 0 : (double)def->volume / days;
  }
}

static void submit_one(struct fill *s, int64_t at, int64_t number) {
  static const enum intake ways[] = {INTAKE_WEB, INTAKE_WEB, INTAKE_USSD, INTAKE_API, INTAKE_COUNTER};
  struct arrival *a = base_alloc(sizeof *a);
  struct err err;
  a->fill = s;
  a->p = base_alloc(sizeof *a->p);
  a->p->chance.state = s->seed * UINT64_C(1000003) + (uint64_t)number;
  struct chance *c = &a->p->chance;
  a->p->service = draw_service(s, c);
  a->p->data = generate_answers(s->p.pack, a->p->service, s->words, c, day_of(at));
  if (!a->p->data) a->p->data = json_incref(json_array_get(a->p->service->examples, 0));
  const struct organisation *owner = directory_organisation(pack_directory(s->p.pack), service_owner(s->p.pack, a->p->service, a->p->data, &err));
  const struct organisation *provider = directory_organisation(pack_directory(s->p.pack), a->p->service->provider);
  a->p->holder = provider ? provider->code : owner ? owner->code : "";
  a->p->due_at = at + (int64_t)(fraction(c) * DAY_MS);
  snprintf(a->key, sizeof a->key, "fill-%lld", (long long)number);
  a->s = (struct case_submission){.service = a->p->service, .data = a->p->data, .key = a->key, .caller = "fill", .at = at, .lang = LANG_FA,
                                  .intake = ways[chance_range(c, 0, BASE_COUNT(ways) - 1)], .actor = {.kind = ACTOR_SYSTEM}};
  begin_one(s);
  if (cases_submit(s->p.cases, &a->s, arrived, a, &err)) arrived(a, -1, &err);
}

/* ---- decisions ---- */

struct decision {
  struct fill *fill;
  struct case_act a;
  struct pending *p;
  const struct action *act;
};

static void decided(void *arg, int rc, const struct err *err) {
  struct decision *d = arg;
  struct fill *s = d->fill;
  pthread_mutex_lock(&s->lock);
  if (rc) s->refused++;
  else {
    s->acted++;
    if (d->act->to >= 0) d->p->state = d->act->to;
    d->p->closed = d->p->service->states[d->p->state].result != RESULT_OPEN;
  }
  end_one(s);
  pthread_mutex_unlock(&s->lock);
  json_decref(d->a.errors);
  json_decref(d->a.data);
  free(d);
}

static const struct action *by_kind(const struct state *st, enum action_kind kind, const json_t *data) {
  unsigned desk = 1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER;
  for (size_t i = 0; i < st->action_count; i++)
    if (st->actions[i].kind == kind && (st->actions[i].roles & desk) && cond_holds(st->actions[i].when, data)) return &st->actions[i];
  return NULL;
}

static const struct action *choose(struct pending *p) {
  const struct state *st = &p->service->states[p->state];
  const struct action *assign = by_kind(st, ACT_ASSIGN, p->data), *approve = by_kind(st, ACT_APPROVE, p->data), *reject = by_kind(st, ACT_REJECT, p->data);
  const struct action *inquire = by_kind(st, ACT_INQUIRE, p->data), *reply = by_kind(st, ACT_REPLY, p->data), *own = by_kind(st, ACT_OWN, p->data);
  if (assign && assign->to >= 0 && p->steps == 0 && (!approve || chance_percent(&p->chance, 60))) return assign;
  if (inquire && chance_percent(&p->chance, 2)) return inquire;
  if (reject && (chance_percent(&p->chance, 18) || (!approve && !reply && !own))) return reject;
  if (approve) return approve;
  if (reply) return reply;
  if (own && own->to >= 0) return own;
  return assign && assign->to >= 0 ? assign : reject;
}

static json_t *action_data(struct fill *s, const struct action *act, int32_t today, struct chance *c) {
  if (!act->field_count) return NULL;
  json_t *data = json_object();
  struct arena *a = arena_new(256 * 1024);
  for (size_t i = 0; i < act->field_count; i++) {
    json_t *one = act->fields[i]->required ? generate_field(s->p.pack, act->fields[i], data, s->words, c, today, a) : NULL;
    if (one) json_object_set_new(data, act->fields[i]->name, one);
  }
  arena_free(a);
  return data;
}

static void act_one(struct fill *s, struct pending *p, int64_t at) {
  const struct action *act = choose(p);
  struct err err;
  p->steps++;
  p->due_at = at + (int64_t)(-log(1 - fraction(&p->chance)) * 2.2 * DAY_MS) + 1800000;
  if (!act) return;
  struct decision *d = base_alloc(sizeof *d);
  struct actor *who = &d->a.actor;
  d->fill = s;
  d->p = p;
  d->act = act;
  d->a = (struct case_act){.action = act->name, .comment = samples_pick(s->words, act->kind == ACT_REJECT ? "refusal" : "comment", &p->chance),
                           .expected_version = -1, .lang = LANG_FA, .at = at};
  memcpy(d->a.tracking, p->tracking, TRACKING_SIZE);
  if (act->reason_count) d->a.reason = act->reasons[chance_range(&p->chance, 0, (int64_t)act->reason_count - 1)].code;
  d->a.data = action_data(s, act, day_of(at), &p->chance);
  int role = act->roles & 1u << ROLE_OFFICER ? ROLE_OFFICER : act->roles & 1u << ROLE_SUPERVISOR ? ROLE_SUPERVISOR : ROLE_MANAGER;
  const char *name = role == ROLE_OFFICER ? act->four_eyes && p->steps > 1 ? "officer2" : "officer" : role == ROLE_SUPERVISOR ? "supervisor" : "manager";
  who->kind = ACTOR_STAFF;
  snprintf(who->username, sizeof who->username, "%s.%s", p->holder, name);
  snprintf(who->person, sizeof who->person, "s:%s", who->username);
  who->role_count = 1;
  snprintf(who->roles[0].organisation, sizeof who->roles[0].organisation, "%s", p->holder);
  who->roles[0].role = role;
  begin_one(s);
  if (cases_act(s->p.cases, &d->a, decided, d, &err)) decided(d, -1, &err);
}

/* ---- days ---- */

static int drop_records(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "DELETE FROM case_outbox WHERE kind='record'", "");
}

static void jobs(struct fill *s) {
  struct err err;
  int64_t done = 1, placed;
  if (store_write(s->p.main, STORE_JOBS, drop_records, NULL, &err)) stop_at("outbox", &err);
  for (int i = 0; i < 500 && done; i++)
    if (cases_jobs(s->p.cases, &done, &err)) stop_at("jobs", &err);
  if (trust_sequence(s->p.trust, &placed, &err)) stop_at("ledger", &err);
}

static void one_day(struct fill *s, int32_t day, int64_t from, int64_t to) {
  const struct calendar *cal = pack_calendar(s->p.pack, pack_calendar_of(s->p.pack, -1));
  struct chance c = {.state = s->seed + (uint64_t)day};
  int64_t start = day_start(day);
  size_t kept = 0;
  clock_set(start + 12 * 3600000);
  for (int64_t n = from; n < to; n++) submit_one(s, start + chance_range(&c, 6 * 3600, 13 * 3600) * 1000, n);
  settle(s);
  if (calendar_works(cal, day)) {
    clock_set(start + 14 * 3600000);
    for (size_t i = 0; i < s->count; i++) {
      int64_t at = start + chance_range(&c, 8 * 3600, 14 * 3600) * 1000;
      if (s->open[i]->due_at <= at && s->open[i]->steps < 9) act_one(s, s->open[i], at);
    }
    settle(s);
  }
  for (size_t i = 0; i < s->count; i++) {
    struct pending *p = s->open[i];
    if (!p->closed) s->open[kept++] = p;
    else {
      json_decref(p->data);
      free(p);
    }
  }
  s->count = kept;
  clock_set(start + 23 * 3600000);
  jobs(s);
}

static void fill(struct fill *s, int64_t cases, int64_t days, int64_t seed) {
  struct err err;
  bool any;
  if (samples_load(&s->words, &err) || cases_any(s->p.cases, &any, &err)) stop_at("store", &err);
  if (any) {
    fputs("bench-fill: this store holds cases already\n", stderr);
    exit(1);
  }
  if (cases_note_set(s->p.cases, "demo", "yes", &err)) stop_at("store", &err);
  cases_mute(s->p.cases);
  s->seed = (uint64_t)seed;
  weigh(s);
  int32_t today = cases_today();
  int64_t began = clock_mono();
  for (int64_t d = 0; d < days; d++) {
    one_day(s, today - (int32_t)(days - d), cases * d / days, cases * (d + 1) / days);
    if (d % 10 == 9 || d == days - 1)
      fprintf(stderr, "%lld of %lld days, %lld cases (%zu open), %lld actions, %.0f s\n", (long long)d + 1, (long long)days, (long long)s->submitted, s->count,
              (long long)s->acted, (double)(clock_mono() - began) / 1000);
  }
  clock_set(0);
  jobs(s);
  double seconds = (double)(clock_mono() - began) / 1000;
  printf("FILLED %lld OPEN %zu ACTIONS %lld REFUSED %lld FAILED %lld SECONDS %.1f\n", (long long)s->submitted, s->count, (long long)s->acted, (long long)s->refused,
         (long long)s->failed, seconds);
}

int main(int argc, char **argv) {
  struct settings set;
  struct words_left left;
  struct err err;
  const char *cases = NULL, *days = "240", *seed = "1405";
  struct own_flag own[] = {{"--cases", &cases}, {"--days", &days}, {"--seed", &seed}, {NULL, NULL}};
  int64_t n = 0, d = 0, k = 0;
  if (language_init(&err)) stop_at("language", &err);
  int rc = settings_read(&set, argc - 1, argv + 1, own, &left);
  if (rc) return rc;
  if (!cases || parse_i64(cases, &n) || n < 1 || parse_i64(days, &d) || d < 1 || parse_i64(seed, &k))
    return fputs("usage: bench-fill --pack PACK (--data DIR | --store URL --keys DIR) --cases N [--days 240] [--seed 1405]\n", stderr), 2;
  struct fill *s = base_alloc(sizeof *s);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->idle, NULL);
  set.demo = true;
  rc = platform_open(&s->p, &set, PLATFORM_ALL);
  if (rc == 0) fill(s, n, d, k);
  platform_close(&s->p);
  return rc;
}
