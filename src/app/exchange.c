/* The gateway that the platform contains. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *maybe(const char *s) { return s && s[0] ? s : NULL; }

int exchange_settings(const struct settings *s, struct exchange_options *o, struct err *err) {
  *o = (struct exchange_options){.tsa = s->tsa_url[0] && strcmp(s->exchange_tsa, "no"), .tsa_url = maybe(s->tsa_url), .tsa_ca_file = maybe(s->tsa_ca), .post = app_post,
                                 .window_s = settings_number(s->exchange_window_s, 300), .timeout_ms = settings_number(s->exchange_timeout_ms, 60000),
                                 .directory_grace_s = settings_number(s->exchange_grace_s, 86400), .allow = maybe(s->exchange_allow),
                                 .keep_days = settings_number(s->exchange_keep_days, 0), .keep_mb = settings_number(s->exchange_keep_mb, 0), .archive_folder = maybe(s->exchange_archive),
                                 .smtp_url = maybe(s->smtp_url), .mail_from = maybe(s->mail_from), .alarm_mail = maybe(s->exchange_alarm_mail)};
  if (o->alarm_mail && exchange_alarm_addresses(o->alarm_mail, err)) return -1;
  if (o->alarm_mail && (!o->smtp_url || !o->mail_from)) return err_set(err, ERR_INVALID, "exchange_alarm_mail needs smtp_url and mail_from: who sends the letters, and by which relay");
  if (o->keep_days < 0 || o->keep_days > 36500 || o->keep_mb < 0) return err_set(err, ERR_INVALID, "exchange_keep_days (at most 36500) and exchange_keep_mb are numbers; 0 or nothing: no limit");
  if (o->window_s < 1 || o->window_s > 86400) return err_set(err, ERR_INVALID, "exchange_window_s is a number of seconds from 1 to 86400: how far the clocks of two gateways may lie apart");
  if (o->timeout_ms < 100 || o->timeout_ms > 3600000) return err_set(err, ERR_INVALID, "exchange_timeout_ms is a number of milliseconds from 100 to 3600000");
  if (o->directory_grace_s < 1 || o->directory_grace_s > 31536000) return err_set(err, ERR_INVALID, "exchange_grace_s is a number of seconds, at most a year");
  if (s->exchange_per_address[0] && settings_number(s->exchange_per_address, -1) < 0) return err_set(err, ERR_INVALID, "exchange_per_address is a number of connections; 0: no bound");
  if (s->exchange_spool_mb[0] && settings_number(s->exchange_spool_mb, 0) < 1) return err_set(err, ERR_INVALID, "exchange_spool_mb is a number of MB, at least 1; empty: half of what is free in the temporary folder");
  if (strcmp(s->exchange_errors, "7.8") && strcmp(s->exchange_errors, "7.7")) return err_set(err, ERR_INVALID, "exchange_errors is 7.8 or 7.7");
  o->errors = strcmp(s->exchange_errors, "7.7") == 0 ? EXCHANGE_ERRORS_77 : EXCHANGE_ERRORS_78;
  return 0;
}

char *exchange_folder_of(const struct platform *p) {
  if (p->set.exchange_folder[0]) return base_strdup(p->set.exchange_folder);
  return p->set.data[0] ? base_printf("%s/exchange", p->set.data) : base_printf("%s/exchange", p->keys);
}

/* INSTANCE/CLASS/MEMBER of an organisation; NULL when it has no identity in the exchange. */
static char *identity_of(const struct platform *p, const struct organisation *o) {
  if (!o->class_ || !o->class_[0] || !o->member || !o->member[0]) return NULL;
  return base_printf("%s/%s/%s", pack_instance(p->pack), o->class_, o->member);
}

static char *server_of(const struct platform *p) {
  const struct directory *d = pack_directory(p->pack);
  if (p->set.exchange_server[0]) return base_strdup(p->set.exchange_server);
  for (size_t i = 0; i < directory_organisations(d); i++) {
    char *member = identity_of(p, directory_organisation(d, (int)i));
    char *server = member ? base_printf("%s/platform", member) : NULL;
    free(member);
    if (server) return server;
  }
  return base_printf("%s/GOV/platform/platform", pack_instance(p->pack));
}

static char *address_of(const struct platform *p) {
  if (p->set.exchange_address[0]) return base_strdup(p->set.exchange_address);
  if (!p->set.exchange_listen[0]) return base_strdup("https://localhost:5500");
  const char *listen = p->set.exchange_listen, *port = strrchr(listen, ':');
  char host[256] = "localhost";
  if (port && port > listen && !base_starts(listen, "0.0.0.0") && !base_starts(listen, "[::]")) snprintf(host, sizeof host, "%.*s", (int)(port - listen < 250 ? port - listen : 250), listen);
  else gethostname(host, sizeof host - 1);
  return base_printf("https://%s%s", host, port ? port : ":5500");
}

/* The organisations of the pack are the exchange's members; what has changed since the last start is put into the directory. */
static int put_members(struct platform *p, struct err *err) {
  const struct directory *d = pack_directory(p->pack);
  size_t all = directory_organisations(d), n = 0, changed = 0;
  struct exchange_member *list = base_alloc((all + 1) * sizeof *list);
  for (size_t i = 0; i < all; i++) {
    const struct organisation *o = directory_organisation(d, (int)i);
    char *id = identity_of(p, o);
    if (id) list[n++] = (struct exchange_member){.id = id, .name_fa = o->name_fa, .name_en = o->name_en};
  }
  int rc = exchange_members_put(p->exchange, list, n, &changed, err);
  for (size_t i = 0; i < n; i++) free((char *)list[i].id);
  free(list);
  return rc ? rc : exchange_data_join(p->data, p->exchange, err); /* which publishes */
}

/* Made at the first start; its address may change at any. */
static int open_gateway(struct platform *p, const struct exchange_options *o, struct err *err) {
  char *address = address_of(p), *server = server_of(p);
  bool told = p->set.exchange_address[0] || p->set.exchange_listen[0];
  int rc = told ? exchange_address(o->folder, address, err) : 0;
  if (rc == 0) rc = exchange_open(o, &p->exchange, err);
  if (rc && err->code == ERR_NOT_FOUND) {
    rc = exchange_init(&(struct exchange_init){.folder = o->folder, .server = server, .address = address}, err);
    if (rc == 0) rc = exchange_open(o, &p->exchange, err);
  }
  free(server);
  free(address);
  return rc ? rc : exchange_operate(p->exchange, err);
}

int platform_exchange_open(struct platform *p, struct err *err) {
  struct exchange_options o;
  if (strcmp(p->set.exchange, "no") == 0) return 0;
  char *folder = exchange_folder_of(p);
  int rc = exchange_settings(&p->set, &o, err);
  o.folder = folder;
  o.node = p->node;
  o.post_ctx = o.client = p->client;
  if (rc == 0) rc = open_gateway(p, &o, err);
  free(folder);
  if (rc) return -1;
  exchange_watch(p->exchange, p->trust);
  return put_members(p, err);
}

void platform_exchange(struct platform *p) {
  static int64_t told;
  struct err err;
  if (!p->exchange) return;
  exchange_jobs(p->exchange);
  if (exchange_data_rights(p->data, &err) && clock_mono() - told > 5000) {
    told = clock_mono();
    log_write(LOG_WARN, "exchange", "rights to data: %s", err.message);
  }
}
