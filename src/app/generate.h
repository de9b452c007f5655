/* Believable answers for any service, from a seed: for simulated pasts and benchmarks. Private to app. */
#ifndef CHAPAR_GENERATE_H
#define CHAPAR_GENERATE_H

#include "catalog/catalog.h"

struct chance { uint64_t state; };
uint64_t chance_next(struct chance *c);
int64_t chance_range(struct chance *c, int64_t low, int64_t high);  /* both included */
bool chance_percent(struct chance *c, double percent);
struct samples;
int samples_load(struct samples **out, struct err *err);            /* locale/simulate.csv */
void samples_free(struct samples *s);
const char *samples_pick(const struct samples *s, const char *kind, struct chance *c);
/* A valid national id made of digits (not a real person's on purpose: any number of the register's shape). out ≥ 11. */
void generate_national_id(struct chance *c, char out[16]);
/* Canonical valid answers as a new reference; NULL when none could be made in 20 tries (then use the service's example). */
json_t *generate_answers(const struct pack *p, const struct service *s, const struct samples *words, struct chance *c, int32_t today);
/* One canonical value for a field, NULL when none could be made. */
json_t *generate_field(const struct pack *p, const struct field *f, const json_t *data, const struct samples *words, struct chance *c, int32_t today, struct arena *a);

#endif
