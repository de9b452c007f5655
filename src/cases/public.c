/* Everybody's view of a case as ready text, kept for a second: a page that many look at is read once. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is kept ---- */

enum { SHELVES = 1024, PLACES = 4, KEEP_MS = 1000, UNSETTLED_MS = 10000 };

struct view {
  char tracking[TRACKING_SIZE];
  enum lang lang;
  int64_t until, calendar; /* monotonic ms; version of the calendar it was made with */
  char *body, etag[80];
  size_t size;
};

/* A case that changes is not kept for ten seconds: its transaction may be on its way, and readers still see it as it was. */
struct shelf {
  pthread_mutex_t lock;
  int64_t unsettled_until;
  unsigned next;
  struct view views[PLACES];
};

struct shelves {
  struct shelf all[SHELVES];
};

struct shelves *shelves_new(void) {
  struct shelves *s = base_alloc(sizeof *s);
  for (int i = 0; i < SHELVES; i++) pthread_mutex_init(&s->all[i].lock, NULL);
  return s;
}

static void empty(struct shelf *s) {
  for (int i = 0; i < PLACES; i++) {
    free(s->views[i].body);
    s->views[i] = (struct view){0};
  }
}

void shelves_free(struct shelves *s) {
  for (int i = 0; s && i < SHELVES; i++) {
    empty(&s->all[i]);
    pthread_mutex_destroy(&s->all[i].lock);
  }
  free(s);
}

static struct shelf *shelf_of(struct cases *c, const char *tracking) {
  unsigned h = 2166136261u;
  for (const char *p = tracking; *p; p++) h = (h ^ (unsigned char)*p) * 16777619u;
  return &c->shelves->all[h % SHELVES];
}

void shelves_forget(struct cases *c, const char *tracking) {
  if (!c->shelves) return;
  struct shelf *s = shelf_of(c, tracking);
  pthread_mutex_lock(&s->lock);
  s->unsettled_until = clock_mono() + UNSETTLED_MS;
  empty(s);
  pthread_mutex_unlock(&s->lock);
}

static void put(struct cases *c, const char *tracking, enum lang l, int64_t calendar, const char *body, size_t n, const char *etag) {
  struct shelf *s = shelf_of(c, tracking);
  int64_t now = clock_mono();
  pthread_mutex_lock(&s->lock);
  if (now >= s->unsettled_until) {
    struct view *v = NULL;
    for (int i = 0; i < PLACES && !v; i++)
      if (!s->views[i].body || (s->views[i].lang == l && strcmp(s->views[i].tracking, tracking) == 0)) v = &s->views[i];
    if (!v) v = &s->views[s->next++ % PLACES];
    free(v->body);
    *v = (struct view){.lang = l, .until = now + KEEP_MS, .calendar = calendar, .size = n, .body = base_alloc(n + 1)};
    memcpy(v->body, body, n);
    snprintf(v->tracking, sizeof v->tracking, "%s", tracking);
    snprintf(v->etag, sizeof v->etag, "%s", etag);
  }
  pthread_mutex_unlock(&s->lock);
}

bool cases_public_kept(struct cases *c, const char *tracking, enum lang l, char **body, size_t *n, char etag[80]) {
  struct shelf *s = shelf_of(c, tracking);
  bool found = false;
  pthread_mutex_lock(&s->lock);
  for (int i = 0; i < PLACES && !found; i++) {
    struct view *v = &s->views[i];
    if (!v->body || v->lang != l || strcmp(v->tracking, tracking) != 0) continue;
    if (v->until <= clock_mono() || v->calendar != atomic_load(&c->calendars_version)) break;
    found = true;
    *n = v->size;
    *body = base_alloc(v->size + 1);
    memcpy(*body, v->body, v->size);
    memcpy(etag, v->etag, sizeof v->etag);
  }
  pthread_mutex_unlock(&s->lock);
  return found;
}

/* ---- making it ---- */

struct quick {
  struct cases *c;
  const char *tracking;
  enum lang lang;
  struct buf *b;
  char *etag;
};

static void quote(struct buf *b, const char *s) {
  const char *from = s;
  buf_addc(b, '"');
  for (; *s; s++) {
    unsigned char ch = (unsigned char)*s;
    if (ch != '"' && ch != '\\' && ch >= 0x20) continue;
    buf_add(b, from, (size_t)(s - from));
    if (ch < 0x20) buf_addf(b, "\\u%04x", ch);
    else buf_add(b, (char[2]){'\\', (char)ch}, 2);
    from = s + 1;
  }
  buf_add(b, from, (size_t)(s - from));
  buf_addc(b, '"');
}

static void quick_day(struct buf *b, int32_t day) {
  char text[16];
  if (day == INT32_MIN) buf_adds(b, "null");
  else {
    date_iso(day, text);
    quote(b, text);
  }
}

static void quick_member(struct buf *b, const char *name, const char *value) {
  buf_adds(b, b->len > 1 ? ",\"" : "\"");
  buf_adds(b, name);
  buf_add(b, "\":", 2);
  quote(b, value);
}

static int quick_work(struct store_tx *tx, void *arg, struct err *err) {
  struct quick *k = arg;
  struct store_rows *r = store_select(tx, err,
    "SELECT service,service_version,owner,holder,state,result,submitted_at,norm_ord,legal_ord,calendar,version,inquiry,state_at,parent "
    "FROM cases WHERE tracking=?1", "t", k->tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    struct case_row row = {.tracking = k->tracking, .service = store_text(r, 0), .service_version = store_int(r, 1), .owner = store_text(r, 2),
      .holder = store_text(r, 3), .state = store_text(r, 4), .result = store_int(r, 5), .submitted_at = store_int(r, 6), .norm_ord = store_int(r, 7),
      .legal_ord = store_int(r, 8), .calendar = store_text(r, 9), .version = store_int(r, 10), .inquiry = store_text(r, 11), .state_at = store_int(r, 12),
      .parent = store_text(r, 13)};
    char at[32];
    struct buf *b = k->b;
    if (case_define(k->c, tx, &row, err)) {
      store_done(r);
      return -1;
    }
    buf_clear(b);
    buf_addc(b, '{');
    quick_member(b, "tracking", row.tracking);
    quick_member(b, "service", row.service);
    quick_member(b, "service_title", row.def ? text_in(&row.def->title, k->lang) : row.service);
    buf_addf(b, ",\"service_version\":%lld,\"definition\":", (long long)row.service_version);
    if (row.def) quote(b, row.def->etag);
    else buf_adds(b, "null");
    quick_member(b, "organisation", row.owner);
    quick_member(b, "organisation_name", case_organisation_name(k->c, row.pack, row.owner, k->lang));
    buf_adds(b, ",\"holder\":{\"code\":");
    quote(b, row.holder);
    buf_adds(b, ",\"name\":");
    quote(b, case_organisation_name(k->c, row.pack, row.holder, k->lang));
    buf_addc(b, '}');
    quick_member(b, "state", row.state);
    quick_member(b, "state_title", case_state_title(&row, k->lang));
    clock_rfc3339_ms(row.state_at, at);
    quick_member(b, "state_since", at);
    quick_member(b, "result", result_text((enum result)row.result));
    clock_rfc3339_ms(row.submitted_at, at);
    quick_member(b, "submitted_at", at);
    int32_t legal = case_due_day(k->c, &row, row.legal_ord);
    buf_adds(b, ",\"due\":{\"norm\":");
    quick_day(b, case_due_day(k->c, &row, row.norm_ord));
    buf_adds(b, ",\"legal\":");
    quick_day(b, legal);
    if (legal != INT32_MIN && calendar_provisional(case_calendar(k->c, row.calendar), legal)) buf_adds(b, ",\"provisional\":true");
    buf_adds(b, "}}");
    case_etag(k->c, &row, k->lang, "", k->etag);
  }
  store_done(r);
  if (rc < 0) return -1;
  return rc == 1 ? 0 : err_set(err, ERR_NOT_FOUND, "no such case");
}

int cases_public(struct cases *c, const char *tracking, enum lang l, char **body, size_t *n, char etag[80], struct err *err) {
  struct buf b;
  if (cases_public_kept(c, tracking, l, body, n, etag)) return 0;
  int64_t calendar = atomic_load(&c->calendars_version);
  buf_init(&b, 64 * 1024);
  struct quick k = {.c = c, .tracking = tracking, .lang = l, .b = &b, .etag = etag};
  if (store_read(c->store, quick_work, &k, err)) {
    buf_free(&b);
    return -1;
  }
  put(c, tracking, l, calendar, buf_str(&b), b.len, etag);
  *n = b.len;
  *body = buf_take(&b);
  return 0;
}
