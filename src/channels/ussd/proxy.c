/* Mandates by telephone: who may act for whom, by a code to the telephone that is on record for the caller; and acting under one. Nothing of it
 * outlives the session, and a mandate is judged anew at every turn. */
#include "channels/ussd/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_MS = 5 * 60 * 1000, PROVED_MS = 15 * 60 * 1000, CODE_TRIES = 5, CODES = 3, CODES_SECONDS = 600, MOST = 40 };

static enum lang lang_of(const struct turn *t) { return t->tongue == TONGUE_FA ? LANG_FA : LANG_EN; }

static void citizen(const struct turn *t, const char *id, struct actor *who) {
  *who = (struct actor){.kind = ACTOR_CITIZEN, .assurance = identity_pair_assurance(t->c->identity, id, t->mobile)};
  snprintf(who->national_id, sizeof who->national_id, "%s", id);
  snprintf(who->mobile, sizeof who->mobile, "%s", t->mobile);
  identity_person_key(t->c->identity, id, who->person);
  identity_pair_key(t->c->identity, id, t->mobile, who->pair);
}

/* ---- who calls ---- */

bool proxy_known(const struct turn *t, struct actor *who) {
  const json_t *known = json_object_get(t->state, "known");
  const char *id = json_str(known, "id");
  if (!id || !base_same(json_str(known, "session"), t->session) || json_int(known, "until", 0) < clock_now()) return false;
  citizen(t, id, who);
  return who->assurance >= ASSURANCE_SIM_MATCHED;
}

void proxy_ask(struct turn *t, const char *then) {
  struct actor who;
  json_put(t->state, "known_then", then);
  menu_go(t, proxy_known(t, &who) ? then : "own_id");
}

static void send_code(struct turn *t, const char *id) {
  char challenge[40], code[8], digest[65], mac[65];
  struct err err;
  if (!identity_limit(t->c->identity, "ussd-code", t->mobile, CODES, CODES_SECONDS)) return menu_finish(t, menu_word(t, "codes_many"));
  identity_code_make(t->c->identity, challenge, code, digest, mac);
  const char *key = t->tongue == TONGUE_LATN ? "ussd.latn.code_sms" : "ussd.code_sms";
  const char *text = word_fill(t->a, lang_of(t), key, "code", code, NULL);
  if (!text || identity_tell(t->c->identity, t->mobile, text, &err)) return menu_finish(t, menu_word(t, "later"));
  json_object_set_new(t->state, "known", json_pack("{s:s,s:s,s:s,s:I,s:i}", "asked", id, "challenge", challenge, "mac", mac, "before", (json_int_t)(clock_now() + CODE_MS), "tries", 0));
  menu_go(t, "own_code");
}

static void take_id(struct turn *t, const char *input) {
  char id[32];
  struct actor who;
  if (identifier_parse(IDENT_NATIONAL_ID, input, id)) {
    t->fault = menu_word(t, "wrong");
    return menu_show(t);
  }
  if (!identity_limit(t->c->identity, "ussd-id", t->mobile, 6, 3600)) return menu_finish(t, menu_word(t, "codes_many"));
  citizen(t, id, &who);
  if (who.assurance < ASSURANCE_SIM_MATCHED) return menu_finish(t, menu_word(t, "not_yours"));
  send_code(t, id);
}

static void take_code(struct turn *t, const char *d) {
  json_t *known = json_object_get(t->state, "known");
  const char *id = json_str(known, "asked"), *challenge = json_str(known, "challenge"), *kept = json_str(known, "mac"), *then = json_str(t->state, "known_then");
  char digest[65], mac[65];
  int64_t tries = json_int(known, "tries", 0) + 1;
  if (!id || !challenge || !kept || json_int(known, "before", 0) < clock_now() || tries > CODE_TRIES) return menu_finish(t, menu_word(t, "code_gone"));
  json_object_set_new(known, "tries", json_integer(tries));
  bool right = identity_code_read(t->c->identity, challenge, d, digest, mac) && strlen(kept) == 64 && trust_same(kept, mac, 64);
  if (!right && tries == CODE_TRIES) return menu_finish(t, menu_word(t, "code_gone"));
  if (!right) {
    t->fault = menu_word(t, "wrong");
    return menu_show(t);
  }
  json_object_set_new(t->state, "known", json_pack("{s:s,s:s,s:I}", "id", id, "session", t->session, "until", (json_int_t)(clock_now() + PROVED_MS)));
  menu_go(t, then ? then : "mandates");
}

/* ---- acting ---- */

bool proxy_acting(const struct turn *t) {
  const json_t *acting = json_object_get(t->state, "acting");
  return json_str(acting, "mandate") && base_same(json_str(acting, "session"), t->session);
}

/* 1: who is the attorney acting under the mandate that was chosen; 0: nobody acts; -1: it no longer holds. */
int proxy_actor(const struct turn *t, struct actor *who) {
  struct err err;
  if (!proxy_acting(t)) return 0;
  if (!proxy_known(t, who)) return -1;
  return cases_act_for(t->c->cases, who, NULL, json_str(json_object_get(t->state, "acting"), "mandate"), &err) ? -1 : 1;
}

const char *proxy_title(const struct turn *t) {
  const char *name = proxy_acting(t) ? json_str(json_object_get(t->state, "acting"), "name") : NULL;
  return name ? arena_printf(t->a, "%s %s", menu_word(t, "instead_of"), name) : NULL;
}

void proxy_lapsed(struct turn *t) {
  json_object_del(t->state, "acting");
  menu_finish(t, menu_word(t, "no_mandate"));
}

static void show_acting(struct turn *t) {
  const char *lines[] = {menu_word(t, "services"), menu_word(t, "their_cases"), menu_word(t, "leave")}, *title = proxy_title(t);
  t->screen = screen_list(t, title ? title : "", lines, NULL, 3);
}

static void show_theirs(struct turn *t) {
  struct actor who;
  struct err err;
  struct buf b;
  json_t *list = NULL, *one;
  size_t i;
  if (proxy_actor(t, &who) != 1) return proxy_lapsed(t);
  buf_init(&b, 16384);
  if (cases_mine(t->c->cases, &who, NULL, 5, lang_of(t), &list, &err) == 0)
    json_array_foreach(json_object_get(list, "items"), i, one) {
      char group[48];
      identifier_group(IDENT_TRACKING, json_str(one, "tracking"), group);
      buf_addf(&b, "%s%s: %s\n%s", b.len ? "\n" : "", json_str(one, "service_title"), json_str(one, "state_title"), group);
    }
  json_put(t->state, "text", b.len ? buf_str(&b) : menu_word(t, "none_theirs"));
  json_put(t->state, "then", "acting");
  buf_free(&b);
  json_decref(list);
  menu_go(t, "text");
}

static void take_acting(struct turn *t, const char *d) {
  if (strcmp(d, "1") == 0) return menu_services(t);
  if (strcmp(d, "2") == 0) return show_theirs(t);
  if (strcmp(d, "3") == 0 || strcmp(d, "0") == 0) {
    json_object_del(t->state, "acting");
    return menu_go(t, "mandates");
  }
  t->fault = menu_word(t, "choose");
  menu_show(t);
}

/* ---- what was given and received ---- */

struct listed { json_t *items; const char *lines[MOST]; };

static const char *party(struct turn *t, const json_t *one, bool received) {
  const json_t *o = json_object_get(one, received ? "principal" : "attorney");
  const char *name = json_str(o, "name"), *legal = json_str(o, "legal_id"), *id = legal ? legal : json_str(o, "national_id");
  char masked[32] = "";
  if (received && name && (t->tongue == TONGUE_FA || text_gsm7(name, NULL))) return name;
  if (id) identifier_mask(legal ? IDENT_LEGAL_ID : IDENT_NATIONAL_ID, id, masked);
  return digits_of(t, arena_strdup(t->a, masked));
}

static void put_listed(struct turn *t, struct listed *k, const json_t *from, bool received) {
  json_t *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)from, i, one) {
    const char *status = json_str(one, "status");
    size_t n = json_array_size(k->items);
    bool offered = base_same(status, "offered");
    if (n + 1 >= MOST || (!offered && !base_same(status, "in_force"))) continue;
    const char *line = arena_printf(t->a, "%s %s%s%s", menu_word(t, received ? "instead_of" : "by_hand_of"), party(t, one, received), offered ? " " : "", offered ? menu_word(t, "offered") : "");
    json_t *kept = json_copy(one);
    json_object_set_new(kept, "received", json_boolean(received));
    json_array_append_new(k->items, kept);
    k->lines[n + 1] = line ? line : "";
  }
}

/* 0, or -1 when it has been answered. */
static int list(struct turn *t, struct listed *k) {
  struct actor who;
  struct err err;
  json_t *out = NULL;
  k->items = NULL;
  if (!proxy_known(t, &who)) {
    proxy_ask(t, "mandates");
    return -1;
  }
  if (cases_mandates(t->c->cases, &who, lang_of(t), &out, &err)) {
    log_write(LOG_WARN, "ussd", "%s", err.message);
    menu_finish(t, menu_word(t, "later"));
    return -1;
  }
  k->items = json_array();
  k->lines[0] = menu_word(t, "give_new");
  put_listed(t, k, json_object_get(out, "received"), true);
  put_listed(t, k, json_object_get(out, "given"), false);
  json_decref(out);
  return 0;
}

static void show_mandates(struct turn *t) {
  struct listed k;
  if (list(t, &k)) return;
  t->screen = screen_list(t, menu_word(t, "mandates"), k.lines, NULL, json_array_size(k.items) + 1);
  json_decref(k.items);
}

static size_t kinds(const struct turn *t, const char **lines, const struct service **found) {
  const struct pack *p = cases_pack(t->c->cases);
  size_t n = 0;
  for (size_t i = 0; i < pack_services(p) && n < MOST; i++) {
    const struct service *s = pack_service(p, i);
    if (!s->mandate.present || s->ussd != CHANNEL_FULL || !service_begun(s)) continue;
    lines[n] = menu_label(t, &s->title, s->latn);
    found[n++] = s;
  }
  return n;
}

static void show_kinds(struct turn *t) {
  const char *lines[MOST];
  const struct service *found[MOST];
  size_t n = kinds(t, lines, found);
  t->screen = screen_list(t, menu_word(t, "give_new"), lines, NULL, n);
}

static void take_kinds(struct turn *t, const char *d) {
  const char *lines[MOST];
  const struct service *found[MOST];
  size_t n = kinds(t, lines, found);
  int64_t number;
  if (strcmp(d, "0") == 0) return menu_go(t, "mandates");
  if (parse_i64(d, &number) == 0 && number >= 1 && number <= (int64_t)n) return form_begin(t, found[number - 1]);
  t->fault = menu_word(t, "choose");
  menu_show(t);
}

static void take_mandates(struct turn *t, const char *d) {
  struct listed k;
  int64_t number;
  if (strcmp(d, "0") == 0) return menu_go(t, "root");
  if (strcmp(d, "1") == 0) return menu_go(t, "mandate_kinds");
  if (list(t, &k)) return;
  const json_t *one = parse_i64(d, &number) == 0 && number >= 2 ? json_array_get(k.items, (size_t)number - 2) : NULL;
  if (one) {
    json_object_set_new(t->state, "mandate", json_pack("{s:s,s:s,s:s,s:b,s:b}", "tracking", json_str(one, "tracking"), "name", party(t, one, json_flag(one, "received", false)), "scope",
                                                       json_str(json_object_get(one, "scope"), "title"), "received", json_flag(one, "received", false), "force",
                                                       base_same(json_str(one, "status"), "in_force")));
    json_put(json_object_get(t->state, "mandate"), "until", json_str(one, "until"));
    menu_go(t, "mandate");
  } else {
    t->fault = menu_word(t, "choose");
    menu_show(t);
  }
  json_decref(k.items);
}

/* ---- one of them ---- */

struct steps { json_t *view; const json_t *actions[MOST]; const char *lines[MOST]; size_t count; bool may_act; };

/* What may be done with it from here: to act under it, and the actions that ask for nothing more. */
static int steps_of(struct turn *t, struct steps *k) {
  const json_t *m = json_object_get(t->state, "mandate");
  struct actor who;
  struct err err;
  json_t *one;
  size_t i;
  *k = (struct steps){0};
  if (!proxy_known(t, &who) || !json_str(m, "tracking")) {
    proxy_ask(t, "mandates");
    return -1;
  }
  if (cases_get(t->c->cases, &who, json_str(m, "tracking"), lang_of(t), &k->view, &err)) {
    menu_finish(t, menu_word(t, "later"));
    return -1;
  }
  k->may_act = json_flag(m, "received", false) && json_flag(m, "force", false);
  if (k->may_act) k->lines[k->count++] = menu_word(t, "act_now");
  json_array_foreach(json_object_get(k->view, "actions"), i, one) {
    if (k->count == MOST || json_array_size(json_object_get(one, "fields")) || base_same(json_str(one, "reason"), "required") || base_same(json_str(one, "name"), "add_documents")) continue;
    const char *key = arena_printf(t->a, "act_%s", json_str(one, "name"));
    k->actions[k->count] = one;
    k->lines[k->count++] = t->tongue == TONGUE_LATN && key && word_known(arena_printf(t->a, "ussd.latn.%s", key)) ? menu_word(t, key) : json_str(one, "title");
  }
  return 0;
}

static void show_one(struct turn *t) {
  const json_t *m = json_object_get(t->state, "mandate");
  struct steps k;
  if (steps_of(t, &k)) return;
  const char *until = json_str(m, "until"), *day = until ? date_short(t->a, lang_of(t), date_parse(until)) : NULL;
  const char *title = arena_printf(t->a, "%s %s: %s%s%s%s%s", menu_word(t, json_flag(m, "received", false) ? "instead_of" : "by_hand_of"), json_str(m, "name"), json_str(m, "scope"), day ? " " : "",
                                   day ? menu_word(t, "until") : "", day ? " " : "", day ? day : "");
  t->screen = screen_list(t, title ? title : "", k.lines, NULL, k.count);
  json_decref(k.view);
}

static void begin_acting(struct turn *t) {
  const json_t *m = json_object_get(t->state, "mandate");
  struct actor who;
  json_object_set_new(t->state, "acting", json_pack("{s:s,s:s,s:s}", "mandate", json_str(m, "tracking"), "name", json_str(m, "name"), "session", t->session));
  if (proxy_actor(t, &who) != 1) return proxy_lapsed(t);
  menu_go(t, "acting");
}

static void take_one(struct turn *t, const char *d) {
  struct steps k;
  int64_t number;
  if (strcmp(d, "0") == 0) return menu_go(t, "mandates");
  if (steps_of(t, &k)) return;
  if (parse_i64(d, &number) || number < 1 || number > (int64_t)k.count) {
    t->fault = menu_word(t, "choose");
    menu_show(t);
  } else if (number == 1 && k.may_act) begin_acting(t);
  else {
    json_put(t->state, "step", json_str(k.actions[number - 1], "name"));
    json_put(t->state, "step_title", k.lines[number - 1]);
    menu_go(t, "mandate_sure");
  }
  json_decref(k.view);
}

static void show_sure(struct turn *t) {
  const char *title = json_str(t->state, "step_title"), *lines[] = {menu_word(t, "yes"), menu_word(t, "no")};
  t->screen = screen_list(t, arena_printf(t->a, "%s%s", title ? title : "", t->tongue == TONGUE_FA ? "؟" : "?"), lines, NULL, 2);
}

static void take_sure(struct turn *t, const char *d) {
  struct steps k;
  struct err err;
  if (strcmp(d, "1") != 0) return menu_go(t, "mandate");
  if (steps_of(t, &k)) return;
  struct case_act act = {.action = json_str(t->state, "step"), .expected_version = json_int(k.view, "version", 0), .lang = lang_of(t), .arena = t->a};
  snprintf(act.tracking, sizeof act.tracking, "%s", json_str(json_object_get(t->state, "mandate"), "tracking"));
  json_decref(k.view);
  if (!act.action || !proxy_known(t, &act.actor)) return proxy_ask(t, "mandates");
  int rc = cases_act(t->c->cases, &act, NULL, NULL, &err);
  json_decref(act.errors);
  if (rc) log_write(LOG_INFO, "ussd", "a mandate's step was refused: %s", err.message);
  json_put(t->state, "text", menu_word(t, rc == 0 ? "done" : err.code == ERR_CONFLICT ? "moved_on" : "refused"));
  json_put(t->state, "then", "mandates");
  menu_go(t, "text");
}

/* ---- the places of this file ---- */

static const struct { const char *name; void (*show)(struct turn *t); void (*take)(struct turn *t, const char *d); } places[] = {
  {"mandates", show_mandates, take_mandates}, {"mandate_kinds", show_kinds, take_kinds}, {"mandate", show_one, take_one}, {"mandate_sure", show_sure, take_sure},
  {"acting", show_acting, take_acting}};

bool proxy_show(struct turn *t, const char *place) {
  for (size_t i = 0; i < BASE_COUNT(places); i++)
    if (strcmp(places[i].name, place) == 0) return places[i].show(t), true;
  if (strcmp(place, "own_id") == 0) t->screen = screen_prompt(t, menu_word(t, "own_id"), "");
  else if (strcmp(place, "own_code") == 0) t->screen = screen_prompt(t, menu_word(t, "own_code"), "");
  else return false;
  return true;
}

bool proxy_take(struct turn *t, const char *place, const char *input, const char *d) {
  for (size_t i = 0; i < BASE_COUNT(places); i++)
    if (strcmp(places[i].name, place) == 0) return places[i].take(t, d), true;
  bool id = strcmp(place, "own_id") == 0;
  if (!id && strcmp(place, "own_code") != 0) return false;
  if (strcmp(d, "0") == 0) menu_go(t, "root");
  else if (id) take_id(t, input);
  else take_code(t, d);
  return true;
}

bool proxy_lists(const char *place) { return strcmp(place, "mandates") == 0 || strcmp(place, "mandate_kinds") == 0 || strcmp(place, "mandate") == 0; }
