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

int command_export(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *hash = NULL, *format = NULL;
  struct own_flag own[] = {{"--hash", &hash}, {"--format", &format}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  bool one = left.count == 2 && strcmp(left.items[0], "pack") == 0, all = left.count == 1 && strcmp(left.items[0], "packs") == 0;
  bool records = left.count == 2 && strcmp(left.items[0], "registry") == 0;
  if (!one && !all && !records) return app_usage("export", "say what to export: pack FOLDER, packs, or registry CODE");
  if (hash && !one) return app_usage("export", "--hash goes with pack");
  if (format && !records) return app_usage("export", "--format goes with registry");
  if (format && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0) return app_usage("export", "--format is csv or jsonl");
  if (hash && (strspn(hash, "0123456789abcdef") != strlen(hash) || strlen(hash) > 64 || !hash[0])) return app_usage("export", "--hash is the beginning of a hash from chapar export packs");
  if (no_store(&s)) return EXIT_REFUSED;
  if (records) return records_export(&s, left.items[1], format);
  struct platform p;
  struct err err;
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
