/* What the directive for electronic service desks asks to be told about a service. */
#include "catalog/compile.h"

#include <string.h>

static const char *const texts[] = {
#define X(name, text, where) text,
  STANDARD_TABLE(X)
#undef X
};
static const char *const places[] = {
#define X(name, text, where) where,
  STANDARD_TABLE(X)
#undef X
};

const char *standard_text(enum standard c) { return (size_t)c < STANDARD_COUNT ? texts[c] : ""; }
const char *standard_where(enum standard c) { return (size_t)c < STANDARD_COUNT ? places[c] : ""; }

/* Every state that is reached says in plain words what happens in it. */
static bool steps_told(const struct service *s) {
  for (size_t i = 0; i < s->state_count; i++)
    if (!s->states[i].plain.fa[0] || !s->states[i].plain.en[0]) return false;
  return s->state_count > 0;
}

static bool stages_told(const struct service *s) {
  for (size_t i = 0; i < BASE_COUNT(s->stage_counts); i++)
    if (!s->stage_counts[i]) return false;
  return true;
}

bool service_meets(const struct pack *p, const struct service *s, enum standard c) {
  switch (c) {
  case STANDARD_DOCUMENTS: return s->documents.count > 0;
  case STANDARD_STEPS: return steps_told(s);
  case STANDARD_DURATION: return s->norm > 0 && s->legal > 0;
  case STANDARD_COST: return s->cost_text.fa[0] != 0 || s->fee_count > 0;
  case STANDARD_LAW: return s->laws.count > 0;
  case STANDARD_CHANNELS: return stages_told(s);
  case STANDARD_STATEMENT: return s->statement.fa[0] != 0;
  case STANDARD_FAQ: return s->faq_count > 0;
  case STANDARD_SURVEY: return s->rating && pack_survey(p) != NULL;
  case STANDARD_COMPLAINT: return s->appeal_days > 0;
  case STANDARD_CONTACT: {
    const struct organisation *o = directory_organisation(p->directory, s->organisation >= 0 ? s->organisation : s->secretary);
    return o && o->phone[0] != 0;
  }
  case STANDARD_COUNT: break;
  }
  return false;
}
