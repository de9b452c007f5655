/* Workflows: reading states and actions. What must hold between them is checked in flow.c. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const role_words[] = {
#define X(name, text) text,
  ROLE_TABLE(X)
#undef X
  NULL};
static const char *const action_kinds[] = {
#define X(name, text) text,
  ACTION_KIND_TABLE(X)
#undef X
  NULL};
const char *const result_words[] = {"open", "approved", "rejected", "withdrawn", "closed", NULL};

const char *role_text(enum role r) { return (size_t)r < BASE_COUNT(role_words) - 1 ? role_words[r] : ""; }
const char *result_text(enum result r) { return (size_t)r < BASE_COUNT(result_words) - 1 ? result_words[r] : ""; }

int role_parse(const char *text) {
  for (int i = 0; text && role_words[i]; i++)
    if (strcmp(role_words[i], text) == 0) return i;
  return -1;
}

const char *role_list(unsigned roles, char out[128]) {
  out[0] = 0;
  for (int i = 0; role_words[i]; i++)
    if (roles & (1u << i)) snprintf(out + strlen(out), 128 - strlen(out), "%s%s", out[0] ? ", " : "", role_words[i]);
  return out;
}

static enum action_kind kind_of(const char *name) {
  for (int i = 1; action_kinds[i]; i++)
    if (strcmp(action_kinds[i], name) == 0) return (enum action_kind)i;
  return ACT_OWN;
}

static unsigned roles_of(struct compiler *c, const struct yaml_node *map) {
  const struct yaml_node *n = want(c, map, "action", "roles");
  unsigned roles = 0;
  if (!is_list(c, n, "roles")) return 0;
  if (!n->count) fail(c, n->line, "'roles' is empty: nobody could do this");
  for (const struct yaml_node *i = n->first; i; i = i->next) {
    const char *text = scalar(c, i, "roles");
    int role = role_parse(text);
    struct nearest near = {.wanted = text ? text : ""};
    if (!text) continue;
    for (int k = 0; k <= ROLE_SYSTEM; k++) nearest_offer(&near, role_words[k]);
    if (role < 0) fail(c, i->line, "unknown role '%s'%s", text, did_you_mean(&near).text);
    else if (roles & (1u << role)) fail(c, i->line, "role '%s' stands twice", text);
    else roles |= 1u << role;
  }
  return roles;
}

static void reasons_of(struct compiler *c, const struct yaml_node *map, struct action *a) {
  const struct yaml_node *n = yaml_get(map, "reasons");
  if (!is_list(c, n, "reasons")) return;
  a->reasons = keep_alloc(c, n->count * sizeof *a->reasons);
  for (const struct yaml_node *i = n->first; i; i = i->next) {
    if (!keys(c, i, "reason", "code fa en")) continue;
    struct reason *r = &a->reasons[a->reason_count];
    r->code = name_of(c, i, "reason", "code", '-');
    for (size_t k = 0; k < a->reason_count; k++)
      if (strcmp(a->reasons[k].code, r->code) == 0) fail(c, i->line, "reason '%s' stands twice", r->code);
    r->text.fa = want(c, i, "reason", "fa") ? scalar_of(c, i, "fa", "") : "";
    r->text.en = want(c, i, "reason", "en") ? scalar_of(c, i, "en", "") : "";
    a->reason_count++;
  }
}

static void action_fields(struct compiler *c, const struct yaml_node *map, struct action *a) {
  const struct yaml_node *n = yaml_get(map, "fields");
  if (!is_list(c, n, "fields")) return;
  a->fields = keep_alloc(c, (n->count + 1) * sizeof *a->fields);
  for (const struct yaml_node *i = n->first; i; i = i->next) {
    struct scope scope = {a->fields, a->field_count, NULL, false};
    struct field *f = field_parse(c, i, &scope);
    if (!f) continue;
    for (size_t k = 0; k < a->field_count; k++)
      if (strcmp(a->fields[k]->name, f->name) == 0) fail(c, i->line, "field '%s' stands twice in action '%s'", f->name, a->name);
    a->fields[a->field_count++] = f;
  }
}

static bool must_explain(enum action_kind k) { return k == ACT_REJECT || k == ACT_SUSPEND || k == ACT_EXTEND || k == ACT_REQUEST_INFO; }

static void read_action(struct compiler *c, const struct yaml_node *n, struct action *a) {
  static const char *const needs[] = {"none", "required", NULL};
  a->to = -1;
  a->name = "";
  if (!keys(c, n, "action", "action title roles to reason reasons fields four_eyes when")) return;
  a->name = name_of(c, n, "action", "action", '_');
  if (strcmp(a->name, "own") == 0 || strcmp(a->name, "submit") == 0) fail(c, n->line, "action '%s' has a reserved name", a->name);
  a->kind = kind_of(a->name);
  a->title = text_of(c, n, "action", "title", 80, true);
  a->roles = roles_of(c, n);
  int reason = word_of(c, n, "reason", needs, -1);
  if (reason == 0 && must_explain(a->kind)) fail(c, yaml_get(n, "reason")->line, "'%s' always needs a reason: write reason: required", a->name);
  a->reason_required = reason == 1 || must_explain(a->kind);
  reasons_of(c, n, a);
  action_fields(c, n, a);
  a->four_eyes = bool_of(c, n, "four_eyes", false);
  const struct yaml_node *when = yaml_get(n, "when");
  struct scope all = {c->s->fields, c->s->field_count, NULL, false};
  if (when) a->when = cond_parse(c, when, &all);
}

static void read_actions(struct compiler *c, const struct yaml_node *map, struct state *s) {
  const struct yaml_node *n = yaml_get(map, "actions");
  if (!is_list(c, n, "actions")) return;
  s->actions = keep_alloc(c, n->count * sizeof *s->actions);
  for (const struct yaml_node *i = n->first; i; i = i->next) {
    struct action *a = &s->actions[s->action_count];
    read_action(c, i, a);
    for (size_t k = 0; k < s->action_count && a->name[0]; k++)
      if (strcmp(s->actions[k].name, a->name) == 0) fail(c, i->line, "action '%s' stands twice in state '%s'", a->name, s->name);
    s->action_count++;
  }
}

static void silence_of(struct compiler *c, const struct yaml_node *map, struct state *s) {
  const struct yaml_node *n = yaml_get(map, "silence");
  const char *text = n ? scalar(c, n, "silence") : NULL;
  s->silence_action = -1;
  if (!text) return;
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < s->action_count; i++) {
    if (strcmp(s->actions[i].name, text) == 0) s->silence_action = (int)i;
    nearest_offer(&near, s->actions[i].name);
  }
  if (s->silence_action < 0) fail(c, n->line, "silence: state '%s' has no action '%s'%s", s->name, text, did_you_mean(&near).text);
  else if (s->legal < 0) fail(c, n->line, "silence: state '%s' has no legal deadline after which '%s' would happen", s->name, text);
  else if (s->actions[s->silence_action].to < 0 && s->actions[s->silence_action].kind == ACT_OWN)
    fail(c, n->line, "silence: action '%s' leads nowhere: give it 'to'", text);
}

static void read_state(struct compiler *c, const struct yaml_node *n, struct state *s) {
  s->name = s->latn = "";
  s->norm = s->legal = s->escalate_role = s->silence_action = -1;
  if (!keys(c, n, "state", "state title plain latn norm legal citizen escalate silence actions final")) return;
  s->name = name_of(c, n, "state", "state", '_');
  s->title = text_of(c, n, "state", "title", 80, true);
  s->plain = text_of(c, n, "state", "plain", 400, true);
  s->latn = latn_of(c, n);
  s->norm = (int)int_of(c, n, "norm", -1, 0, 1000);
  s->legal = (int)int_of(c, n, "legal", -1, 0, 1000);
  s->citizen = bool_of(c, n, "citizen", false);
  s->escalate_role = word_of(c, n, "escalate", role_words, -1);
  s->result = (enum result)(word_of(c, n, "final", result_words + 1, -1) + 1);
  read_actions(c, n, s);
}

static int find_state(const struct service *s, const char *name) {
  for (size_t i = 0; i < s->state_count; i++)
    if (strcmp(s->states[i].name, name) == 0) return (int)i;
  return -1;
}

static int target(struct compiler *c, const struct yaml_node *n, const char *key) {
  const char *text = scalar(c, n, key);
  if (!text) return -1;
  int at = find_state(c->s, text);
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < c->s->state_count; i++) nearest_offer(&near, c->s->states[i].name);
  if (at < 0) fail(c, n->line, "'%s' leads to an unknown state '%s'%s", key, text, did_you_mean(&near).text);
  return at;
}

static void link_states(struct compiler *c, const struct yaml_node *states) {
  size_t i = 0;
  for (const struct yaml_node *n = states->first; n; n = n->next, i++) {
    const struct yaml_node *list = yaml_get(n, "actions"), *a = list && list->kind == YAML_NODE_LIST ? list->first : NULL;
    for (size_t k = 0; a && k < c->s->states[i].action_count; a = a->next, k++) {
      const struct yaml_node *to = yaml_get(a, "to");
      if (to) c->s->states[i].actions[k].to = target(c, to, "to");
    }
    if (n->kind == YAML_NODE_MAP) silence_of(c, n, &c->s->states[i]);
  }
}

static void read_workflow(struct compiler *c, const struct yaml_node *n) {
  if (!keys(c, n, "workflow", "start states")) return;
  const struct yaml_node *states = want(c, n, "workflow", "states"), *start = want(c, n, "workflow", "start");
  if (!is_list(c, states, "states")) return;
  if (!states->count) fail(c, states->line, "a workflow has at least one state");
  struct service *s = c->s;
  s->states = keep_alloc(c, states->count * sizeof *s->states);
  for (const struct yaml_node *i = states->first; i; i = i->next) {
    struct state *one = &s->states[s->state_count];
    read_state(c, i, one);
    if (one->name[0] && find_state(s, one->name) >= 0) fail(c, i->line, "state '%s' stands twice", one->name);
    s->state_count++;
  }
  unsigned before = c->errors;
  link_states(c, states);
  s->start = start ? target(c, start, "start") : -1;
  if (s->start >= 0 && c->errors == before) check_workflow(c, states);
}

static struct shared_workflow *shared(struct compiler *c, const struct yaml_node *n) {
  struct nearest near = {.wanted = n->text};
  for (size_t i = 0; i < c->workflow_count; i++) {
    if (strcmp(c->workflows[i].name, n->text) == 0) return &c->workflows[i];
    nearest_offer(&near, c->workflows[i].name);
  }
  fail(c, n->line, "unknown workflow '%s'%s", n->text, near.best ? did_you_mean(&near).text : ": it is the name of a file in workflows/, without .yaml");
  return NULL;
}

void compile_workflow(struct compiler *c, const struct yaml_node *service, json_t *definition) {
  const struct yaml_node *n = want(c, service, "service", "workflow");
  if (!n) return;
  if (n->kind != YAML_NODE_SCALAR) {
    read_workflow(c, n);
    return;
  }
  struct shared_workflow *w = shared(c, n);
  if (!w) return;
  w->used = true;
  if (!w->doc) return;
  const char *file = c->file;
  c->file = w->file;
  const struct yaml_node *root = yaml_root(w->doc), *inner = root;
  if (yaml_get(root, "workflow")) {
    keys(c, root, "file", "workflow");
    inner = yaml_get(root, "workflow");
  }
  read_workflow(c, inner);
  json_object_set_new(definition, "workflow", yaml_to_json(inner));
  c->file = file;
}
