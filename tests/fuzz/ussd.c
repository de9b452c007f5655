/* USSD. The first byte chooses: Kannel's query and its TLVs; Africa's Talking's text; the setting of carriers; a message with a code; Latin letters;
 * or a dialogue of the engine over tests/packs/mini, an input a line, on a store of its own. Every screen must fit and be text. */
#include "app/app.h"
#include "channels/ussd/inside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/chapar-fuzz-XXXXXX";
static struct platform platform;
static struct ussd_context context;
static struct arena *arena;

static void tidy(void) {
  platform_close(&platform);
  arena_free(arena);
  static const char *const files[] = {"chapar.db", "chapar.db-wal", "chapar.db-shm", "fast.db", "fast.db-wal", "fast.db-shm", "keys/secret", "keys/origin", "keys/ledger.pem",
    "keys/ledger.pem.head", "keys/ledger.pem.lock", "keys", ""};
  for (size_t i = 0; i < BASE_COUNT(files); i++) {
    char *path = base_printf("%s/%s", folder, files[i]);
    if (unlink(path)) rmdir(path);
    free(path);
  }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  struct settings set;
  struct words_left left;
  struct err err;
  if (language_init(&err) || !mkdtemp(folder)) abort();
  char *words[] = {"--pack", "tests/packs/mini", "--data", folder, "--demo"};
  if (settings_read(&set, 5, words, NULL, &left) || platform_open(&platform, &set, PLATFORM_ALL)) abort();
  context = (struct ussd_context){.cases = platform.cases, .identity = platform.identity, .store = platform.main};
  if (ussd_carriers_read("* screen=80/182", &context.carriers, &err)) abort();
  arena = arena_new(4 << 20);
  atexit(tidy);
  return 0;
}

static void kannel(const char *text) {
  struct heard h, again;
  char meta[80], query[120];
  const struct ussd_carrier *c = ussd_carrier_of(&context.carriers, NULL);
  enum heard_kind kind = heard_kannel(text, c, &h);
  if ((kind == HEARD_MESSAGE) != (h.op < 0)) abort();
  heard_meta(&h, c, text[0] & 1, meta);
  if (!base_starts(meta, "?smpp?ussd_service_op=%")) abort();
  /* what goes out is read back as the same session and dialogue */
  snprintf(query, sizeof query, "op=%s", strstr(meta, "=") + 1);
  char *its = strstr(query, "its_session_info=");
  if (!its != !h.has_its) abort();
  if (its) memmove(its, "its=", 4), memmove(its + 4, its + 17, strlen(its + 17) + 1);
  heard_kannel(query, c, &again);
  if (again.has_its != h.has_its || (h.has_its && (again.its[0] != h.its[0] || (again.its[1] & 0xfe) != (h.its[1] & 0xfe)))) abort();
}

static void inputs(char *text) {
  char *list[64];
  size_t n = heard_inputs(text, list, BASE_COUNT(list));
  if (n > BASE_COUNT(list)) abort();
  for (size_t i = 0; i < n; i++)
    if (!list[i][0] || strchr(list[i], '*')) abort();
}

static void carriers(const char *text) {
  struct ussd_carriers c;
  struct err err;
  if (ussd_carriers_read(text, &c, &err)) return;
  if (c.count < 1 || c.count > BASE_COUNT(c.rows)) abort();
  for (size_t i = 0; i < c.count; i++)
    if (!c.rows[i].name[0] || c.rows[i].unicode < 40 || c.rows[i].gsm < 40 || c.rows[i].begins == c.rows[i].reply) abort();
}

static void judge(const char *screen) {
  size_t septets, n = 0;
  const char *s = screen, *end = screen + strlen(screen);
  if (!utf8_valid(screen, strlen(screen))) abort();
  for (int cp; (cp = utf8_next(&s, end)) >= 0;) n += cp > 0xffff ? 2 : 1;
  if (text_gsm7(screen, &septets) ? septets > 182 : n > 80) abort();
}

/* One line, one input; an empty line dials again. */
static void dialogue(char *text) {
  json_t *state = json_object();
  struct err err;
  int dials = 0;
  char session[16] = "s0";
  const char *screen = "";
  bool end = false;
  int turns = 0;
  for (char *line = text, *next; line && turns < 60; line = next, turns++) {
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    if (!line[0]) snprintf(session, sizeof session, "s%d", ++dials);
    arena_reset(arena);
    if (ussd_turn(&context, NULL, state, "09151234567", session, line[0] ? line : NULL, arena, &screen, &end, &err)) abort();
    judge(screen);
    if (!json_is_object(state)) abort();
    char *saved = json_canonical(state); /* as the store keeps it */
    json_decref(state);
    state = json_loads(saved, 0, NULL);
    free(saved);
    if (!state) abort();
  }
  const char *answer = ussd_message(&context, state, "09151234567", screen, arena);
  if (!utf8_valid(answer, strlen(answer))) abort();
  json_decref(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  char *text = base_alloc(size);
  memcpy(text, data + 1, size - 1);
  arena_reset(arena);
  bool valid = utf8_valid(text, strlen(text));
  switch (data[0] % 8) {
    case 0: kannel(text); break;
    case 1: inputs(text); break;
    case 2: carriers(text); break;
    case 3: if (valid) ussd_message(&context, NULL, "09151234567", text, arena); break;
    case 4: if (valid && (latin_begins(text, text + strlen(text) / 2), !utf8_valid(latin_of(arena, text), strlen(latin_of(arena, text))))) abort(); break;
    case 5: heard_allowed(text, "::1"); break;
    default: if (valid) dialogue(text);
  }
  free(text);
  return 0;
}
