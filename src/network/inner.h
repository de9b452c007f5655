/* Shared by the files of this room alone. */
#ifndef CHAPAR_NETWORK_INNER_H
#define CHAPAR_NETWORK_INNER_H

#include "network/core.h"
#include "network/network.h"

const char *network_kind_text(enum network_incident_kind k);
int network_kind_parse(const char *text);

#endif
