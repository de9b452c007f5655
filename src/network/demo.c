/* Lines that the demonstration cuts, as a function of the time alone: whoever looks twice sees the same. */
#include "network/inner.h"

#include <stdlib.h>
#include <string.h>

enum { MINUTE = 60000, CUTS = 12 };

struct cut { int node; int kind; int64_t from, until; }; /* kind 1 cut, 2 loses packets */

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

static int pick(const struct network *n, enum office_level level, uint64_t seed) {
  int count = 0, seen = 0;
  for (int i = 0; i < n->real; i++) count += n->nodes[i].o.level == level && n->nodes[i].o.directory >= 0;
  int wanted = count ? (int)(mix(seed) % (uint64_t)count) : -1;
  for (int i = 0; i < n->real; i++)
    if (n->nodes[i].o.level == level && n->nodes[i].o.directory >= 0 && seen++ == wanted) return i;
  return -1;
}

static int one(const struct network *n, struct cut out[], int count, enum office_level level, int kind, int64_t at, int period, int begin, int length, int salt) {
  int64_t slot = at / ((int64_t)period * MINUTE), from = slot * period * MINUTE + (int64_t)begin * MINUTE;
  int node = pick(n, level, (uint64_t)slot * 64 + (uint64_t)salt);
  if (node >= 0) out[count++] = (struct cut){node, kind, from, from + (int64_t)length * MINUTE};
  return count;
}

/* A hub for six minutes of every ninety, a district for nine of every forty, offices and dehyaris more often and for longer; one loses packets. */
static int schedule(const struct network *n, int64_t at, struct cut out[CUTS]) {
  int count = 0;
  count = one(n, out, count, OFFICE_HUB, 1, at, 90, 60, 6, 1);
  count = one(n, out, count, OFFICE_DISTRICT, 1, at, 40, 8, 9, 2);
  count = one(n, out, count, OFFICE_OFFICE, 1, at, 20, 1, 7, 3);
  count = one(n, out, count, OFFICE_DEHYARI, 1, at, 30, 2, 12, 4);
  count = one(n, out, count, OFFICE_DEHYARI, 1, at, 1440, 0, 1440, 5);
  count = one(n, out, count, OFFICE_DEHYARI, 1, at, 240, 0, 200, 6);
  count = one(n, out, count, OFFICE_OFFICE, 1, at, 720, 0, 700, 7);
  return one(n, out, count, OFFICE_OFFICE, 2, at, 180, 0, 170, 8);
}

void demo_cuts(struct network *n, int64_t at, unsigned char *cut) {
  struct cut list[CUTS];
  int count = schedule(n, at, list);
  memset(cut, 0, (size_t)n->count);
  for (int i = 0; i < count; i++)
    if (list[i].kind == 1 && at >= list[i].from && at < list[i].until) cut[list[i].node] = 1;
  core_cut(n->core, cut);
  for (int i = 0; i < count; i++)
    if (list[i].kind == 2 && at >= list[i].from && at < list[i].until && !cut[list[i].node]) cut[list[i].node] = 2;
}

static void expect(const struct network *n, const struct cut *c, json_t *row) {
  struct network_blast b = {.offices = 1};
  if (c->kind == 1) {
    unsigned char *cut = base_alloc((size_t)n->count + 1);
    cut[c->node] = 1;
    network_blast_of(n, cut, &b);
    free(cut);
  }
  json_put(row, "state", network_state_text(c->kind == 1 ? NETWORK_DOWN : NETWORK_DEGRADED));
  json_object_set_new(row, "offices", json_integer(b.offices));
  json_object_set_new(row, "seen_within_s", json_integer((n->o.interval_ms + n->o.attempts * (n->o.retry_ms + n->o.timeout_ms)) / 1000 * (c->kind == 1 ? 1 : 5)));
}

static int by_from(const void *a, const void *b) {
  const struct cut *x = a, *y = b;
  return x->from < y->from ? -1 : x->from > y->from;
}

int network_demo(struct network *n, enum lang l, json_t **out, struct err *err) {
  enum { AHEAD = 30, STEP = 5 };
  json_t *cuts = json_array();
  *out = json_pack("{s:o}", "cut", cuts);
  if (!n->o.demo) return 0;
  struct cut list[CUTS * (AHEAD / STEP + 1)];
  int count = 0;
  pthread_mutex_lock(&n->lock);
  int64_t now = network_label(n);
  for (int ahead = 0; ahead <= AHEAD; ahead += STEP) count += schedule(n, now + ahead * MINUTE, list + count); /* no two slots of any line begin nearer */
  qsort(list, (size_t)count, sizeof *list, by_from);
  for (int i = 0; i < count; i++) {
    bool twice = list[i].until <= now || list[i].from > now + AHEAD * MINUTE;
    for (int k = 0; k < i; k++) twice |= list[k].node == list[i].node && list[k].from == list[i].from;
    if (twice) continue;
    const struct network_office *o = &n->nodes[list[i].node].o;
    json_t *row = json_object();
    json_put(row, "office", o->code);
    json_put(row, "name", l == LANG_EN ? o->name_en : o->name_fa);
    json_put(row, "kind", list[i].kind == 1 ? "cut" : "loss");
    json_object_set_new(row, "from", time_json(list[i].from));
    json_object_set_new(row, "until", time_json(list[i].until));
    json_object_set_new(row, "now", json_boolean(list[i].from <= now));
    expect(n, &list[i], row);
    json_array_append_new(cuts, row);
  }
  pthread_mutex_unlock(&n->lock);
  return 0;
}
