/* More of keys.c, for the files that make, change and announce keys. */
#ifndef CHAPAR_EXCHANGE_KEYS_H
#define CHAPAR_EXCHANGE_KEYS_H

#include "exchange/helper.h"
#include "exchange/inside.h"
#include <sys/types.h>

/* FOLDER/keys/SLOT.pem, by a process that ends with it; for TLS with a certificate for the server's name and the host of its address. */
int keys_make(const char *folder, enum helper_slot slot, const char *server, const char *host, struct err *err);
int keys_reload(struct keys *k, struct err *err);             /* the helper reads the folder anew; nothing that is asked meanwhile is lost */
bool keys_unread(struct keys *k, enum helper_slot slot);       /* it lies in the folder and the helper has not read it: made by another process */
bool keys_waiting(struct keys *k);                            /* new keys lie in the folder that the helper has not read: made by another process */
bool keys_moved(struct keys *k);                              /* another process has put others in use than those that we use */
bool keys_shown(struct keys *k, const struct http_key *key);  /* of keys_certificate: is it still the one in use? */
/* BASE-next becomes BASE and BASE becomes BASE-old ("sign", "tls", "operator"); used after keys_reload. */
int keys_switch(struct keys *k, const char *base, struct err *err);
int keys_forget(struct keys *k, enum helper_slot slot, struct err *err);
bool keys_public(struct keys *k, enum helper_slot slot, char keyid[65], unsigned char public[128], size_t *size); /* each may be NULL */
int keys_sign_slot(struct keys *k, enum helper_slot slot, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err);
int keys_cosign(struct keys *k, const char *text, size_t n, unsigned char signature[64], struct err *err);
char *keys_next_certificate(struct keys *k);                  /* PEM, or NULL */
void keys_figures(struct keys *k, pid_t *helper, int64_t *restarts);

#endif
