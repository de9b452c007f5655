/* How a snapshot of the directory lies in memory: members.c reads it, keeper.c changes it for the next. */
#ifndef CHAPAR_EXCHANGE_SNAPSHOT_H
#define CHAPAR_EXCHANGE_SNAPSHOT_H

#include "exchange/members.h"

enum { OPERATORS_MOST = 4 };
struct entry { const char *id, *name_fa, *name_en; };                       /* a member or a subsystem */
struct gateway_row { struct gateway g; const char *member, *witness; };     /* g is first */
struct key_row { const char *keyid; const unsigned char *public_key; size_t size; int64_t from, until, revoked; size_t gateway; };
struct pin { unsigned char sha256[32]; int64_t until; size_t gateway; };
struct stand { const char *id; size_t gateway; };
struct grouped { const char *code, *id; };

struct members {
  _Atomic int refs;
  struct arena *arena;
  char *text;
  size_t size;
  const char *instance, *operator_server, *ledger;
  int64_t version, issued;
  struct operator_key operators[OPERATORS_MOST];
  size_t operators_count;
  struct entry *entries;                 /* each array sorted by what it is looked up by; gateways in the order of the text */
  struct gateway_row *gateways;
  struct key_row *keys;
  struct pin *pins;
  struct stand *stands;
  struct grouped *groups;
  size_t entries_count, gateways_count, keys_count, pins_count, stands_count, groups_count;
  void (*unknown)(void *ctx);            /* somebody named what is not here: pull soon */
  void *unknown_ctx;
};
struct members *members_empty(void);

/* keeper.c */
bool told_failed(const struct told *t);        /* lately; NULL: no */
void told_connect(struct gateway *g);          /* fills g->peer */
void told_drop(struct told *t);
/* Bringing it a directory: true when it does not have that version, its pause is over and nobody is at it; then told_pushed ends it. Failures make the pause longer. */
bool told_push(struct told *t, int64_t version);
void told_pushed(struct told *t, int64_t version, bool has_it);

#endif
