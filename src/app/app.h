/*
 * app: main, commands, settings, wiring. Layer 7: the only room that knows all the others.
 */
#ifndef CHAPAR_APP_H
#define CHAPAR_APP_H

#include "cases/cases.h"
#include "catalog/catalog.h"
#include "certificates/certificates.h"
#include "exchange/exchange.h"
#include "channels/notify/notify.h"
#include "exchange/exchange.h"
#include "http/http.h"
#include "http/template.h"
#include "identity/identity.h"
#include "network/network.h"
#include "observatory/observatory.h"
#include "registries/registries.h"
#include "store/store.h"
#include "trust/trust.h"

#define EXIT_DONE 0
#define EXIT_REFUSED 1
#define EXIT_USAGE 2

/* ---- settings: one row each. flag --name, environment CHAPAR_NAME, line `name = value` of the file --config names ---- */
#define SETTING_TABLE(X)                                                                                                     \
  X(pack, "", "the folder that describes the province")                                                                      \
  X(data, "", "folder of the embedded database and its keys (SQLite)")                                                       \
  X(store, "", "postgresql://… instead of --data, when one machine is not enough")                                           \
  X(keys, "", "folder of the keys; by default DATA/keys, or a folder below the home directory for each --store")             \
  X(listen, "127.0.0.1:8080", "address and port to answer on")                                                               \
  X(base_url, "", "public address, such as https://khorasan.example: for catalogue entries, secure cookies and the QR codes of certificates")              \
  X(origin, "", "name of the ledger; by default made of the pack's name")                                                    \
  X(threads, "0", "server threads; 0: one for each core, of a gateway's listeners one for two")                         \
  X(workers, "0", "worker threads; 0: four on SQLite, sixteen on PostgreSQL")                                                \
  X(batch, "0", "most requests in one commit; 0: the store's own")                                                           \
  X(log_level, "info", "debug, info, warn or error")                                                                         \
  X(access_log, "yes", "one JSON line for each request on standard error")                                                   \
  X(trusted_proxies, "", "addresses, by comma, whose X-Forwarded-For is believed")                                           \
  X(submissions_per_minute, "60", "how often an address may submit without a session; 0: no limit")                          \
  X(session_seconds, "28800", "how long a session lasts")                                                                    \
  X(otp_seconds, "120", "how long a one-time code is good")                                                                  \
  X(tsa_url, "", "RFC 3161 time-stamp authority")                                                                            \
  X(tsa_ca, "", "its certificate, in PEM")                                                                                   \
  X(kannel_url, "", "Kannel's sendsms address, such as http://127.0.0.1:13013/cgi-bin/sendsms")                              \
  X(kannel_username, "", "user of Kannel's sendsms")                                                                         \
  X(kannel_password, "", "its password")                                                                                     \
  X(sms_sender, "", "the `from` of text messages; empty: the gateway's own")                                               \
  X(kannel_report_url, "", "where Kannel reports deliveries, such as http://127.0.0.1:8080/notify/kannel; empty: no reports are asked for") \
  X(smtp_url, "", "mail relay, such as smtp://127.0.0.1:25")                                                                 \
  X(mail_from, "", "sender of mail")                                                                                         \
  X(clamd, "", "clamd, which looks at every document before it is kept: unix:/run/clamav/clamd.ctl or host:port")            \
  X(ussd_secret, "", "shared secret that a USSD gateway sends as ?secret= or header X-Secret")                               \
  X(ussd_allow, "127.0.0.1,::1", "addresses, by comma, that may call /ussd")                                                 \
  X(ussd_carriers, "", "how carriers' centres differ, by semicolon: `NAME screen=80/182 ops=1/18/2/17 end=bit` (docs/operator/kannel.md)") \
  X(ussd_session_seconds, "180", "silence after which a USSD session is over: what comes then answers nothing, going on is offered") \
  X(exchange, "yes", "does the platform contain an exchange gateway? yes or no")                                             \
  X(exchange_folder, "", "its folder; by default DATA/exchange, or a folder beside the keys of a --store")                    \
  X(exchange_server, "", "its name, INSTANCE/CLASS/MEMBER/SERVER; by default of the pack's first organisation")               \
  X(exchange_listen, "", "address and port for other gateways, such as 0.0.0.0:5500; empty: none calls")                     \
  X(exchange_address, "", "how other gateways call that, such as https://gateway.example:5500; by default https:// and exchange_listen") \
  X(exchange_systems_listen, "", "address and port for information systems over TLS; empty: they call on the platform's own address, from this machine") \
  X(exchange_allow, "", "addresses, by comma, from which information systems may call without TLS, besides this machine")    \
  X(exchange_errors, "7.8", "spelling of X-Road's error codes: 7.8 (server.clientproxy.unknown_member) or 7.7 (Server.ClientProxy.UnknownMember)") \
  X(exchange_tsa, "yes", "is the exchange's ledger time-stamped too, where tsa_url is set? yes or no")                        \
  X(exchange_timeout_ms, "60000", "longest wait for another gateway or an information system")                                \
  X(exchange_window_s, "300", "how far a message's time of signing may lie from this machine's clock")                        \
  X(exchange_per_address, "512", "connections that one address may have at each listener of the exchange, of 4000 in all; 0: no bound")     \
  X(exchange_spool_mb, "", "MB that bodies beyond 256 KiB may take at once in the temporary folder, of one sender at most half; empty: half of what is free there") \
  X(exchange_keep_days, "", "how many days the log of messages is kept before it goes into archives; empty: no limit by age") \
  X(exchange_keep_mb, "", "how many MB of messages the log keeps before the oldest go into archives; empty: no limit by size") \
  X(exchange_archive, "", "folder of the archives; by default archive in the gateway's folder")                            \
  X(exchange_alarm_mail, "", "addresses, by comma, that are written to 30 days, 7 days and a day before a right, a key or a certificate of the exchange ends; needs smtp_url and mail_from") \
  X(exchange_grace_s, "86400", "how long a member directory that cannot be renewed is gone on with")                          \
  X(quiet_hours, "22-7", "hours in Tehran between which ordinary messages wait; never: none")                               \
  X(probe, "yes", "no: this process does not measure the network")                                                          \
  X(probe_interval, "60", "seconds between two probes of an office, unless its own says otherwise")                          \
  X(accept_seconds, "259200", "so long a new link is measured before it is accepted by itself; in a demonstration 360 unless it is set") \
  X(probe_anchors, "", "addresses, by comma, of which one must answer, else the prober itself is cut off; by default the cores") \
  X(snmp_access, "", "file of users of SNMP version 3 (CSV: name,user,auth,auth_password,priv,priv_password), for its owner alone; at a hub its own") \
  X(probe_source, "", "address that probes are sent from")                                                                   \
  X(node, "", "name of this process among others; by default host name and process number")

struct settings {
#define X(name, dflt, meaning) const char *name;
  SETTING_TABLE(X)
#undef X
  bool demo;
  const char *config;
};

/* Rest of the command line after the settings' flags. */
struct words_left { char *items[16]; int count; };
/* Read flags (--name value, --name=value, --demo, --config FILE), environment and file. `own`: further flags of the command, by name,
 * NULL-terminated pairs {"--days", &place}; flags without a value end in '!' ("--judge!"). EXIT_DONE, or EXIT_USAGE after a message. */
struct own_flag { const char *name; const char **place; };
int settings_read(struct settings *s, int argc, char **argv, const struct own_flag *own, struct words_left *left);
void settings_print(const struct settings *s);       /* each with its source and meaning */
const char *settings_source(const char *name);       /* "flag", "environment", "file", "default" */
int settings_number(const char *text, int dflt);

/* ---- telling people (tell.c) ---- */
/* The name that was probably meant, or NULL. */
const char *app_near(const char *typed, const char *const *names, size_t count);
/* How far long work is: a line that rewrites itself, on a terminal only, a few times a second. all 0: not known. */
void app_progress(const char *what, int64_t done, int64_t all, const char *unit);
void app_progress_end(void);
/* A copy of text with the password of any URL in it taken out; free it. */
char *app_without_password(const char *text);

/* ---- the opened installation -------------------------------------------------------------- */
struct platform {
  struct settings set;
  unsigned char secret[32];
  char *keys, *node, *origin;
  struct store *main, *fast;          /* the same on PostgreSQL */
  struct pack *pack;
  char *served;                       /* the folder of that pack where approved definitions stand beside --pack; NULL: --pack itself */
  json_t *tried;                      /* approved definitions that overlay_renew has seen, by id */
  int64_t looked;                     /* its last look */
  struct trust *trust;
  struct identity *identity;
  struct cases *cases;
  struct registries *registries;
  struct exchange_data *data;         /* registries as data services */
  struct certificates *certificates;
  struct observatory *observatory;
  struct http_feed *network_feed;     /* of the server, while it serves */
  struct network *network;            /* platform_network */
  struct link *prober;                /* the process that sends and receives for it; NULL: not here */
  struct store *samples;              /* its measurements: the main store on PostgreSQL */
  struct pack *network_pack;
  struct notify *notify;
  struct exchange *exchange;          /* NULL: without, or not served */
  struct http_client *client;
  struct clamd *clamd;                /* NULL: documents are not scanned */
  struct template_set *templates;
};
enum platform_part {
  PLATFORM_STORE = 1, PLATFORM_PACK = 2, PLATFORM_ALL = 7,
  PLATFORM_BARE = 8,   /* no ledger: for restore */
  PLATFORM_THERE = 16, /* refuse where nothing has been made yet, instead of making it; no sessions: a full disk may be copied */
  PLATFORM_NEW_KEY = 32 /* the store may have lost its key: for a declared new log */
};
/* Open what is asked. Messages go to standard error. 0 or an exit code; close in both cases. */
int platform_open(struct platform *p, const struct settings *s, int parts);
void platform_close(struct platform *p);
extern const char *const app_main_rooms[];   /* whose tables are in the main store: what a copy holds */
/* overlay.c: the pack with the definitions that organisations wrote and two approved, in a temporary folder; and that folder away. */
int overlay_open(struct platform *p, struct err *err);
void overlay_drop(char *folder);
/* Serve what was approved since, in a pack of its own beside the one before; what does not compile is told in the log. One thread; every round. */
void overlay_renew(struct platform *p);
/* Begin to serve its pack: cases_keep_pack, with what is wrong on standard error. */
int platform_keep_pack(struct platform *p, struct err *err);
/* One round of the jobs: sequencer, cases, time-stamps; and of the notices, which may wait for a gateway. */
void platform_jobs(struct platform *p);
bool platform_more(struct platform *p); /* after it: it left some for want of time */
void platform_notices(struct platform *p);
void platform_papers(struct platform *p);                  /* certificates that are due: some milliseconds of processor each, so on a thread of its own */
/* network.c: opened by those who need it; its prober begun (unless probe is no); closed by platform_close; one round of its jobs. */
int platform_network(struct platform *p, struct err *err);
int platform_network_start(struct platform *p, struct err *err);
void platform_network_close(struct platform *p);
void platform_network_jobs(struct platform *p);
extern const struct http_route probe_rows[2];               /* probe.c: reports of probers elsewhere */
/* offices.c: offices and links of the network from CSV, and out; an exit code */
int offices_import(const struct settings *set, const char *file, bool dry, const char *lang);
int contacts_import(const struct settings *set, const char *file, bool dry, const char *lang); /* contacts.c: people on duty */
/* What both do: the file is read and its columns found (`at`; false after a message), the platform opened (0, or an exit code after a message), the rows taken, their acts given
 * their places in the ledger. */
struct csv_import {
  const char *file, *lang;
  size_t most;
  bool dry, (*columns)(const char *file, const char *data, const struct csv *c, int *at);
  int (*open)(struct platform *p, const struct settings *set);
  int (*take)(struct platform *p, const char *file, const struct csv *c, const int *at, bool dry, enum lang l);
};
int csv_import(const struct settings *set, const struct csv_import *i);
enum { CSV_COLUMNS_MOST = 16 };
int offices_export(const struct settings *set);
void app_network_demo(struct platform *p);                 /* somebody on duty, where nobody is yet */
/* watch.c: ports of network, what its watchers are told (a thread's function), figures for Prometheus. */
int app_network_tell(void *ctx, struct network *n, struct store_tx *tx, const struct network_news *news, struct err *err);
int app_network_alarm(void *ctx, struct network *n, struct store_tx *tx, const struct network_alarm *a, struct err *err);
int app_network_hand(void *ctx, const struct network_news *news, const char *by, const char *comment, char tracking[40], struct err *err);
void platform_hooks(struct platform *p);
/* acceptance.c: one round; links that were handed over are accepted or held. */
int app_acceptances(struct platform *p, struct err *err);
struct network_watch { struct platform *p; _Atomic bool stop; };
void *app_network_watch(void *arg);
void app_network_metrics(struct platform *p, struct buf *b);
void app_network_offices(struct platform *p, int place, struct buf *b);
void platform_figures(struct platform *p); /* and of the figures, which count at their own pace */

/* exchange.c: the gateway that the platform contains. Made at the first start, with the operator's key: its directory names the pack's organisations. */
int platform_exchange_open(struct platform *p, struct err *err);
void platform_exchange(struct platform *p); /* one round of its jobs */
char *exchange_folder_of(const struct platform *p); /* there or not; caller frees */
/* How a gateway is opened that these settings describe. Texts live as long as the settings; post: for time-stamps. */
int exchange_settings(const struct settings *s, struct exchange_options *o, struct err *err);
int app_post(void *ctx, const char *url, const char *media_type, const void *body, size_t n, char **answer, size_t *size, struct err *err); /* ctx: a http_client */

struct pack *app_compile(const char *folder, bool quiet);  /* reports on standard error; NULL when refused */
int demo_records(struct platform *p);                      /* synthetic records, once; 0, or -1 after a message */
/* papers.c: ports of certificates */
int paper_fill(void *ctx, const char *text, const json_t *values, struct buf *out, struct err *err);
int paper_due(void *ctx, struct store_tx *tx, const char *tracking, int64_t at, struct err *err);
int paper_forget(void *ctx, struct store_tx *tx, const char *tracking, struct err *err);
char *paper_address(const struct settings *s);             /* caller frees */
/* records.c: the records of a registry to standard output; an exit code */
int records_export(const struct settings *set, const char *code, const char *format);
/* transfer.c: cases out and in; an exit code. Words are those of the command line, NULL where there are none. */
struct transfer_words { const char *organisation, *service, *from, *to, *after, *lang; bool jsonl, dry; };
int transfer_export(const struct settings *set, const struct transfer_words *w);
int transfer_import(const struct settings *set, const struct transfer_words *w, const char *file);
/* The first millisecond of the day that a flag names; dflt without text. -1 after a message. */
int app_day(const char *flag, const char *text, int64_t dflt, int64_t *at);
int demo_accounts(struct platform *p, json_t **out);       /* make them when missing */

/* ---- commands ------------------------------------------------------------------------------- */
#define COMMAND_TABLE(X)                                                                                    \
  X("check", command_check, "PACK [--judge]", "compile a pack; mistakes as FILE:LINE: MESSAGE")            \
  X("serve", command_serve, "--pack PACK (--data DIR | --store URL) [--listen ADDRESS] [--demo]", "answer citizens, officers and machines") \
  X("staff", command_staff, "add --username U --organisation CODE --role ROLE [--name NAME] (--data DIR | --store URL)", "add a member of staff; password on standard input") \
  X("ledger", command_ledger, "verify (--data DIR | --store URL) | check RECEIPT [--key FILE] | renew --why REASON (--data DIR | --store URL)", "verify the ledger, check one receipt offline, or begin a declared new log after a restore") \
  X("evidence", command_evidence, "export MESSAGE-ID (--gateway FOLDER | --archive FILE) [--from TIME] [--until TIME] | verify FILE [--key FILE] [--tsa-ca FILE]", "one exchanged message with its proof as JSON, and its judge, offline: docs/developer/evidence.md") \
  X("backup", command_backup, "(--data DIR | --store URL) FILE", "a consistent copy while serving")       \
  X("restore", command_restore, "(--data DIR | --store URL) FILE", "put a copy back into an empty place, after verifying it") \
  X("export", command_export, "pack FOLDER [--hash H] | packs | offices --pack PACK | registry CODE --pack PACK [--format csv|jsonl] | cases --pack PACK --organisation CODE [--service S] [--from DAY] [--to DAY] [--format csv|jsonl] [--after TRACKING]; (--data DIR | --store URL)", "a pack that was served into a new folder, byte for byte (the last one, or the one whose hash begins with H); a list of them as CSV; or the records of a registry, or the cases of an organisation, on standard output; cases go on behind the last that was written with --after") \
  X("simulate", command_simulate, "--pack PACK (--data DIR | --store URL) --days N --seed S [--bias ODDS]", "a believable past for a demonstration; with --bias the second officer of every third desk refuses with so many times the odds") \
  X("import", command_import, "registry CODE FILE | cases FILE --service S | offices FILE | contacts FILE; --pack PACK (--data DIR | --store URL) [--dry-run] [--lang fa|en]", "records of a registry, cases of before, offices and links of the network, or people on duty for it, from CSV: all judged first, then written; run again, it goes on where it stopped") \
  X("report", command_report, "[--organisation CODE] [--week DAY | --period P] [--lang fa|en] [--rebuild] [--output FILE] --pack PACK (--data DIR | --store URL)", "the page for the council's Saturday as PDF, of an organisation or the province; last week's without more; --rebuild counts everything anew first") \
  X("retention", command_retention, "--pack PACK (--data DIR | --store URL) [--dry-run] [--until DAY]", "list the closed cases whose time is over by the definitions, and erase them; with --dry-run only list, also for a day to come") \
  X("erase", command_erase, "record REGISTRY KEY --why REASON --pack PACK (--data DIR | --store URL) [--ref REF]", "erase one record of a registry with a reason: its proofs stay in the ledger") \
  X("gateway", command_gateway, "init | join | serve | status | services | grant | grants | revoke | archive | backup | restore | renew-keys …; --folder FOLDER", "one organisation's exchange gateway: chapar gateway WORD --help tells of each") \
  X("probe", command_probe, "init|serve|status --folder DIR | join --folder DIR --centre URL (the one-time code on standard input) | admit|revoke NAME --reason TEXT (--data DIR | --store URL) | list", "measure the network from a hub and report to the centre, signed, catching up after a cut; or admit such a prober by the key that it prints") \
  X("date", command_date, "DATE [--from gregorian|jalali] --pack PACK", "one day in three calendars, as a line of JSON") \
  X("routes", command_routes, "[--demo]", "every address that is answered, who may, cross-site rule and limit, as lines of JSON") \
  X("settings", command_settings, "[flags]", "print every setting with its source and meaning")            \
  X("version", command_version, "", "print the version")
#define X(name, fn, usage, help) int fn(int argc, char **argv);
COMMAND_TABLE(X)
#undef X
int app_main(int argc, char **argv);
const char *app_command(void);                             /* the command that runs */
int app_usage(const char *command, const char *problem);   /* prints, returns EXIT_USAGE; problem NULL: help on standard output, EXIT_DONE */

#endif
