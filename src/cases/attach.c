/* Documents that go with an action, and the one action that every open case has: adding documents. */
#include "cases/private.h"

#include <string.h>

static struct field attached = {.name = CASES_ATTACHED, .type = FIELD_DOCUMENT, .hint = {"", ""}, .latn = "", .has_max = true, .max = CASES_ATTACHED_MOST,
                                .place_kind = -1, .organisation_kind = -1, .accept = "pdf,jpeg,png"};
static struct field needed, answered; /* answered: with the answer to an inquiry */
static struct action add = {.name = "add_documents", .kind = ACT_OWN, .to = -1,
                            .roles = 1u << ROLE_APPLICANT | 1u << ROLE_AGENT | 1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER | 1u << ROLE_PROVIDER};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void) {
  attached.label = (struct text){word(LANG_FA, "case.attached"), word(LANG_EN, "case.attached")};
  attached.hint = (struct text){word(LANG_FA, "case.attached_hint"), word(LANG_EN, "case.attached_hint")};
  answered = attached;
  answered.hint = (struct text){word(LANG_FA, "case.answered_hint"), word(LANG_EN, "case.answered_hint")};
  needed = attached;
  needed.required = true;
  needed.hint = (struct text){"", ""};
  add.title = (struct text){word(LANG_FA, "case.event.add_documents"), word(LANG_EN, "case.event.add_documents")};
}

const struct action *cases_action(const struct service *s, int state, const char *name) {
  pthread_once(&once, make);
  const struct action *own = service_action(s, state, name);
  return own || strcmp(name, add.name) != 0 ? own : &add;
}

const struct field *cases_attached(const struct action *act) {
  pthread_once(&once, make);
  if (!act) return &answered;
  for (size_t i = 0; i < act->field_count; i++)
    if (strcmp(act->fields[i]->name, CASES_ATTACHED) == 0) return NULL;
  return act == &add ? &needed : &attached;
}

bool case_adds(const struct action *act) { return act == &add; }

int64_t case_new_documents(const json_t *events) {
  int64_t n = 0;
  for (size_t i = json_array_size(events); i-- > 0;) {
    const json_t *e = json_array_get(events, i), *p = json_object_get(e, "payload"), *v;
    const char *by = json_str(e, "organisation"), *role = json_str(e, "role"), *name;
    if (by && by[0] && !base_same(role, "system")) break;
    if (base_same(json_str(e, "action"), "submit")) break;
    n += (int64_t)json_array_size(json_object_get(p, CASES_ATTACHED));
    if (!base_same(json_str(e, "action"), "provide_info")) continue;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(p, "data"), name, v) n += json_is_array(v) ? (int64_t)json_array_size(v) : 0;
  }
  return n;
}
