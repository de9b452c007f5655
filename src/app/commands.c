#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

int command_check(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *judge = NULL;
  struct own_flag own[] = {{"--judge!", &judge}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  const char *folder = left.count ? left.items[0] : s.pack;
  if (!folder[0] || left.count > 1) return app_usage("check", "name one pack");
  struct pack *p = app_compile(folder, false);
  if (!p) return EXIT_REFUSED;
  if (judge) rc = catalog_judge(p, stdin, stdout) ? EXIT_REFUSED : EXIT_DONE;
  else {
    const struct directory *d = pack_directory(p);
    printf("%s: %zu services, %zu places, %zu organisations, %zu offices: no mistakes\n", folder, pack_services(p), directory_places(d),
           directory_organisations(d), directory_offices(d));
  }
  pack_unref(p);
  return rc;
}

int command_date(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *from = NULL;
  struct own_flag own[] = {{"--from", &from}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count != 1) return app_usage("date", "name one date");
  if (from && strcmp(from, "gregorian") != 0 && strcmp(from, "jalali") != 0) return app_usage("date", "--from is gregorian or jalali");
  struct date typed = {0};
  char end;
  struct arena *a = arena_new(4096);
  const char *ascii = digits_ascii(a, left.items[0]);
  int32_t day = INT32_MIN;
  if (ascii && from && (sscanf(ascii, "%d-%d-%d%c", &typed.year, &typed.month, &typed.day, &end) == 3 ||
                        sscanf(ascii, "%d/%d/%d%c", &typed.year, &typed.month, &typed.day, &end) == 3))
    day = strcmp(from, "jalali") == 0 ? day_from_jalali(typed) : day_from_gregorian(typed);
  else if (ascii && !from) day = date_parse(ascii);
  arena_free(a);
  if (day == INT32_MIN) {
    fprintf(stderr, "chapar: '%s' is not a day of that calendar; write it as YYYY-MM-DD\n", left.items[0]);
    return EXIT_REFUSED;
  }
  struct pack *p = app_compile(s.pack, true);
  if (!p) return s.pack[0] ? EXIT_REFUSED : EXIT_USAGE;
  char g[16], j[16];
  date_iso(day, g);
  date_jalali(day, j);
  struct date h = day_to_hijri(day);
  const struct calendar *cal = pack_calendar(p, pack_calendar_of(p, -1));
  printf("{\"gregorian\":\"%s\",\"jalali\":\"%s\",\"hijri\":\"%04d-%02d-%02d\",\"iso_weekday\":%d,\"working_day\":%s}\n", g, j, h.year, h.month, h.day,
         day_weekday(day), cal && calendar_works(cal, day) ? "true" : "false");
  pack_unref(p);
  return EXIT_DONE;
}

static int read_password(char out[256]) {
  struct termios old, quiet;
  bool terminal = isatty(0);
  if (terminal) {
    fputs("Password: ", stderr);
    tcgetattr(0, &old);
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(0, TCSANOW, &quiet);
  }
  char *got = fgets(out, 256, stdin);
  if (terminal) {
    tcsetattr(0, TCSANOW, &old);
    fputc('\n', stderr);
  }
  if (!got) return -1;
  out[strcspn(out, "\r\n")] = 0;
  return 0;
}

int command_staff(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *username = NULL, *organisation = NULL, *role = NULL, *name = NULL, *person = NULL;
  struct own_flag own[] = {{"--username", &username}, {"--organisation", &organisation}, {"--role", &role}, {"--name", &name}, {"--national-id", &person}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count != 1 || strcmp(left.items[0], "add") != 0) return app_usage("staff", "say what to do: add");
  if (!username || !organisation || !role) return app_usage("staff", "--username, --organisation and --role are needed");
  int number = staff_role_parse(role);
  if (number < 0) return app_usage("staff", "--role is officer, supervisor, manager, agent, helpdesk, operator or auditor");
  char password[256];
  if (read_password(password)) return app_usage("staff", "give the password on standard input");
  struct platform p;
  struct err err;
  int parts = PLATFORM_STORE;
  if (s.pack[0]) parts |= PLATFORM_PACK;
  rc = platform_open(&p, &s, parts);
  struct identity *i = NULL;
  if (rc == 0 && p.pack && directory_find_organisation(pack_directory(p.pack), organisation) < 0) {
    fprintf(stderr, "chapar: the pack has no organisation '%s'\n", organisation);
    rc = EXIT_REFUSED;
  }
  struct identity_options o = {.secret = p.secret};
  if (rc == 0 && (identity_open(p.main, p.fast, &o, &i, &err) ||
                  identity_staff_add(i, username, name ? name : username, password[0] ? password : NULL, organisation, number, &err) ||
                  (person && identity_staff_is(i, username, person, &err)))) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (rc == 0) printf("%s is now %s of %s\n", username, role, organisation);
  identity_close(i);
  platform_close(&p);
  explicit_bzero(password, sizeof password);
  return rc;
}

/* ---- the ledger ---- */

static void fault(void *ctx, const char *line) {
  app_progress_end();
  printf("%s\n", line);
}

static void progress(void *ctx, int64_t done, int64_t all) { app_progress("verifying", done, all, "leaves"); }

struct readers {
  struct cases *cases;
  struct registries *registries;
  struct certificates *certificates;
  struct network *network;
};

/* Each room knows the digests of its own leaves; the header's kind says whose it is. */
static int leaf_digest(void *ctx, const char *header, unsigned char digest[TRUST_HASH]) {
  struct readers *k = ctx;
  json_t *h = json_loads(header, 0, NULL);
  bool record = base_same(json_str(h, "kind"), "record"), paper = base_same(json_str(h, "kind"), "certificate"), network = base_same(json_str(h, "kind"), "network");
  json_decref(h);
  if (network) return network_leaf_digest(k->network, header, digest);
  if (paper) return certificates_leaf_digest(k->certificates, header, digest);
  return record ? registries_leaf_digest(k->registries, header, digest) : cases_leaf_digest(k->cases, header, digest);
}

static int ledger_verify(const struct settings *given) {
  struct settings s = *given;
  struct platform p;
  struct err err;
  int rc = platform_open(&p, &s, (s.pack[0] ? PLATFORM_STORE | PLATFORM_PACK : PLATFORM_STORE) | PLATFORM_THERE);
  if (rc) {
    platform_close(&p);
    return rc;
  }
  struct readers k = {cases_reader(p.main), registries_reader(p.main), certificates_reader(p.main), network_reader(p.main)};
  struct trust_verify v = {.leaf = leaf_digest, .report = fault, .progress = progress, .ctx = &k};
  int64_t size = 0, placed = 0;
  if (trust_sequence(p.trust, &placed, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err.message);
  int bad = trust_verify(p.trust, &v, &err);
  app_progress_end();
  if (bad) {
    fprintf(stderr, "chapar: the ledger does not verify: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (cases_verify(k.cases, fault, NULL, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (registries_verify(k.registries, fault, NULL, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (certificates_verify(k.certificates, fault, NULL, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (network_verify(k.network, fault, NULL, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (rc == 0 && trust_size(p.trust, &size, &err) == 0) printf("the ledger verifies: %lld leaves\n", (long long)size);
  cases_close(k.cases);
  registries_close(k.registries);
  certificates_close(k.certificates);
  network_close(k.network);
  platform_close(&p);
  return rc;
}

static int ledger_check(const struct settings *s, const char *receipt, const char *key_file) {
  struct err err;
  size_t n = 0, kn = 0;
  char *text = file_read(receipt, 4 * 1024 * 1024, &n, &err), *key = NULL, *sentence = NULL;
  int rc = EXIT_REFUSED;
  if (!text) goto out;
  if (key_file) {
    key = file_read(key_file, 64 * 1024, &kn, &err);
    if (!key) goto out;
    key[strcspn(key, "\r\n")] = 0;
  }
  if (trust_check_receipt(text, n, key, s->tsa_ca[0] ? s->tsa_ca : NULL, &sentence, &err)) goto out;
  printf("%s\n", sentence);
  rc = EXIT_DONE;
out:
  if (rc) fprintf(stderr, "chapar: %s\n", err.message);
  free(text);
  free(key);
  free(sentence);
  return rc;
}

/* After a restore behind the last signed head: a new name for the log, with the reason on record. */
static int ledger_renew(const struct settings *s, const char *why) {
  struct platform p;
  struct err err;
  int rc = platform_open(&p, s, PLATFORM_STORE | PLATFORM_THERE | PLATFORM_NEW_KEY);
  if (rc == 0 && trust_new_log(p.trust, why, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (rc == 0) printf("a new log is begun: %s\n", trust_origin(p.trust));
  platform_close(&p);
  return rc;
}

int command_ledger(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *key = NULL, *why = NULL;
  struct own_flag own[] = {{"--key", &key}, {"--why", &why}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count == 1 && strcmp(left.items[0], "verify") == 0) return ledger_verify(&s);
  if (left.count == 2 && strcmp(left.items[0], "check") == 0) return ledger_check(&s, left.items[1], key);
  if (left.count == 1 && strcmp(left.items[0], "renew") == 0 && why) return ledger_renew(&s, why);
  return app_usage("ledger", "say what to do: verify, check RECEIPT, or renew --why REASON");
}
