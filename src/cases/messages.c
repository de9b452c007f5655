/* What was sent about a case, what did not arrive, and whether a message is ours. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EVENTS_MOST = 500, WORDS = 3 };

/* ---- a message about a case did not arrive, or did after all: told by the gateways, within their transaction ---- */

/* TIME/TRACKING/SEQ/…: keys of other messages are of no case. */
static bool case_of_key(const char *key, char tracking[TRACKING_SIZE]) {
  if (!key || strspn(key, "0123456789") != 13 || key[13] != '/' || strspn(key + 14, "0123456789") != 16 || key[30] != '/') return false;
  memcpy(tracking, key + 14, 16);
  tracking[16] = 0;
  return true;
}

int cases_message_lost(struct cases *c, struct store_tx *tx, const char *key, const char *channel, const char *state, struct err *err) {
  char tracking[TRACKING_SIZE], holder[80] = "";
  if (!case_of_key(key, tracking)) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT holder FROM cases WHERE tracking=?1", "t", tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) snprintf(holder, sizeof holder, "%s", store_text(r, 0));
  store_done(r);
  if (rc <= 0) return rc;
  return store_put(tx, err,
    "INSERT INTO case_undelivered (key,tracking,organisation,at,channel,state,noted_at,noted_by,noted_how) VALUES (?1,?2,?3,?4,?5,?6,0,'','') ON CONFLICT DO NOTHING",
    "tttitt", key, tracking, holder, clock_now(), channel, state);
}

int cases_message_arrived(struct cases *c, struct store_tx *tx, const char *key, struct err *err) {
  char tracking[TRACKING_SIZE];
  if (!case_of_key(key, tracking)) return 0;
  return store_put(tx, err, "DELETE FROM case_undelivered WHERE key=?1 AND noted_at=0", "t", key);
}

/* ---- the messages of a case ---- */

struct listing {
  struct cases *c;
  const struct actor *who;
  const char *tracking;
  enum lang l;
  struct arena *arena;
  json_t *items;
  const char *right;
};

struct happened { char action[48]; int64_t seq, at; };

static int events_of(struct store_tx *tx, const char *tracking, struct happened *list, int *count, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT seq,action,at FROM " CASE_EVENTS "ORDER BY seq DESC LIMIT ?2", "ti", tracking, (int64_t)EVENTS_MOST);
  if (!r) return -1;
  int rc;
  *count = 0;
  while ((rc = store_next(r, err)) == 1) {
    struct happened *h = &list[(*count)++];
    h->seq = store_int(r, 0);
    h->at = store_int(r, 2);
    snprintf(h->action, sizeof h->action, "%s", store_text(r, 1));
  }
  store_done(r);
  return rc;
}

/* The event that a message tells of: the key names it by its number, or (a slip of a counter) only by its time. */
static const struct happened *told_by(const json_t *message, const struct happened *list, int count, const struct happened *otherwise) {
  const char *key = json_str(message, "key"), *at = key ? strchr(key, '/') : NULL;
  const char *seq = at ? strchr(at + 1, '/') : NULL;
  char number[24];
  int64_t n = 0;
  if (!seq) return otherwise;
  snprintf(number, sizeof number, "%.*s", (int)strcspn(seq + 1, "/"), seq + 1);
  for (int i = 0; parse_i64(number, &n) == 0 && i < count; i++)
    if (list[i].seq == n) return &list[i];
  return otherwise;
}

/* Those about each event, the newest moment first; each says which by "action" and "seq". */
static int gather(struct cases *c, struct store_tx *tx, const char *tracking, json_t *items, struct err *err) {
  struct happened *list = base_alloc(EVENTS_MOST * sizeof *list);
  int count = 0, rc = c->o.messages ? events_of(tx, tracking, list, &count, err) : 0;
  for (int i = 0; rc == 0 && i < count; i++) {
    char from[64], to[64];
    size_t n = json_array_size(items);
    if (i > 0 && list[i].at == list[i - 1].at) continue; /* of one moment: read already */
    case_message_keys(list[i].at, tracking, from, to);
    rc = c->o.messages(c->o.notify_ctx, tx, from, to, items, err);
    for (; rc == 0 && n < json_array_size(items); n++) {
      json_t *one = json_array_get(items, n);
      const struct happened *h = told_by(one, list, count, &list[i]);
      json_put(one, "action", h->action);
      json_object_set_new(one, "seq", json_integer(h->seq));
    }
  }
  free(list);
  return rc;
}

/* Which of them somebody has to see to, or has. What is no longer among the messages kept is told nevertheless. */
static int mark_undelivered(struct store_tx *tx, const char *tracking, json_t *items, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT key,at,channel,state,noted_at,noted_by,noted_how FROM case_undelivered WHERE tracking=?1 ORDER BY key", "t", tracking);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *one, *found = NULL;
    size_t i;
    char at[32];
    json_array_foreach(items, i, one) if (base_same(json_str(one, "key"), store_text(r, 0))) found = one;
    if (!found) {
      found = json_object();
      clock_rfc3339_ms(store_int(r, 1), at);
      json_put(found, "key", store_text(r, 0));
      json_put(found, "channel", store_text(r, 2));
      json_put(found, "state", store_text(r, 3));
      json_put(found, "at", at);
      json_array_append_new(items, found);
    }
    json_object_set_new(found, "undelivered", json_true());
    if (!store_int(r, 4)) continue;
    clock_rfc3339_ms(store_int(r, 4), at);
    json_t *noted = json_object();
    json_put(noted, "at", at);
    json_put(noted, "by", store_text(r, 5));
    json_put(noted, "how", store_text(r, 6));
    json_object_set_new(found, "noted", noted);
  }
  store_done(r);
  return rc;
}

static const char *title_of(const struct case_row *row, const char *action, enum lang l, struct arena *a) {
  for (size_t i = 0; row->def && i < row->def->state_count; i++)
    for (size_t k = 0; k < row->def->states[i].action_count; k++)
      if (strcmp(row->def->states[i].actions[k].name, action) == 0) return text_in(&row->def->states[i].actions[k].title, l);
  const char *key = arena_printf(a, "case.event.%s", action);
  return key && word_known(key) ? word(l, key) : action;
}

static void name_items(const struct listing *k, const struct case_row *row) {
  size_t i;
  json_t *one;
  json_array_foreach(k->items, i, one) {
    const char *action = json_str(one, "action"), *state = json_str(one, "state");
    const char *key = arena_printf(k->arena, "case.message.%s", state ? state : "");
    json_put(one, "title", action ? title_of(row, action, k->l, k->arena) : NULL);
    json_put(one, "state_title", key && word_known(key) ? word(k->l, key) : state);
    json_object_del(one, "key");
    if (!json_object_get(one, "undelivered")) json_object_set_new(one, "undelivered", json_false());
    if (base_same(k->right, "citizen")) json_object_del(one, "error");
  }
}

static int listing_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *k = arg;
  struct case_row row;
  json_array_clear(k->items);
  if (case_load(k->c, tx, k->arena, k->tracking, &row, err)) return -1;
  enum case_right right = case_right_of(k->who, &row);
  k->right = right == CASE_STAFF ? "staff" : right == CASE_AUDITOR ? "auditor" : right == CASE_CITIZEN ? "citizen" : NULL;
  if (!k->right) return err_set(err, ERR_NOT_FOUND, "no such case");
  if (gather(k->c, tx, k->tracking, k->items, err) || mark_undelivered(tx, k->tracking, k->items, err)) return -1;
  name_items(k, &row);
  return 0;
}

int cases_messages(struct cases *c, const struct actor *who, const char *tracking, enum lang l, json_t **out, const char **right, struct err *err) {
  struct listing k = {.c = c, .who = who, .tracking = tracking, .l = l, .arena = arena_new(2 * 1024 * 1024), .items = json_array()};
  int rc = store_read(c->store, listing_work, &k, err);
  arena_free(k.arena);
  if (rc) {
    json_decref(k.items);
    return -1;
  }
  *out = json_object();
  json_object_set_new(*out, "items", k.items);
  if (right) *right = k.right;
  return 0;
}

/* ---- the desk's list of them ---- */

struct queue {
  struct cases *c;
  const char *organisation, *after;
  enum lang l;
  int limit;
  json_t *items;
  int64_t count;
};

static int queue_work(struct store_tx *tx, void *arg, struct err *err) {
  struct queue *k = arg;
  size_t i;
  json_t *one;
  json_array_clear(k->items);
  struct store_rows *r = store_select(tx, err,
    "SELECT key,tracking,at,channel,state FROM case_undelivered WHERE organisation=?1 AND noted_at=0 AND key<?2 ORDER BY key DESC LIMIT ?3", "tti", k->organisation,
    k->after, (int64_t)k->limit + 1);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    char at[32];
    one = json_object();
    clock_rfc3339_ms(store_int(r, 2), at);
    json_put(one, "key", store_text(r, 0));
    json_put(one, "tracking", store_text(r, 1));
    json_put(one, "at", at);
    json_put(one, "channel", store_text(r, 3));
    json_put(one, "state", store_text(r, 4));
    json_array_append_new(k->items, one);
  }
  store_done(r);
  if (rc < 0) return -1;
  json_array_foreach(k->items, i, one) {
    struct arena *a = arena_new(1024 * 1024);
    struct case_row row;
    char word_key[64];
    rc = case_load(k->c, tx, a, json_str(one, "tracking"), &row, err);
    if (rc == 0) {
      json_put(one, "service", row.service);
      json_put(one, "service_title", row.def ? text_in(&row.def->title, k->l) : row.service);
      json_put(one, "case_state_title", case_state_title(&row, k->l));
      json_put(one, "assignee", row.assignee[0] ? row.assignee : NULL);
      snprintf(word_key, sizeof word_key, "case.message.%.40s", json_str(one, "state"));
      json_put(one, "state_title", word_known(word_key) ? word(k->l, word_key) : json_str(one, "state"));
    }
    arena_free(a);
    if (rc) return -1;
  }
  return 0;
}

int cases_undelivered(struct cases *c, const struct actor *who, const char *organisation, const char *after, int limit, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  struct queue k = {.c = c, .organisation = organisation, .after = after && after[0] ? after : "~", .l = l, .limit = limit, .items = json_array()};
  if (store_read(c->store, queue_work, &k, err)) {
    json_decref(k.items);
    return -1;
  }
  bool more = (int)json_array_size(k.items) > limit;
  if (more) json_array_remove(k.items, (size_t)limit);
  *out = json_object();
  json_put(*out, "next", more ? json_str(json_array_get(k.items, (size_t)limit - 1), "key") : NULL);
  size_t i;
  json_t *one;
  json_array_foreach(k.items, i, one) json_object_del(one, "key");
  json_object_set_new(*out, "items", k.items);
  return 0;
}

static int count_work(struct store_tx *tx, void *arg, struct err *err) {
  struct queue *k = arg;
  return store_value(tx, &k->count, 0, err, "SELECT COUNT(*) FROM (SELECT 1 FROM case_undelivered WHERE organisation=?1 AND noted_at=0 LIMIT 1000) AS few", "t", k->organisation);
}

int64_t cases_undelivered_count(struct cases *c, const struct actor *who, const char *organisation) {
  struct queue k = {.organisation = organisation};
  return who->kind == ACTOR_STAFF && actor_in(who, organisation) && store_read(c->store, count_work, &k, NULL) == 0 ? k.count : 0;
}

/* ---- somebody has seen to it ---- */

struct noting {
  struct cases *c;
  const struct actor *who;
  const char *tracking;
  bool called;
  const char *text;
  char id[33];
};

static int noting_work(struct store_tx *tx, void *arg, struct err *err) {
  struct noting *k = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->c, tx, a, k->tracking, &row, err);
  if (rc == 0 && case_right_of(k->who, &row) != CASE_STAFF) rc = err_set(err, ERR_NOT_FOUND, "no such case");
  if (rc == 0) {
    int n = store_exec(tx, err, "UPDATE case_undelivered SET noted_at=?1,noted_by=?2,noted_how=?3 WHERE tracking=?4 AND noted_at=0", "ittt", clock_now(), k->who->username,
                       k->called ? "called" : "noted", row.tracking);
    struct desk_note note = {.kind = k->called ? NOTE_CALL : NOTE_REMARK, .tracking = row.tracking, .text = k->text};
    rc = n < 0 ? -1 : n == 0 ? err_set(err, ERR_CONFLICT, "no message of this case waits to be seen to") : case_note_put(tx, k->who, &row, &note, k->id, err);
  }
  arena_free(a);
  return rc;
}

int cases_undelivered_note(struct cases *c, const struct actor *who, const char *tracking, bool called, const char *text, enum lang l, struct err *err) {
  unsigned char raw[16];
  struct noting k = {.c = c, .who = who, .tracking = tracking, .called = called,
                     .text = text && text[0] ? text : word(l, called ? "case.undelivered_called" : "case.undelivered_noted")};
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no such case");
  if (strlen(k.text) > 2000) return err_set(err, ERR_INVALID, "a note has at most 2000 bytes");
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, k.id);
  return store_write(c->store, STORE_FRONT, noting_work, &k, err);
}

/* ---- is this message ours? ---- */

struct asking {
  struct cases *c;
  const char *typed, *tracking; /* tracking NULL: no code in it */
  json_t *items;
};

static int asking_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asking *k = arg;
  json_array_clear(k->items);
  if (k->tracking) return gather(k->c, tx, k->tracking, k->items, err);
  return k->c->o.sent ? k->c->o.sent(k->c->o.notify_ctx, tx, k->typed, k->items, err) : 0;
}

static bool gone_out(const json_t *m) {
  static const char *const states[] = {"sent", "delivered", "shown", "unclear", "undeliverable"};
  for (size_t i = 0; i < BASE_COUNT(states); i++)
    if (base_same(json_str(m, "state"), states[i])) return true;
  return false;
}

/* The whole text, or how it ends: at least three words, as people read them off a screen. */
static bool said(struct arena *a, const char *text, const char *typed) {
  const char *whole = text ? text_fold(a, text) : NULL, *asked = text_fold(a, typed);
  if (!whole || !asked || !text_tail(a, typed, WORDS)) return false;
  size_t n = strlen(whole), m = strlen(asked);
  while (n && whole[n - 1] == ' ') n--;
  while (m && asked[m - 1] == ' ') m--;
  return m <= n && memcmp(whole + n - m, asked, m) == 0 && (m == n || whole[n - m - 1] == ' ' || whole[n - m - 1] == '\n');
}

static void answer_case(const struct asking *k, struct arena *a, json_t *out) {
  json_t *times = json_array(), *one;
  const char *exact = NULL;
  bool words = text_tail(a, k->typed, 6) != NULL; /* more than the code itself */
  size_t i;
  json_array_foreach(k->items, i, one) {
    if (!gone_out(one)) continue;
    json_t *t = json_object();
    json_put(t, "at", json_str(one, "at"));
    json_put(t, "channel", json_str(one, "channel"));
    json_put(t, "action", json_str(one, "action"));
    json_array_append_new(times, t);
    if (!exact && words && said(a, json_str(one, "text"), k->typed)) exact = json_str(one, "at");
  }
  json_put(out, "tracking", k->tracking);
  json_put(out, "at", exact ? exact : json_str(json_array_get(times, 0), "at"));
  json_put(out, "verdict", exact ? "sent" : !json_array_size(times) ? "none" : words ? "other" : "case");
  json_object_set_new(out, "messages", times);
}

static void answer_words(const struct asking *k, struct arena *a, json_t *out) {
  char tracking[TRACKING_SIZE];
  size_t n = json_array_size(k->items);
  const json_t *newest = json_array_get(k->items, 0);
  if (!text_tail(a, k->typed, WORDS)) {
    json_put(out, "verdict", "more");
    return;
  }
  json_put(out, "verdict", n ? "like" : "unknown");
  json_put(out, "at", n ? json_str(newest, "at") : NULL);
  if (n == 1 && case_of_key(json_str(newest, "key"), tracking)) json_put(out, "tracking_end", tracking + 12);
}

int cases_message_check(struct cases *c, const char *typed, json_t **out, struct err *err) {
  struct arena *a = arena_new(1024 * 1024);
  char code[32];
  struct asking k = {.c = c, .typed = typed, .items = json_array()};
  int rc = 0;
  json_t *o = json_object();
  bool link = strcasestr(typed, "http://") || strcasestr(typed, "https://") || strcasestr(typed, "www.") || strcasestr(typed, "://");
  if (identifier_find_tracking(a, typed, code) == 0) k.tracking = code;
  if (link) json_put(o, "verdict", "link");
  else if ((rc = store_read(c->store, asking_work, &k, err)) == 0) {
    if (k.tracking) answer_case(&k, a, o);
    else answer_words(&k, a, o);
  }
  json_decref(k.items);
  arena_free(a);
  if (rc) json_decref(o);
  else *out = o;
  return rc;
}
