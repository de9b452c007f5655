/* What must hold in a workflow: every state is reached and left, every deadline has somebody to keep it. */
#include "catalog/compile.h"

#include <stdlib.h>
#include <string.h>

#define STAFF_ROLES ((1u << ROLE_OFFICER) | (1u << ROLE_SUPERVISOR) | (1u << ROLE_MANAGER) | (1u << ROLE_PROVIDER) | (1u << ROLE_OPERATOR))
#define CITIZEN_ROLES ((1u << ROLE_APPLICANT) | (1u << ROLE_AGENT) | (1u << ROLE_ATTORNEY))

/* resume and provide_info without a target go back to where the case came from. */
static bool goes_back(const struct action *a) { return a->to < 0 && (a->kind == ACT_RESUME || a->kind == ACT_PROVIDE_INFO); }

static bool leads(const struct service *s, size_t from, size_t to) {
  for (size_t i = 0; i < s->states[from].action_count; i++) {
    const struct action *a = &s->states[from].actions[i];
    if (a->to == (int)to) return true;
    if (!goes_back(a)) continue;
    for (size_t k = 0; k < s->states[to].action_count; k++)
      if (s->states[to].actions[k].to == (int)from) return true;
  }
  return false;
}

static void check_reached(struct compiler *c, const struct yaml_node *states) {
  const struct service *s = c->s;
  bool *seen = base_alloc(s->state_count * sizeof *seen), more = true;
  seen[s->start] = true;
  while (more) {
    more = false;
    for (size_t from = 0; from < s->state_count; from++)
      for (size_t to = 0; seen[from] && to < s->state_count; to++)
        if (!seen[to] && leads(s, from, to)) more = seen[to] = true;
  }
  size_t i = 0;
  for (const struct yaml_node *n = states->first; n; n = n->next, i++)
    if (!seen[i]) fail(c, n->line, "state '%s' is never reached: no action leads to it from '%s'", s->states[i].name, s->states[s->start].name);
  free(seen);
}

static void check_left(struct compiler *c, const struct yaml_node *states) {
  const struct service *s = c->s;
  bool *ends = base_alloc(s->state_count * sizeof *ends), more = true;
  for (size_t i = 0; i < s->state_count; i++) ends[i] = s->states[i].result != RESULT_OPEN;
  while (more) {
    more = false;
    for (size_t from = 0; from < s->state_count; from++)
      for (size_t to = 0; !ends[from] && to < s->state_count; to++)
        if (ends[to] && leads(s, from, to)) more = ends[from] = true;
  }
  size_t i = 0;
  for (const struct yaml_node *n = states->first; n; n = n->next, i++)
    if (!ends[i]) fail(c, n->line, "state '%s' has no exit: no action leads from it to a final state", s->states[i].name);
  free(ends);
}

static unsigned roles_in(const struct state *st) {
  unsigned roles = 0;
  for (size_t i = 0; i < st->action_count; i++) roles |= st->actions[i].roles;
  return roles;
}

static void check_clock(struct compiler *c, const struct yaml_node *n, const struct state *st) {
  const struct yaml_node *legal = yaml_get(n, "legal"), *norm = yaml_get(n, "norm"), *any = legal ? legal : norm;
  unsigned roles = roles_in(st);
  char have[128];
  if (st->norm >= 0 && st->legal >= 0 && st->legal < st->norm)
    fail(c, legal->line, "state '%s': the legal deadline (%d) is shorter than the norm (%d)", st->name, st->legal, st->norm);
  if (st->result != RESULT_OPEN) {
    if (any) fail(c, any->line, "state '%s' is final: it has no '%s'", st->name, any->key);
    if (st->citizen) fail(c, n->line, "state '%s' is final: it cannot wait for the citizen", st->name);
    return;
  }
  if (st->citizen && !(roles & CITIZEN_ROLES))
    fail(c, n->line, "state '%s' waits for the citizen, but has no action for the applicant", st->name);
  if (any && !st->citizen && st->silence_action < 0 && !(roles & STAFF_ROLES))
    fail(c, any->line, "state '%s' has a deadline, but nobody of the staff can act (roles: %s)", st->name, roles ? role_list(roles, have) : "none");
  const struct yaml_node *escalate = yaml_get(n, "escalate");
  if (!escalate || st->escalate_role < 0) return;
  if (st->legal < 0) fail(c, escalate->line, "state '%s' escalates without a legal deadline: add 'legal'", st->name);
  if (!((1u << st->escalate_role) & STAFF_ROLES)) fail(c, escalate->line, "'escalate' names '%s': it is officer, supervisor, manager, operator or provider", role_words[st->escalate_role]);
}

static bool has_action(const struct state *st, enum action_kind kind) {
  for (size_t i = 0; i < st->action_count; i++)
    if (st->actions[i].kind == kind) return true;
  return false;
}

static void check_target(struct compiler *c, const struct yaml_node *n, const struct action *a) {
  const struct state *to = &c->s->states[a->to];
  if (a->kind == ACT_APPROVE && to->result == RESULT_REJECTED) fail(c, n->line, "'approve' leads to '%s', whose result is rejected", to->name);
  if (a->kind == ACT_REJECT && to->result == RESULT_APPROVED) fail(c, n->line, "'reject' leads to '%s', whose result is approved", to->name);
  if (a->kind == ACT_WITHDRAW && to->result != RESULT_WITHDRAWN) fail(c, n->line, "'withdraw' leads to '%s', whose result is not withdrawn", to->name);
  if (a->kind == ACT_REQUEST_INFO && !to->citizen) fail(c, n->line, "'request_info' leads to '%s', which does not wait for the citizen: write citizen: true there", to->name);
  if (a->kind == ACT_REQUEST_INFO && !has_action(to, ACT_PROVIDE_INFO)) fail(c, n->line, "'request_info' leads to '%s', which has no action provide_info", to->name);
  if (a->kind == ACT_SUSPEND && !has_action(to, ACT_RESUME)) fail(c, n->line, "'suspend' leads to '%s', which has no action resume", to->name);
  if ((a->kind == ACT_APPEAL || a->kind == ACT_REOPEN) && to->result != RESULT_OPEN) fail(c, n->line, "'%s' leads to '%s', which is final", a->name, to->name);
}

static void check_action(struct compiler *c, const struct yaml_node *n, const struct state *st, const struct action *a) {
  bool moves = a->kind == ACT_APPROVE || a->kind == ACT_REJECT || a->kind == ACT_WITHDRAW || a->kind == ACT_APPEAL || a->kind == ACT_REOPEN ||
               a->kind == ACT_SUSPEND || a->kind == ACT_REQUEST_INFO;
  if (moves && a->to < 0) fail(c, n->line, "'%s' in state '%s' leads nowhere: give it 'to'", a->name, st->name);
  if (a->to >= 0) check_target(c, n, a);
  if (a->kind == ACT_SUSPEND && !c->s->suspension_days) fail(c, n->line, "'suspend' is an action, but the service allows no suspension: add suspension: {days: N}");
  if (a->kind == ACT_EXTEND && !c->s->extension_times) fail(c, n->line, "'extend' is an action, but the service allows no extension: add extension: {days: N, times: N}");
  if (a->kind == ACT_APPEAL && !c->s->appeal_days) fail(c, n->line, "'appeal' is an action, but the service allows no appeal: add appeal: {days: N, legal: N, role: manager}");
  if (a->kind == ACT_APPEAL && !(a->roles & CITIZEN_ROLES)) fail(c, n->line, "'appeal' is the applicant's: give it the role applicant");
  if (st->result != RESULT_OPEN && a->kind != ACT_OWN && a->kind != ACT_APPEAL && a->kind != ACT_REOPEN)
    fail(c, n->line, "state '%s' is final: only appeal, reopen and the workflow's own actions stand there, not '%s'", st->name, a->name);
}

void check_workflow(struct compiler *c, const struct yaml_node *states) {
  struct service *s = c->s;
  bool appeals = false;
  size_t i = 0;
  if (s->states[s->start].result != RESULT_OPEN) fail(c, states->line, "the workflow starts in '%s', which is final", s->states[s->start].name);
  for (const struct yaml_node *n = states->first; n; n = n->next, i++) {
    const struct state *st = &s->states[i];
    const struct yaml_node *list = yaml_get(n, "actions"), *a = list ? list->first : NULL;
    check_clock(c, n, st);
    for (size_t k = 0; a && k < st->action_count; a = a->next, k++) {
      check_action(c, a, st, &st->actions[k]);
      appeals |= st->actions[k].kind == ACT_APPEAL;
    }
  }
  check_reached(c, states);
  check_left(c, states);
  if (s->appeal_days && !appeals) fail(c, states->line, "the service promises an appeal, but no state has the action appeal");
}
