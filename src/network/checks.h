/* SNMP for checks.c: the two columns of tables are read by GETBULK, version 2c; what an agent says is bounded and typed. */
#ifndef CHAPAR_NETWORK_CHECKS_H
#define CHAPAR_NETWORK_CHECKS_H

#include "network/inner.h"

struct snmp_reader;
struct snmp_reader *snmp_reader_new(void);
void snmp_reader_free(struct snmp_reader *s);
/* Interfaces of an agent (ifXTable, 64 bits), 128 at most, into the keeper's queue. true: it answered as it should. At most five seconds. */
bool snmp_reader_read(struct snmp_reader *s, struct network *n, int node, const char *code, const char *address, const char *community);

#endif
