/* chapar gateway …: one organisation's gateway as a program of its own, and what its operator does with it. */
#include "app/gateway.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one row each ---- */

struct deed {
  struct settings set;
  struct words_left left;                /* behind the verb */
  char *folder;
  const char *server, *address, *operator_url, *code, *wait, *json, *openapi, *notice, *enable, *method, *path, *purpose, *until, *why, *tls, *certificates, *name_fa, *name_en, *ca, *timeout_ms, *any_certificate, *known_certificate, *all, *older_than, *unstamped, *digest_only, *bodies, *at_once, *out;
  char *actor;
};

#define DEED_TABLE(X) \
  X("init", deed_init, "--server INSTANCE/CLASS/MEMBER/SERVER --address https://HOST:PORT", "make a gateway in a folder: keys, certificate, store", 0) \
  X("join", deed_join, "--operator https://HOST:PORT --code CODE [--wait SECONDS]", "ask the operator to be taken in, and wait until a person has approved it (CODE - reads it from standard input)", 0) \
  X("card", deed_card, "[--json]", "the fingerprint that the person who approves compares", 0) \
  X("serve", deed_serve, "[--listen 127.0.0.1:8080] [--exchange-listen ADDRESS:PORT] [--exchange-systems-listen ADDRESS:PORT]", "answer information systems and other gateways", 0) \
  X("status", deed_status, "[--json]", "how a gateway that serves is: directory, keys, peers, evidence, time-stamps, causes; exit code 1 when something is wrong", 0) \
  X("test", deed_test, "SUBSYSTEM SERVICE [METHOD PATH]", "one call through the gateway that serves: what was answered, or which side refused it, in which check, and what to do", 2) \
  X("services add", deed_service_add, "SERVICE URL [--openapi URL] [--name-fa T] [--name-en T] [--ca FILE | --any-certificate] [--timeout-ms N] [--digest-only]", "publish a service of an information system (five parts: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE)", 2) \
  X("services set", deed_service_set, "SERVICE [--digest-only | --bodies] [--timeout-ms N] [--any-certificate | --known-certificate]", "from now on: what the log keeps of its messages, digests alone or bodies too; how long its information system may take (0: as the gateway's setting); whether that may show any certificate", 1) \
  X("services list", deed_service_list, "[--json]", "the services of this gateway", 0) \
  X("services disable", deed_service_disable, "SERVICE --notice TEXT | SERVICE --enable", "answer calls with a notice for a while, or again", 1) \
  X("services remove", deed_service_remove, "SERVICE", "publish it no longer", 1) \
  X("maintenance on", deed_maintenance_on, "--notice TEXT [--until YYYY-MM-DD | --until YYYY-MM-DDTHH:MM:SSZ]", "refuse calls of both sides with the notice (maintenance_mode), until then or until it is off; other gateways of the member answer", 0) \
  X("maintenance off", deed_maintenance_off, "", "answer calls again", 0) \
  X("subsystem", deed_subsystem, "SUBSYSTEM [--tls plain|https|mutual] [--certificates SHA256,…]", "a subsystem whose information systems call through this gateway", 1) \
  X("grant", deed_grant, "SUBSYSTEM|group:CODE SERVICE [--method M] [--path GLOB] [--purpose TEXT] [--until YYYY-MM-DD]", "give a right", 2) \
  X("grants", deed_grants, "[SERVICE] [--json] [--all]", "the rights that were given", 0) \
  X("revoke", deed_revoke, "GRANT --why TEXT", "take a right back", 1) \
  X("groups list", deed_groups, "[--json]", "groups that rights may name (group:CODE): of this gateway, and the operator's of the whole directory", 0) \
  X("groups add", deed_group_add, "CODE MEMBER-OR-SUBSYSTEM", "put it into a group of this gateway, for its own rights (group:CODE)", 2) \
  X("groups remove", deed_group_remove, "CODE MEMBER-OR-SUBSYSTEM", "take it out of a group of this gateway", 2) \
  X("acts", deed_acts, "[--json]", "who did what at this gateway, when and why, newest first; each is a leaf of its ledger", 0) \
  X("renew-keys", deed_renew, "", "new keys without a break: announced, used when the others know them, the old ones end", 0) \
  X("archive", deed_archive, "[--older-than DAYS] [--unstamped] [--json]", "put what is old (by exchange_keep_days and exchange_keep_mb, or older than so many days) into archives, out of the log", 0) \
  X("archives", deed_archives, "[--json]", "the archives that were made", 0) \
  X("backup", deed_backup, "FILE", "a consistent copy while serving; it holds the keys", 1) \
  X("restore", deed_restore, "FILE", "put a copy back into a new folder, after verifying it", 1) \
  X("member", deed_member, "ID [--name-fa T] [--name-en T]", "operator: put a member (three parts) or a subsystem (four) into the directory", 1) \
  X("members remove", deed_member_remove, "ID --why TEXT", "operator: take a member (with its gateways and subsystems) or a subsystem out; its keys are revoked, its rights end everywhere", 1) \
  X("gateways remove", deed_gateway_remove, "SERVER --why TEXT", "operator: take one gateway out of the directory; its keys and certificates are revoked everywhere, its member stays", 1) \
  X("group", deed_group, "CODE ID [--out]", "operator: put a member (for all its subsystems) or a subsystem into a group of the directory, or take it out; rights name it group:CODE", 2) \
  X("invite", deed_invite, "SERVER", "operator: a one-time code for a gateway, good for a day", 1) \
  X("requests", deed_requests, "[--json]", "operator: who asks to be taken in", 0) \
  X("approve", deed_approve, "REQUEST [--why TEXT]", "operator: take it in, after comparing fingerprints", 1) \
  X("refuse", deed_refuse, "REQUEST [--why TEXT]", "operator: do not", 1) \
  X("revoke-key", deed_revoke_key, "KEYID --why TEXT", "operator: a signing key or certificate is good no longer, everywhere within a minute", 1) \
  X("renew-operator-key", deed_renew_operator, "--why TEXT [--at-once]", "operator: a new key that signs the directory; the old one announces it, gateways follow, also those that are away", 0) \
  X("directory", deed_directory, "[--json]", "the member directory as this gateway has it", 0)

#define X(verb, fn, usage, help, words) static int fn(struct deed *d);
DEED_TABLE(X)
#undef X
static const struct { const char *verb; int (*run)(struct deed *); const char *usage, *help; int words; } deeds[] = {
#define X(verb, fn, usage, help, words) {verb, fn, usage, help, words},
  DEED_TABLE(X)
#undef X
};

int gateway_usage(const char *verb, const char *problem) {
  FILE *out = problem ? stderr : stdout;
  size_t shown = 0;
  if (problem) fprintf(out, "chapar: %s\n", problem);
  fputs("usage: chapar gateway WORD … --folder FOLDER\n", out);
  for (int round = 0; round < 2 && !shown; round++)
    for (size_t i = 0; i < BASE_COUNT(deeds); i++) {
      size_t n = verb ? strlen(verb) : 0;
      if (round == 0 && verb && (strncmp(deeds[i].verb, verb, n) != 0 || (deeds[i].verb[n] && deeds[i].verb[n] != ' '))) continue;
      fprintf(out, "  chapar gateway %s %s\n      %s\n", deeds[i].verb, deeds[i].usage, deeds[i].help);
      shown++;
    }
  fputs("Each takes --folder FOLDER (or CHAPAR_EXCHANGE_FOLDER); see docs/operator/exchange.md.\n", out);
  return problem ? EXIT_USAGE : EXIT_DONE;
}

static int failed(const struct err *err) {
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

/* Takes v: as JSON, or told by the function. */
static int show(const struct deed *d, json_t *v, void (*tell)(const json_t *v)) {
  if (d->json) {
    char *text = json_dumps(v, JSON_INDENT(1));
    puts(text);
    free(text);
  } else {
    tell(v);
  }
  json_decref(v);
  return EXIT_DONE;
}

int gateway_open(const struct settings *s, const char *folder, struct http_client *client, const char *actor, struct exchange **out, struct err *err) {
  struct exchange_options o;
  char *node = base_printf("%s-%ld", s->node[0] ? s->node : "gateway", (long)getpid());
  int rc = exchange_settings(s, &o, err);
  o.folder = folder;
  o.node = node;
  o.post_ctx = o.client = client;
  o.actor = actor;
  if (rc == 0) rc = exchange_open(&o, out, err);
  free(node);
  return rc;
}

/* Who gives the command, for the record. */
static char *actor_name(void) {
  const struct passwd *p = getpwuid(getuid());
  return p ? base_printf("command: %s", p->pw_name) : base_printf("command: user %u", (unsigned)getuid());
}

/* Open, do, close: what changes lies in the store, where the process that serves sees it. */
static int with(struct deed *d, int (*fn)(struct deed *, struct exchange *, struct err *)) {
  struct exchange *x = NULL;
  struct err err;
  struct http_client *client = http_client_new();
  int rc = gateway_open(&d->set, d->folder, client, d->actor, &x, &err) || fn(d, x, &err) ? failed(&err) : EXIT_DONE;
  exchange_close(x);
  http_client_free(client);
  return rc;
}

/* ---- beginning ---- */

static void tell_card(const json_t *v) {
  printf("gateway      %s\naddress      %s\nsigning key  %s\ncertificate  %s\nfingerprint  %s\n", json_str(v, "server"), json_str(v, "address"), json_str(v, "keyid"), json_str(v, "certificate"), json_str(v, "fingerprint"));
}

static int deed_init(struct deed *d) {
  struct err err;
  json_t *card;
  if (!d->server || !d->address) return gateway_usage("init", "--server and --address are needed");
  if (exchange_init(&(struct exchange_init){.folder = d->folder, .server = d->server, .address = d->address}, &err) || exchange_card(d->folder, &card, &err)) return failed(&err);
  return show(d, card, tell_card);
}

static int deed_card(struct deed *d) {
  struct err err;
  json_t *card;
  if (exchange_card(d->folder, &card, &err)) return failed(&err);
  return show(d, card, tell_card);
}

static int deed_join(struct deed *d) {
  struct err err;
  json_t *card;
  char typed[200] = "";
  if (!d->operator_url || !d->code) return gateway_usage("join", "--operator and --code are needed");
  if (strcmp(d->code, "-") == 0) {
    if (!fgets(typed, sizeof typed, stdin)) return gateway_usage("join", "give the code on standard input");
    typed[strcspn(typed, "\r\n")] = 0;
    d->code = typed;
  }
  if (exchange_card(d->folder, &card, &err)) return failed(&err);
  fprintf(stderr, "asking %s to take in %s; the person who approves compares this fingerprint:\n  %s\n", d->operator_url, json_str(card, "server"), json_str(card, "fingerprint"));
  json_decref(card);
  if (exchange_join(d->folder, d->operator_url, d->code, settings_number(d->wait ? d->wait : "", 3600), &err)) return failed(&err);
  puts("joined: the member directory is here; chapar gateway serve begins");
  return EXIT_DONE;
}

static int archive(struct deed *d, struct exchange *x, struct err *err) { return gateway_archive(x, d->older_than, d->unstamped != NULL, d->json != NULL, err); }
static int deed_archive(struct deed *d) {
  if (!d->older_than && !settings_number(d->set.exchange_keep_days, 0) && !settings_number(d->set.exchange_keep_mb, 0))
    return gateway_usage("archive", "say what is old: --older-than DAYS, or the settings exchange_keep_days and exchange_keep_mb");
  return with(d, archive);
}
static int archives(struct deed *d, struct exchange *x, struct err *err) { return gateway_archives(x, d->json != NULL, err); }
static int deed_archives(struct deed *d) { return with(d, archives); }

static int deed_serve(struct deed *d) { return gateway_serve(&d->set, d->folder); }
static int deed_status(struct deed *d) { return gateway_status(&d->set, d->folder, d->json != NULL); }
static int deed_backup(struct deed *d) { return gateway_backup(&d->set, d->folder, d->left.items[0]); }
static int deed_restore(struct deed *d) { return gateway_restore(&d->set, d->folder, d->left.items[0]); }

/* ---- services and rights ---- */

/* The options that services add and set have in common. -1: *timeout_ms as it was. */
static int read_timeout(const struct deed *d, int *timeout_ms, struct err *err) {
  char *end;
  *timeout_ms = -1;
  if (!d->timeout_ms) return 0;
  long n = strtol(d->timeout_ms, &end, 10);
  if (end == d->timeout_ms || *end || n < 0 || n > 3600000) return err_set(err, ERR_INVALID, "--timeout-ms is a number of milliseconds, at most 3600000; 0: as the gateway's setting");
  *timeout_ms = (int)n;
  return 0;
}

static int service_add(struct deed *d, struct exchange *x, struct err *err) {
  const char *kind = d->openapi ? "OPENAPI" : "REST";
  struct exchange_service s = {.id = d->left.items[0], .url = d->left.items[1], .kind = kind, .openapi_url = d->openapi, .title_fa = d->name_fa, .title_en = d->name_en, .ca_file = d->ca, .log_digest_only = d->digest_only != NULL, .any_certificate = d->any_certificate != NULL};
  int timeout;
  if (read_timeout(d, &timeout, err)) return -1;
  s.timeout_ms = timeout < 0 ? 0 : timeout;
  if (exchange_service_put(x, &s, err)) return -1;
  printf("%s is published; give rights with: chapar gateway grant SUBSYSTEM %s\n", s.id, s.id);
  return 0;
}
static int deed_service_add(struct deed *d) {
  return d->ca && d->any_certificate ? gateway_usage("services add", "say --ca FILE, or --any-certificate") : with(d, service_add);
}

static int service_set(struct deed *d, struct exchange *x, struct err *err) {
  int timeout;
  if (read_timeout(d, &timeout, err)) return -1;
  if ((timeout >= 0 || d->any_certificate || d->known_certificate) &&
      exchange_service_options(x, d->left.items[0], timeout, d->any_certificate ? 1 : d->known_certificate ? 0 : -1, err))
    return -1;
  if (timeout >= 0) printf("%s may take %d ms%s\n", d->left.items[0], timeout, timeout ? "" : ", which is: as the gateway's setting");
  if (d->any_certificate || d->known_certificate) printf("%s %s\n", d->left.items[0], d->any_certificate ? "may show any certificate" : "shows a certificate that is verified");
  if (!d->digest_only && !d->bodies) return 0;
  if (exchange_service_log(x, d->left.items[0], d->digest_only != NULL, err)) return -1;
  printf(d->digest_only ? "of %s the log keeps digests from now on\n" : "of %s the log keeps bodies from now on\n", d->left.items[0]);
  return 0;
}
static int deed_service_set(struct deed *d) {
  if (d->digest_only && d->bodies) return gateway_usage("services set", "say --digest-only, or --bodies");
  if (d->any_certificate && d->known_certificate) return gateway_usage("services set", "say --any-certificate, or --known-certificate");
  if (!d->digest_only && !d->bodies && !d->timeout_ms && !d->any_certificate && !d->known_certificate) return gateway_usage("services set", "say what is to be otherwise");
  return with(d, service_set);
}

static void tell_services(const json_t *v) {
  size_t i;
  json_t *o;
  if (json_array_size(v) == 0) puts("no services");
  json_array_foreach(v, i, o) {
    const char *disabled = json_str(o, "disabled");
    char timeout[40] = "";
    if (json_int(o, "timeout_ms", 0)) snprintf(timeout, sizeof timeout, "  time-out: %lld ms", (long long)json_int(o, "timeout_ms", 0));
    printf("%s  %s  %s  log: %s  %lld grants%s%s%s%s\n", json_str(o, "id"), json_str(o, "kind"), json_str(o, "url") ? json_str(o, "url") : "(answered here)",
           base_same(json_str(o, "log"), "digest") ? "digests" : "bodies", (long long)json_int(o, "grants", 0), timeout, json_flag(o, "any_certificate", false) ? "  any certificate" : "", disabled ? "  disabled: " : "",
           disabled ? disabled : "");
  }
}

static int service_list(struct deed *d, struct exchange *x, struct err *err) {
  json_t *v;
  if (exchange_services(x, &v, err)) return -1;
  if (!d->json) { /* of others' services what was said of the log */
    json_t *own, *all = exchange_log_policies(x), *value;
    const char *id;
    size_t i;
    json_array_foreach(v, i, own) json_object_del(all, json_str(own, "id"));
    json_object_foreach(all, id, value) printf("%s  (another's)  log: %s\n", id, base_same(json_string_value(value), "digest") ? "digests" : "bodies");
    json_decref(all);
  }
  show(d, v, tell_services);
  return 0;
}
static int deed_service_list(struct deed *d) { return with(d, service_list); }

static int service_disable(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_service_disable(x, d->left.items[0], d->enable ? NULL : d->notice, err)) return -1;
  printf(d->enable ? "%s answers again\n" : "%s answers with the notice\n", d->left.items[0]);
  return 0;
}
static int deed_service_disable(struct deed *d) {
  if (!d->enable == !d->notice) return gateway_usage("services disable", "say --notice TEXT, or --enable");
  return with(d, service_disable);
}

static int service_remove(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_service_remove(x, d->left.items[0], err)) return -1;
  printf("%s is gone\n", d->left.items[0]);
  return 0;
}
static int deed_service_remove(struct deed *d) { return with(d, service_remove); }

/* --until of a maintenance, if it is given: a day or a moment that is not over. */
static int read_until(const struct deed *d, int64_t *until, struct err *err) {
  int32_t day = d->until ? date_parse(d->until) : INT32_MIN;
  *until = 0;
  if (day != INT32_MIN) *until = day_start(day);
  else if (d->until && clock_parse(d->until, until)) return err_set(err, ERR_INVALID, "--until is a day or a moment, such as 2027-03-20 or 2027-03-20T06:30:00Z: %s is neither", d->until);
  return d->until && *until <= clock_now() ? err_set(err, ERR_INVALID, "--until lies in the future: %s is over", d->until) : 0;
}

static int maintenance_on(struct deed *d, struct exchange *x, struct err *err) {
  int64_t until;
  if (read_until(d, &until, err) || exchange_maintenance(x, d->notice, until, err)) return -1;
  printf("calls are refused with the notice%s%s; chapar gateway maintenance off ends it\n", d->until ? " until " : "", d->until ? d->until : "");
  return 0;
}

/* All that is wrong at once. */
static int deed_maintenance_on(struct deed *d) {
  struct err err;
  int64_t until;
  bool good = read_until(d, &until, &err) == 0;
  if (!good && d->notice) return failed(&err);
  if (!good) fprintf(stderr, "chapar: %s\n", err.message);
  return d->notice ? with(d, maintenance_on) : gateway_usage("maintenance on", "say what callers are told: --notice TEXT");
}

static int maintenance_off(struct deed *d, struct exchange *x, struct err *err) {
  (void)d;
  if (exchange_maintenance(x, NULL, 0, err)) return -1;
  puts("calls are answered again");
  return 0;
}
static int deed_maintenance_off(struct deed *d) { return with(d, maintenance_off); }

static int subsystem(struct deed *d, struct exchange *x, struct err *err) {
  char *spaced = base_strdup(d->certificates ? d->certificates : "");
  for (char *p = spaced; *p; p++)
    if (*p == ',') *p = ' ';
  int rc = exchange_subsystem_put(x, d->left.items[0], d->tls ? d->tls : "plain", spaced, err);
  free(spaced);
  if (rc == 0) printf("%s calls through this gateway (%s)\n", d->left.items[0], d->tls ? d->tls : "plain");
  return rc;
}
static int deed_subsystem(struct deed *d) { return with(d, subsystem); }

static bool listed(const json_t *list, const char *id) {
  size_t i;
  json_t *o;
  json_array_foreach(list, i, o)
    if (base_same(json_str(o, "id"), id) || listed(json_object_get(o, "subsystems"), id)) return true;
  return false;
}

/* A right may be given before there is what it names; a name that was mistyped looks the same. */
static void note_unknown(struct exchange *x, const struct exchange_grant *g) {
  json_t *v = NULL;
  struct err err;
  if (exchange_services(x, &v, &err) == 0 && !listed(v, g->service)) fprintf(stderr, "chapar: note: there is no service %s at this gateway yet\n", g->service);
  json_decref(v);
  v = NULL;
  if (!base_starts(g->subject, "group:") && exchange_directory(x, &v, &err) == 0 && !listed(json_object_get(v, "members"), g->subject))
    fprintf(stderr, "chapar: note: the member directory does not know %s yet\n", g->subject);
  json_decref(v);
}

static int grant(struct deed *d, struct exchange *x, struct err *err) {
  char id[40];
  int64_t until = 0;
  if (d->until && app_day("--until", d->until, 0, &until)) return err_set(err, ERR_INVALID, "--until is a day, such as 2027-03-20");
  struct exchange_grant g = {.subject = d->left.items[0], .service = d->left.items[1], .method = d->method ? d->method : "*", .path = d->path ? d->path : "**", .purpose = d->purpose, .until = until};
  if (until && until <= clock_now()) return err_set(err, ERR_INVALID, "--until lies in the future: at %s the right would be over", d->until);
  if (exchange_grant(x, &g, d->actor, id, err)) return -1;
  puts(id);
  note_unknown(x, &g);
  return 0;
}
static int deed_grant(struct deed *d) { return with(d, grant); }

static void tell_grants(const json_t *v) {
  size_t i;
  json_t *o;
  if (json_array_size(v) == 0) puts("no rights were given");
  json_array_foreach(v, i, o)
    printf("%s  %s → %s  %s %s%s%.10s%s%s%s\n", json_str(o, "id"), json_str(o, "subject"), json_str(o, "service"), json_str(o, "method"), json_str(o, "path"), json_str(o, "until") ? "  until " : "",
           json_str(o, "until") ? json_str(o, "until") : "", json_str(o, "purpose") ? "  " : "", json_str(o, "purpose") ? json_str(o, "purpose") : "", json_str(o, "revoked_at") ? "  (revoked)" : "");
}

static int grants(struct deed *d, struct exchange *x, struct err *err) {
  json_t *v;
  if (exchange_grants(x, d->left.count ? d->left.items[0] : NULL, d->all != NULL, &v, err)) return -1;
  show(d, v, tell_grants);
  return 0;
}
static int deed_grants(struct deed *d) { return with(d, grants); }

static int take_back(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_revoke(x, d->left.items[0], d->actor, d->why, err)) return -1;
  printf("%s is taken back\n", d->left.items[0]);
  return 0;
}
static int deed_revoke(struct deed *d) { return d->why ? with(d, take_back) : gateway_usage("revoke", "say why: --why TEXT"); }

static int renew(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_renew_keys(x, err)) return -1;
  puts("new keys are made; the gateway that serves announces them and uses them when the others know them");
  return 0;
}
static int deed_renew(struct deed *d) { return with(d, renew); }

static int deed_test(struct deed *d) {
  return gateway_test(d->folder, d->left.items[0], d->left.items[1], d->left.count > 2 ? d->left.items[2] : NULL, d->left.count > 3 ? d->left.items[3] : NULL);
}

/* ---- the operator's ---- */

static int member(struct deed *d, struct exchange *x, struct err *err) {
  const char *id = d->left.items[0];
  if (exchange_member_put(x, id, d->name_fa ? d->name_fa : id, d->name_en ? d->name_en : id, d->actor, err) || exchange_publish(x, err)) return -1;
  printf("%s is in the directory\n", id);
  return 0;
}
static int deed_member(struct deed *d) { return with(d, member); }

static int member_remove(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_member_remove(x, d->left.items[0], d->actor, d->why, err)) return -1;
  printf("%s is out of the directory: its keys are revoked, and its rights end where the directory arrives\n", d->left.items[0]);
  return 0;
}
static int deed_member_remove(struct deed *d) { return d->why ? with(d, member_remove) : gateway_usage("members remove", "say why: --why TEXT"); }

static int gateway_remove(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_gateway_remove(x, d->left.items[0], d->actor, d->why, err)) return -1;
  printf("%s is out of the directory: its keys are revoked where the directory arrives\n", d->left.items[0]);
  return 0;
}
static int deed_gateway_remove(struct deed *d) { return d->why ? with(d, gateway_remove) : gateway_usage("gateways remove", "say why: --why TEXT"); }

/* ---- groups and acts ---- */

static void tell_groups(const json_t *v) {
  size_t i, k;
  json_t *o, *m;
  if (json_array_size(v) == 0) puts("no groups");
  json_array_foreach(v, i, o) {
    printf("%s%s\n", json_str(o, "code"), json_flag(o, "global", false) ? "  (the operator's)" : "");
    json_array_foreach(json_object_get(o, "members"), k, m) printf("    %s\n", json_string_value(m));
  }
}

static int groups(struct deed *d, struct exchange *x, struct err *err) {
  json_t *v;
  if (exchange_groups(x, &v, err)) return -1;
  show(d, v, tell_groups);
  return 0;
}
static int deed_groups(struct deed *d) { return with(d, groups); }

static void tell_group(const char *code, const char *id, bool in) { printf(in ? "%s is in the group %s\n" : "%s is not in the group %s any more\n", id, code); }

static int group_change(struct deed *d, struct exchange *x, bool in, struct err *err) {
  const char *code = d->left.items[0], *id = d->left.items[1];
  if (exchange_group(x, code, id, in, d->actor, err)) return -1;
  tell_group(code, id, in);
  return 0;
}
static int group_add(struct deed *d, struct exchange *x, struct err *err) { return group_change(d, x, true, err); }
static int deed_group_add(struct deed *d) { return with(d, group_add); }
static int group_remove(struct deed *d, struct exchange *x, struct err *err) { return group_change(d, x, false, err); }
static int deed_group_remove(struct deed *d) { return with(d, group_remove); }

static void tell_acts(const json_t *v) {
  size_t i;
  json_t *o;
  if (json_array_size(v) == 0) puts("nothing was done yet");
  json_array_foreach(v, i, o) {
    const char *why = json_str(json_object_get(o, "detail"), "why");
    printf("%s  %s  %s  %s%s%s\n", json_str(o, "at"), json_str(o, "actor"), json_str(o, "act"), json_str(o, "subject"), why && why[0] ? "  " : "", why ? why : "");
  }
}

static int acts(struct deed *d, struct exchange *x, struct err *err) {
  json_t *all = json_array(), *page = NULL;
  char *before = NULL;
  int rc = 0;
  do {
    rc = exchange_acts(x, before, 500, &page, err);
    if (rc) break;
    free(before);
    before = base_strdup(json_str(page, "next"));
    json_array_extend(all, json_object_get(page, "items"));
    json_decref(page);
  } while (before && json_array_size(all) < 100000);
  free(before);
  if (rc) json_decref(all);
  else show(d, all, tell_acts);
  return rc;
}
static int deed_acts(struct deed *d) { return with(d, acts); }
static int group(struct deed *d, struct exchange *x, struct err *err) {
  const char *code = d->left.items[0], *id = d->left.items[1];
  if (exchange_global_group(x, code, id, !d->out, d->actor, err) || exchange_publish(x, err)) return -1;
  tell_group(code, id, !d->out);
  return 0;
}
static int deed_group(struct deed *d) { return with(d, group); }

static int invite(struct deed *d, struct exchange *x, struct err *err) {
  char code[80];
  if (exchange_invite(x, d->left.items[0], d->actor, code, err)) return -1;
  puts(code);
  return 0;
}
static int deed_invite(struct deed *d) { return with(d, invite); }

static void tell_requests(const json_t *v) {
  size_t i;
  json_t *o;
  if (json_array_size(v) == 0) puts("nobody asks");
  json_array_foreach(v, i, o) printf("%s  %s  %s\n    fingerprint %s\n", json_str(o, "id"), json_str(o, "server"), json_str(o, "address"), json_str(o, "fingerprint"));
}

static int requests(struct deed *d, struct exchange *x, struct err *err) {
  json_t *v;
  if (exchange_requests(x, &v, err)) return -1;
  show(d, v, tell_requests);
  return 0;
}
static int deed_requests(struct deed *d) { return with(d, requests); }

static int judge(struct deed *d, struct exchange *x, bool yes, struct err *err) {
  if (exchange_approve(x, d->left.items[0], d->actor, yes, d->why, err)) return -1;
  printf(yes ? "%s is taken in: the directory names it\n" : "%s is refused\n", d->left.items[0]);
  return 0;
}
static int approve(struct deed *d, struct exchange *x, struct err *err) { return judge(d, x, true, err); }
static int deed_approve(struct deed *d) { return with(d, approve); }
static int refuse(struct deed *d, struct exchange *x, struct err *err) { return judge(d, x, false, err); }
static int deed_refuse(struct deed *d) { return with(d, refuse); }

static int revoke_key(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_key_revoke(x, d->left.items[0], d->actor, d->why, err)) return -1;
  printf("%s is revoked: every gateway that takes the directory refuses it\n", d->left.items[0]);
  return 0;
}
static int deed_revoke_key(struct deed *d) { return d->why ? with(d, revoke_key) : gateway_usage("revoke-key", "say why: --why TEXT"); }

static int renew_operator(struct deed *d, struct exchange *x, struct err *err) {
  if (exchange_renew_operator_key(x, d->actor, d->why, d->at_once != NULL, err)) return -1;
  puts("the next key is made; the platform that serves announces it, and it signs when the gateways know it");
  return 0;
}
static int deed_renew_operator(struct deed *d) { return d->why ? with(d, renew_operator) : gateway_usage("renew-operator-key", "say why: --why TEXT"); }

static void tell_directory(const json_t *v) {
  const json_t *members = json_object_get(v, "members"), *gateways = json_object_get(v, "gateways");
  size_t i;
  json_t *o;
  printf("version %lld of %s, %s\n%zu members, %zu gateways\n", (long long)json_int(v, "version", 0), json_str(v, "issued_at") ? json_str(v, "issued_at") : "never", json_str(v, "state"), json_array_size(members),
         json_array_size(gateways));
  json_array_foreach(gateways, i, o) printf("  %s  %s  %s\n", json_str(o, "id"), json_str(o, "address"), json_str(o, "fingerprint") ? json_str(o, "fingerprint") : "");
}

static int directory(struct deed *d, struct exchange *x, struct err *err) {
  json_t *v;
  if (exchange_directory(x, &v, err)) return -1;
  show(d, v, tell_directory);
  return 0;
}
static int deed_directory(struct deed *d) { return with(d, directory); }

/* ---- the command ---- */

static int run(struct deed *d) {
  for (size_t i = 0; i < BASE_COUNT(deeds); i++) {
    const char *space = strchr(deeds[i].verb, ' ');
    size_t n = space ? (size_t)(space - deeds[i].verb) : strlen(deeds[i].verb);
    int taken = space ? 2 : 1;
    if (d->left.count < taken || strncmp(d->left.items[0], deeds[i].verb, n) != 0 || d->left.items[0][n] || (space && strcmp(d->left.items[1], space + 1) != 0)) continue;
    d->left.count -= taken;
    memmove(d->left.items, d->left.items + taken, (size_t)d->left.count * sizeof d->left.items[0]);
    if (d->left.count < deeds[i].words || d->left.count > deeds[i].words + ((strcmp(deeds[i].verb, "test") == 0 ? 2 : strcmp(deeds[i].verb, "grants") == 0))) return gateway_usage(deeds[i].verb, "there is a word too few or too many");
    if (!d->folder[0]) return gateway_usage(deeds[i].verb, "say where the gateway is: --folder FOLDER");
    return deeds[i].run(d);
  }
  const char *word = d->left.count ? d->left.items[0] : NULL;
  for (size_t i = 0; word && i < BASE_COUNT(deeds); i++)
    if (base_starts(deeds[i].verb, word) && deeds[i].verb[strlen(word)] == ' ') return gateway_usage(word, "say which of these:");
  return gateway_usage(word, word ? "there is no such word of chapar gateway" : "say what to do:");
}

int command_gateway(int argc, char **argv) {
  struct deed d = {.folder = NULL};
  const char *folder = NULL;
  struct own_flag own[] = {{"--folder", &folder}, {"--server", &d.server}, {"--address", &d.address}, {"--operator", &d.operator_url}, {"--code", &d.code}, {"--wait", &d.wait}, {"--json!", &d.json},
                           {"--openapi", &d.openapi}, {"--notice", &d.notice}, {"--enable!", &d.enable}, {"--method", &d.method}, {"--path", &d.path}, {"--purpose", &d.purpose}, {"--until", &d.until},
                           {"--why", &d.why}, {"--tls", &d.tls}, {"--certificates", &d.certificates}, {"--name-fa", &d.name_fa}, {"--name-en", &d.name_en}, {"--ca", &d.ca}, {"--timeout-ms", &d.timeout_ms}, {"--any-certificate!", &d.any_certificate}, {"--known-certificate!", &d.known_certificate}, {"--all!", &d.all}, {"--older-than", &d.older_than}, {"--unstamped!", &d.unstamped}, {"--digest-only!", &d.digest_only}, {"--bodies!", &d.bodies}, {"--out!", &d.out}, {"--at-once!", &d.at_once}, {NULL, NULL}};
  int rc = settings_read(&d.set, argc, argv, own, &d.left);
  if (rc) return rc;
  if (strcmp(d.set.log_level, "info") == 0 && !(d.left.count && strcmp(d.left.items[0], "serve") == 0)) log_set_level(LOG_WARN);
  d.folder = base_strdup(folder ? folder : d.set.exchange_folder);
  d.actor = actor_name();
  rc = run(&d);
  free(d.actor);
  free(d.folder);
  return rc;
}
