#include "app/app.h"
#include "app/clamd.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct told {
  bool quiet;
  int mistakes;
  const char *folder;
};

static void tell(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  struct told *t = ctx;
  if (!warning) t->mistakes++;
  if (warning && t->quiet) return;
  fprintf(stderr, "%s:%u: %s%s\n", file, line, warning ? "warning: " : "", message);
}

struct pack *app_compile(const char *folder, bool quiet) {
  struct told t = {.quiet = quiet, .folder = folder};
  struct pack_report report = {.line = tell, .ctx = &t};
  if (!folder || !folder[0]) {
    fputs("chapar: say which province: --pack FOLDER\n", stderr);
    return NULL;
  }
  DIR *there = opendir(folder);
  if (!there) {
    fprintf(stderr, "chapar: the pack %s cannot be read: %s\n", folder, strerror(errno));
    return NULL;
  }
  closedir(there);
  struct pack *p = pack_compile(folder, &report);
  if (!p && !t.mistakes) fprintf(stderr, "chapar: %s is not a pack\n", folder);
  return p;
}

static int failed(const char *what, const struct err *err) {
  fprintf(stderr, "chapar: %s: %s\n", what, err->message);
  return EXIT_REFUSED;
}

/* Keys live beside the database, and apart from it when that is a cluster: one folder for each --store. */
static char *keys_folder(const struct settings *s) {
  if (s->keys[0]) return base_strdup(s->keys);
  if (s->data[0]) return base_printf("%s/keys", s->data);
  unsigned char hash[32];
  char hex[65];
  const char *at = strrchr(s->store, '@'), *home = getenv("HOME");
  const char *name = at ? at + 1 : s->store; /* without user and password */
  sha256(name, strlen(name), hash);
  hex_encode(hash, 32, hex);
  hex[16] = 0;
  return base_printf("%s/.chapar/%s/keys", home && home[0] ? home : "/var/lib/chapar", hex);
}

/* Files that root makes in the service's own folder are files that the service cannot read. */
static int check_owner(const char *folder, struct err *err) {
  struct stat st;
  if (geteuid() != 0 || stat(folder, &st) || st.st_uid == 0) return 0;
  struct passwd *owner = getpwuid(st.st_uid);
  char number[24];
  snprintf(number, sizeof number, "#%u", st.st_uid);
  const char *name = owner ? owner->pw_name : number;
  return err_set(err, ERR_FORBIDDEN, "%s belongs to %s, and root would leave files there that %s cannot read: runuser -u %s -- chapar …", folder, name, name, name);
}

static int check_there(const struct settings *s, struct err *err) {
  char *db = base_printf("%s/chapar.db", s->data);
  bool there = access(db, F_OK) == 0;
  free(db);
  return there ? 0 : err_set(err, ERR_NOT_FOUND, "there is no store in %s yet", s->data);
}

const char *const app_main_rooms[] = {"store", "trust", "identity", "cases", "packs", "notify", "registries", "certificates", "observatory", "ussd", "network", NULL};

static int open_stores(struct platform *p, int parts, struct err *err) {
  static const char *const fast_rooms[] = {"store", "sessions", NULL};
  const struct settings *s = &p->set;
  struct store_options o = {.batch = settings_number(s->batch, 0), .wal_guard = 64u << 20}; /* see docs/notes/performance.md */
  if (s->store[0]) {
    if (store_open(s->store, &o, &p->main, err) || store_migrate(p->main, NULL, err)) return -1;
    p->fast = p->main;
    return 0;
  }
  if ((parts & PLATFORM_THERE) && check_there(s, err)) return -1;
  if (dir_make(s->data, 0700, err) || check_owner(s->data, err)) return -1;
  bool sessions = !(parts & PLATFORM_THERE);
  char *main_url = base_printf("sqlite:%s/chapar.db", s->data), *fast_url = base_printf("sqlite:%s/fast.db", s->data);
  int rc = store_open(main_url, &o, &p->main, err);
  if (rc == 0 && sessions) rc = store_open(fast_url, &(struct store_options){.readers = 4}, &p->fast, err);
  if (rc == 0) rc = store_migrate(p->main, app_main_rooms, err);
  if (rc == 0 && sessions) rc = store_migrate(p->fast, fast_rooms, err);
  free(main_url);
  free(fast_url);
  return rc;
}

int app_post(void *ctx, const char *url, const char *media_type, const void *body, size_t n, char **answer, size_t *size, struct err *err) {
  char *type = base_printf("Content-Type: %s", media_type);
  const char *headers[] = {type, NULL};
  struct http_call call = {.method = "POST", .url = url, .headers = headers, .body = body, .body_size = n, .timeout_ms = 5000};
  struct http_answer a = {0};
  int rc = http_client_call(ctx, &call, &a, err);
  free(type);
  if (rc == 0 && a.status != 200) {
    http_answer_free(&a);
    return err_set(err, ERR_UNAVAILABLE, "the time-stamp authority answered %d", a.status);
  }
  if (rc) return -1;
  *answer = a.body;
  *size = a.size;
  a.body = NULL;
  http_answer_free(&a);
  return 0;
}

/* The ledger's name is given once and kept beside its key, so that commands without a pack know it. */
static int name_log(struct platform *p, struct err *err) {
  char *file = base_printf("%s/origin", p->keys);
  size_t n = 0;
  int rc = 0;
  p->origin = access(file, R_OK) == 0 ? file_read(file, 1024, &n, err) : NULL;
  if (p->origin) p->origin[strcspn(p->origin, "\r\n")] = 0;
  else {
    p->origin = p->set.origin[0] ? base_strdup(p->set.origin) : base_printf("%s.chapar/ledger", p->pack ? pack_code(p->pack) : "chapar");
    rc = file_write(file, p->origin, strlen(p->origin), 0600, err);
  }
  free(file);
  return rc;
}

static const char *maybe(const char *s) { return s && s[0] ? s : NULL; }

/* Keys are made for a new store only. A store whose keys are elsewhere is not given others by a forgotten --keys. */
static int check_keys(struct platform *p, const char *key, int parts, struct err *err) {
  bool begun = false;
  if (trust_begun(p->main, &begun, err)) return -1;
  if (!begun && (parts & PLATFORM_THERE)) return err_set(err, ERR_NOT_FOUND, "nothing has been served from this store yet");
  if (!begun || (parts & PLATFORM_NEW_KEY) || access(key, F_OK) == 0) return 0;
  return err_set(err, ERR_NOT_FOUND, "the keys of this store are not in %s: say where they are (--keys FOLDER), put them back from a copy, "
                 "or, if they are lost, begin a declared new log (chapar ledger renew --why REASON)", p->keys);
}

static int open_trust(struct platform *p, int parts, struct err *err) {
  const struct settings *s = &p->set;
  char *file = base_printf("%s/secret", p->keys), *key = base_printf("%s/ledger.pem", p->keys);
  int rc = check_keys(p, key, parts, err);
  if (rc == 0) rc = dir_make(p->keys, 0700, err);
  if (rc == 0) rc = check_owner(p->keys, err);
  if (rc == 0) rc = trust_secret(file, p->secret, err);
  if (rc == 0) rc = name_log(p, err);
  struct trust_options o = {.key_file = key, .origin = p->origin, .tsa_url = maybe(s->tsa_url), .tsa_ca_file = maybe(s->tsa_ca), .node = p->node,
                            .post = app_post, .post_ctx = p->client};
  if (rc == 0) rc = trust_open(p->main, &o, &p->trust, err);
  free(file);
  free(key);
  return rc;
}

static int send_code(void *ctx, const char *mobile, const char *text, struct err *err) {
  struct platform *p = ctx;
  return notify_send_now(p->notify, mobile, text, err);
}

static int put_notice(void *ctx, struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err) {
  return notify_put_mail(tx, key, to, l, subject, text, err);
}

static int put_text(void *ctx, struct store_tx *tx, const char *key, const char *mobile, enum lang l, const char *text, struct err *err) {
  return notify_put(tx, key, mobile, l, text, err);
}

static int messages_between(void *ctx, struct store_tx *tx, const char *from, const char *to, json_t *list, struct err *err) { return notify_between(tx, from, to, list, err); }

static int messages_like(void *ctx, struct store_tx *tx, const char *text, json_t *list, struct err *err) { return notify_like(tx, text, list, err); }

/* Cases are opened after the gateways, before anything is sent. */
static int message_lost(void *ctx, struct store_tx *tx, const char *key, const char *channel, const char *state, struct err *err) {
  struct platform *p = ctx;
  return p->cases ? cases_message_lost(p->cases, tx, key, channel, state, err) : 0;
}

static int message_arrived(void *ctx, struct store_tx *tx, const char *key, struct err *err) {
  struct platform *p = ctx;
  return p->cases ? cases_message_arrived(p->cases, tx, key, err) : 0;
}

/* What Kannel calls later carries the gateways' own secret. */
static char *report_url(const struct settings *s) {
  if (!s->kannel_report_url[0]) return NULL;
  return s->ussd_secret[0] ? base_printf("%s%csecret=%s", s->kannel_report_url, strchr(s->kannel_report_url, '?') ? '&' : '?', s->ussd_secret)
                           : base_strdup(s->kannel_report_url);
}

/* 22-7, or never (which notify is told by two equal hours) */
static int quiet_hours(const char *text, struct notify_options *n, struct err *err) {
  char rest;
  n->quiet_from = n->quiet_to = 1;
  if (strcmp(text, "never") == 0) return 0;
  if (sscanf(text, "%2d-%2d%c", &n->quiet_from, &n->quiet_to, &rest) != 2) return err_set(err, ERR_INVALID, "quiet_hours is like 22-7, or never");
  if (n->quiet_from == n->quiet_to) n->quiet_from = n->quiet_to = 1;
  return 0;
}

static int put_outcome(void *ctx, struct store_tx *tx, const char *registry, const char *event, json_t *attributes, const char *tracking, struct err *err) {
  return registries_outcome(ctx, tx, registry, event, attributes, tracking, err);
}

static int whose_telephone(void *ctx, const char *national_id, const char *mobile, struct err *err) {
  struct platform *p = ctx; /* the registries are opened after identity, before anybody signs in */
  return p->registries ? registries_telephone(p->registries, national_id, mobile, err) : 0;
}

static int give_right(void *ctx, struct store_tx *tx, const struct case_grant *k, struct err *err) {
  const struct data_right r = {.event = k->event, .tracking = k->tracking, .asker = k->asking, .service = k->service, .purpose = k->purpose, .basis = k->basis,
                               .attributes = k->attributes, .months = k->months};
  return registries_right_put(ctx, tx, &r, err);
}

/* Through the exchange, wherever the provider's registry is; where no gateway runs, the registries of this store answer. */
static int ask_known(void *ctx, const struct service *s, const char *national_id, const json_t *answers, const char *tracking, json_t **out, struct err *err) {
  const struct platform *p = ctx;
  return p->exchange ? exchange_data_prefill(p->data, s, national_id, answers, tracking, out, err) : registries_prefill(p->registries, s, national_id, answers, out, err);
}

static int ask_one(void *ctx, const char *registry, const char *key, const char *attribute, json_t **value, struct err *err) {
  return registries_known(ctx, registry, key, attribute, value, err);
}

static int exports_with(void *ctx, struct store_tx *tx, const char *person, int64_t at, const char *id, enum lang l, json_t *items, struct err *err) {
  return registries_exports_of(ctx, tx, person, at, id, l, items, err);
}

static int scan_document(void *ctx, const void *p, size_t n, char found[80], struct err *err) { return clamd_scan(ctx, p, n, found, err); }

/* Cases are opened after the exchange's data services, before anybody is asked. */
static int look_shared(void *ctx, const struct exchange_look *k, struct err *err) {
  const struct platform *p = ctx;
  const struct case_shared s = {.persons = k->persons, .asker = k->asker, .client = k->client, .provider = k->provider, .service = k->service, .grant = k->grant, .issue = k->issue};
  return p->cases ? cases_shared(p->cases, &s, err) : err_set(err, ERR_UNAVAILABLE, "looks cannot be recorded yet");
}

static int open_rest(struct platform *p, struct err *err) {
  const struct settings *s = &p->set;
  struct notify_options n = {.kannel_url = maybe(s->kannel_url), .kannel_user = maybe(s->kannel_username), .kannel_password = maybe(s->kannel_password), .sender = maybe(s->sms_sender),
                             .smtp_url = maybe(s->smtp_url), .mail_from = maybe(s->mail_from), .lost = message_lost, .arrived = message_arrived, .fate_ctx = p};
  char *report = report_url(s);
  n.report_url = report;
  int opened = quiet_hours(s->quiet_hours, &n, err) || notify_open(p->main, p->client, &n, &p->notify, err);
  free(report);
  if (opened) return -1;
  struct identity_options i = {.secret = p->secret, .otp_seconds = settings_number(s->otp_seconds, 0), .session_seconds = settings_number(s->session_seconds, 0),
                               .secure_cookie = base_starts(s->base_url, "https:"), .limit_factor = s->demo ? 50 : 1, .send = send_code, .send_ctx = p,
                               .telephone = whose_telephone, .telephone_ctx = p};
  if (identity_open(p->main, p->fast, &i, &p->identity, err)) return -1;
  struct registries_options g = {.secret = p->secret, .identity = p->identity};
  if (registries_open(p->main, p->trust, p->pack, &g, &p->registries, err)) return -1;
  struct exchange_data_options data = {.pack = p->pack, .registries = p->registries, .look = look_shared, .ctx = p};
  if (exchange_data_open(&data, &p->data, err)) return -1;
  int workers = settings_number(s->workers, 0);
  if (!workers) workers = s->store[0] ? 16 : 4;
  if (s->clamd[0] && clamd_open(s->clamd, workers / 2, &p->clamd, err)) return -1; /* half of them stay free for everything else */
  struct cases_options c = {.secret = p->secret, .node = p->node, .identity = p->identity, .notify = put_notice, .messages = messages_between, .sent = messages_like, .record = put_outcome, .record_ctx = p->registries,
                            .prefill = ask_known, .prefill_ctx = p, .known = ask_one, .known_ctx = p->registries, .grant = give_right, .grant_ctx = p->registries,
                            .exports = exports_with, .exports_ctx = p->registries,
                            .scan = p->clamd ? scan_document : NULL, .scan_ctx = p->clamd,
                            .certificate = paper_due, .certificate_forget = paper_forget};
  if (cases_open(p->main, p->trust, p->pack, &c, &p->cases, err)) return -1;
  char *address = paper_address(s);
  struct certificates_options t = {.secret = p->secret, .node = p->node, .base_url = address, .cases = p->cases, .fill = paper_fill, .notify = put_text};
  int rc = certificates_open(p->main, p->trust, &t, &p->certificates, err);
  free(address);
  return rc ? rc : observatory_open(p->main, p->cases, p->identity, p->node, &p->observatory, err);
}

int platform_keep_pack(struct platform *p, struct err *err) {
  struct told t = {.folder = p->set.pack};
  struct pack_report report = {.line = tell, .ctx = &t};
  return cases_keep_pack(p->cases, p->served ? p->served : p->set.pack, p->set.demo, &report, err);
}

static char *node_name(const struct settings *s) {
  char host[65] = "node";
  if (s->node[0]) return base_strdup(s->node);
  gethostname(host, sizeof host - 1);
  return base_printf("%s-%ld", host, (long)getpid());
}

int platform_open(struct platform *p, const struct settings *s, int parts) {
  struct err err;
  memset(p, 0, sizeof *p);
  p->set = *s;
  log_set_level(strcmp(s->log_level, "debug") == 0 ? LOG_DEBUG : strcmp(s->log_level, "warn") == 0 ? LOG_WARN : strcmp(s->log_level, "error") == 0 ? LOG_ERROR : LOG_INFO);
  if (!s->data[0] && !s->store[0]) return app_usage(app_command(), "say where the data are: --data FOLDER, or --store postgresql://…");
  if (s->data[0] && s->store[0]) {
    fprintf(stderr, "chapar: there are two places for the data, --data (from the %s) and --store (from the %s): take one away\n", settings_source("data"), settings_source("store"));
    return EXIT_USAGE;
  }
  if ((parts & PLATFORM_PACK) && !s->pack[0]) return app_usage(app_command(), "say which province: --pack FOLDER");
  if ((parts & PLATFORM_PACK) && !(p->pack = app_compile(s->pack, true))) return EXIT_REFUSED;
  p->node = node_name(s);
  p->keys = keys_folder(s);
  p->client = http_client_new();
  if (open_stores(p, parts, &err)) return failed("the store", &err);
  if (!(parts & PLATFORM_BARE) && open_trust(p, parts, &err)) return failed("the ledger", &err);
  if ((parts & PLATFORM_ALL) == PLATFORM_ALL && overlay_open(p, &err)) return failed("the approved definitions", &err);
  if ((parts & PLATFORM_ALL) == PLATFORM_ALL && open_rest(p, &err)) return failed("the engine", &err);
  return 0;
}

void platform_close(struct platform *p) {
  platform_network_close(p);
  if (p->fast && p->fast != p->main) store_close(p->fast);
  exchange_close(p->exchange);
  certificates_close(p->certificates);
  observatory_close(p->observatory);
  cases_close(p->cases);
  exchange_data_close(p->data);
  registries_close(p->registries);
  identity_close(p->identity);
  notify_close(p->notify);
  trust_close(p->trust);
  store_close(p->main);
  http_client_free(p->client);
  clamd_close(p->clamd);
  template_free(p->templates);
  pack_unref(p->pack);
  overlay_drop(p->served);
  json_decref(p->tried);
  free(p->keys);
  free(p->node);
  free(p->origin);
  memset(p, 0, sizeof *p);
}

static void complain(const char *what, const struct err *err) {
  static _Atomic int64_t last;
  int64_t now = clock_mono();
  if (now - last < 5000) return; /* a job that fails is tried every round: say it every five seconds */
  last = now;
  log_write(LOG_WARN, "jobs", "%s: %s", what, err->message);
}

/* Messages have a round of their own: a gateway that does not answer must hold nothing else up. */
void platform_notices(struct platform *p) {
  struct err err;
  int64_t n = 0;
  if (notify_jobs(p->notify, &n, &err)) complain("notices", &err);
}

void platform_papers(struct platform *p) {
  struct err err;
  if (certificates_jobs(p->certificates, &err)) complain("certificates", &err);
  overlay_renew(p);
}

void platform_figures(struct platform *p) {
  struct err err;
  int64_t n = 0;
  if (observatory_jobs(p->observatory, &n, &err)) complain("figures", &err);
}

void platform_network_jobs(struct platform *p) {
  struct err err;
  int64_t n = 0;
  if (network_jobs(p->network, &n, &err) || app_acceptances(p, &err)) complain("network", &err);
}

void platform_jobs(struct platform *p) {
  static int64_t stamped;
  struct err err;
  int64_t n = 0;
  if (trust_sequence(p->trust, &n, &err)) complain("sequencer", &err);
  if (cases_jobs(p->cases, &n, &err)) complain("cases", &err);
  if (p->set.tsa_url[0] && clock_mono() - stamped > 10000) {
    stamped = clock_mono();
    if (trust_timestamp(p->trust, &err)) complain("time-stamp", &err);
  }
}

bool platform_more(struct platform *p) { return cases_more(p->cases); }
