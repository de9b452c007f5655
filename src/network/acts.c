/* What people do: each in the transaction that does it, as an event and a leaf. */
#include "network/inner.h"
#include "network/people.h"

#include <stdlib.h>
#include <string.h>

static bool text_ok(const char *text, size_t least) { return text && strlen(text) >= least && strlen(text) <= NETWORK_NOTE_MOST && utf8_valid(text, strlen(text)); }

/* ---- incidents ------------------------------------------------------------------------------------------------------- */

struct acting { struct network *n; const struct network_by *by; int64_t incident; enum network_act act; const char *text; };
static const char *const acts[] = {
#define X(name, text) text,
  NETWORK_ACT_TABLE(X)
};
#undef X

/* Theirs: the root's organisation, or that of an office which was reached. */
static int touches(struct network *n, struct store_tx *tx, const struct network_by *by, int64_t incident, const char *organisation, struct err *err) {
  if (!by->organisation || base_same(by->organisation, organisation)) return 1;
  if (store_of(tx) != n->samples && n->samples != n->main) { /* those that are part of it now */
    int mine = 0;
    pthread_mutex_lock(&n->lock);
    int code = directory_find_organisation(n->d, by->organisation);
    for (int i = 0; i < n->real && !mine; i++) mine = n->core->nodes[i].incident == incident && n->nodes[i].o.organisation == code && code >= 0;
    pthread_mutex_unlock(&n->lock);
    return mine;
  }
  int64_t found = 0;
  struct store_rows *r = store_select(tx, err, "SELECT DISTINCT office FROM network_span WHERE incident=?1", "i", incident);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1 && !found) {
    struct network_office o;
    if (network_node(n, network_find(n, store_text(r, 0)), &o) == 0 && o.organisation >= 0) found = base_same(directory_organisation(n->d, o.organisation)->code, by->organisation);
  }
  store_done(r);
  return rc < 0 ? -1 : (int)found;
}

/* What programs are told of; people read it on the page. */
static int tell_programs(const struct acting *k, struct store_tx *tx, int64_t now, struct err *err) {
  static const enum network_step steps[] = {NETWORK_TAKEN_UP, NETWORK_NOTED, NETWORK_HANDED};
  struct network_news news;
  struct arena *a = arena_new(1 << 16);
  int rc = network_news_of(tx, k->n, k->incident, &news, a, err);
  if (rc == 1) {
    news.step = steps[k->act];
    news.who = k->by->who;
    news.text = k->text;
    news.at = now;
    rc = network_hooks_queue(tx, &news, err);
  }
  arena_free(a);
  return rc < 0 ? -1 : 0;
}

static int act_work(struct store_tx *tx, void *arg, struct err *err) {
  struct acting *k = arg;
  char organisation[NETWORK_CODE] = "", office[NETWORK_CODE] = "";
  int64_t ended = 0, acknowledged = 0, hand = 0, now = clock_now();
  struct store_rows *r = store_select(tx, err, "SELECT organisation,office,ended,acknowledged_at,hand FROM network_incident WHERE id=?1", "i", k->incident);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(organisation, sizeof organisation, "%s", store_text(r, 0));
    snprintf(office, sizeof office, "%s", store_text(r, 1));
    ended = store_int(r, 2);
    acknowledged = store_int(r, 3);
    hand = store_int(r, 4);
  }
  store_done(r);
  if (rc < 0) return -1;
  int mine = rc == 1 ? touches(k->n, tx, k->by, k->incident, organisation, err) : 0;
  if (mine < 0) return -1;
  if (!mine) return err_set(err, ERR_NOT_FOUND, "there is no incident %lld", (long long)k->incident);
  if (k->act == NETWORK_ACKNOWLEDGE && (ended || acknowledged)) return err_set(err, ERR_CONFLICT, "incident %lld is %s", (long long)k->incident, ended ? "closed" : "acknowledged already");
  if (k->act == NETWORK_HAND && (ended || hand)) return err_set(err, ERR_CONFLICT, "incident %lld is %s", (long long)k->incident, ended ? "closed" : "handed over already");
  if (k->act == NETWORK_ACKNOWLEDGE) rc = store_put(tx, err, "UPDATE network_incident SET acknowledged_at=?2,acknowledged_by=?3 WHERE id=?1", "iit", k->incident, now, k->by->who);
  else if (k->act == NETWORK_HAND)
    rc = store_put(tx, err, "UPDATE network_incident SET hand=1,hand_by=?2,hand_note=?3 WHERE id=?1", "itt", k->incident, k->by->who, k->text ? k->text : "");
  else rc = 0;
  struct event e = {.incident = k->incident, .kind = acts[k->act], .subject = office, .who = k->by->who, .text = k->text, .at = now};
  return rc || network_event_put(tx, &e, err) || network_step_put(tx, k->incident, acts[k->act], now, err) ? -1 : tell_programs(k, tx, now, err);
}

int network_act(struct network *n, const struct network_by *by, int64_t incident, enum network_act act, const char *text, struct err *err) {
  struct acting k = {n, by, incident, act, text};
  if (text && !text[0]) k.text = NULL;
  if ((act == NETWORK_NOTE && !text_ok(k.text, 1)) || (k.text && !text_ok(k.text, 1))) return err_set(err, ERR_INVALID, "a note has 1 to %d bytes", NETWORK_NOTE_MOST);
  if (act == NETWORK_HAND && !n->o.hand) return err_set(err, ERR_UNSUPPORTED, "incidents are not handed over here");
  return store_write(n->main, STORE_FRONT, act_work, &k, err);
}

int network_told_put(struct store_tx *tx, int64_t incident, const struct network_news *news, const char *who, const char *channel, struct err *err) {
  return store_put(tx, err, "INSERT INTO network_told (incident,step,level,who,channel,at) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT (incident,step,level,who,channel) DO NOTHING", "iiitti",
                   incident, (int64_t)news->step, (int64_t)news->level, who, channel, clock_now());
}

/* ---- maintenance -------------------------------------------------------------------------------------------------------- */

struct windowing { struct network *n; const struct network_by *by; struct network_window *w; int64_t id; const char *reason; };

static bool owns(struct network *n, const struct network_by *by, const char *office) {
  struct network_office o;
  if (network_node(n, network_find(n, office), &o)) return false;
  return !by->organisation || (o.organisation >= 0 && base_same(directory_organisation(n->d, o.organisation)->code, by->organisation));
}

static int window_work(struct store_tx *tx, void *arg, struct err *err) {
  struct windowing *k = arg;
  int64_t now = clock_now();
  char id[40];
  if (store_value(tx, &k->id, 0, err, "SELECT MAX(id) FROM network_window", "")) return -1;
  k->id++;
  if (store_exec(tx, err, "INSERT INTO network_window (id,office,from_at,to_at,reason,who,at,ended_at,ended_by) VALUES (?1,?2,?3,?4,?5,?6,?7,0,'')", "itiitti", k->id, k->w->office, k->w->from, k->w->to,
                 k->w->reason, k->by->who, now) < 0) return -1;
  snprintf(id, sizeof id, "w%lld", (long long)k->id);
  json_t *detail = json_pack("{s:I,s:I}", "from", (json_int_t)k->w->from, "to", (json_int_t)k->w->to);
  struct event e = {.id = id, .kind = "window", .subject = k->w->office, .who = k->by->who, .text = k->w->reason, .detail = detail, .at = now};
  int rc = network_event_put(tx, &e, err) || network_bump(tx, err) ? -1 : 0;
  json_decref(detail);
  return rc;
}

int network_window_put(struct network *n, const struct network_by *by, struct network_window *w, struct err *err) {
  struct windowing k = {.n = n, .by = by, .w = w};
  int64_t now = clock_now();
  if (!text_ok(w->reason, 3)) return err_set(err, ERR_INVALID, "a reason has 3 to %d bytes", NETWORK_NOTE_MOST);
  if (w->to <= w->from || w->to <= now || w->to - w->from > 31 * (int64_t)86400000) return err_set(err, ERR_INVALID, "a window ends after it begins and after now, and lasts 31 days at most");
  if (w->from < now - 900000) return err_set(err, ERR_INVALID, "a window begins 15 minutes ago at the earliest");
  if (!owns(n, by, w->office)) return err_set(err, ERR_NOT_FOUND, "there is no office %s", w->office);
  if (store_write(n->main, STORE_FRONT, window_work, &k, err)) return -1;
  w->id = k.id;
  return 0;
}

static int window_end_work(struct store_tx *tx, void *arg, struct err *err) {
  struct windowing *k = arg;
  char office[NETWORK_CODE] = "";
  int64_t now = clock_now(), to = 0, from = 0;
  struct store_rows *r = store_select(tx, err, "SELECT office,from_at,to_at FROM network_window WHERE id=?1", "i", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(office, sizeof office, "%s", store_text(r, 0));
    from = store_int(r, 1);
    to = store_int(r, 2);
  }
  store_done(r);
  if (rc < 0) return -1;
  if (!rc || !owns(k->n, k->by, office)) return err_set(err, ERR_NOT_FOUND, "there is no window %lld", (long long)k->id);
  if (to <= now) return err_set(err, ERR_CONFLICT, "window %lld is over", (long long)k->id);
  if (store_put(tx, err, "UPDATE network_window SET to_at=?2,ended_at=?2,ended_by=?3 WHERE id=?1", "iit", k->id, now > from ? now : from, k->by->who)) return -1;
  json_t *detail = json_pack("{s:I}", "window", (json_int_t)k->id);
  struct event e = {.kind = "window_end", .subject = office, .who = k->by->who, .text = k->reason, .detail = detail, .at = now};
  rc = network_event_put(tx, &e, err) || network_bump(tx, err) ? -1 : 0;
  json_decref(detail);
  return rc;
}

int network_window_end(struct network *n, const struct network_by *by, int64_t id, const char *reason, struct err *err) {
  struct windowing k = {.n = n, .by = by, .id = id, .reason = reason && reason[0] ? reason : NULL};
  if (k.reason && !text_ok(k.reason, 1)) return err_set(err, ERR_INVALID, "a reason has at most %d bytes", NETWORK_NOTE_MOST);
  return store_write(n->main, STORE_FRONT, window_end_work, &k, err);
}
