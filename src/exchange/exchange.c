/* The gateway itself: opened, jobs, health. */
#include "exchange/archive.h"
#include "exchange/ends.h"
#include "exchange/side.h"
#include "exchange/witness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAMP_MS = 10000, STAMP_LATE_MS = 600000 };

static void keep_options(struct exchange *x, const struct exchange_options *o) {
  x->o = *o;
  x->folder = base_strdup(o->folder);
  x->node = base_strdup(o->node ? o->node : "gateway");
  x->o.folder = x->folder;
  x->o.node = x->node;
  x->o.tsa_url = base_strdup(o->tsa_url);
  x->o.tsa_ca_file = base_strdup(o->tsa_ca_file);
  x->o.allow = base_strdup(o->allow);
  x->o.archive_folder = base_strdup(o->archive_folder);
  x->o.actor = base_strdup(o->actor);
  x->o.smtp_url = base_strdup(o->smtp_url);
  x->o.mail_from = base_strdup(o->mail_from);
  x->o.alarm_mail = base_strdup(o->alarm_mail);
}

static int read_card(struct exchange *x, struct err *err) {
  struct gateway_card card;
  struct exchange_id id;
  if (gateway_card_read(x->folder, &card, err) || exchange_id_parse(card.server, 4, 4, &id, err)) return -1;
  x->server = base_strdup(card.server);
  x->self = id;
  x->self.subsystem[0] = 0;
  x->sides->address = base_strdup(card.address);
  return 0;
}

static int open_store(struct exchange *x, struct err *err) {
  static const char *const rooms[] = {"store", "trust", "exchange", NULL};
  char *where = base_printf("sqlite:%s/exchange.db", x->folder), *key = base_printf("%s/ledger.pem", x->folder), *origin = base_printf("%s/exchange", x->server);
  for (char *c = origin; *c; c++)
    if (*c == ' ' || *c == '+') *c = '_';
  struct store_options o = {.readers = 4, .wal_guard = 64u << 20};
  struct trust_options t = {.key_file = key, .origin = origin, .tsa_url = x->o.tsa ? x->o.tsa_url : NULL, .tsa_ca_file = x->o.tsa_ca_file, .node = x->node, .post = x->o.post, .post_ctx = x->o.post_ctx};
  int rc = store_open(where, &o, &x->store, err) || store_migrate(x->store, rooms, err) || trust_open(x->store, &t, &x->ledger, err) ? -1 : 0;
  free(where);
  free(key);
  free(origin);
  return rc;
}

int exchange_open(const struct exchange_options *o, struct exchange **out, struct err *err) {
  struct exchange *x = base_alloc(sizeof *x);
  x->sides = base_alloc(sizeof *x->sides);
  keep_options(x, o);
  process_open(x);
  x->sides->consumers = tasks_new(SIDE_THREADS, SIDE_QUEUE);
  x->sides->producers = tasks_new(SIDE_THREADS, SIDE_QUEUE);
  x->sides->later = tasks_new(8, 64);
  *out = x;
  ends_open(x);
  if (read_card(x, err) || open_store(x, err) || keys_open(x->folder, &x->keys, err) || members_open(x, err) || publish_open(x, err) || services_open(x, err) || replay_open(x, err) ||
      monitor_open(x, err) || async_open(x, err) || keeping_open(x, err)) {
    exchange_close(x);
    *out = NULL;
    return -1;
  }
  return 0;
}

void exchange_close(struct exchange *x) {
  if (!x) return;
  keeping_stop(x);
  ends_stop(x);
  if (x->members) exchange_quiet(x); /* it reloads services when keys roll over */
  tasks_free(x->sides->consumers);
  tasks_free(x->sides->producers);
  tasks_free(x->sides->later);
  ends_close(x);
  keeping_close(x);
  async_close(x);
  monitor_close(x);
  replay_close(x);
  services_close(x);
  if (x->publisher) publish_close(x);
  if (x->members) members_close(x);
  keys_close(x->keys);
  trust_close(x->ledger);
  store_close(x->store);
  process_close(x);
  free(x->sides->address);
  free(x->sides);
  free((char *)x->o.tsa_url);
  free((char *)x->o.tsa_ca_file);
  free((char *)x->o.allow);
  free((char *)x->o.archive_folder);
  free((char *)x->o.actor);
  free((char *)x->o.smtp_url);
  free((char *)x->o.mail_from);
  free((char *)x->o.alarm_mail);
  free(x->folder);
  free(x->node);
  free(x->server);
  free(x);
}

struct trust *exchange_ledger(struct exchange *x) { return x->ledger; }
struct store *exchange_store(struct exchange *x) { return x->store; }
const char *exchange_server(const struct exchange *x) { return x->server; }

/* ---- jobs ---- */

static void complain(const char *what, const struct err *err) {
  static _Atomic int64_t last;
  int64_t now = clock_mono();
  if (now - last < 5000) return;
  last = now;
  log_write(LOG_WARN, "exchange", "%s: %s", what, err->message);
}

/* A time-stamp authority that is down holds nothing up: it is asked on a thread of its own, and what is behind is shown. */
static void stamp(void *arg) {
  struct exchange *x = arg;
  struct sides *s = x->sides;
  struct err err;
  if (trust_timestamp(x->ledger, &err)) {
    int64_t never = 0;
    snprintf(s->stamp_error, sizeof s->stamp_error, "%.190s", err.message);
    atomic_compare_exchange_strong(&s->stamp_failed, &never, clock_now());
    complain("time-stamp", &err);
  } else {
    atomic_store(&s->stamp_failed, 0);
  }
  atomic_store(&s->stamping, false);
}

void exchange_jobs(struct exchange *x) {
  struct sides *s = x->sides;
  struct err err;
  int64_t placed, now = clock_mono();
  atomic_store(&s->round, now);
  if (trust_sequence(x->ledger, &placed, &err)) complain("sequencer", &err);
  if (x->o.tsa && now - s->stamped > STAMP_MS && !atomic_exchange(&s->stamping, true)) {
    s->stamped = now;
    if (!tasks_put(s->later, stamp, x)) atomic_store(&s->stamping, false);
  }
  members_jobs(x);
  services_jobs(x);
  replay_jobs(x);
  again_jobs(x);
  async_jobs(x);
  monitor_jobs(x);
  keeping_jobs(x);
  ends_jobs(x);
}

/* ---- how it is ---- */

static void cause(json_t *causes, const char *part, const char *message) { json_array_append_new(causes, json_pack("{s:s,s:s}", "part", part, "message", message)); }

int exchange_health(struct exchange *x, json_t *causes) {
  size_t before = json_array_size(causes);
  struct err err;
  struct exchange_signer signer;
  char keyid[65], problem[300];
  int64_t failed = atomic_load(&x->sides->stamp_failed);
  struct members *m = members_hold(x);
  json_t *seen = NULL, *log;
  size_t i;
  switch (members_state(x, m)) {
  case MEMBERS_FRESH: break;
  case MEMBERS_OLD: cause(causes, "exchange.directory", "the member directory cannot be renewed; it is gone on with for the time of grace: is the operator's platform reachable?"); break;
  case MEMBERS_EXPIRED: cause(causes, "exchange.directory", "the member directory is out of date and the time of grace is over: nothing is exchanged until the operator's platform is reached"); break;
  case MEMBERS_NONE: cause(causes, "exchange.directory", "this gateway has not joined: chapar gateway join"); break;
  }
  members_drop(m);
  keys_signer(x->keys, &signer, keyid);
  if (!keyid[0]) cause(causes, "exchange.keys", "there is no signing key in use");
  if (store_ping(x->store, &err)) cause(causes, "exchange.log", err.message);
  if (witness_seen(x, &seen, &err) == 0)
    json_array_foreach(seen, i, log) if (json_str(log, "problem")[0]) cause(causes, "exchange.witness", json_str(log, "problem"));
  json_decref(seen);
  if (keeping_problem(x, problem)) cause(causes, "exchange.archive", problem);
  if (replay_problem(x, problem)) cause(causes, "exchange.replay", problem);
  int64_t leaves, since = 0; /* the gap itself, as this process may have begun after the authority fell silent */
  if (failed && (clock_now() - failed > STAMP_LATE_MS || (trust_unstamped(x->ledger, &leaves, &since, NULL) == 0 && since > 0 && clock_now() - since > STAMP_LATE_MS)))
    cause(causes, "exchange.timestamps", x->sides->stamp_error);
  return json_array_size(causes) > before ? -1 : 0;
}

int64_t exchange_activity(struct exchange *x) {
  struct members *m = members_hold(x);
  int64_t version = members_version(m);
  members_drop(m);
  return version + atomic_load(&x->sides->handled);
}

void exchange_metrics(struct exchange *x, struct buf *out) { monitor_metrics(x, out); }
