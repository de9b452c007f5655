/* The survey: ten questions of the pack that every rated service asks after its decision. */
#include "catalog/compile.h"

#include <stdlib.h>
#include <string.h>

#define SURVEY_MOST 20

void compile_survey(struct compiler *c, const struct yaml_node *root) {
  static const char *const scales[] = {"five", "yes_no", NULL};
  const struct yaml_node *n = yaml_get(root, "survey"), *items;
  struct survey *s = &c->p->survey;
  if (!n || !keys(c, n, "survey", "version items")) return;
  want(c, n, "survey", "version");
  s->version = (int)int_of(c, n, "version", 1, 1, 9999);
  items = want(c, n, "survey", "items");
  if (!is_list(c, items, "items")) return;
  if (!items->count || items->count > SURVEY_MOST) fail(c, items->line, "a survey has 1 to %d items", SURVEY_MOST);
  s->items = keep_alloc(c, (items->count + 1) * sizeof *s->items);
  for (const struct yaml_node *i = items->first; i; i = i->next) {
    struct survey_item *one = &s->items[s->count];
    if (!keys(c, i, "item", "item scale title")) continue;
    one->name = name_of(c, i, "item", "item", '_');
    one->yes_no = word_of(c, i, "scale", scales, 0) == 1;
    one->title = text_of(c, i, "item", "title", 160, true);
    if (strcmp(one->name, "score") == 0) fail(c, i->line, "'score' is the whole rating: give the item another name");
    for (size_t k = 0; k < s->count; k++)
      if (strcmp(s->items[k].name, one->name) == 0) fail(c, i->line, "item '%s' stands twice", one->name);
    s->count++;
  }
}

const struct survey *pack_survey(const struct pack *p) { return &p->survey; }

const struct survey_item *survey_item(const struct survey *s, const char *name) {
  for (size_t i = 0; name && i < s->count; i++)
    if (strcmp(s->items[i].name, name) == 0) return &s->items[i];
  return NULL;
}

int survey_value(const struct survey_item *item, const json_t *answer) {
  if (item->yes_no) return json_is_boolean(answer) ? json_is_true(answer) : -1;
  json_int_t n = json_is_integer(answer) ? json_integer_value(answer) : 0;
  return n >= 1 && n <= 5 ? (int)n : -1;
}
