/*
 * The prober's helper: a process that keeps CAP_NET_RAW, if there is one, and begins the one that works whenever it ends. The one that works holds the
 * sockets, has given up every privilege and may call hardly more of the kernel than what sends and receives (child_shut). It knows numbers and addresses of
 * targets, no names, no store, no files, no keys.
 */
#ifndef CHAPAR_NETWORK_HELPER_H
#define CHAPAR_NETWORK_HELPER_H

extern const char prober_name[];         /* argv[0] that makes a process the helper, then the addresses to send from, or "-". In helper.c, so that who begins one is linked with it */
/* Channels (see child_begin): messages of wire.h, which outlive the one that works; and one on which a byte asks for another one to work, its end for all to end. */
enum { PROBER_WIRE = 3, PROBER_CONTROL };

#endif
