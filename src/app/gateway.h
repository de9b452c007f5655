/* chapar gateway: what gateway.c, gateway_serve.c and gateway_copy.c share. */
#ifndef CHAPAR_APP_GATEWAY_H
#define CHAPAR_APP_GATEWAY_H

#include "app/app.h"

int gateway_usage(const char *verb, const char *problem);  /* as app_usage, for one word of chapar gateway or all */
int gateway_open(const struct settings *s, const char *folder, struct http_client *client, const char *actor /* of a command, or NULL */, struct exchange **out, struct err *err);
/* An exit code each. */
int gateway_serve(const struct settings *s, const char *folder);
int gateway_test(const char *folder, const char *client, const char *service, const char *method, const char *path); /* method and path may be NULL */
int gateway_status(const struct settings *s, const char *folder, bool json);
int gateway_backup(const struct settings *s, const char *folder, const char *file);
int gateway_restore(const struct settings *s, const char *folder, const char *file);
/* gateway_keep.c: of an opened gateway; what they tell goes to standard output */
int gateway_archive(struct exchange *x, const char *older_than, bool unstamped, bool json, struct err *err);
int gateway_archives(struct exchange *x, bool json, struct err *err);
void gateway_tell_log(const json_t *v);

#endif
