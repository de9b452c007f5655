/* The inside of notify. No other room includes this. */
#ifndef CHAPAR_NOTIFY_INNER_H
#define CHAPAR_NOTIFY_INNER_H

#include "channels/notify/notify.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
  KEY_MOST = 200, TO_MOST = 200,
  SMS_PARTS = 2, MAIL_MOST = 16000, SUBJECT_MOST = 400, /* bytes of an e-mail */
  CLAIM_MOST = 16,                /* sent one by one, so that a code waits little */
  SHOW_MOST = 200,
  TRIES_MOST = 8, RETRY_FIRST_MS = 15 * 1000, RETRY_URGENT_MS = 2 * 1000,
  PAUSE_FIRST_MS = 1000, PAUSE_MOST_MS = 60 * 1000,
  URGENT_LIFE_MS = 5 * 60 * 1000, STUCK_MS = 10 * 60 * 1000, TIDY_EVERY_MS = 30 * 1000, TIDY_ROWS = 1000,
  CALL_MS = 10 * 1000, CALL_MOST_MS = 30 * 1000
};
#define LIFE_MS ((int64_t)3 * 24 * 3600 * 1000)

enum channel { CHANNEL_SMS, CHANNEL_EMAIL, CHANNELS };
extern const char *const channel_texts[CHANNELS];

struct pending {                  /* taken by notify_send_now, not yet durable */
  struct notify *notify;
  char key[64], to[16], *text;
  int64_t at;
  struct pending *prev, *next;
};
struct gateway { bool set; int64_t closed_until, pause_ms; /* clock_mono() */ };

struct notify {
  struct store *store;
  struct http_client *client;
  struct notify_options options;
  pthread_mutex_t lock;           /* pending, gateways */
  pthread_cond_t settled;
  struct pending *pending;        /* newest first */
  struct gateway gateways[CHANNELS];
  _Atomic int64_t tidied_at;
#define X(name) _Atomic int64_t name;
  NOTIFY_COUNTER_TABLE(X)
#undef X
};

enum fate { FATE_RELEASED, FATE_SENT, FATE_AGAIN, FATE_REFUSED, FATE_UNCLEAR };
/* The column `urgent`: a one-time code goes first and is wiped once it has left; to people on duty at any hour. */
enum haste { HASTE_NONE, HASTE_CODE, HASTE_DUTY };

struct message {
  char key[KEY_MOST + 1], to[TO_MOST + 1];
  enum channel channel;
  enum lang lang;
  char *text, *subject;
  bool urgent;
  int64_t created_at;
  int64_t tries;                  /* this one included */
  enum fate fate;
  char error[160];
};

/* gateway.c: call the message's gateway; fills fate and error. True when the gateway itself is to be left alone for a while. */
bool gateway_send(struct notify *n, struct message *m);
/* history.c: remember how a message that left ends */
int message_keep_tail(struct store_tx *tx, const char *key, const char *text, int64_t at, struct err *err);
void recipient_mask(const char *to, char out[TO_MOST + 8]);
/* message.c: canonical recipient, its channel, and whether the text may go there. */
int message_check(const char *to, const char *text, char canonical[TO_MOST + 1], enum channel *channel, struct err *err);

#endif
