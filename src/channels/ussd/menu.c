#include "channels/ussd/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESUME_MS (30 * 60 * 1000)

void menu_go(struct turn *t, const char *place) {
  if (strcmp(place, "root") == 0 && proxy_acting(t)) place = "acting"; /* until they leave it */
  json_put(t->state, "place", place);
  json_object_set_new(t->state, "page", json_integer(0));
  menu_show(t);
}

void menu_finish(struct turn *t, const char *text) {
  json_put(t->state, "text", text);
  json_put(t->state, "then", NULL);
  json_object_del(t->state, "service");
  menu_go(t, "text");
}

static void show_text(struct turn *t) {
  bool last;
  const char *text = json_str(t->state, "text"), *then = json_str(t->state, "then");
  if (!text) text = "";
  if (then) text = arena_printf(t->a, "%s\n%s %s", text, digits_of(t, "0"), menu_word(t, "back"));
  t->screen = screen_text(t, text ? text : "", &last);
  t->end = last && !then;
}

/* ---- services: all, or those of a life event or of an organisation ---- */

#define FEW 7
#define MOST 128

static bool offered(const struct service *s) { return s->ussd >= CHANNEL_START && s->ussd_code && !s->staff_only && !s->mandate.present && service_begun(s); }

static bool of_event(const struct service *s, const char *event) {
  for (size_t i = 0; i < s->life_event_count; i++)
    if (strcmp(s->life_events[i], event) == 0) return true;
  return false;
}

/* The state's `kind` is events or organisations, `of` which of them; neither: every service. */
static bool listed(const struct turn *t, const struct service *s) {
  const char *of = json_str(t->state, "of"), *kind = json_str(t->state, "kind");
  if (!offered(s)) return false;
  if (!of || !kind) return true;
  if (strcmp(kind, "events") == 0) return of_event(s, of);
  return directory_find_organisation(pack_directory(cases_pack(t->c->cases)), of) == s->secretary;
}

static void show_services(struct turn *t) {
  const struct pack *p = cases_pack(t->c->cases);
  const char *lines[MOST], *numbers[MOST];
  size_t n = 0;
  for (size_t i = 0; i < pack_services(p) && n < MOST; i++) {
    const struct service *s = pack_service(p, i);
    if (!listed(t, s)) continue;
    lines[n] = menu_label(t, &s->title, s->latn);
    numbers[n++] = s->ussd_code;
  }
  t->screen = screen_list(t, menu_word(t, "services"), lines, numbers, n);
}

static size_t offered_count(const struct turn *t) {
  const struct pack *p = cases_pack(t->c->cases);
  size_t n = 0;
  for (size_t i = 0; i < pack_services(p); i++) n += offered(pack_service(p, i));
  return n;
}

/* Life events or organisations with a service here: their labels and codes. */
static size_t groups(const struct turn *t, bool events, const char **lines, const char **codes) {
  const struct pack *p = cases_pack(t->c->cases);
  const struct directory *d = pack_directory(p);
  size_t n = 0, most = events ? pack_life_events(p) : directory_organisations(d);
  for (size_t k = 0; k < most && n < MOST; k++) {
    struct text title = {"", ""};
    const struct organisation *o = events ? NULL : directory_organisation(d, (int)k);
    const char *code = events ? pack_life_event(p, k, &title) : o->code;
    bool any = false;
    for (size_t i = 0; i < pack_services(p) && !any; i++) {
      const struct service *s = pack_service(p, i);
      any = offered(s) && (events ? of_event(s, code) : s->secretary == (int)k);
    }
    if (!any) continue;
    lines[n] = events ? menu_label(t, &title, pack_life_event_latn(p, k)) : organisation_name(o, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN);
    codes[n++] = code;
  }
  return n;
}

static void show_groups(struct turn *t, bool events) {
  const char *lines[MOST], *codes[MOST];
  size_t n = groups(t, events, lines, codes);
  t->screen = screen_list(t, menu_word(t, events ? "events" : "organisations"), lines, NULL, n);
}

static void show_ways(struct turn *t) {
  const char *lines[] = {menu_word(t, "events"), menu_word(t, "organisations"), menu_word(t, "all")};
  t->screen = screen_list(t, menu_word(t, "services_by"), lines, NULL, 3);
}

static void show_root(struct turn *t) {
  const char *lines[] = {menu_word(t, "services"), menu_word(t, "track"), menu_word(t, "mine"), menu_word(t, "real"), menu_word(t, "language"), menu_word(t, "mandates")};
  struct buf b;
  buf_init(&b, 1024);
  for (int i = 0; i < 6; i++) buf_addf(&b, "%s%s %s", i ? "\n" : "", digits_of(t, (char[2]){(char)('1' + i), 0}), lines[i]);
  t->screen = screen_with_fault(t, screen_cut(t, buf_str(&b)));
  buf_free(&b);
}

static void show_language(struct turn *t) {
  static const char *const lines[] = {"فارسی", "English", "Farsi (Latin)"};
  t->screen = screen_list(t, menu_word(t, "language"), lines, NULL, 3);
}

static void show_prompt(struct turn *t, const char *key) {
  t->screen = screen_prompt(t, menu_word(t, key), "");
}

static void show_resume(struct turn *t) {
  const struct service *s = pack_find(cases_pack(t->c->cases), json_str(t->state, "service") ? json_str(t->state, "service") : "");
  const char *lines[] = {menu_word(t, "go_on"), menu_word(t, "anew")};
  t->screen = screen_list(t, s ? menu_label(t, &s->title, s->latn) : "", lines, NULL, 2);
}

/* ---- the score of a decided request ---- */

static json_t *to_rate(struct turn *t) {
  json_t *one = NULL;
  struct err err;
  if (cases_to_rate(t->c->cases, t->mobile, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN, &one, &err) && err.code != ERR_NOT_FOUND) log_write(LOG_WARN, "ussd", "%s", err.message);
  return one;
}

static const char *rated_title(const struct turn *t, const json_t *one) {
  const char *latn = json_str(one, "service_latn");
  return t->tongue == TONGUE_LATN && latn[0] ? latn : json_str(one, "service_title");
}

/* Before the list of one's requests: what was decided and has no score yet is asked about, and 0 passes over it. */
static void show_rate(struct turn *t) {
  json_t *one = to_rate(t);
  const char *title = one ? rated_title(t, one) : "";
  t->zero = "mine";
  t->screen = screen_prompt(t, arena_printf(t->a, "%s\n%s", title, menu_word(t, "rate_ask")), "");
  json_decref(one);
}

void menu_show(struct turn *t) {
  const char *place = json_str(t->state, "place");
  if (!place || strcmp(place, "root") == 0) show_root(t);
  else if (strcmp(place, "ways") == 0) show_ways(t);
  else if (strcmp(place, "events") == 0 || strcmp(place, "organisations") == 0) show_groups(t, strcmp(place, "events") == 0);
  else if (strcmp(place, "services") == 0) show_services(t);
  else if (strcmp(place, "language") == 0) show_language(t);
  else if (strcmp(place, "track") == 0) show_prompt(t, "track_ask");
  else if (strcmp(place, "real") == 0) show_prompt(t, "real_ask");
  else if (strcmp(place, "resume") == 0) show_resume(t);
  else if (strcmp(place, "rate") == 0) show_rate(t);
  else if (strcmp(place, "form") == 0) form_show(t);
  else if (!proxy_show(t, place)) show_text(t);
}

/* ---- facts of a case, for a screen or a message ---- */

/* Titles of a case's service and state in the caller's language: in Latin letters where the pack has them. */
static void case_names(struct turn *t, const json_t *view, const char **service, const char **state) {
  const struct pack *p;
  const struct service *s = t->tongue == TONGUE_LATN ? cases_definition(t->c->cases, view, &p) : NULL;
  int i = s && json_str(view, "state") ? service_state(s, json_str(view, "state")) : -1;
  *service = s && s->latn && s->latn[0] ? s->latn : json_str(view, "service_title");
  *state = i >= 0 && s->states[i].latn[0] ? s->states[i].latn : json_str(view, "state_title");
}

static const char *case_text(struct turn *t, const char *code) {
  char *body = NULL, etag[80], group[48];
  size_t n = 0;
  struct err err;
  enum lang l = t->tongue == TONGUE_FA ? LANG_FA : LANG_EN;
  if (cases_public(t->c->cases, code, l, &body, &n, etag, &err)) return menu_word(t, err.code == ERR_NOT_FOUND ? "not_found" : "later");
  json_t *v = json_loadb(body, n, 0, NULL);
  free(body);
  const char *legal = json_str(json_object_get(v, "due"), "legal");
  int32_t day = legal && base_same(json_str(v, "result"), "open") ? date_parse(legal) : INT32_MIN;
  identifier_group(IDENT_TRACKING, code, group);
  const char *until = day == INT32_MIN ? "" : arena_printf(t->a, "\n%s %s", menu_word(t, "until"), date_short(t->a, l, day));
  const char *service, *state;
  case_names(t, v, &service, &state);
  const char *text = arena_printf(t->a, "%s\n%s: %s\n%s%s", group, service, state, json_str(json_object_get(v, "holder"), "name"), until);
  json_decref(v);
  return text ? text : "";
}

static void show_mine(struct turn *t) {
  json_t *list = NULL, *one;
  struct err err;
  struct buf b;
  size_t i;
  enum lang l = t->tongue == TONGUE_FA ? LANG_FA : LANG_EN;
  buf_init(&b, 16384);
  if (cases_of_mobile(t->c->cases, t->mobile, 5, l, &list, &err) == 0)
    json_array_foreach(json_object_get(list, "items"), i, one) {
      char group[48];
      identifier_group(IDENT_TRACKING, json_str(one, "tracking"), group);
      const char *service, *state;
      case_names(t, one, &service, &state);
      buf_addf(&b, "%s%s: %s\n%s", b.len ? "\n" : "", service, state, group);
    }
  menu_finish(t, b.len ? arena_strdup(t->a, buf_str(&b)) : menu_word(t, "none"));
  buf_free(&b);
  json_decref(list);
}

/* ---- the score ---- */

/* tracking NULL: the one that was decided last. What is said to the person. */
static const char *rated(struct turn *t, const char *tracking, int score, const char *by) {
  json_t *one = tracking ? NULL : to_rate(t);
  const char *code = tracking ? tracking : json_str(one, "tracking"), *title = one ? rated_title(t, one) : NULL, *text = menu_word(t, "rate_none");
  struct err err;
  if (code && cases_rate_by_telephone(t->c->cases, t->mobile, code, score, by, &err) == 0)
    text = title ? arena_printf(t->a, "%s %s", title, menu_word(t, "rate_thanks")) : menu_word(t, "rate_thanks");
  else if (code && err.code == ERR_CONFLICT) text = menu_word(t, "rate_not");
  else if (code && err.code != ERR_NOT_FOUND) text = menu_word(t, "later");
  json_decref(one);
  return text ? text : "";
}

static void go_mine(struct turn *t) {
  json_t *one = to_rate(t);
  bool asks = one && json_int(one, "rating", 0) == 0;
  json_decref(one);
  if (asks) menu_go(t, "rate");
  else show_mine(t);
}

static void take_rate(struct turn *t, const char *d) {
  if (strcmp(d, "0") == 0) return show_mine(t);
  if (d[0] >= '1' && d[0] <= '5' && !d[1]) return menu_finish(t, rated(t, NULL, d[0] - '0', "ussd"));
  t->fault = menu_word(t, "choose");
  menu_show(t);
}

/* ---- taking what was typed ---- */

static const struct service *by_code(const struct turn *t, const char *digits) {
  const struct pack *p = cases_pack(t->c->cases);
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if (s->ussd_code && s->ussd > CHANNEL_NONE && !s->staff_only && service_begun(s) && strcmp(s->ussd_code, digits) == 0) return s;
  }
  return NULL;
}

static void choose_again(struct turn *t) {
  t->fault = menu_word(t, "choose");
  menu_show(t);
}

/* kind: events, organisations or NULL (every service); of: which of them */
static void go_services(struct turn *t, const char *kind, const char *of) {
  if (kind) json_put(t->state, "kind", kind);
  else json_object_del(t->state, "kind");
  if (of) json_put(t->state, "of", of);
  else json_object_del(t->state, "of");
  menu_go(t, "services");
}

static void take_services(struct turn *t, const char *d) {
  const struct service *s = by_code(t, d);
  const char *kind = json_str(t->state, "kind");
  if (s) form_begin(t, s);
  else if (strcmp(d, "0") != 0) choose_again(t);
  else if (offered_count(t) <= FEW) menu_go(t, "root");
  else menu_go(t, kind ? kind : "ways");
}

static void take_ways(struct turn *t, const char *d) {
  const struct service *s = by_code(t, d);
  if (strcmp(d, "0") == 0) menu_go(t, "root");
  else if (strcmp(d, "1") == 0) menu_go(t, "events");
  else if (strcmp(d, "2") == 0) menu_go(t, "organisations");
  else if (strcmp(d, "3") == 0) go_services(t, NULL, NULL);
  else if (s) form_begin(t, s);
  else choose_again(t);
}

static void take_groups(struct turn *t, const char *d, bool events) {
  const char *lines[MOST], *codes[MOST];
  size_t n = groups(t, events, lines, codes);
  int64_t number;
  if (strcmp(d, "0") == 0) menu_go(t, "ways");
  else if (parse_i64(d, &number) || number < 1 || number > (int64_t)n) choose_again(t);
  else go_services(t, events ? "events" : "organisations", codes[number - 1]);
}

void menu_services(struct turn *t) {
  if (offered_count(t) > FEW) menu_go(t, "ways");
  else go_services(t, NULL, NULL);
}

static void take_root(struct turn *t, const char *d) {
  const struct service *s = by_code(t, d);
  if (s) form_begin(t, s);
  else if (strcmp(d, "1") == 0) menu_services(t);
  else if (strcmp(d, "2") == 0) menu_go(t, "track");
  else if (strcmp(d, "3") == 0) go_mine(t);
  else if (strcmp(d, "4") == 0) menu_go(t, "real");
  else if (strcmp(d, "5") == 0) menu_go(t, "language");
  else if (strcmp(d, "6") == 0) proxy_ask(t, "mandates");
  else {
    t->fault = d[0] && strcmp(d, "0") != 0 ? menu_word(t, "choose") : NULL;
    menu_show(t);
  }
}

static void take_language(struct turn *t, const char *d) {
  static const char *const names[] = {"fa", "en", "latn"};
  if (d[0] >= '1' && d[0] <= '3' && !d[1]) {
    json_put(t->state, "tongue", names[d[0] - '1']);
    t->tongue = (enum tongue)(d[0] - '1');
  }
  menu_go(t, "root");
}

static void take_track(struct turn *t, const char *input) {
  char code[32];
  if (identifier_parse(IDENT_TRACKING, input, code) == 0) menu_finish(t, case_text(t, code));
  else {
    t->fault = menu_word(t, "wrong");
    menu_show(t);
  }
}

/* Is a message that the caller got ours? By its code, or by how it ends. */
static void take_real(struct turn *t, const char *input) {
  json_t *answer = NULL;
  struct err err;
  int64_t at = 0;
  if (cases_message_check(t->c->cases, input, &answer, &err)) {
    log_write(LOG_WARN, "ussd", "%s", err.message);
    menu_finish(t, menu_word(t, "later"));
    return;
  }
  const char *key = arena_printf(t->a, "real_%s", json_str(answer, "verdict")), *when = json_str(answer, "at"), *text = menu_word(t, key ? key : "later");
  if (when && clock_parse(when, &at) == 0) {
    const char *day = date_short(t->a, t->tongue == TONGUE_EN ? LANG_EN : LANG_FA, day_of(at));
    text = arena_printf(t->a, "%s\n%s", text, t->tongue == TONGUE_LATN ? digits_ascii(t->a, day) : day);
  }
  json_decref(answer);
  menu_finish(t, text ? text : "");
}

/* Where 99 turns the page. */
static bool paged(struct turn *t, const char *place) {
  static const char *const lists[] = {"services", "events", "organisations", "text"};
  for (size_t i = 0; i < BASE_COUNT(lists); i++)
    if (strcmp(place, lists[i]) == 0) return true;
  return proxy_lists(place) || (strcmp(place, "form") == 0 && form_lists(t));
}

static void take(struct turn *t, const char *input) {
  const char *place = json_str(t->state, "place"), *d = digits_ascii(t->a, input);
  if (!place) place = "root";
  if (!d) d = "";
  if (strcmp(d, "00") == 0) menu_go(t, "root");
  else if (strcmp(d, "99") == 0 && paged(t, place)) {
    json_object_set_new(t->state, "page", json_integer(json_int(t->state, "page", 0) + 1));
    menu_show(t);
  } else if (strcmp(place, "form") == 0) form_take(t, input);
  else if (strcmp(place, "text") == 0) menu_go(t, json_str(t->state, "then") ? json_str(t->state, "then") : "root");
  else if (proxy_take(t, place, input, d)) return;
  else if (strcmp(place, "services") == 0) take_services(t, d);
  else if (strcmp(place, "ways") == 0) take_ways(t, d);
  else if (strcmp(place, "events") == 0 || strcmp(place, "organisations") == 0) take_groups(t, d, strcmp(place, "events") == 0);
  else if (strcmp(place, "rate") == 0) take_rate(t, d);
  else if (strcmp(d, "0") == 0) menu_go(t, "root");
  else if (strcmp(place, "language") == 0) take_language(t, d);
  else if (strcmp(place, "track") == 0) take_track(t, input);
  else if (strcmp(place, "real") == 0) take_real(t, input);
  else if (strcmp(place, "resume") == 0) {
    if (strcmp(d, "1") == 0) menu_go(t, "form");
    else if (strcmp(d, "2") == 0) menu_go(t, "root");
    else choose_again(t);
  } else take_root(t, d);
}

static enum tongue tongue_of(const json_t *state) {
  const char *name = json_str(state, "tongue");
  return name && strcmp(name, "en") == 0 ? TONGUE_EN : name && strcmp(name, "latn") == 0 ? TONGUE_LATN : TONGUE_FA;
}

int ussd_turn(struct ussd_context *c, const struct ussd_carrier *carrier, json_t *state, const char *mobile, const char *session, const char *input,
              struct arena *a, const char **screen, bool *end, struct err *err) {
  struct turn t = {.c = c, .carrier = carrier ? carrier : ussd_carrier_of(&c->carriers, NULL), .state = state, .mobile = mobile, .session = session, .a = a, .tongue = tongue_of(state), .screen = ""};
  const char *before = json_str(state, "session"), *place = json_str(state, "place");
  int64_t now = clock_now();
  if (!before || strcmp(before, session) != 0) { /* dialled anew */
    bool unfinished = place && (strcmp(place, "form") == 0 || strcmp(place, "resume") == 0) && json_str(state, "service") && now - json_int(state, "at", 0) < RESUME_MS;
    json_put(state, "session", session);
    if (unfinished && !input) menu_go(&t, "resume");
    else menu_go(&t, "root");
    if (input) take(&t, input);
  } else if (!input) menu_show(&t);
  else take(&t, input);
  json_object_set_new(state, "at", json_integer(now));
  if (arena_overflowed(a)) return err_set(err, ERR_LIMIT, "the screen is too large");
  *screen = screen_cut(&t, t.screen);
  *end = t.end;
  if (t.end) { /* nothing that was answered stays behind */
    static const char *const gone[] = {"place", "data", "elig", "text", "key", "candidates", "service", "asked", "kind", "of",
                                       "known", "known_then", "acting", "mandate", "step", "step_title"};
    for (size_t i = 0; i < BASE_COUNT(gone); i++) json_object_del(state, gone[i]);
  }
  return 0;
}

/* "5", or a tracking code and a digit after it: the score; 0: something else was written. rest: the text without it. */
static int score_of(struct arena *a, const char *text, const char **rest) {
  char *d = arena_strdup(a, digits_ascii(a, text));
  size_t n = d ? strlen(d) : 0;
  while (n && strchr(" \r\n\t.", d[n - 1])) d[--n] = 0;
  *rest = d;
  if (!n || d[n - 1] < '1' || d[n - 1] > '5' || (n > 1 && d[n - 2] != ' ' && d[n - 2] != '\n')) return 0;
  int score = d[n - 1] - '0';
  d[n - 1] = 0;
  return score;
}

const char *ussd_message(struct ussd_context *c, const json_t *state, const char *mobile, const char *text, struct arena *a) {
  struct turn t = {.c = c, .carrier = ussd_carrier_of(&c->carriers, NULL), .a = a, .mobile = mobile, .session = "", .tongue = tongue_of(state)};
  char code[32];
  const char *rest = NULL;
  int score = score_of(a, text, &rest);
  bool alone = score && rest[strspn(rest, " \r\n\t")] == 0;
  if (alone || (score && identifier_find_tracking(a, rest, code) == 0)) return rated(&t, alone ? NULL : code, score, "sms");
  return identifier_find_tracking(a, text, code) == 0 ? case_text(&t, code) : menu_word(&t, "sms_help");
}
