/* Examples of complete answers are validated when compiled; and the judge, by which tests compare engine and schema. */
#include "catalog/compile.h"

#include <stdlib.h>
#include <string.h>

/* Dates in examples may be written today±n, so that they do not grow old. */
static void fresh_dates(struct compiler *c, const struct yaml_node *n, json_t *example) {
  for (size_t i = 0; i < c->s->field_count; i++) {
    const struct field *f = c->s->fields[i];
    const char *text = f->type == FIELD_DATE ? json_str(example, f->name) : NULL;
    const struct yaml_node *at = yaml_get(n, f->name);
    int days;
    char iso[16];
    if (!text || !at) continue;
    if (parse_today(text, &days)) {
      date_iso(c->today + days, iso);
      json_put(example, f->name, iso);
    } else if (f->min_today) {
      fail(c, at->line, "field '%s' must not be before a day counted from today: write today+N in the example, or it is wrong tomorrow", f->name);
    }
  }
}

static void check_example(struct compiler *c, const struct yaml_node *n, struct arena *a) {
  json_t *example = yaml_to_json(n), *out = NULL, *errors = NULL, *e;
  size_t i;
  fresh_dates(c, n, example);
  if (service_validate(c->p, c->s, example, c->today, LANG_EN, a, &out, &errors) == 0) {
    json_array_append_new(c->s->examples, out);
  } else {
    json_array_foreach(errors, i, e) {
      const struct yaml_node *at = yaml_get(n, json_str(e, "field"));
      fail(c, at ? at->line : n->line, "example: field '%s': %s (%s)", json_str(e, "field"), json_str(e, "message"), json_str(e, "code"));
    }
    json_decref(errors);
  }
  json_decref(example);
}

void compile_examples(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = want(c, root, "service", "examples");
  c->s->examples = keep_json(c, json_array());
  if (!is_list(c, list, "examples")) return;
  if (!list->count) fail(c, list->line, "examples is empty: give one complete valid answer");
  struct arena *a = arena_new(1 << 20);
  for (const struct yaml_node *i = list->first; i; i = i->next) check_example(c, i, a);
  arena_free(a);
}

/* ---- the judge ---------------------------------------------------------------------------------------------- */

static json_t *all_schemas(const struct pack *p) {
  json_t *all = json_object();
  for (size_t i = 0; i < p->service_count; i++)
    if (pack_find(p, p->services[i]->code) == p->services[i]) json_object_set(all, p->services[i]->code, p->services[i]->form_schema);
  return all;
}

static json_t *judge_line(const struct pack *p, const char *line, size_t n, struct arena *a, int32_t today) {
  struct err err = {0};
  json_t *in = json_read(line, n, 0, &err), *out = NULL, *errors = NULL, *answer = json_object();
  const struct service *s = in ? pack_find(p, json_str(in, "service")) : NULL;
  if (!in) json_put(answer, "error", err.message);
  else if (json_flag(in, "schemas", false)) json_object_set_new(answer, "schemas", all_schemas(p));
  else if (!s) json_put(answer, "error", "unknown service");
  else if (service_validate(p, s, json_object_get(in, "data"), today, LANG_EN, a, &out, &errors) == 0) {
    json_object_set_new(answer, "valid", json_true());
    json_object_set_new(answer, "data", out);
  } else {
    json_object_set_new(answer, "valid", json_false());
    json_object_set_new(answer, "errors", errors);
  }
  json_decref(in);
  return answer;
}

int catalog_judge(const struct pack *p, FILE *in, FILE *out) {
  struct arena *a = arena_new(8 << 20);
  int32_t today = day_of(clock_now());
  char *line = NULL;
  size_t room = 0;
  for (ssize_t n; (n = getline(&line, &room, in)) > 0;) {
    arena_reset(a);
    json_t *answer = judge_line(p, line, (size_t)n, a, today);
    if (json_dumpf(answer, out, JSON_COMPACT) < 0 || fputc('\n', out) < 0) n = -1;
    json_decref(answer);
    if (n < 0) break;
    fflush(out);
  }
  bool failed = ferror(in) || ferror(out);
  free(line);
  arena_free(a);
  return failed ? -1 : 0;
}
