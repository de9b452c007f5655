/* Search over titles and descriptions that forgives spelling: folded text first, then the nearest known words. */
#include "channels/web/inside.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SERVICES 1000
#define MOST_TERMS 8

struct entry { const char *code; char *title, *all; };
/* Of one pack. When another is served, one is made for that; those before stay for whoever reads them, as the packs do. */
struct index {
  const struct pack *pack;
  struct index *before;
  struct entry entries[MOST_SERVICES];
  size_t entry_count;
  struct arena *arena;
  const char **vocabulary;
  size_t vocabulary_count;
};
static struct index *_Atomic newest;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static void add_words(struct index *x, const char *folded) {
  const char *terms[64];
  size_t n = text_terms(x->arena, folded, terms, BASE_COUNT(terms));
  x->vocabulary = base_realloc(x->vocabulary, (x->vocabulary_count + n + 1) * sizeof *x->vocabulary);
  for (size_t i = 0; i < n; i++)
    if (utf8_length(terms[i]) > 2) x->vocabulary[x->vocabulary_count++] = terms[i];
}

static void join(struct buf *b, const struct text *t) { buf_addf(b, " %s %s", t->fa ? t->fa : "", t->en ? t->en : ""); }

static struct index *build(const struct pack *p, struct index *before) {
  struct arena *scratch = arena_new(8 * 1024 * 1024);
  struct index *x = base_alloc(sizeof *x);
  x->pack = p;
  x->before = before;
  x->arena = arena_new(4 * 1024 * 1024);
  for (size_t i = 0; i < pack_services(p) && x->entry_count < MOST_SERVICES; i++) {
    const struct service *s = pack_service(p, i);
    struct buf b = {0};
    buf_addf(&b, "%s %s %s", s->title.fa, s->title.en, s->latn ? s->latn : "");
    const char *title = text_fold(scratch, buf_str(&b));
    join(&b, &s->description);
    join(&b, &s->recipients);
    for (size_t k = 0; k < s->documents.count; k++) join(&b, &s->documents.items[k]);
    for (size_t k = 0; k < s->faq_count; k++) join(&b, &s->faqs[k].q);
    buf_addf(&b, " %s %s %s", s->code, service_owner_name(p, s, LANG_FA), service_owner_name(p, s, LANG_EN));
    const char *all = text_fold(scratch, buf_str(&b));
    x->entries[x->entry_count++] = (struct entry){s->code, base_printf(" %s", title ? title : ""), base_printf(" %s", all ? all : "")};
    add_words(x, x->entries[x->entry_count - 1].all);
    buf_free(&b);
    arena_reset(scratch);
  }
  arena_free(scratch);
  return x;
}

static const struct index *index_of(const struct pack *p) {
  const struct index *x = newest;
  if (x && x->pack == p) return x;
  pthread_mutex_lock(&making);
  for (x = newest; x && x->pack != p;) x = x->before;
  if (!x) {
    struct index *made = build(p, newest); /* clang 14 takes no chain of assignments through an atomic */
    newest = made;
    x = made;
  }
  pthread_mutex_unlock(&making);
  return x;
}

void search_build(struct web_context *c) { index_of(cases_pack(c->cases)); }

/* 0: not there. Words that begin with the term count more, in the title most. */
static int score_term(const struct entry *e, const char *term) {
  char begins[128];
  snprintf(begins, sizeof begins, " %s", term);
  if (strstr(e->title, begins)) return 9;
  if (strstr(e->title, term)) return 5;
  if (strstr(e->all, begins)) return 3;
  return strstr(e->all, term) ? 1 : 0;
}

static bool common(const char *term) {
  static const char *const list[] = {"و", "از", "در", "به", "برای", "با", "را", "که", "این", "یک", "the", "a", "an", "of", "for", "to", "in", "and", "my"};
  for (size_t i = 0; i < BASE_COUNT(list); i++)
    if (strcmp(list[i], term) == 0) return true;
  return false;
}

struct hit { const struct service *s; int score; };

static int by_score(const void *a, const void *b) {
  const struct hit *x = a, *y = b;
  return x->score != y->score ? y->score - x->score : strcmp(x->s->code, y->s->code);
}

static size_t run(const struct index *x, const char **terms, size_t n, bool all, struct hit *hits) {
  size_t found = 0;
  for (size_t i = 0; i < x->entry_count; i++) {
    int score = 0;
    size_t held = 0;
    for (size_t k = 0; k < n; k++) {
      int one = score_term(&x->entries[i], terms[k]);
      held += one > 0;
      score += one;
    }
    const struct service *s = (all ? held == n : held > 0) ? pack_find_shown(x->pack, x->entries[i].code) : NULL;
    if (s) hits[found++] = (struct hit){s, score};
  }
  return found;
}

/* Replace unknown terms by the nearest known words; true when anything changed. */
static bool correct(const struct index *x, const char **terms, size_t n) {
  bool changed = false;
  for (size_t i = 0; i < n; i++) {
    struct nearest near = {.wanted = terms[i]};
    bool known = false;
    for (size_t k = 0; k < x->vocabulary_count && !known; k++) known = base_starts(x->vocabulary[k], terms[i]);
    if (known || utf8_length(terms[i]) < 3) continue;
    for (size_t k = 0; k < x->vocabulary_count; k++) nearest_offer(&near, x->vocabulary[k]);
    if (!near.best) continue;
    terms[i] = near.best;
    changed = true;
  }
  return changed;
}

size_t search_services(struct http_req *r, const char *q, const struct service **out, size_t most, const char **corrected) {
  const char *terms[MOST_TERMS];
  struct arena *a = http_arena(r);
  struct hit *hits = arena_alloc(a, MOST_SERVICES * sizeof *hits);
  size_t n = 0, found, got = text_terms(a, q, terms, MOST_TERMS);
  *corrected = NULL;
  for (size_t i = 0; i < got; i++)
    if (got == 1 || !common(terms[i])) terms[n++] = terms[i];
  if (!hits || !n) return 0;
  const struct index *x = index_of(web_pack(r));
  found = run(x, terms, n, true, hits);
  if (!found && correct(x, terms, n)) {
    found = run(x, terms, n, true, hits);
    const char *text = terms[0];
    for (size_t i = 1; i < n && text; i++) text = arena_printf(a, "%s %s", text, terms[i]);
    *corrected = text;
  }
  if (!found && n > 1) found = run(x, terms, n, false, hits);
  if (!found) *corrected = NULL;
  qsort(hits, found, sizeof *hits, by_score);
  for (size_t i = 0; i < found && i < most; i++) out[i] = hits[i].s;
  return found < most ? found : most;
}
