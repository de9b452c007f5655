/* The pack compiler and the judge of answers. The first byte chooses: one file of tests/packs/mini replaced by the rest, and the pack
 * compiled; or the rest as an answer in JSON. What is accepted must hold together: examples validate, canonical answers are stable. */
#include "catalog/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {"pack.yaml", "places.csv", "organisations.csv", "offices.csv", "holidays.csv", "lists/colour.csv",
  "registries/members.yaml", "workflows/short.yaml", "services/fault.yaml", "services/fault-v2.yaml", "services/join.yaml"};
static const char *const folders[] = {"lists", "registries", "workflows", "services"};
static char folder[] = "/tmp/chapar-fuzz-XXXXXX";
static struct pack *mini;
static struct arena *arena;

static void write_file(const char *name, const void *data, size_t n) {
  char *path = base_printf("%s/%s", folder, name);
  FILE *f = fopen(path, "w");
  if (!f || fwrite(data, 1, n, f) != n || fclose(f)) abort();
  free(path);
}

static void restore(const char *name) {
  char *path = base_printf("tests/packs/mini/%s", name);
  size_t n;
  char *data = file_read(path, 0, &n, NULL);
  if (!data) abort();
  write_file(name, data, n);
  free(data);
  free(path);
}

static void hear(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  if (!file || !message[0] || !utf8_valid(message, strlen(message))) abort();
  if (!warning) *(unsigned *)ctx += 1;
}

static void tidy(void) {
  for (size_t i = 0; i < BASE_COUNT(files) + BASE_COUNT(folders); i++) {
    char *path = base_printf("%s/%s", folder, i < BASE_COUNT(files) ? files[i] : folders[i - BASE_COUNT(files)]);
    if (unlink(path)) rmdir(path);
    free(path);
  }
  rmdir(folder);
  arena_free(arena);
  pack_unref(mini);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  struct err err;
  if (language_init(&err) || !mkdtemp(folder)) abort();
  for (size_t i = 0; i < BASE_COUNT(folders); i++) {
    char *path = base_printf("%s/%s", folder, folders[i]);
    if (dir_make(path, 0700, &err)) abort();
    free(path);
  }
  for (size_t i = 0; i < BASE_COUNT(files); i++) restore(files[i]);
  mini = pack_compile("tests/packs/mini", NULL);
  arena = arena_new(1 << 20);
  if (!mini) abort();
  atexit(tidy);
  return 0;
}

/* Accepted answers must be accepted again unchanged, be shown, priced and addressed, and lose nothing when pruned. */
static void judge(const struct pack *p, const struct service *s, const json_t *in) {
  json_t *out = NULL, *again = NULL, *errors = NULL;
  int32_t today = day_of(clock_now());
  arena_reset(arena);
  if (service_validate(p, s, in, today, LANG_FA, arena, &out, &errors)) {
    if (!json_array_size(errors)) abort();
    json_decref(errors);
    return;
  }
  if (service_validate(p, s, out, today, LANG_EN, arena, &again, &errors) || !json_equal(out, again)) abort();
  for (size_t i = 0; i < s->field_count; i++) field_show(p, s->fields[i], json_object_get(out, s->fields[i]->name), i % 2 ? LANG_FA : LANG_EN, arena);
  service_prune(s, again);
  if (!json_equal(out, again)) abort();
  struct err err;
  if (service_owner(p, s, out, &err) < 0 && !s->owner_field) abort();
  if (service_fee(s, out, NULL) < 0) abort();
  for (size_t i = 0; i < s->inquiry_count; i++) inquiry_organisation(p, &s->inquiries[i], out);
  json_decref(out);
  json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1 || size > 100000) return 0;
  size_t which = data[0] % (BASE_COUNT(files) + 3);
  if (which >= BASE_COUNT(files)) {
    json_t *in = json_read((const char *)data + 1, size - 1, 0, NULL);
    for (size_t i = 0; in && i < pack_services(mini); i++) judge(mini, pack_service(mini, i), in);
    json_decref(in);
    return 0;
  }
  unsigned told = 0;
  struct pack_report report = {hear, &told};
  write_file(files[which], data + 1, size - 1);
  struct pack *p = pack_compile(folder, &report);
  if (!p != (told > 0)) abort();
  for (size_t i = 0; p && i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if (!json_array_size(s->examples) || !s->form_schema) abort();
    for (size_t k = 0; k < json_array_size(s->examples); k++) judge(p, s, json_array_get(s->examples, k));
  }
  pack_unref(p);
  restore(files[which]);
  return 0;
}
