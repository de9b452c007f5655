#include "cases/private.h"

#include <string.h>

static bool is_party(const char *person, const struct case_row *row) {
  return (row->applicant[0] && strcmp(row->applicant, person) == 0) || (row->beneficiary[0] && strcmp(row->beneficiary, person) == 0);
}

/* To whom a request would give a mandate. */
static bool is_attorney(const struct actor *who, const struct case_row *row) {
  return who->kind == ACTOR_CITIZEN && !who->acting_as[0] && who->assurance >= ASSURANCE_SIM_MATCHED && row->def && row->def->mandate.attorney &&
         row->beneficiary[0] && strcmp(row->beneficiary, who->person) == 0;
}

bool case_is_applicant(const struct actor *who, const struct case_row *row) {
  if (who->kind == ACTOR_STAFF) return strcmp(row->submitted_by, "staff") == 0 && base_same(who->username, row->submitter);
  if (who->kind != ACTOR_CITIZEN || case_is_inquiry(row)) return false;
  if (who->acting_as[0]) return is_party(who->acting_person, row) && case_covers(who, row->def, row->service, row->owner);
  if (row->pair[0] && strcmp(row->pair, who->pair) == 0) return true;
  return who->assurance >= ASSURANCE_SIM_MATCHED && !is_attorney(who, row) && is_party(who->person, row);
}

/* What the caller is towards this case, as bits of enum role. */
unsigned case_roles_of(const struct actor *who, const struct case_row *row) {
  unsigned bits = 0;
  if (case_is_applicant(who, row)) bits |= 1u << ROLE_APPLICANT;
  if (is_attorney(who, row)) bits |= 1u << ROLE_ATTORNEY;
  if (who->kind == ACTOR_SYSTEM) bits |= 1u << ROLE_SYSTEM;
  if (who->kind != ACTOR_STAFF) return bits;
  for (unsigned i = 0; i < who->role_count; i++) {
    const char *org = who->roles[i].organisation;
    int role = who->roles[i].role;
    bool handles = strcmp(org, row->holder) == 0 || strcmp(org, row->owner) == 0;
    if (role == ROLE_OPERATOR || role == ROLE_AUDITOR) bits |= 1u << role;
    else if (role == ROLE_AGENT) bits |= row->granted && strcmp(row->submitter, who->username) == 0 ? 1u << ROLE_AGENT : 0; /* by the citizen's code alone */
    else if (handles) bits |= 1u << role;
    if (strcmp(org, row->provider) == 0 && strcmp(row->provider, row->owner) != 0 && (role == ROLE_OFFICER || role == ROLE_SUPERVISOR))
      bits |= 1u << ROLE_PROVIDER;
  }
  return bits;
}

enum case_right case_right_of(const struct actor *who, const struct case_row *row) {
  unsigned bits = case_roles_of(who, row);
  unsigned office = 1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER | 1u << ROLE_PROVIDER;
  if (bits & office) return case_is_inquiry(row) ? CASE_INQUIRED : CASE_STAFF;
  if (bits & (1u << ROLE_APPLICANT | 1u << ROLE_ATTORNEY)) return CASE_CITIZEN;
  if (row->granted) return CASE_CONSENT;
  if (bits & 1u << ROLE_HELPDESK) return CASE_HELPDESK;
  if (bits & (1u << ROLE_AUDITOR)) return CASE_AUDITOR;
  if (row->filed_here) return CASE_COUNTER;
  return CASE_PUBLIC;
}

static bool decides(const struct action *act) { return act->kind == ACT_APPROVE || act->kind == ACT_REJECT; }

/* The names in `decider` stand in order, with a bar at each appeal: "a b|c"; "d=a" is d in the place of a, and counts as both. */
static bool names(const char *token, const char *username) {
  size_t n = strlen(username), whole = strcspn(token, " |"), first = strcspn(token, "= |");
  if (first == n && strncmp(token, username, n) == 0) return true;
  return first < whole && whole - first - 1 == n && strncmp(token + first + 1, username, n) == 0;
}

static bool decided_before_appeal(const struct case_row *row, const char *username) {
  const char *bar = strrchr(row->decider, '|');
  if (!bar) bar = row->decider + strlen(row->decider); /* appealed before bars were kept */
  for (const char *s = row->decider; s < bar; s += strcspn(s, " |") + 1)
    if (names(s, username)) return true;
  return false;
}

static bool decided_last(const struct case_row *row, const char *username) {
  const char *last = row->decider;
  for (const char *s = last; *s; s++)
    if ((*s == ' ' || *s == '|') && s[1]) last = s + 1;
  return last[0] && names(last, username);
}

/* Nobody decides a case of their own, nor an appeal against their own decision, nor what they decided before as the second pair of eyes. */
static bool barred(const char *username, const struct case_row *row, const struct action *act) {
  if (!(decides(act) || act->four_eyes)) return false;
  if (strcmp(username, row->submitter) == 0) return true;
  if (row->appealed && decided_before_appeal(row, username)) return true;
  return act->four_eyes && decided_last(row, username);
}

/* What an absent member of staff may do as such: not as who filed a case. */
static bool may_as(const struct actor *absent, const struct case_row *row, const struct action *act) {
  unsigned bits = case_roles_of(absent, row) & ~(1u << ROLE_APPLICANT | 1u << ROLE_AGENT);
  return (act->roles & bits) && !barred(absent->username, row, act);
}

const struct actor *case_in_place_of(const struct actor *who, const struct case_row *row, const struct action *act) {
  const struct standing *s = row->standing;
  bool own = act->roles & case_roles_of(who, row), hands_on = act->kind == ACT_ASSIGN || act->kind == ACT_REFER || act->kind == ACT_TRANSFER;
  for (unsigned i = 0; s && i < s->count; i++) {
    /* With a role of one's own, only the work on a case that is theirs is done in their place. */
    if (own && (hands_on || strcmp(row->assignee, s->absent[i].username) != 0)) continue;
    if (may_as(&s->absent[i], row, act)) return &s->absent[i];
  }
  return NULL;
}

bool case_may(const struct actor *who, const struct case_row *row, const struct action *act, const json_t *data, enum err_code *why) {
  *why = ERR_FORBIDDEN;
  if (!(act->roles & case_roles_of(who, row)) && !case_in_place_of(who, row, act)) return false;
  if (act->when && !cond_holds(act->when, data)) {
    *why = ERR_CONFLICT;
    return false;
  }
  if (who->kind != ACTOR_STAFF) return true;
  /* Nor is a deputy ever the second pair of eyes on what they prepared for somebody else. */
  if (act->four_eyes && row->standing && row->standing->stood_in) return false;
  return !barred(who->username, row, act);
}

const char *case_acting_role(const struct actor *who, const struct case_row *row, const struct action *act) {
  if (who->kind == ACTOR_SYSTEM) return role_text(ROLE_SYSTEM);
  const struct actor *absent = case_in_place_of(who, row, act);
  unsigned bits = case_roles_of(who, row) & act->roles;
  if (!bits && absent) bits = case_roles_of(absent, row) & act->roles;
  for (unsigned r = 0; r < 16; r++)
    if (bits & 1u << r) return role_text((enum role)r);
  return "none";
}
