/* Shared by what a prober elsewhere does and what the centre does about it. */
#ifndef CHAPAR_NETWORK_HUB_H
#define CHAPAR_NETWORK_HUB_H

#include "network/inner.h"

#include <openssl/evp.h>

enum { HUB_REPORT_MOST = 1 << 20, HUB_BATCH_MOST = 4000 };
EVP_PKEY *hub_open_key(const char *folder, struct err *err);  /* FOLDER/prober.pem, made when missing */
char *hub_sign(EVP_PKEY *key, const void *body, size_t n);    /* base64; caller frees */
bool hub_verify(const char *key, const void *body, size_t n, const char *signature);

#endif
