/* Shared by what a prober elsewhere does and what the centre does about it. */
#ifndef CHAPAR_NETWORK_HUB_H
#define CHAPAR_NETWORK_HUB_H

#include "network/inner.h"

#include <openssl/evp.h>

enum { HUB_REPORT_MOST = 1 << 20, HUB_BATCH_MOST = 4000 };
#define HUB_REPORT "chapar-report-v1\n"                      /* what a signature is over, before the body: one is never good for the other */
#define HUB_JOIN "chapar-join-v1\n"
EVP_PKEY *hub_open_key(const char *folder, struct err *err);  /* FOLDER/prober.pem, made when missing */
char *hub_sign(EVP_PKEY *key, const char *what, const void *body, size_t n);  /* what: HUB_REPORT or HUB_JOIN; base64; caller frees */
bool hub_verify(const char *key, const char *what, const void *body, size_t n, const char *signature);
bool hub_name_ok(const char *name);
int hub_refuse(struct network_refusal *why, struct err *err, enum err_code code, const char *word, const char *value); /* -1 */

#endif
