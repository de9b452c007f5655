/* New links are accepted by their first measurements, or held with the reason; requests for a connection tell the network what was asked for. */
#include "app/app.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "network-connection"
enum { EVERY_MS = 30000, EVERY_DEMO_MS = 3000 };

static double per_cent(double share) { return floor(share * 1e5 + 1e-6) / 1e3; } /* what is not whole is not rounded to whole */

/* What the event says of the measurements: fields of the pack's actions accept_measured and hold. */
static json_t *figures(const char *code, const struct network_acceptance *a) {
  json_t *data = json_object();
  char text[32];
  const struct { const char *name; double value; } reals[] = {{"hours", round((double)(a->until - a->from) / 36000) / 100}, {"availability", per_cent(a->availability)}, {"goal", per_cent(a->goal)},
    {"loss", per_cent(a->loss)}, {"rtt", round(a->rtt_ms * 100) / 100}};
  json_put(data, "measured_as", code);
  clock_rfc3339(a->from, text);
  json_put(data, "measured_from", text);
  for (size_t i = 0; i < BASE_COUNT(reals); i++)
    if (!isnan(reals[i].value)) json_object_set_new(data, reals[i].name, json_real(reals[i].value));
  json_object_set_new(data, "probes", json_integer(a->sums.probes));
  return data;
}

static void move_on(struct platform *p, const json_t *one, const char *action, const char *reason, const char *code, const struct network_acceptance *a) {
  struct case_act act = {.action = action, .reason = reason, .data = figures(code, a), .expected_version = json_int(one, "version", -1), .actor = {.kind = ACTOR_SYSTEM}, .lang = LANG_FA};
  struct err err;
  snprintf(act.tracking, sizeof act.tracking, "%s", json_str(one, "tracking"));
  if (cases_act(p->cases, &act, NULL, NULL, &err) && err.code != ERR_CONFLICT) { /* somebody was quicker: the next round looks again */
    char *why = act.errors ? json_canonical(act.errors) : NULL;
    log_write(LOG_WARN, "network", "%s of %s: %s %s", action, act.tracking, err.message, why ? why : "");
    free(why);
  }
  json_decref(act.errors);
  json_decref(act.data);
}

static int consider(struct platform *p, const json_t *one, bool held, struct err *err) {
  const char *said = json_str(json_object_get(one, "said"), "measured_as");
  struct arena *a = arena_new(4096);
  char *code = digits_ascii(a, said ? said : "");
  struct network_acceptance found;
  int rc = network_accept(p->network, code ? code : "", json_int(one, "said_at", 0), &found, err);
  if (rc == 0 && found.verdict == ACCEPT_GOOD) move_on(p, one, "accept_measured", NULL, code, &found);
  else if (rc == 0 && !held && found.verdict != ACCEPT_EARLY) move_on(p, one, "hold", network_verdict_text(found.verdict), code, &found);
  arena_free(a);
  return rc;
}

/* What was asked for, so that the backlog tells since when. */
static int tell_asked(struct platform *p, const char *owner, struct err *err) {
  const struct directory *d = pack_directory(p->network_pack);
  json_t *open = NULL, *one;
  size_t i;
  if (cases_at_state(p->cases, owner, SERVICE, NULL, NULL, &open, err)) return -1;
  struct network_asked *list = base_alloc((json_array_size(open) + 1) * sizeof *list);
  json_array_foreach(open, i, one) {
    const json_t *data = json_object_get(one, "data");
    const char *village = json_str(data, "village"), *office = json_str(data, "office_code");
    list[i] = (struct network_asked){.at = json_int(one, "submitted_at", 0), .place = village ? directory_find_place(d, village) : -1};
    snprintf(list[i].office, sizeof list[i].office, "%s", office ? office : "");
  }
  network_asked(p->network, list, json_array_size(open));
  free(list);
  json_decref(open);
  return 0;
}

int app_acceptances(struct platform *p, struct err *err) {
  static const char *const states[] = {"accepting", "held"};
  static int64_t last;
  int64_t now = clock_mono(), epoch;
  const struct service *s = pack_find(p->network_pack, SERVICE);
  const struct organisation *owner = s ? directory_organisation(pack_directory(p->network_pack), s->organisation) : NULL;
  if (!owner || (last && now - last < (p->set.demo ? EVERY_DEMO_MS : EVERY_MS))) return 0;
  last = now ? now : 1;
  if (tell_asked(p, owner->code, err)) return -1;
  int held = store_lease(p->main, "network-acceptance", p->node, 60000, &epoch, err), rc = held < 0 ? -1 : 0;
  for (size_t k = 0; held > 0 && k < BASE_COUNT(states) && rc == 0; k++) {
    json_t *list = NULL, *one;
    size_t i;
    if (cases_at_state(p->cases, owner->code, SERVICE, states[k], "hand_over", &list, err)) return -1;
    json_array_foreach(list, i, one)
      if (rc == 0) rc = consider(p, one, k == 1, err);
    json_decref(list);
  }
  return rc;
}
