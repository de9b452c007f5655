#include "app/app.h"
#include "app/generate.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A believable past. Arrivals follow the volumes of the services' identity forms and the working days; offices differ in speed,
 * some officers are away, some requests come twice or with a mistyped identifier, and one desk decides unlike the others:
 * at it, requests from villages are refused twice as often (the planted bias that statistics should find). */

#define PER_DAY 60
#define DAY_MS INT64_C(86400000)

struct pending {
  char tracking[TRACKING_SIZE];
  const struct service *service;
  const char *holder;
  int64_t due_at;        /* when somebody acts on it next */
  int steps;
  bool rural;
  const char *clerk;     /* whose it is */
  struct chance chance;  /* the case's own: what happens to it depends on no other */
};

struct sim {
  struct platform p;
  struct samples *words;
  struct chance chance;  /* of the days */
  uint64_t seed;
  struct pending *open;
  size_t open_count, open_room;
  pthread_mutex_t lock;
  pthread_cond_t idle;
  int flying;            /* submissions and actions under way */
  int64_t submitted, acted, refused, repeated, failed;
  double weight[256];
};

static void begin_one(struct sim *s) {
  pthread_mutex_lock(&s->lock);
  while (s->flying >= 256) pthread_cond_wait(&s->idle, &s->lock);
  s->flying++;
  pthread_mutex_unlock(&s->lock);
}

static void end_one(struct sim *s) {
  pthread_mutex_lock(&s->lock);
  s->flying--;
  pthread_cond_broadcast(&s->idle);
  pthread_mutex_unlock(&s->lock);
}

static void settle(struct sim *s) {
  pthread_mutex_lock(&s->lock);
  while (s->flying) pthread_cond_wait(&s->idle, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

static bool rural_of(const struct service *s, const json_t *data) {
  for (size_t i = 0; i < s->field_count; i++)
    if (s->fields[i]->type == FIELD_PLACE && s->fields[i]->place_kind == PLACE_VILLAGE && json_object_get(data, s->fields[i]->name)) return true;
  return false;
}

/* Every office has its own pace: the same for the same name and seed. */
static double pace(const char *holder) {
  unsigned char h[32];
  sha256(holder, strlen(holder), h);
  return 0.5 + h[0] / 255.0 * (h[1] < 40 ? 6.0 : 1.5);
}

/* ---- arrivals ---- */

struct arrival {
  struct sim *sim;
  struct case_submission s;
  json_t *data;
  char key[64], caller[64], number[16];
  struct case_counter counter;
  bool rural;
  struct chance chance;
};

static void arrived(void *arg, int rc, const struct err *err) {
  struct arrival *a = arg;
  struct sim *s = a->sim;
  pthread_mutex_lock(&s->lock);
  if (rc) s->failed++;
  else if (a->s.repeated) s->repeated++;
  else {
    if (s->open_count == s->open_room) {
      s->open_room = s->open_room ? 2 * s->open_room : 4096;
      s->open = base_realloc(s->open, s->open_room * sizeof *s->open);
    }
    struct pending *p = &s->open[s->open_count++];
    memset(p, 0, sizeof *p);
    memcpy(p->tracking, a->s.tracking, TRACKING_SIZE);
    p->service = a->s.service;
    p->rural = a->rural;
    p->clerk = chance_percent(&a->chance, 50) ? "officer" : "officer2";
    p->chance = a->chance;
    p->due_at = a->s.submitted_at + 3600000;
    s->submitted++;
  }
  pthread_mutex_unlock(&s->lock);
  json_decref(a->data);
  end_one(s);
  free(a);
}

static const struct service *draw_service(struct sim *s, struct chance *c) {
  double all = 0, at;
  size_t n = pack_services(s->p.pack);
  for (size_t i = 0; i < n && i < BASE_COUNT(s->weight); i++) all += s->weight[i];
  at = (double)(chance_next(c) >> 11) / 9007199254740992.0 * all;
  for (size_t i = 0; i < n && i < BASE_COUNT(s->weight); i++)
    if ((at -= s->weight[i]) < 0) return pack_service(s->p.pack, i);
  return pack_service(s->p.pack, 0);
}

/* At a counter the agent files it, and the person has signed a slip; where nobody is asked for, it stays a request of its own. */
static void at_counter(struct sim *s, struct arrival *a) {
  const struct service *def = a->s.service;
  const char *id = def->applicant_field ? json_str(a->data, def->applicant_field) : NULL;
  struct actor agent = {.kind = ACTOR_STAFF, .username = "agent", .person = "s:agent", .role_count = 1, .roles = {{"ostandari", STAFF_AGENT}}};
  struct case_asking asking = {.service = def, .data = a->data, .national_id = id, .mobile = def->mobile_field ? json_str(a->data, def->mobile_field) : NULL};
  struct err err;
  if (!id || !def->counter || def->staff_only || cases_slip(s->p.cases, &agent, &asking, a->number, &err)) return;
  a->counter = (struct case_counter){.consent = CONSENT_KEPT, .number = a->number};
  a->s.counter = &a->counter;
  a->s.actor = agent;
}

static void file_one(struct sim *s, const struct service *def, json_t *data, enum intake way, enum lang l, int64_t at, int64_t number, struct chance chance) {
  struct arrival *a = base_alloc(sizeof *a);
  a->sim = s;
  a->data = data;
  a->chance = chance;
  a->rural = rural_of(def, data);
  snprintf(a->key, sizeof a->key, "sim-%lld", (long long)number);
  snprintf(a->caller, sizeof a->caller, "simulated");
  a->s = (struct case_submission){.service = def, .data = data, .key = a->key, .caller = a->caller, .at = at, .lang = l, .intake = way, .actor = {.kind = ACTOR_SYSTEM}};
  begin_one(s);
  struct err err;
  if (way == INTAKE_COUNTER) at_counter(s, a);
  if (cases_submit(s->p.cases, &a->s, arrived, a, &err)) arrived(a, -1, &err);
}

static void submit_one(struct sim *s, int64_t at, int64_t number) {
  static const enum intake ways[] = {INTAKE_WEB, INTAKE_WEB, INTAKE_WEB, INTAKE_USSD, INTAKE_USSD, INTAKE_API, INTAKE_COUNTER};
  struct chance c = {.state = s->seed * UINT64_C(1000003) + (uint64_t)number};
  const struct service *def = draw_service(s, &c);
  json_t *data = generate_answers(s->p.pack, def, s->words, &c, day_of(at));
  enum lang l = chance_percent(&c, 96) ? LANG_FA : LANG_EN;
  enum intake way = ways[chance_range(&c, 0, (int64_t)BASE_COUNT(ways) - 1)];
  bool twice = chance_percent(&c, 1.5); /* the button was pressed twice: the same key comes again */
  if (!data) {
    s->failed++;
    return;
  }
  if (twice) file_one(s, def, json_incref(data), way, l, at, number, c);
  file_one(s, def, data, way, l, at, number, c);
}

/* ---- decisions ---- */

struct decision {
  struct sim *sim;
  struct case_act a;
  char comment[200];
};

static void decided(void *arg, int rc, const struct err *err) {
  struct decision *d = arg;
  struct sim *s = d->sim;
  pthread_mutex_lock(&s->lock);
  if (rc) s->refused++;
  else s->acted++;
  pthread_mutex_unlock(&s->lock);
  json_decref(d->a.errors);
  json_decref(d->a.data);
  end_one(s);
  free(d);
}

static void clerk(struct actor *who, const char *organisation, const char *name, int role) {
  memset(who, 0, sizeof *who);
  who->kind = ACTOR_STAFF;
  snprintf(who->username, sizeof who->username, "%s.%s", organisation, name);
  snprintf(who->person, sizeof who->person, "s:%s", who->username);
  who->role_count = 1;
  snprintf(who->roles[0].organisation, sizeof who->roles[0].organisation, "%s", organisation);
  who->roles[0].role = role;
}

static double planted; /* odds of refusal by the second officer of every third desk, times so much; 0: as everybody */

static double refusal_rate(const struct pending *p, const char *holder) {
  unsigned char h[32];
  sha256(holder, strlen(holder), h);
  double rate = 14 + h[2] % 8;
  if (p->rural && h[3] % 5 == 0) rate *= 2.2; /* the planted bias */
  if (planted > 0 && h[4] % 3 == 0 && strcmp(p->clerk, "officer2") == 0) {
    double odds = planted * rate / (100 - rate);
    rate = 100 * odds / (1 + odds);
  }
  return rate;
}

static const struct action *by_kind(const struct state *st, enum action_kind kind, const json_t *data) {
  for (size_t i = 0; i < st->action_count; i++)
    if (st->actions[i].kind == kind && cond_holds(st->actions[i].when, data)) return &st->actions[i];
  return NULL;
}

/* What a clerk does with this case now; NULL: nothing more. */
static const struct action *choose(struct pending *p, const struct state *st, const json_t *data, const char *holder) {
  const struct action *approve = by_kind(st, ACT_APPROVE, data), *reject = by_kind(st, ACT_REJECT, data), *assign = by_kind(st, ACT_ASSIGN, data);
  const struct action *ask = by_kind(st, ACT_REQUEST_INFO, data), *inquire = by_kind(st, ACT_INQUIRE, data), *provide = by_kind(st, ACT_PROVIDE_INFO, data);
  if (provide) return chance_percent(&p->chance, 85) ? provide : NULL;
  if (assign && assign->to >= 0 && p->steps == 0) return assign;
  if (inquire && chance_percent(&p->chance, 80)) return inquire;
  if (ask && p->steps < 3 && chance_percent(&p->chance, 12)) return ask;
  if (reject && chance_percent(&p->chance, refusal_rate(p, holder))) return reject;
  if (approve) return approve;
  for (size_t i = 0; i < st->action_count; i++) {
    const struct action *a = &st->actions[i];
    unsigned desk = 1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER | 1u << ROLE_PROVIDER;
    if (a->kind == ACT_OWN && a->to >= 0 && (a->roles & desk) && cond_holds(a->when, data)) return a;
  }
  return assign && assign->to >= 0 ? assign : NULL;
}

static int lowest_role(const struct action *act) {
  for (int r = ROLE_OFFICER; r <= ROLE_MANAGER; r++)
    if (act->roles & 1u << r) return r;
  return ROLE_OFFICER;
}

static json_t *action_data(struct sim *s, const struct action *act, int32_t today, struct chance *c) {
  if (!act->field_count) return NULL;
  json_t *data = json_object();
  struct arena *a = arena_new(256 * 1024);
  for (size_t i = 0; i < act->field_count; i++) {
    const struct field *f = act->fields[i];
    json_t *one = f->required || chance_percent(c, 50) ? generate_field(s->p.pack, f, data, s->words, c, today, a) : NULL;
    if (one) json_object_set_new(data, f->name, one);
  }
  arena_free(a);
  return data;
}

static void act_one(struct sim *s, struct pending *p, int64_t at) {
  struct actor auditor = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{"", STAFF_AUDITOR}}};
  json_t *view = NULL;
  struct err err;
  if (cases_get(s->p.cases, &auditor, p->tracking, LANG_FA, &view, &err)) {
    p->service = NULL;
    return;
  }
  int st = service_state(p->service, json_str(view, "state"));
  const char *holder = json_str(json_object_get(view, "holder"), "code");
  const struct state *state = st >= 0 ? &p->service->states[st] : NULL;
  const struct action *act = state && state->result == RESULT_OPEN ? choose(p, state, json_object_get(view, "data"), holder) : NULL;
  if (!state || state->result != RESULT_OPEN) p->service = NULL;
  if (act) {
    struct decision *d = base_alloc(sizeof *d);
    d->sim = s;
    d->a = (struct case_act){.action = act->name, .expected_version = json_int(view, "version", 0), .lang = LANG_FA, .at = at};
    memcpy(d->a.tracking, p->tracking, TRACKING_SIZE);
    snprintf(d->comment, sizeof d->comment, "%s", samples_pick(s->words, act->kind == ACT_REJECT ? "refusal" : "comment", &p->chance));
    d->a.comment = d->comment;
    if (act->reason_count) d->a.reason = act->reasons[chance_range(&p->chance, 0, (int64_t)act->reason_count - 1)].code;
    d->a.data = action_data(s, act, day_of(at), &p->chance);
    clerk(&d->a.actor, holder, p->clerk, lowest_role(act));
    if (p->steps > 1 && act->four_eyes) clerk(&d->a.actor, holder, "supervisor", ROLE_SUPERVISOR);
    if (act->kind == ACT_PROVIDE_INFO) d->a.actor = (struct actor){.kind = ACTOR_SYSTEM};
    else if (cases_look(s->p.cases, &d->a.actor, p->tracking, "staff", NULL, NULL, &err)) s->failed++; /* who acts has looked */
    if (act->kind == ACT_PROVIDE_INFO && !(act->roles & 1u << ROLE_SYSTEM)) p->steps += 3; /* the citizen's answer: by rule of the clock instead */
    else {
      begin_one(s);
      if (cases_act(s->p.cases, &d->a, decided, d, &err)) decided(d, -1, &err);
      d = NULL;
    }
    if (d) {
      json_decref(d->a.data);
      free(d);
    }
    p->steps++;
    double days = -log(1 - (double)(chance_next(&p->chance) >> 11) / 9007199254740992.0) * pace(holder) * 1.6;
    p->due_at = at + (int64_t)((days < 12 ? days : 12) * (double)DAY_MS) + 1800000;
  } else p->due_at = at + 2 * DAY_MS;
  json_decref(view);
}

/* The planted snooper: one evening, forty people's cases, and nothing done with them. */
static void snoop(struct sim *s, int32_t day) {
  struct actor who;
  struct err err;
  clerk(&who, "takapo", "officer2", ROLE_OFFICER);
  clock_set(day_start(day) + 23 * 3600000);
  for (size_t i = 0; i < s->open_count && i < 40; i++)
    if (cases_look(s->p.cases, &who, s->open[i].tracking, "staff", NULL, NULL, &err)) s->failed++;
}

static void sweep(struct sim *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->open_count; i++)
    if (s->open[i].service && s->open[i].steps < 14) s->open[kept++] = s->open[i];
  s->open_count = kept;
}

static void answer_inquiries(struct sim *s, int64_t at);

static void one_day(struct sim *s, int32_t day, int64_t *number) {
  const struct calendar *cal = pack_calendar(s->p.pack, pack_calendar_of(s->p.pack, -1));
  bool works = calendar_works(cal, day), eve = !calendar_works(cal, day + 1);
  int64_t start = day_start(day), now = start + 8 * 3600000;
  int n = (int)(PER_DAY * (works ? eve ? 0.8 : 1.0 : 0.25) * (0.8 + (double)chance_range(&s->chance, 0, 40) / 100));
  clock_set(now);
  for (int i = 0; i < n; i++) {
    int64_t at = start + chance_range(&s->chance, 6 * 3600, 23 * 3600) * 1000;
    submit_one(s, at, ++*number);
  }
  settle(s);
  if (works) {
    clock_set(start + 14 * 3600000);
    size_t count = s->open_count;
    for (size_t i = 0; i < count; i++) {
      int64_t at = start + chance_range(&s->chance, 8 * 3600, 14 * 3600) * 1000;
      if (s->open[i].service && s->open[i].due_at <= at) act_one(s, &s->open[i], at);
    }
    settle(s);
    answer_inquiries(s, start + 13 * 3600000);
    settle(s);
  }
  clock_set(start + 23 * 3600000 + 1800000);
  struct err err;
  int64_t done = 1, placed;
  for (int i = 0; i < 50 && done; i++)
    if (cases_jobs(s->p.cases, &done, &err)) break;
  trust_sequence(s->p.trust, &placed, &err);
  sweep(s);
}

/* Colleagues at other organisations answer what they were asked, most of them. */
static void answer_inquiries(struct sim *s, int64_t at) {
  struct err err;
  for (size_t i = 0; i < s->open_count; i++) {
    struct actor auditor = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{"", STAFF_AUDITOR}}};
    json_t *view = NULL, *child;
    size_t k;
    if (!s->open[i].service || s->open[i].steps == 0 || !s->open[i].service->inquiry_count || !chance_percent(&s->open[i].chance, 45)) continue;
    if (cases_get(s->p.cases, &auditor, s->open[i].tracking, LANG_FA, &view, &err)) continue;
    json_array_foreach(json_object_get(view, "children"), k, child) {
      struct chance c = {.state = s->open[i].chance.state}; /* by the inquiry's name, not by its place in the list */
      for (const char *name = json_str(child, "inquiry"); name && *name; name++) c.state = c.state * 31 + (unsigned char)*name;
      if (!base_same(json_str(child, "state"), "inquiry_open") || !chance_percent(&c, 75)) continue;
      struct decision *d = base_alloc(sizeof *d);
      d->sim = s;
      d->a = (struct case_act){.action = "reply", .expected_version = -1, .lang = LANG_FA, .at = at};
      snprintf(d->a.tracking, TRACKING_SIZE, "%s", json_str(child, "tracking"));
      snprintf(d->comment, sizeof d->comment, "%s", samples_pick(s->words, "comment", &c));
      d->a.comment = d->comment;
      d->a.data = json_pack("{s:s}", "answer", chance_percent(&c, 90) ? "agree" : "object");
      clerk(&d->a.actor, json_str(child, "holder"), "officer", ROLE_OFFICER);
      begin_one(s);
      if (cases_act(s->p.cases, &d->a, decided, d, &err)) decided(d, -1, &err);
    }
    json_decref(view);
  }
}

static void weigh(struct sim *s) {
  for (size_t i = 0; i < pack_services(s->p.pack) && i < BASE_COUNT(s->weight); i++) {
    const struct service *def = pack_service(s->p.pack, i);
    double per_day = def->volume_per && strcmp(def->volume_per, "day") == 0 ? (double)def->volume : def->volume_per && strcmp(def->volume_per, "month") == 0 ? (double)def->volume / 30 : (double)def->volume / 365;
    s->weight[i] = def->handled_external || def->mandate.present || def->valid_from > cases_today() ? 0 : sqrt(per_day + 1); /* rare ones are seen too */
  }
}

static int simulate(struct sim *s, int days, int64_t seed) {
  struct err err;
  char *note = NULL, *text = NULL;
  bool any;
  int64_t records = 0;
  if (samples_load(&s->words, &err) || cases_note(s->p.cases, "demo", &note, &err) || cases_any(s->p.cases, &any, &err) ||
      registries_count(s->p.registries, NULL, &records, &err))
    goto fail;
  if (!note && (any || records)) {
    err_set(&err, ERR_CONFLICT, "this store holds real cases or records: a simulated past is refused");
    goto fail;
  }
  free(note);
  note = NULL;
  if (cases_note(s->p.cases, "simulated", &note, &err)) goto fail;
  if (note) {
    err_set(&err, ERR_CONFLICT, "this store has its past already (%s)", note);
    goto fail;
  }
  text = base_printf("%d days, seed %lld", days, (long long)seed);
  if (platform_keep_pack(&s->p, &err) || cases_note_set(s->p.cases, "demo", "yes", &err) || cases_note_set(s->p.cases, "simulated", text, &err)) goto fail;
  s->chance.state = s->seed = (uint64_t)seed;
  weigh(s);
  int32_t today = cases_today();
  int64_t number = 0;
  clock_set(day_start(today - days) + 6 * 3600000);
  if (demo_records(&s->p)) {
    err_set(&err, ERR_INTERNAL, "the records could not be made");
    goto fail;
  }
  for (int32_t day = today - days; day < today; day++) {
    one_day(s, day, &number);
    if (day == today - 3) snoop(s, day);
    app_progress("simulating", day - (today - days) + 1, days, "days");
  }
  app_progress_end();
  clock_set(0);
  int64_t placed;
  trust_sequence(s->p.trust, &placed, &err);
  printf("simulated %d days with seed %lld: %lld requests, %lld actions, %lld pressed twice, %lld actions refused by the rules, %lld not filed\n", days, (long long)seed,
         (long long)s->submitted, (long long)s->acted, (long long)s->repeated, (long long)s->refused, (long long)s->failed);
  free(note);
  free(text);
  return EXIT_DONE;
fail:
  fprintf(stderr, "chapar: %s\n", err.message);
  free(note);
  free(text);
  return EXIT_REFUSED;
}

int command_simulate(int argc, char **argv) {
  struct settings set;
  struct words_left left;
  const char *days = NULL, *seed = NULL, *bias = NULL;
  struct own_flag own[] = {{"--days", &days}, {"--seed", &seed}, {"--bias", &bias}, {NULL, NULL}};
  int rc = settings_read(&set, argc, argv, own, &left);
  int64_t n = 0, k = 0;
  if (rc) return rc;
  if (!days || parse_i64(days, &n) || n < 1 || n > 1500) return app_usage("simulate", "--days is a number from 1 to 1500");
  if (!seed || parse_i64(seed, &k)) return app_usage("simulate", "--seed is a whole number");
  int64_t times = 0;
  if (bias && (parse_i64(bias, &times) || times < 1 || times > 100)) return app_usage("simulate", "--bias is a number from 1 to 100");
  planted = (double)times;
  struct sim *s = base_alloc(sizeof *s);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->idle, NULL);
  set.demo = true;
  rc = platform_open(&s->p, &set, PLATFORM_ALL);
  if (rc == 0) {
    cases_mute(s->p.cases);
    rc = simulate(s, (int)n, k);
  }
  platform_close(&s->p);
  samples_free(s->words);
  free(s->open);
  free(s);
  return rc;
}
