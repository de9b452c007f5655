#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_packs(const json_t *list) {
  size_t i;
  json_t *one;
  puts("hash,code,first_served,last_served,cases,open");
  json_array_foreach(list, i, one)
    printf("%s,%s,%s,%s,%lld,%lld\n", json_str(one, "hash"), json_str(one, "code"), json_str(one, "first_served"), json_str(one, "last_served"),
           (long long)json_int(one, "cases", 0), (long long)json_int(one, "open", 0));
}

static int export_packs(struct cases *c, struct err *err) {
  json_t *list = NULL;
  if (cases_packs(c, &list, err)) return -1;
  print_packs(list);
  json_decref(list);
  return 0;
}

static int export_pack(struct cases *c, const char *hash, const char *folder, struct err *err) {
  char whole[65];
  if (cases_pack_export(c, hash, folder, whole, err)) return -1;
  printf("pack %s written to %s\n", whole, folder);
  return 0;
}

/* Reading must not make a store where there is none. */
static bool no_store(const struct settings *s) {
  char *file = base_printf("%s/chapar.db", s->data);
  bool none = s->data[0] && access(file, F_OK) != 0;
  free(file);
  if (none) fprintf(stderr, "chapar: %s holds no store\n", s->data);
  return none;
}

/* What does not go with what was asked; NULL: nothing. */
static const char *misplaced(const char *what, const struct transfer_words *w, const char *hash, const char *format) {
  bool cases = strcmp(what, "cases") == 0, records = strcmp(what, "registry") == 0;
  if (hash && strcmp(what, "pack") != 0) return "--hash goes with pack";
  if (hash && (strspn(hash, "0123456789abcdef") != strlen(hash) || strlen(hash) > 64 || !hash[0])) return "--hash is the beginning of a hash from chapar export packs";
  if (format && !records && !cases) return "--format goes with registry and cases";
  if (format && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0) return "--format is csv or jsonl";
  if (cases && !w->organisation) return "say whose cases: --organisation CODE";
  if (!cases && (w->organisation || w->service || w->from || w->to || w->after)) return "--organisation, --service, --from, --to and --after go with cases";
  return NULL;
}

int command_export(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  struct transfer_words w = {0};
  const char *hash = NULL, *format = NULL;
  struct own_flag own[] = {{"--hash", &hash}, {"--format", &format}, {"--organisation", &w.organisation}, {"--service", &w.service}, {"--from", &w.from},
                           {"--to", &w.to}, {"--after", &w.after}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  static const struct { const char *name; int words; } kinds[] = {{"pack", 2}, {"packs", 1}, {"registry", 2}, {"cases", 1}, {"offices", 1}};
  const char *what = NULL;
  for (size_t i = 0; i < BASE_COUNT(kinds); i++)
    if (left.count == kinds[i].words && strcmp(left.items[0], kinds[i].name) == 0) what = kinds[i].name;
  if (!what) return app_usage("export", "say what to export: pack FOLDER, packs, registry CODE, offices, or cases --organisation CODE");
  const char *wrong = misplaced(what, &w, hash, format);
  if (wrong) return app_usage("export", wrong);
  if (no_store(&s)) return EXIT_REFUSED;
  w.jsonl = base_same(format, "jsonl");
  if (strcmp(what, "cases") == 0) return transfer_export(&s, &w);
  if (strcmp(what, "offices") == 0) return offices_export(&s);
  if (strcmp(what, "registry") == 0) return records_export(&s, left.items[1], format);
  struct platform p;
  struct err err;
  bool one = strcmp(what, "pack") == 0;
  rc = platform_open(&p, &s, PLATFORM_BARE);
  struct cases *c = rc == 0 ? cases_reader(p.main) : NULL;
  if (rc == 0 && (one ? export_pack(c, hash, left.items[1], &err) : export_packs(c, &err))) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  cases_close(c);
  platform_close(&p);
  return rc;
}
