/* What the definitions say is to be erased by now, told before it is done. */
#include "cases/private.h"

#include <string.h>

struct telling {
  struct cases *c;
  int32_t until;
  enum lang lang;
  json_t *out;
};

static int years_of(const struct service *s, int64_t result) {
  for (size_t i = 0; s && i < s->retention_count; i++)
    if ((int64_t)s->retentions[i].result == result && s->retentions[i].erase) return s->retentions[i].years;
  return -1;
}

static void tell(const struct telling *k, const struct store_rows *r) {
  const struct service *s = pack_find_version(k->c->pack, store_text(r, 0), (int)store_int(r, 1));
  if (!s) s = pack_find_shown(k->c->pack, store_text(r, 0));
  int years = years_of(s, store_int(r, 2));
  char day[16];
  json_t *o = json_object();
  json_put(o, "service", store_text(r, 0));
  json_object_set_new(o, "service_version", json_integer(store_int(r, 1)));
  json_put(o, "service_title", s ? text_in(&s->title, k->lang) : store_text(r, 0));
  json_put(o, "result", result_text((enum result)store_int(r, 2)));
  json_object_set_new(o, "years", years >= 0 ? json_integer(years) : json_null());
  json_object_set_new(o, "cases", json_integer(store_int(r, 3)));
  date_iso(day_of(store_int(r, 4)), day);
  json_put(o, "oldest", day);
  json_array_append_new(k->out, o);
}

static int tell_work(struct store_tx *tx, void *arg, struct err *err) {
  struct telling *k = arg;
  json_array_clear(k->out);
  for (size_t i = 0; i < k->c->calendar_count; i++) {
    const char *calendar = k->c->calendars[i].code;
    struct store_rows *r = store_select(tx, err,
      "SELECT service,service_version,result,COUNT(*),MIN(closed_at) FROM cases WHERE calendar=?1 AND next_ord<?2 AND result<>0 "
      "GROUP BY service,service_version,result ORDER BY service,service_version,result", "ti", calendar,
      (int64_t)calendar_ordinal(case_calendar(k->c, calendar), k->until));
    int rc = r ? 0 : -1;
    while (r && (rc = store_next(r, err)) == 1) tell(k, r);
    store_done(r);
    if (rc < 0) return -1;
  }
  return 0;
}

int cases_retention(struct cases *c, int32_t until, enum lang l, json_t **out, struct err *err) {
  struct telling k = {.c = c, .until = until, .lang = l, .out = json_array()};
  int rc = store_read(c->store, tell_work, &k, err);
  if (rc) json_decref(k.out);
  else *out = k.out;
  return rc;
}
