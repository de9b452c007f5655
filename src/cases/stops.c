/* Services that take no new requests for now: every node knows them within a round of its jobs. Open cases go on. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct stop {
  char service[48], reason_fa[1024], reason_en[1024];
  int64_t at;
  int32_t until; /* 0: none */
};

struct stops {
  pthread_rwlock_t lock;
  struct stop *list;
  size_t count;
};

struct stops *stops_new(void) {
  struct stops *s = base_alloc(sizeof *s);
  pthread_rwlock_init(&s->lock, NULL);
  return s;
}

void stops_free(struct stops *s) {
  if (!s) return;
  pthread_rwlock_destroy(&s->lock);
  free(s->list);
  free(s);
}

int case_stops_load(struct cases *c, struct store_tx *tx, struct err *err) {
  struct stop *list = NULL;
  size_t n = 0;
  int rc;
  struct store_rows *r = store_select(tx, err, "SELECT service,reason_fa,reason_en,at,until FROM service_stop ORDER BY service", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    list = base_realloc(list, (n + 1) * sizeof *list);
    struct stop *s = &list[n++];
    *s = (struct stop){.at = store_int(r, 3), .until = (int32_t)store_int(r, 4)};
    snprintf(s->service, sizeof s->service, "%s", store_text(r, 0));
    snprintf(s->reason_fa, sizeof s->reason_fa, "%s", store_text(r, 1));
    snprintf(s->reason_en, sizeof s->reason_en, "%s", store_text(r, 2));
  }
  store_done(r);
  if (rc < 0) {
    free(list);
    return -1;
  }
  pthread_rwlock_wrlock(&c->stops->lock);
  struct stop *before = c->stops->list;
  c->stops->list = list;
  c->stops->count = n;
  pthread_rwlock_unlock(&c->stops->lock);
  free(before);
  return 0;
}

static bool stop_of(struct cases *c, const char *service, struct stop *out) {
  bool found = false;
  if (!c->stops) return false;
  pthread_rwlock_rdlock(&c->stops->lock);
  for (size_t i = 0; i < c->stops->count && !found; i++) {
    const struct stop *s = &c->stops->list[i];
    found = strcmp(s->service, service) == 0 && (!s->until || cases_today() < s->until);
    if (found) *out = *s;
  }
  pthread_rwlock_unlock(&c->stops->lock);
  return found;
}

bool case_stopped(struct cases *c, const char *service) {
  struct stop s;
  return stop_of(c, service, &s);
}

const char *cases_stopped(struct cases *c, const char *service, enum lang l, struct arena *a) {
  struct stop s;
  if (!stop_of(c, service, &s)) return NULL;
  const char *reason = l == LANG_FA ? s.reason_fa : s.reason_en;
  const char *text = s.until ? word_fill(a, l, "case.stopped_until", "reason", reason, "date", date_long(a, l, s.until), NULL) : word_fill(a, l, "case.stopped", "reason", reason, NULL);
  return text ? text : word(l, "case.stopped_short");
}

json_t *cases_stop(struct cases *c, const char *service) {
  struct stop s;
  char at[32], day[16];
  if (!stop_of(c, service, &s)) return NULL;
  clock_rfc3339(s.at, at);
  json_t *o = json_pack("{s:{s:s,s:s},s:s,s:n}", "reason", "fa", s.reason_fa, "en", s.reason_en, "since", at, "until");
  if (s.until) {
    date_iso(s.until, day);
    json_put(o, "until", day);
  }
  return o;
}

/* ---- switching ---- */

struct switching {
  const struct actor *who;
  const struct service_switch *w;
  const char *organisation;
  char reason_fa[1024], reason_en[1024];
};

static int switch_work(struct store_tx *tx, void *arg, struct err *err) {
  struct switching *k = arg;
  const struct service_switch *w = k->w;
  char day[16] = "";
  int rc = w->off ? store_put(tx, err, "INSERT INTO service_stop (service,at,reason_fa,reason_en,until) VALUES (?1,?2,?3,?4,?5) ON CONFLICT (service) DO UPDATE "
                                       "SET reason_fa=excluded.reason_fa,reason_en=excluded.reason_en,until=excluded.until", "titti", w->service, clock_now(),
                              k->reason_fa, k->reason_en, (int64_t)w->until)
                  : store_put(tx, err, "DELETE FROM service_stop WHERE service=?1", "t", w->service);
  if (rc) return -1;
  if (w->until) date_iso(w->until, day);
  json_t *detail = w->off ? json_pack("{s:s,s:s}", "reason", k->reason_fa, "day", day) : NULL;
  rc = identity_act_put(tx, &(struct act){.kind = w->off ? "service_off" : "service_on", .who = k->who->username, .organisation = k->organisation,
                                          .subject = w->service, .detail = detail}, err);
  json_decref(detail);
  return rc;
}

static bool take_reason(const char *typed, char out[1024]) {
  struct arena *a = arena_new(64 * 1024);
  char *text = typed && strlen(typed) < 4000 ? text_repair(a, typed) : NULL;
  bool fits = text && text[0] && utf8_length(text) <= 300 && strlen(text) < 1024 && !strchr(text, '\n');
  if (fits) memcpy(out, text, strlen(text) + 1);
  arena_free(a);
  return fits;
}

static int wrong(struct service_switch *w, const char *field, const char *detail, struct err *err) {
  w->field = field;
  w->detail = detail;
  return err_set(err, ERR_INVALID, "%s: %s", field, detail);
}

const char *cases_service_organisation(const struct cases *c, const struct service *s) {
  const struct organisation *o = directory_organisation(pack_directory(c->pack), s->organisation >= 0 ? s->organisation : s->secretary);
  return o ? o->code : "";
}

int cases_service_switch(struct cases *c, const struct actor *who, struct service_switch *w, struct err *err) {
  const struct service *s = w->service ? pack_find_shown(c->pack, w->service) : NULL;
  struct switching k = {.who = who, .w = w};
  w->field = w->detail = NULL;
  if (s) k.organisation = cases_service_organisation(c, s);
  if (!s || !identity_manages(who, k.organisation)) return err_set(err, ERR_NOT_FOUND, "no such service of yours");
  if (w->off && !take_reason(w->reason_fa, k.reason_fa)) return wrong(w, "reason_fa", "case.stop_reason", err);
  if (w->off && !take_reason(w->reason_en, k.reason_en)) return wrong(w, "reason_en", "case.stop_reason", err);
  if (w->off && w->until && (w->until <= cases_today() || w->until > cases_today() + 730)) return wrong(w, "until", "case.stop_until", err);
  if (store_write(c->store, STORE_FRONT, switch_work, &k, err)) return -1;
  return case_news(c, err);
}
