/* What clamd says of a document: its protocol over a Unix socket or TCP. Only app uses this. */
#ifndef CHAPAR_APP_CLAMD_H
#define CHAPAR_APP_CLAMD_H

#include "base/base.h"

#define CLAMD_NAME 80

enum clamd_verdict { CLAMD_CLEAN, CLAMD_FOUND, CLAMD_FAULT };
/* One answer of clamd, any bytes: "stream: OK", "stream: NAME FOUND", or anything else. name: of what was found, printable ASCII without
 * spaces; "" unless CLAMD_FOUND. */
enum clamd_verdict clamd_answer(const char *p, size_t n, char name[CLAMD_NAME]);

struct clamd;
struct clamd_figures { int64_t clean, found, failed; bool up; };
/* address: "unix:/run/clamav/clamd.ctl" or "host:port" ("[::1]:3310"). most: how many documents are looked at at once; others wait a few
 * seconds for their turn. ERR_INVALID: no such address. Nothing is connected yet. */
int clamd_open(const char *address, int most, struct clamd **out, struct err *err);
void clamd_close(struct clamd *c);
/* Send n bytes (INSTREAM) and wait for the verdict, at most 20 s in all. 0: clean; 1: found, and name says what; -1 with ERR_UNAVAILABLE:
 * nobody looked at it (not reached, no answer in time, an answer that is none). Any thread; from workers. */
int clamd_scan(struct clamd *c, const void *p, size_t n, char name[CLAMD_NAME], struct err *err);
/* Does it answer (PING)? What was heard within the last two seconds counts. */
int clamd_ping(struct clamd *c, struct err *err);
void clamd_read(struct clamd *c, struct clamd_figures *out);

#endif
