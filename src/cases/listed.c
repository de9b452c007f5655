/* What a desk's list tells of a case beyond its clock: who it is about, masked, and whether documents have come that the reader has not seen. */
#include "cases/private.h"

#include <string.h>

/* The applicant's own name: what a registry of persons calls so, or a field of that name; not the name of somebody whom another answer points to. */
static bool called(const struct service *s, const struct field *f, const char *wanted) {
  const char *colon = f->prefill ? strrchr(f->prefill, ':') : NULL, *name = colon ? colon + 1 : f->name;
  if (f->type != FIELD_TEXT || !f->personal || strcmp(name, wanted) != 0) return false;
  return !f->prefill_of || base_same(f->prefill_of, s->applicant_field);
}

static const char *answer(const struct service *s, const json_t *data, const char *wanted) {
  for (size_t i = 0; i < s->field_count; i++) {
    const char *v = called(s, s->fields[i], wanted) ? json_str(data, s->fields[i]->name) : NULL;
    if (v && v[0]) return v;
  }
  return NULL;
}

/* «م… احمدی»: enough to know a case again, too little to know a person by. */
const char *case_short_name(struct arena *a, const struct service *s, const json_t *data) {
  const char *first = answer(s, data, "first_name"), *last = answer(s, data, "last_name");
  if (!last && !first) {
    const char *whole = answer(s, data, "name"), *space = whole ? strrchr(whole, ' ') : NULL;
    first = whole;
    last = space ? space + 1 : NULL;
  }
  if (!first) return last ? arena_printf(a, "… %s", last) : NULL;
  const char *end = first + strlen(first), *next = first;
  if (utf8_next(&next, end) < 0) return NULL;
  return arena_printf(a, "%.*s…%s%s", (int)(next - first), first, last ? " " : "", last ? last : "");
}

int case_news_put(struct store_tx *tx, const char *tracking, int64_t at, struct err *err) {
  return store_put(tx, err, "INSERT INTO case_news (tracking,at) VALUES (?1,?2) ON CONFLICT (tracking) DO UPDATE SET at=excluded.at", "ti", tracking, at);
}

int case_seen_put(struct store_tx *tx, const char *tracking, const char *username, int64_t at, struct err *err) {
  return store_exec(tx, err, "INSERT INTO case_seen (tracking,username,at) SELECT n.tracking,?2,?3 FROM case_news n WHERE n.tracking=?1 "
                    "ON CONFLICT (tracking,username) DO UPDATE SET at=excluded.at", "tti", tracking, username, at) < 0 ? -1 : 0;
}

int case_news_unseen(struct store_tx *tx, const char *tracking, int64_t came, const char *username, bool *unseen, struct err *err) {
  int64_t seen = 0;
  *unseen = false;
  if (came && store_value(tx, &seen, 0, err, "SELECT at FROM case_seen WHERE tracking=?1 AND username=?2", "tt", tracking, username)) return -1;
  *unseen = came > seen;
  return 0;
}

int case_news_forget(struct store_tx *tx, const char *tracking, struct err *err) {
  return store_put(tx, err, "DELETE FROM case_news WHERE tracking=?1", "t", tracking) || store_put(tx, err, "DELETE FROM case_seen WHERE tracking=?1", "t", tracking) ? -1 : 0;
}
