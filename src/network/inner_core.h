/* Shared by the files of the core alone. */
#ifndef CHAPAR_NETWORK_INNER_CORE_H
#define CHAPAR_NETWORK_INNER_CORE_H

#include "network/core.h"

void core_show(struct core *c, int node, int64_t since, int64_t at);
void core_judge(struct core *c, int node, int64_t at);
bool core_all_dead(const struct core *c, const struct core_node *n);
/* Above everything that this prober measures: the open incident that cut it off too, and so is the cause of its silence; -1: all that it measures is within windows, or the centre itself measured
 * nothing; 0 neither. wait (may be NULL): not yet
 * known, for what is above was not probed since `doubted`, or loses its probes; it is asked. */
int64_t core_behind(struct core *c, int prober, int64_t doubted, bool *wait);
bool core_missed(const struct core *c, int prober); /* its silence has an incident of its own */
/* causes.c */
void core_join(struct core *c, int node, int64_t id, int64_t since, int64_t at);
/* The prober measured all the while and only was not heard: what was called unknown is taken back, node by node, and states go on from before. */
void core_rewind(struct core *c, int prober, int64_t at, void (*undo)(void *ctx, int node, int64_t since), void *ctx);
void core_refresh(struct core *c, int64_t at);
int64_t core_open(struct core *c, enum network_incident_kind kind, int root, int prober, int64_t began, int64_t at);
void core_close(struct core *c, int64_t id, int64_t ended, int64_t at);
void core_incidents(struct core *c, int node, enum network_state from, enum network_state to, int64_t since, int64_t at); /* a state changes: open, join, leave, close */
void core_flapping(struct core *c, int node, int64_t at);

#endif
