/*
 * notify: messages to people by SMS (Kannel's sendsms), e-mail (SMTP), or the demonstration's outbox. Layer 6; includes base,
 * language, store, http. Translates, never decides: texts come ready. Thread-safe.
 *
 * A message is written once by its key, and sent at most once: before the gateway is called the attempt is durable, and what was
 * sent without an answer is `unclear`, listed, never sent again. Only what certainly did not leave (connection refused), was answered
 * 4xx or 5xx by Kannel or 4xx by a mail server is tried again, later and later, 8 times at most; what a mail server refuses with 5xx
 * has failed at once.
 *
 * States: queued → sending → sent | queued again | failed | unclear; shown: no gateway is set for its channel. Where Kannel reports
 * deliveries: sent | unclear → delivered | undeliverable.
 */
#ifndef CHAPAR_NOTIFY_H
#define CHAPAR_NOTIFY_H

#include "base/base.h"
#include "http/http.h"
#include "language/language.h"
#include "store/store.h"

struct notify;
struct notify_options {
  const char *kannel_url;       /* "http://127.0.0.1:13013/cgi-bin/sendsms", NULL: SMS are shown only */
  const char *kannel_user, *kannel_password;
  const char *sender;           /* the `from` of SMS, NULL: the gateway's own */
  const char *smtp_url;         /* "smtp://host:25", NULL: e-mails are shown only */
  const char *mail_from;        /* demanded with smtp_url */
  int quiet_from, quiet_to;     /* hours in Tehran between which only urgent messages leave; both 0: 22 and 7; equal: never quiet */
  int timeout_ms;               /* of one call of a gateway, 0: 10000 */
  int keep_days;                /* messages that are done are deleted after this, 0: 30 */
  const char *report_url;       /* where Kannel reports deliveries, such as "http://127.0.0.1:8080/notify/kannel?secret=S": `key` and `state` are
                                   added; NULL: no reports are asked for */
  /* Ports, within the transaction that writes what became of a message: it did not arrive for certain (state failed, unclear or undeliverable),
   * or did after all. May be NULL. */
  int (*lost)(void *ctx, struct store_tx *tx, const char *key, const char *channel, const char *state, struct err *err);
  int (*arrived)(void *ctx, struct store_tx *tx, const char *key, struct err *err);
  void *fate_ctx;
};
/* client may be NULL when neither gateway is set. Store and client must outlive notify. Strings are copied.
 * ERR_INVALID: a gateway without what it needs. */
int notify_open(struct store *s, struct http_client *client, const struct notify_options *o, struct notify **out, struct err *err);
void notify_close(struct notify *n);   /* waits for what notify_send_now has begun */

/* Queue a message inside the caller's transaction; nothing happens when its key (1 to 200 characters) is known already. Keys that begin
 * with a time lie beside each other in the store.
 * to: a mobile, or an e-mail address (it holds '@'). Waits out the quiet hours, is dropped as failed after 3 days.
 * ERR_INVALID: neither mobile nor address; a text that is empty, holds a link (http://, https://, www.) or is longer than two SMS
 * (306 of the GSM 7-bit alphabet, else 134 UTF-16 units; for e-mail 16000 bytes). */
int notify_put(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *text, struct err *err);
/* The same for people on duty: it waits for no quiet hours. */
int notify_put_duty(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err);
/* The same with a subject, for mail: at most 400 bytes; of an SMS it is dropped. NULL or "": the house's own. */
int notify_put_mail(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err);
/* A one-time code: its own transaction, before all others, at any hour, for 5 minutes; its text is wiped once it has left.
 * Never blocks. ERR_INVALID as above, ERR_UNAVAILABLE when too much waits. */
int notify_send_now(struct notify *n, const char *mobile, const char *text, struct err *err);

/* Send what is due: claims a few messages, calls the gateways one by one, writes what became of each. Call it from a job thread every
 * 250 ms or when it answered more than 0; several threads and nodes may. *done: messages handled (may be NULL).
 * A gateway that refuses or does not answer is left alone for a while (1 s doubling to 60 s) and the claimed go back untried. */
int notify_jobs(struct notify *n, int64_t *done, struct err *err);

/* Newest first: [{"to","channel","text","at"}], whatever their state, those not yet durable included. limit 1–200, 0: 50.
 * For the demonstration only: it shows one-time codes. */
int notify_outbox(struct notify *n, int limit, json_t **out, struct err *err);
/* What did not arrive for certain, newest first: [{"key","to"(masked),"channel","state","tries","error","created_at","at"}]. */
int notify_failures(struct notify *n, int limit, json_t **out, struct err *err);

/* Append the messages whose keys lie from `from` up to `to` (at most 40), in order: {"key","to"(masked),"channel","text","state","error","at"}. */
int notify_between(struct store_tx *tx, const char *from, const char *to, json_t *list, struct err *err);
/* Append the newest two messages that left and end with the same three words as text: {"key","at"}. Fewer words: none. */
int notify_like(struct store_tx *tx, const char *text, json_t *list, struct err *err);
/* Kannel's delivery report: the key in hex, and its bits (1 delivered, 2 undeliverable, 16 refused by the centre; others are passed over). It
 * counts for what was sent or unclear, once; "delivered" corrects "undeliverable". ERR_MALFORMED. Waits. */
int notify_report(struct notify *n, const char *hex_key, int state, struct err *err);

/* Counters of this process since it began: codes taken, sent, shown, put back after a refusal, given up, without an answer; reported
 * delivered, reported undeliverable. */
#define NOTIFY_COUNTER_TABLE(X) X(urgent) X(sent) X(shown) X(retried) X(failed) X(unclear) X(delivered) X(undeliverable)
struct notify_figures {
#define X(name) int64_t name;
  NOTIFY_COUNTER_TABLE(X)
#undef X
  int64_t waiting, oldest_ms;          /* in the store: messages waiting, and how long the oldest has been */
  int64_t failed_kept, unclear_kept;   /* in the store: what notify_failures would list */
};
int notify_figures(struct notify *n, struct notify_figures *out, struct err *err);
/* Prometheus text: chapar_notify_…_total and chapar_notify_waiting. Reads the store. */
void notify_metrics(struct notify *n, struct buf *out);

#endif
