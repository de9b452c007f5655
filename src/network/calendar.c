/* Closures declared late: a day whose working hours are not what they were summed with is summed anew, while its measurements are kept. */
#include "network/inner.h"

#include <string.h>

enum { EVERY_MS = 60000 };

static int64_t fingerprint(const struct network *n, int32_t day) {
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i <= directory_organisations(n->d); i++) { /* the last: offices of none */
    bool works = n->o.works(n->o.works_ctx, i < directory_organisations(n->d) ? (int)i : -1, day);
    h = (h ^ (works ? 1u : 2u)) * 1099511628211u;
  }
  return (int64_t)(h >> 1);
}

struct day { char name[32]; int64_t print, from, to; };

/* Both in one: what was seen is written with what follows from it. On SQLite the measurements are elsewhere: theirs first, twice does no harm. */
static int dirty_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct day *k = arg;
  return span_dirty(tx, k->from, k->to, err);
}

static int print_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct day *k = arg;
  return store_put(tx, err, "INSERT INTO network_value (name,value) VALUES (?1,?2) ON CONFLICT (name) DO UPDATE SET value=excluded.value", "ti", k->name, k->print);
}

struct known { const struct day *day; int64_t print; };

static int known_work(struct store_tx *tx, void *arg, struct err *err) {
  struct known *k = arg;
  k->print = 0;
  return store_value(tx, &k->print, 0, err, "SELECT value FROM network_value WHERE name=?1", "t", k->day->name);
}

static int forget_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM network_value WHERE name LIKE 'works-%' AND name<?1", "t", (const char *)arg) < 0 ? -1 : 0;
}

int calendar_jobs(struct network *n, int64_t *did, struct err *err) {
  int64_t now = network_now(n), mono = clock_mono();
  if (!n->o.works || (n->calendar_at && mono - n->calendar_at < EVERY_MS)) return 0;
  n->calendar_at = mono ? mono : 1;
  int32_t today = day_of(now);
  char first[32];
  for (int32_t d = today - n->o.raw_days + 1; d <= today; d++) {
    struct day k = {.print = fingerprint(n, d), .from = day_start(d), .to = d == today ? hour_start(now) : day_start(d + 1)};
    struct known was = {&k, 0};
    snprintf(k.name, sizeof k.name, "works-%08d", (int)d);
    if (store_read(n->main, known_work, &was, err)) return -1;
    if (was.print == k.print) continue;
    if (was.print && (store_write(n->samples, STORE_JOBS, dirty_work, &k, err))) return -1;
    if (store_write(n->main, STORE_JOBS, print_work, &k, err)) return -1;
    *did += was.print != 0;
  }
  snprintf(first, sizeof first, "works-%08d", (int)(today - n->o.raw_days - 1));
  return store_write(n->main, STORE_JOBS, forget_work, first, err);
}
