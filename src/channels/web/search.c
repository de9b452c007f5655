/* Search over titles and descriptions that forgives spelling: folded text first, then the nearest known words. */
#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SERVICES 1000
#define MOST_TERMS 8

struct entry { const char *code; char *title, *all; };
static struct entry entries[MOST_SERVICES]; /* filled once, before the server starts */
static size_t entry_count;
static struct arena *vocabulary_arena;
static const char **vocabulary;
static size_t vocabulary_count;

static void add_words(const char *folded) {
  const char *terms[64];
  size_t n = text_terms(vocabulary_arena, folded, terms, BASE_COUNT(terms));
  vocabulary = base_realloc(vocabulary, (vocabulary_count + n + 1) * sizeof *vocabulary);
  for (size_t i = 0; i < n; i++)
    if (utf8_length(terms[i]) > 2) vocabulary[vocabulary_count++] = terms[i];
}

static void join(struct buf *b, const struct text *t) { buf_addf(b, " %s %s", t->fa ? t->fa : "", t->en ? t->en : ""); }

void search_build(struct web_context *c) {
  const struct pack *p = cases_pack(c->cases);
  struct arena *scratch = arena_new(8 * 1024 * 1024);
  for (size_t i = 0; i < entry_count; i++) {
    free(entries[i].title);
    free(entries[i].all);
  }
  arena_free(vocabulary_arena);
  vocabulary_arena = arena_new(4 * 1024 * 1024);
  vocabulary_count = entry_count = 0;
  for (size_t i = 0; i < pack_services(p) && entry_count < MOST_SERVICES; i++) {
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
    entries[entry_count++] = (struct entry){s->code, base_printf(" %s", title ? title : ""), base_printf(" %s", all ? all : "")};
    add_words(entries[entry_count - 1].all);
    buf_free(&b);
    arena_reset(scratch);
  }
  arena_free(scratch);
}

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

static size_t run(const struct pack *p, const char **terms, size_t n, bool all, struct hit *hits) {
  size_t found = 0;
  for (size_t i = 0; i < entry_count; i++) {
    int score = 0;
    size_t held = 0;
    for (size_t k = 0; k < n; k++) {
      int one = score_term(&entries[i], terms[k]);
      held += one > 0;
      score += one;
    }
    const struct service *s = (all ? held == n : held > 0) ? pack_find_shown(p, entries[i].code) : NULL;
    if (s) hits[found++] = (struct hit){s, score};
  }
  return found;
}

/* Replace unknown terms by the nearest known words; true when anything changed. */
static bool correct(const char **terms, size_t n) {
  bool changed = false;
  for (size_t i = 0; i < n; i++) {
    struct nearest near = {.wanted = terms[i]};
    bool known = false;
    for (size_t k = 0; k < vocabulary_count && !known; k++) known = base_starts(vocabulary[k], terms[i]);
    if (known || utf8_length(terms[i]) < 3) continue;
    for (size_t k = 0; k < vocabulary_count; k++) nearest_offer(&near, vocabulary[k]);
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
  found = run(web_pack(r), terms, n, true, hits);
  if (!found && correct(terms, n)) {
    found = run(web_pack(r), terms, n, true, hits);
    const char *text = terms[0];
    for (size_t i = 1; i < n && text; i++) text = arena_printf(a, "%s %s", text, terms[i]);
    *corrected = text;
  }
  if (!found && n > 1) found = run(web_pack(r), terms, n, false, hits);
  if (!found) *corrected = NULL;
  qsort(hits, found, sizeof *hits, by_score);
  for (size_t i = 0; i < found && i < most; i++) out[i] = hits[i].s;
  return found < most ? found : most;
}
