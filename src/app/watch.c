/* What the network room leaves to others: people and programs are told, faults become cases, watchers hear of changes, Prometheus finds figures. */
#include "app/app.h"
#include "network/people.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- people ---- */

struct telling { struct platform *p; struct network *n; struct store_tx *tx; const struct network_news *news; };

static char *text_of(struct arena *a, const struct network_news *news, enum lang l, const char *name) {
  static const char *const keys[] = {"network.sms_opened", "network.sms_escalated", "network.sms_closed"};
  char kind[48], id[24];
  snprintf(kind, sizeof kind, "web.net_kind_%.24s", news->kind);
  snprintf(id, sizeof id, "%lld", (long long)news->incident);
  int64_t minutes = ((news->ended ? news->ended : clock_now()) - news->began) / 60000;
  const char *lasted = minutes >= 60 ? word_fill(a, l, "web.net_hours_minutes", "h", number_format(a, l, minutes / 60), "m", number_format(a, l, minutes % 60), NULL)
                                     : word_fill(a, l, "web.net_minutes", "m", number_format(a, l, minutes), NULL);
  return word_fill(a, l, keys[news->step], "kind", word(l, kind), "name", name, "at", datetime_short(a, l, news->began), "offices", number_format(a, l, news->offices), "id",
                   digits_local(a, l, id), "lasted", lasted, NULL);
}

/* A name that is too long for two text messages gives way to the code. */
static int tell_one(void *ctx, const struct network_contact *c) {
  struct telling *t = ctx;
  const struct network_news *news = t->news;
  struct arena *a = arena_new(64 * 1024);
  struct err err = {0};
  char key[160], id[24];
  bool mail = strchr(c->to, '@') != NULL;
  const char *name = c->lang == LANG_EN && news->name_en && news->name_en[0] ? news->name_en : news->name_fa && news->name_fa[0] ? news->name_fa : news->office;
  char *text = text_of(a, news, c->lang, name);
  if (!mail && text && !text_fits_sms(text, 2)) text = text_of(a, news, c->lang, news->office);
  snprintf(id, sizeof id, "%lld", (long long)news->incident);
  snprintf(key, sizeof key, "%013lld/network/%lld/%d/%d/%s", (long long)news->began, (long long)news->incident, (int)news->step, news->level, c->id);
  char *subject = word_fill(a, c->lang, "network.mail_subject", "id", digits_local(a, c->lang, id), "name", name, NULL);
  int rc = text ? notify_put_duty(t->tx, key, c->to, c->lang, subject, text, &err) : -1;
  if (rc && err.code == ERR_INVALID) { /* an address that is no good any more holds nobody else up */
    log_write(LOG_WARN, "network", "contact %s cannot be told: %s", c->id, err.message);
    rc = 0;
  } else if (rc == 0) {
    rc = network_told_put(t->tx, news->incident, news, c->name, mail ? "mail" : "sms", &err);
  }
  arena_free(a);
  return rc;
}

/* ---- goals ---- */

struct alarming { struct store_tx *tx; const struct network_alarm *a; };

static const char *decimal(struct arena *a, enum lang l, double v, int places) { return isnan(v) ? "–" : number_decimal(a, l, v, places); }

static char *alarm_text(struct arena *a, const struct network_alarm *k, enum lang l, const char *name) {
  static const char *const keys[] = {"network.goal_sms_ended", "network.goal_sms_slow", "network.goal_sms_fast", "network.goal_sms_spent"};
  return word_fill(a, l, keys[k->kind], "name", name, "goal", decimal(a, l, k->goal * 100, 2), "now", decimal(a, l, k->availability * 100, 2), "n",
                   decimal(a, l, k->kind == ALARM_FAST ? k->burn_6 : k->burn_72, 1), NULL);
}

static int alarm_one(void *ctx, const struct network_contact *c) {
  const struct alarming *t = ctx;
  struct arena *a = arena_new(64 * 1024);
  struct err err = {0};
  char key[160];
  const char *name = c->lang == LANG_EN ? t->a->name_en : t->a->name_fa;
  char *text = alarm_text(a, t->a, c->lang, name);
  if (!strchr(c->to, '@') && text && !text_fits_sms(text, 2)) text = alarm_text(a, t->a, c->lang, t->a->code);
  snprintf(key, sizeof key, "%013lld/goal/%lld/%d/%s", (long long)t->a->began, (long long)t->a->number, (int)t->a->kind, c->id);
  int rc = text ? notify_put_duty(t->tx, key, c->to, c->lang, word_fill(a, c->lang, "network.goal_mail_subject", "name", name, NULL), text, &err) : -1;
  if (rc && err.code == ERR_INVALID) {
    log_write(LOG_WARN, "network", "contact %s cannot be told: %s", c->id, err.message);
    rc = 0;
  }
  arena_free(a);
  return rc;
}

int app_network_alarm(void *ctx, struct network *n, struct store_tx *tx, const struct network_alarm *a, struct err *err) {
  struct alarming t = {tx, a};
  return network_alarm_concerned(tx, a, alarm_one, &t, err) || network_hooks_queue_alarm(tx, a, err) < 0 ? -1 : 0;
}

/* In a demonstration somebody is on duty, so that its outbox shows what is sent. */
void app_network_demo(struct platform *p) {
  struct network_contact list[] = {{.organisation = "", .name = "کشیک شبکه استان", .to = "09990000001", .lang = LANG_FA, .level = 0},
                                   {.organisation = "", .name = "سرپرست شبکه", .to = "network@example.ir", .lang = LANG_FA, .level = 1}};
  json_t *there = NULL;
  struct err err;
  if (network_contacts(p->main, NULL, &there, &err) || json_array_size(there)) {
    json_decref(there);
    return;
  }
  json_decref(there);
  for (size_t i = 0; i < BASE_COUNT(list); i++)
    if (network_contact_put(p->main, "system", &list[i], NULL, NULL, &err)) log_write(LOG_WARN, "app", "%s", err.message);
}

int app_network_tell(void *ctx, struct network *n, struct store_tx *tx, const struct network_news *news, struct err *err) {
  struct telling t = {.p = ctx, .n = n, .tx = tx, .news = news};
  if (network_contacts_concerned(tx, news, tell_one, &t, err)) return -1;
  int hooks = network_hooks_queue(tx, news, err);
  if (hooks < 0) return -1;
  return hooks ? network_told_put(tx, news->incident, news, "webhook", "webhook", err) : 0;
}

/* ---- programs ---- */

static int post_hook(void *ctx, const char *url, const char *const *headers, const char *body, size_t n, int *status, struct err *err) {
  struct http_call call = {.method = "POST", .url = url, .headers = headers, .body = body, .body_size = n, .timeout_ms = 5000, .most = 16 * 1024};
  struct http_answer a = {0};
  if (http_client_call(ctx, &call, &a, err)) return -1;
  *status = a.status;
  http_answer_free(&a);
  return 0;
}

void platform_hooks(struct platform *p) {
  static _Atomic int64_t complained;
  struct err err;
  int64_t done = 0;
  if (network_hooks_jobs(p->main, p->secret, post_hook, p->client, &done, &err) == 0 || clock_mono() - complained < 5000) return;
  complained = clock_mono();
  log_write(LOG_WARN, "jobs", "hooks of the network: %s", err.message);
}

/* ---- a fault becomes a case ---- */

static json_t *fault_data(const struct platform *p, const struct network_news *news, const char *comment) {
  const struct directory *d = pack_directory(p->pack);
  struct network_office o;
  int node = network_find(p->network, news->office);
  json_t *data = json_object();
  char began[32];
  clock_rfc3339(news->began, began);
  json_object_set_new(data, "incident", json_integer(news->incident));
  json_put(data, "office_code", news->office);
  json_put(data, "office_name", news->name_fa && news->name_fa[0] ? news->name_fa : news->office);
  json_put(data, "fault", news->kind);
  json_put(data, "began", began);
  json_object_set_new(data, "offices", json_integer(news->offices));
  if (news->population > 0) json_object_set_new(data, "population", json_integer(news->population));
  if (node >= 0 && network_node(p->network, node, &o) == 0) {
    const struct place *county = directory_place(d, o.county);
    const struct organisation *whose = directory_organisation(d, o.organisation);
    if (county) json_put(data, "county", county->code);
    if (whose) json_put(data, "asking", whose->code);
  }
  if (comment && comment[0]) json_put(data, "comment", comment);
  return data;
}

int app_network_hand(void *ctx, const struct network_news *news, const char *by, const char *comment, char tracking[40], struct err *err) {
  struct platform *p = ctx;
  const struct service *s = pack_find(p->pack, "network-fault");
  if (!s) return err_set(err, ERR_UNSUPPORTED, "the pack has no service network-fault");
  struct arena *a = arena_new(1024 * 1024);
  json_t *data = fault_data(p, news, comment), *good = NULL, *errors = NULL;
  char key[64];
  snprintf(key, sizeof key, "network-incident-%lld", (long long)news->incident);
  int rc = service_validate(p->pack, s, data, cases_today(), LANG_EN, a, &good, &errors);
  struct case_submission c = {.service = s, .data = good, .key = key, .body = key, .actor = {.kind = ACTOR_SYSTEM}, .caller = "network", .intake = INTAKE_API, .lang = LANG_FA};
  if (rc) {
    char *text = json_canonical(errors);
    err_set(err, ERR_INVALID, "a fault does not fit the form of network-fault: %.300s", text);
    free(text);
  } else {
    rc = cases_submit(p->cases, &c, NULL, NULL, err);
    if (rc == 0) snprintf(tracking, 40, "%s", c.tracking);
  }
  json_decref(c.errors);
  json_decref(errors);
  json_decref(good);
  json_decref(data);
  arena_free(a);
  (void)by;
  return rc;
}

/* ---- those who watch ---- */

static void send_changes(struct platform *p, int64_t *cursor) {
  json_t *changes = NULL;
  struct err err;
  if (network_changes(p->network, *cursor, 200, &changes, &err)) return;
  size_t n = 0;
  char *text = json_text(changes, &n), *piece = base_printf("id: %lld\nevent: change\ndata: %s\n\n", (long long)json_int(changes, "cursor", *cursor), text);
  *cursor = json_int(changes, "cursor", network_cursor(p->network));
  http_feed_send(p->network_feed, piece, strlen(piece));
  free(piece);
  free(text);
  json_decref(changes);
}

/* A change goes out at once; more within a quarter of a second go together. Silence is broken now and then, to see who has gone. */
void *app_network_watch(void *arg) {
  struct network_watch *w = arg;
  struct platform *p = w->p;
  int64_t cursor = network_cursor(p->network), beat = clock_mono();
  while (!w->stop) {
    int64_t now = network_wait(p->network, cursor, 500);
    if (now > cursor) {
      send_changes(p, &cursor);
      beat = clock_mono();
      struct timespec pause = {.tv_nsec = 250 * 1000000};
      nanosleep(&pause, NULL);
    } else if (clock_mono() - beat > 15000) {
      static const char still[] = ": still here\n\n";
      http_feed_send(p->network_feed, still, sizeof still - 1);
      beat = clock_mono();
    }
  }
  return NULL;
}

/* ---- Prometheus ---- */

struct counting { int64_t states[NETWORK_STATES][OFFICE_DEHYARI + 1]; };

static bool count_one(void *ctx, const struct network_office *o) {
  struct counting *c = ctx;
  c->states[o->state][o->level]++;
  return true;
}

static void goal_lines(struct buf *b, const json_t *items, const char *head, const char *name, const char *labels, const char *group, const char *key) {
  size_t i;
  json_t *one;
  buf_adds(b, head);
  json_array_foreach((json_t *)(uintptr_t)items, i, one) {
    const json_t *v = json_object_get(group ? json_object_get(one, group) : one, key);
    if (json_is_number(v)) buf_addf(b, "chapar_network_goal%s{scope=\"%s\",code=\"%s\"%s} %.6g\n", name, json_str(one, "scope"), json_str(one, "code"), labels, json_number_value(v));
  }
}

/* Classes of offices, and organisations with a goal of their own. A line is missing where nothing was measured. */
static void goal_metrics(struct platform *p, struct buf *b) {
  json_t *goals = NULL, *one;
  struct err err;
  size_t i;
  if (network_goals(p->network, LANG_EN, &goals, &err)) return;
  const json_t *items = json_object_get(goals, "items");
  goal_lines(b, items, "# TYPE chapar_network_goal_ratio gauge\n", "_ratio", "", NULL, "goal");
  goal_lines(b, items, "# TYPE chapar_network_goal_availability_ratio gauge\n", "_availability_ratio", "", "availability", "service");
  goal_lines(b, items, "# TYPE chapar_network_goal_budget_left_seconds gauge\n", "_budget_left_seconds", "", NULL, "budget_left_s");
  goal_lines(b, items, "# HELP chapar_network_goal_burn how many times faster than it may the downtime is used\n# TYPE chapar_network_goal_burn gauge\n", "_burn", ",window=\"6h\"", "burn", "hours_6");
  goal_lines(b, items, "", "_burn", ",window=\"3d\"", "burn", "days_3");
  buf_adds(b, "# TYPE chapar_network_goal_alarm gauge\n");
  json_array_foreach((json_t *)(uintptr_t)items, i, one)
    for (int k = ALARM_SLOW; k <= ALARM_SPENT; k++)
      buf_addf(b, "chapar_network_goal_alarm{scope=\"%s\",code=\"%s\",alarm=\"%s\"} %d\n", json_str(one, "scope"), json_str(one, "code"), network_alarm_text((enum network_alarm_kind)k),
               base_same(json_str(one, "alarm"), network_alarm_text((enum network_alarm_kind)k)));
  json_decref(goals);
}

/* Sums alone: as many lines whatever the province's size. */
void app_network_metrics(struct platform *p, struct buf *b) {
  struct counting c = {0};
  struct network_probing g;
  json_t *sum = NULL;
  struct err err;
  network_each(p->network, count_one, &c);
  buf_adds(b, "# TYPE chapar_network_offices gauge\n");
  for (int s = 0; s < NETWORK_STATES; s++)
    for (int l = 0; l <= OFFICE_DEHYARI; l++)
      buf_addf(b, "chapar_network_offices{state=\"%s\",level=\"%s\"} %lld\n", network_state_text((enum network_state)s), network_level_text((enum office_level)l), (long long)c.states[s][l]);
  network_probing(p->network, &g);
  buf_addf(b, "# TYPE chapar_network_packets_total counter\nchapar_network_packets_total{what=\"sent\"} %lld\nchapar_network_packets_total{what=\"received\"} %lld\n"
              "chapar_network_packets_total{what=\"lost\"} %lld\nchapar_network_packets_total{what=\"late\"} %lld\nchapar_network_packets_total{what=\"hostile\"} %lld\n"
              "chapar_network_packets_total{what=\"unsent\"} %lld\n# TYPE chapar_network_probes_total counter\nchapar_network_probes_total %lld\n"
              "# TYPE chapar_network_overdue_seconds gauge\nchapar_network_overdue_seconds %.3f\n# TYPE chapar_network_last_probe_timestamp_seconds gauge\n"
              "chapar_network_last_probe_timestamp_seconds %.3f\n# TYPE chapar_network_dropped_total counter\nchapar_network_dropped_total %lld\n# TYPE chapar_network_watchers gauge\nchapar_network_watchers %d\n",
           (long long)g.sent, (long long)g.received, (long long)g.lost, (long long)g.late, (long long)g.hostile, (long long)g.unsent, (long long)g.probes, (double)g.overdue_ms / 1000,
           (double)g.last / 1000, (long long)g.dropped, http_feed_watchers(p->network_feed));
  if (network_summary(p->network, -1, LANG_EN, &sum, &err) == 0) {
    const json_t *open = json_object_get(sum, "incidents");
    buf_addf(b, "# TYPE chapar_network_incidents gauge\nchapar_network_incidents{state=\"open\"} %lld\nchapar_network_incidents{state=\"acknowledged\"} %lld\n", (long long)json_int(open, "open", 0),
             (long long)json_int(open, "acknowledged", 0));
  }
  json_decref(sum);
  goal_metrics(p, b);
}

struct scraping { struct buf *b; const struct directory *d; int place; int what; };

static bool scrape_one(void *ctx, const struct network_office *o) {
  struct scraping *s = ctx;
  const struct organisation *whose = directory_organisation(s->d, o->organisation);
  if (s->place >= 0 && !directory_within(s->d, o->place, s->place)) return true;
  double value = s->what == 0 ? (o->state == NETWORK_UP || o->state == NETWORK_DEGRADED) : s->what == 1 ? (double)o->state : s->what == 2 ? o->rtt_recent / 1000 : o->loss_recent;
  static const char *const names[] = {"up", "state", "rtt_seconds", "loss_ratio"};
  if (isnan(value) || (s->what >= 2 && !o->probed)) return true;
  buf_addf(s->b, "chapar_office_%s{office=\"%s\",organisation=\"%s\",level=\"%s\"} %.6g\n", names[s->what], o->code, whose ? whose->code : "", network_level_text(o->level), value);
  return true;
}

/* The offices of one county: what GET /api/v1/network/targets leads to. */
void app_network_offices(struct platform *p, int place, struct buf *b) {
  static const char *const heads[] = {"# TYPE chapar_office_up gauge\n", "# HELP chapar_office_state 0 up, 1 degraded, 2 down, 3 unreachable, 4 maintenance, 5 unknown\n# TYPE chapar_office_state gauge\n",
    "# TYPE chapar_office_rtt_seconds gauge\n", "# TYPE chapar_office_loss_ratio gauge\n"};
  struct scraping s = {.b = b, .d = pack_directory(p->pack), .place = place};
  for (s.what = 0; s.what < 4; s.what++) {
    buf_adds(b, heads[s.what]);
    network_each(p->network, scrape_one, &s);
  }
}
