/*
 * SNMP version 3 with the user-based security model (RFC 3412, 3414, 3826, 7860), as far as one who asks needs it: messages are made and read here, sent by agent.c.
 * Each conversation begins by asking the agent for its engine and its time, and holds nothing of another agent or of a conversation before: who lies spoils its own alone. What is not
 * authenticated is believed in nothing but that (which only makes our questions good or not); answers are bound to their question by its random number.
 */
#ifndef CHAPAR_NETWORK_USM_H
#define CHAPAR_NETWORK_USM_H

#include "base/base.h"

/* name in the file, digest of OpenSSL, bytes of what it adds to a message */
#define USM_AUTH_TABLE(X) X("sha1", "SHA1", 12) X("sha224", "SHA224", 16) X("sha256", "SHA256", 24) X("sha384", "SHA384", 32) X("sha512", "SHA512", 48)

enum { USM_KEY_MOST = 64, USM_ENGINE_MOST = 32, USM_ASK_MOST = 1024, USM_MESSAGE_MOST = 8192 };

struct usm_user {
  char name[41];                     /* in the plan */
  char user[33];
  int auth;                          /* row of the table */
  bool priv;                         /* AES-128 */
  unsigned char auth_key[USM_KEY_MOST], priv_key[USM_KEY_MOST]; /* of the passwords, not yet of an engine */
};

/* A file of users: CSV with the columns name, user, auth, auth_password, priv (aes128 or nothing), priv_password. Nobody but its owner may read it. */
struct usm_users;
struct usm_users *usm_users_read(const char *path, struct err *err); /* ERR_INVALID with file:line, ERR_NOT_FOUND */
struct usm_users *usm_users_parse(const char *text, size_t n, const char *path, struct err *err);
void usm_users_free(struct usm_users *u);                            /* accepts NULL */
const struct usm_user *usm_users_find(const struct usm_users *u, const char *name); /* accepts NULL; NULL: there is none such */

struct usm {
  struct usm_user user;
  unsigned char engine[USM_ENGINE_MOST], auth_key[USM_KEY_MOST], priv_key[USM_KEY_MOST]; /* keys of this engine */
  size_t engine_size;                /* 0: not known yet */
  int64_t boots, time, told;         /* the agent's; told: monotonic ms */
  int32_t id;                        /* of the last message */
};
void usm_begin(struct usm *u, const struct usm_user *user);
void usm_end(struct usm *u);                                        /* keys are wiped */
/* A message: a question (pdu as BER), or with NULL the one that asks for engine and time. Its size; 0: it cannot be made. */
size_t usm_ask(struct usm *u, const unsigned char *pdu, size_t n, unsigned char out[USM_ASK_MOST]);

/* What a message is: not the answer to the last one, or not genuine; the engine is known now; an answer (*pdu within the message, whose bytes are changed); the agent told its time, ask again;
 * it does not know the user or the password (that is told without proof: wait on). */
enum usm_took { USM_NOTHING, USM_KNOWN, USM_ANSWER, USM_TIME, USM_DENIED };
enum usm_took usm_take(struct usm *u, unsigned char *message, size_t n, unsigned char **pdu, size_t *size);

/* RFC 3414, A.2: of a password, and of that for one engine. key: as long as the digest. */
void usm_password_key(int auth, const char *password, unsigned char key[USM_KEY_MOST]);
void usm_engine_key(int auth, const unsigned char key[USM_KEY_MOST], const unsigned char *engine, size_t n, unsigned char out[USM_KEY_MOST]);

#endif
