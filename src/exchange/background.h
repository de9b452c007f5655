/* What the keeper of the directory holds, and its thread. */
#ifndef CHAPAR_EXCHANGE_BACKGROUND_H
#define CHAPAR_EXCHANGE_BACKGROUND_H

#include "exchange/members.h"

struct anchor { unsigned char key[128]; size_t size; };
struct members_keeper {
  pthread_mutex_t lock, taking;          /* taking: one new directory at a time */
  struct members *now;
  char *file, *anchor_file;
  uint64_t seen_file;                    /* inode of the one that was read or written last */
  struct anchor anchors[4];
  size_t anchor_count;
  _Atomic int64_t confirmed;             /* when the operator last said that this is the newest; 0: never */
  char *certificate;                     /* our own, and how its key signs */
  struct http_key key;
  int64_t generation;
  struct http_server *listeners[2];      /* of gateways, and of information systems: both show our certificate */
  /* background.c */
  _Atomic bool wanted, stop;
  bool running;
  _Atomic bool ended;
  pthread_t thread;
  char problem[512];                    /* what goes wrong in the background, "" when nothing does */
  int problem_part;                     /* of which it is, and is over when that goes well */
  char back[512];                       /* an older copy was put back: told for a day, whatever else goes wrong */
  int64_t back_since;
};
void members_look(struct exchange *x);     /* another process of this folder may have taken a newer one */
void background_end(struct exchange *x);

#endif
