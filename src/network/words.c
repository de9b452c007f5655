/* Machine names of the closed sets. */
#include "network/inner.h"

#include <string.h>

static const char *const states[] = {
#define X(name, text) text,
  NETWORK_STATE_TABLE(X)
};
#undef X
static const char *const kinds[] = {
#define X(name, text) text,
  NETWORK_INCIDENT_TABLE(X)
};
#undef X
static const char *const groups[] = {
#define X(name, text) text,
  NETWORK_GROUP_TABLE(X)
};
#undef X
static const char *const levels[] = {"core", "hub", "district", "office", "dehyari"};

static int find(const char *const *table, size_t count, const char *text) {
  for (size_t i = 0; text && i < count; i++)
    if (strcmp(table[i], text) == 0) return (int)i;
  return -1;
}

const char *network_state_text(enum network_state s) { return (size_t)s < BASE_COUNT(states) ? states[s] : "unknown"; }
int network_state_parse(const char *text) { return find(states, BASE_COUNT(states), text); }
const char *network_level_text(enum office_level l) { return (size_t)l < BASE_COUNT(levels) ? levels[l] : ""; }
int network_level_parse(const char *text) { return find(levels, BASE_COUNT(levels), text); }
int network_group_parse(const char *text) { return find(groups, BASE_COUNT(groups), text); }
const char *network_kind_text(enum network_incident_kind k) { return (size_t)k < BASE_COUNT(kinds) ? kinds[k] : ""; }
int network_kind_parse(const char *text) { return find(kinds, BASE_COUNT(kinds), text); }
