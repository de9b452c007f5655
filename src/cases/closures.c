/* Closures as people declare them: whose a calendar is, how much a closed day would move, a calendar month by month. */
#include "cases/private.h"

#include <string.h>

/* Is the organisation, or one above it, managed by this person? */
static bool below(const struct actor *who, const struct directory *d, int organisation) {
  for (int depth = 0; organisation >= 0 && depth < 16; depth++) {
    const struct organisation *o = directory_organisation(d, organisation);
    if (!o) return false;
    if (actor_has_role(who, o->code, STAFF_MANAGER)) return true;
    organisation = o->parent;
  }
  return false;
}

bool cases_calendar_mine(const struct cases *c, const struct actor *who, const char *calendar) {
  const struct directory *d = pack_directory(c->pack);
  size_t users = 0;
  if (!pack_calendar(c->pack, calendar) || who->kind != ACTOR_STAFF) return false;
  if (actor_has_role(who, NULL, STAFF_OPERATOR)) return true;
  if (strcmp(pack_calendar_of(c->pack, -1), calendar) == 0) return false; /* everybody's, unless said otherwise */
  for (size_t i = 0; i < directory_organisations(d); i++) {
    if (strcmp(pack_calendar_of(c->pack, (int)i), calendar) != 0) continue;
    if (!below(who, d, (int)i)) return false;
    users++;
  }
  return users > 0;
}

struct preview {
  const char *calendar;
  int64_t from, began_before, moves;
};

static int preview_work(struct store_tx *tx, void *arg, struct err *err) {
  struct preview *k = arg;
  return store_value(tx, &k->moves, 0, err, "SELECT COUNT(*) FROM cases WHERE calendar=?1 AND next_ord<?2 AND result=0 AND legal_ord>=?3 AND legal_ord<?2 AND start_day<?4",
                     "tiii", k->calendar, (int64_t)NO_ORD, k->from, k->began_before);
}

int cases_calendar_preview(struct cases *c, const char *calendar, int32_t day, bool closed, int64_t *moves, struct err *err) {
  if (!pack_calendar(c->pack, calendar)) return err_set(err, ERR_NOT_FOUND, "no calendar '%s'", calendar);
  const struct calendar *live = case_calendar(c, calendar);
  *moves = 0;
  if (calendar_works(live, day) != closed) return 0; /* it is so already */
  /* A closed day moves what is due on it or later; an opened one what is due on the working day after it or later. Where the day is
   * already gone, the clocks that began since are stamped anew and keep their dates. */
  struct preview k = {.calendar = calendar, .from = calendar_ordinal(live, day) + (closed ? 0 : 1), .began_before = day <= cases_today() ? day : INT64_C(1) << 40};
  if (store_read(c->store, preview_work, &k, err)) return -1;
  *moves = k.moves;
  return 0;
}

static json_t *day_json(const struct calendar *cal, int32_t day, int number) {
  const char *fa = calendar_title(cal, LANG_FA, day), *en = calendar_title(cal, LANG_EN, day);
  char text[16];
  date_iso(day, text);
  json_t *o = json_pack("{s:i,s:s,s:b,s:n,s:n}", "number", number, "date", text, "closed", !calendar_works(cal, day), "title_fa", "title_en");
  if (fa && fa[0]) json_put(o, "title_fa", fa);
  if (en && en[0]) json_put(o, "title_en", en);
  return o;
}

int cases_calendar_month(struct cases *c, const char *calendar, int year, int month, json_t **out, struct err *err) {
  int32_t first = day_from_jalali((struct date){year, month, 1});
  if (!pack_calendar(c->pack, calendar)) return err_set(err, ERR_NOT_FOUND, "no calendar '%s'", calendar);
  if (first == INT32_MIN) return err_set(err, ERR_INVALID, "no such month");
  const struct calendar *live = case_calendar(c, calendar);
  json_t *days = json_array();
  for (int32_t day = first; day_to_jalali(day).month == month; day++) json_array_append_new(days, day_json(live, day, day_to_jalali(day).day));
  *out = json_pack("{s:i,s:i,s:i,s:o}", "year", year, "month", month, "weekday", day_weekday(first), "days", days);
  return 0;
}
