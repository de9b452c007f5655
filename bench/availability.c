/*
 * bench-availability PACK FOLDER [DAYS]: a year (366 days) of hours, days and months for every office of the pack, with outages, in FOLDER (made; must be empty), as a prober would have
 * left it; then what the pages and the interface ask: the availability of the year by province, county, setting, organisation and office, and of one organisation.
 * Beside it the same figures from a plain table (one row an office and day) by SQL in the same engine. Medians of nine, in ms. Sizes of what is kept. See docs/notes/performance.md.
 */
#include "network/inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ROUNDS = 9, DAY = 86400000 };

struct filling { struct network *n; struct store *plain; int64_t from, until, hours, days, months, raw, sizes[4]; struct sums *day, *month; };

static int64_t day_next(int64_t start) { return day_start(day_of(start) + 1); }

static void must(int rc, const struct err *err) {
  if (rc >= 0) return;
  fprintf(stderr, "%s\n", err->message);
  exit(1);
}

static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdu;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53u;
  return x ^ x >> 33;
}

/* An hour of an office: mostly up; one in 170 has an outage of its own, when its hub had one it is behind that, one in 400 is degraded. */
static void hour_of(const struct network *n, int node, int64_t start, struct sums *s) {
  uint64_t luck = mix((uint64_t)node << 32 ^ (uint64_t)(start / HOUR_MS)), above = mix((uint64_t)n->nodes[node].o.county << 40 ^ (uint64_t)(start / HOUR_MS));
  int64_t own = luck % 170 == 0 ? (int64_t)(luck >> 20 & 0x1fffff) : 0, upstream = above % 900 == 0 ? (int64_t)(above >> 20 & 0x0fffff) : 0, service = service_overlap(n, node, start, start + HOUR_MS);
  *s = (struct sums){.key = n->nodes[node].key, .probes = 60, .sent = 300};
  int state = luck % 400 == 1 ? NETWORK_DEGRADED : NETWORK_UP;
  int64_t parts[3] = {HOUR_MS - own - upstream, own, upstream};
  int states[3] = {state, NETWORK_DOWN, NETWORK_UNREACHABLE};
  for (int i = 0; i < 3; i++) {
    s->ms[states[i]][0] = parts[i];
    s->ms[states[i]][1] = parts[i] * service / HOUR_MS;
  }
  s->lost = (uint32_t)(300 * (own + upstream) / HOUR_MS) + (state == NETWORK_DEGRADED ? 15 : luck % 50 == 2);
  s->answered = 60 - (uint32_t)(60 * (own + upstream) / HOUR_MS);
  double rtt = 8 + (double)(node % 40);
  s->rtt_sum = rtt * s->answered;
  s->jitter_sum = 0.7 * s->answered;
  s->min = rtt - 2;
  s->max = rtt + 30;
  for (uint32_t i = 0; i < s->answered; i++) s->bins[bin_of(rtt * (0.95 + 0.02 * (double)(mix(luck + i) % 16)))]++;
}

struct putting { int64_t span, start; const void *bytes; size_t size; };

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct putting *p = arg;
  return store_put(tx, err, "INSERT INTO network_block (span,start,bytes) VALUES (?1,?2,?3)", "iib", p->span, p->start, p->bytes, p->size);
}

static void put_block(struct filling *f, int64_t span, int64_t start, const struct sums *list) {
  struct buf b;
  struct err err;
  buf_init(&b, 512u << 20);
  for (int i = 0; i < f->n->real; i++) block_put(&b, &list[i]);
  struct putting p = {span, start, buf_str(&b), b.len};
  must(store_write(f->n->samples, STORE_FRONT, put_work, &p, &err), &err);
  f->sizes[span] += (int64_t)b.len;
  buf_free(&b);
}

struct plain { struct filling *f; int64_t day; };

static int plain_work(struct store_tx *tx, void *arg, struct err *err) {
  struct plain *k = arg;
  const struct network *n = k->f->n;
  for (int i = 0; i < n->real; i++) {
    const struct sums *s = &k->f->day[i];
    const struct network_office *o = &n->nodes[i].o;
    const struct organisation *g = directory_organisation(n->d, o->organisation);
    if (store_put(tx, err, "INSERT INTO plain (office,day,county,setting,organisation,up,degraded,own,upstream,up_s,degraded_s,own_s,upstream_s,sent,lost,rtt,answered) "
                  "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)", "tiiitiiiiiiiiiiii", o->code, k->day, (int64_t)o->county, (int64_t)o->setting, g ? g->code : "", s->ms[0][0], s->ms[1][0],
                  s->ms[2][0], s->ms[3][0], s->ms[0][1], s->ms[1][1], s->ms[2][1], s->ms[3][1], (int64_t)s->sent, (int64_t)s->lost, (int64_t)(s->rtt_sum * 1000), (int64_t)s->answered)) return -1;
  }
  return 0;
}

static int table_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "CREATE TABLE plain (office TEXT NOT NULL, day BIGINT NOT NULL, county BIGINT, setting BIGINT, organisation TEXT, up BIGINT, degraded BIGINT, own BIGINT, upstream BIGINT, up_s BIGINT, "
                    "degraded_s BIGINT, own_s BIGINT, upstream_s BIGINT, sent BIGINT, lost BIGINT, rtt BIGINT, answered BIGINT, PRIMARY KEY (office,day)) WITHOUT ROWID", "") < 0 ? -1 : 0;
}

/* Raw results of the last hours, five seconds a row: each office once a minute. */
struct raws { struct filling *f; int64_t at, until; };

static int raw_work(struct store_tx *tx, void *arg, struct err *err) {
  struct raws *k = arg;
  const struct network *n = k->f->n;
  for (int64_t at = k->at; at < k->until; at += 5000) {
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = (int)(at / 5000 % 12); i < n->real; i += 12) {
      double rtt = 8 + i % 40;
      struct sample s = {n->nodes[i].key, at + i % 5000, 5, 0, rtt, rtt + 0.6, rtt + 4, rtt + 4.1, 0.7};
      raw_put(&b, at, &s);
    }
    int rc = store_put(tx, err, "INSERT INTO network_raw (id,at,prober,until,bytes) VALUES (?1,?1,'',?2,?3)", "iib", at, at + 5000, (const void *)buf_str(&b), b.len);
    k->f->raw += (int64_t)b.len;
    buf_free(&b);
    if (rc) return -1;
  }
  return 0;
}

/* Every office up since the beginning, and what it was in between: its outages of the last 90 days as spans. */
static int spans_work(struct store_tx *tx, void *arg, struct err *err) {
  struct filling *f = arg;
  for (int i = 0; i < f->n->real; i++) {
    const char *code = f->n->nodes[i].o.code;
    int64_t since = f->from;
    if (store_put(tx, err, "INSERT INTO network_span (office,since,state,incident) VALUES (?1,?2,0,0)", "ti", code, f->from)) return -1;
    for (int64_t at = f->from + HOUR_MS; at < f->until; at += HOUR_MS) {
      if (mix((uint64_t)i << 32 ^ (uint64_t)(at / HOUR_MS)) % 170) continue;
      if (store_put(tx, err, "INSERT INTO network_span (office,since,state,incident) VALUES (?1,?2,2,1)", "ti", code, at) ||
          store_put(tx, err, "INSERT INTO network_span (office,since,state,incident) VALUES (?1,?2,0,0)", "ti", code, since = at + 600000)) return -1;
    }
    if (store_put(tx, err, "INSERT INTO network_now (office,hard,shown,since,decided,incident,flapping,connected_at) VALUES (?1,0,0,?2,?2,0,0,?3)", "tii", code, since, f->from)) return -1;
  }
  return 0;
}

static void fill(struct filling *f, int64_t now) {
  struct err err;
  int count = f->n->real;
  struct sums *hour = base_alloc((size_t)count * sizeof *hour);
  f->day = base_alloc((size_t)count * sizeof *f->day);
  f->month = base_alloc((size_t)count * sizeof *f->month);
  must(store_write(f->plain, STORE_FRONT, table_work, NULL, &err), &err);
  for (int64_t day = f->from; day <= day_start(day_of(now)); day = day_next(day)) {
    for (int i = 0; i < count; i++) f->day[i] = (struct sums){.key = f->n->nodes[i].key, .min = NAN, .max = NAN};
    if (month_start_of(day) == day || day == f->from)
      for (int i = 0; i < count; i++) f->month[i] = f->day[i];
    bool today = day == day_start(day_of(now));
    for (int64_t at = day; at < day_next(day) && at + HOUR_MS <= now; at += HOUR_MS) {
      for (int i = 0; i < count; i++) {
        hour_of(f->n, i, at, &hour[i]);
        sums_add(&f->day[i], &hour[i]);
        sums_add(&f->month[i], &hour[i]);
      }
      if (now - at < 90 * (int64_t)DAY) put_block(f, BLOCK_HOUR, at, hour), f->hours++;
    }
    if (!today) put_block(f, BLOCK_DAY, day, f->day), f->days++;
    if (day_next(day) == month_next(month_start_of(day))) put_block(f, BLOCK_MONTH, month_start_of(day), f->month), f->months++;
    struct plain p = {f, day};
    must(store_write(f->plain, STORE_FRONT, plain_work, &p, &err), &err);
  }
  struct raws r = {f, hour_start(now), now};
  must(store_write(f->n->samples, STORE_FRONT, raw_work, &r, &err), &err);
  must(store_write(f->n->samples, STORE_FRONT, spans_work, f, &err), &err);
  free(hour);
  free(f->day);
  free(f->month);
}

static int by_size(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double median(double *ms) {
  qsort(ms, ROUNDS, sizeof *ms, by_size);
  return ms[ROUNDS / 2];
}

static double ask(struct network *n, enum network_group by, const char *organisation, int32_t from, int32_t to, struct network_sums *sums) {
  struct network_availability_query q = {.by = by, .from = from, .to = to, .place = -1, .organisation = organisation};
  double ms[ROUNDS];
  struct err err;
  for (int i = 0; i < ROUNDS; i++) {
    int64_t began = clock_mono_us();
    json_t *j;
    must(network_availability_json(n, &q, LANG_FA, &j, &err), &err);
    size_t size;
    char *text = json_text(j, &size);
    ms[i] = (double)(clock_mono_us() - began) / 1000;
    free(text);
    json_decref(j);
  }
  struct network_line *lines;
  size_t count;
  must(network_availability(n, &q, &lines, &count, &err), &err);
  *sums = (struct network_sums){0};
  for (size_t i = 0; i < count; i++) sums->up[0] += lines[i].sums.up[0], sums->own[0] += lines[i].sums.own[0], sums->lost += lines[i].sums.lost;
  network_availability_free(lines, count);
  return median(ms);
}

struct plain_ask { const char *sql; int by; int64_t from, to, up, own, lost; const char *organisation; };

#define PLAIN "SUM(up),SUM(own),SUM(lost),SUM(degraded),SUM(upstream),SUM(up_s),SUM(degraded_s),SUM(own_s),SUM(upstream_s),SUM(sent),SUM(rtt),SUM(answered) FROM plain WHERE day>=?1 AND day<?2"

static int plain_ask_work(struct store_tx *tx, void *arg, struct err *err) {
  struct plain_ask *k = arg;
  struct store_rows *r = NULL;
  if (k->by == 0) r = store_select(tx, err, "SELECT " PLAIN, "ii", k->from, k->to);
  if (k->by == 1) r = store_select(tx, err, "SELECT " PLAIN " GROUP BY county", "ii", k->from, k->to);
  if (k->by == 2) r = store_select(tx, err, "SELECT " PLAIN " GROUP BY setting", "ii", k->from, k->to);
  if (k->by == 3) r = store_select(tx, err, "SELECT " PLAIN " GROUP BY organisation", "ii", k->from, k->to);
  if (k->by == 4) r = store_select(tx, err, "SELECT " PLAIN " GROUP BY office", "ii", k->from, k->to);
  if (k->by == 5) r = store_select(tx, err, "SELECT " PLAIN " AND organisation=?3 GROUP BY office", "iit", k->from, k->to, k->organisation);
  int rc = r ? 0 : -1;
  k->up = k->own = k->lost = 0;
  while (r && (rc = store_next(r, err)) == 1) k->up += store_int(r, 0), k->own += store_int(r, 1), k->lost += store_int(r, 2);
  store_done(r);
  return rc;
}

static double ask_plain(struct store *s, struct plain_ask *k) {
  double ms[ROUNDS];
  struct err err;
  for (int i = 0; i < ROUNDS; i++) {
    int64_t began = clock_mono_us();
    must(store_read(s, plain_ask_work, k, &err), &err);
    ms[i] = (double)(clock_mono_us() - began) / 1000;
  }
  return median(ms);
}

static struct store *open_store(const char *folder, const char *name, const char *const *rooms) {
  char *where = base_printf("sqlite:%s/%s", folder, name);
  struct store *s;
  struct err err;
  must(store_open(where, NULL, &s, &err), &err);
  must(store_migrate(s, rooms, &err), &err);
  free(where);
  return s;
}

static double file_mb(const char *folder, const char *name) {
  char *path = base_printf("%s/%s", folder, name);
  struct stat st = {0};
  if (stat(path, &st)) st.st_size = 0;
  free(path);
  return (double)st.st_size / 1e6;
}

static void nothing(void *ctx, const struct sums *s) { ++*(int64_t *)ctx; }

/* Where the time goes: whole days and months, whole hours of today, the hour that runs. */
static void parts(struct network *n, int64_t now) {
  int64_t blocks = 0, today = day_start(day_of(now)), began = clock_mono_us(), hour = hour_start(now);
  struct sums *s;
  struct err err;
  must(rollup_each(n, day_start(day_of(now) - 365), today, false, nothing, &blocks, &err), &err);
  printf("days and months %.1f ms (%lld sums)", (double)(clock_mono_us() - began) / 1000, (long long)blocks);
  began = clock_mono_us();
  must(rollup_each(n, today, hour, false, nothing, &blocks, &err), &err);
  printf(", hours of today %.1f ms", (double)(clock_mono_us() - began) / 1000);
  began = clock_mono_us();
  must(rollup_hour(n, hour, now, false, &s, &err), &err);
  printf(", the hour that runs %.1f ms\n", (double)(clock_mono_us() - began) / 1000);
  free(s);
}

int main(int argc, char **argv) {
  static const char *const main_rooms[] = {"store", "trust", "network", NULL}, *const sample_rooms[] = {"store", "samples", NULL}, *const plain_rooms[] = {"store", NULL};
  static const struct { const char *name; enum network_group by; } groups[] = {{"the province", NETWORK_BY_PROVINCE}, {"counties", NETWORK_BY_COUNTY}, {"urban and rural", NETWORK_BY_SETTING},
    {"organisations", NETWORK_BY_ORGANISATION}, {"all offices", NETWORK_BY_OFFICE}, {"offices of one organisation", NETWORK_BY_OFFICE}};
  struct err err;
  if (argc < 3) return fprintf(stderr, "bench-availability PACK FOLDER [DAYS]\n"), 2;
  must(language_init(&err), &err);
  must(dir_make(argv[2], 0755, &err), &err);
  struct directory *d = directory_load(argv[1], NULL, NULL);
  if (!d) return fprintf(stderr, "%s is no pack\n", argv[1]), 1;
  struct store *main_store = open_store(argv[2], "main.db", main_rooms), *samples = open_store(argv[2], "samples.db", sample_rooms), *plain = open_store(argv[2], "plain.db", plain_rooms);
  char *key = base_printf("%s/key.pem", argv[2]);
  struct trust_options t = {.key_file = key, .origin = "bench/ledger", .node = "one"};
  struct trust *trust;
  struct network *n;
  must(trust_open(main_store, &t, &trust, &err), &err);
  int64_t now = day_start(day_from_jalali((struct date){1405, 8, 20})) + 13 * (int64_t)HOUR_MS + 40 * 60000;
  clock_set(now);
  struct network_options o = {.node = "one"};
  must(network_open(main_store, samples, trust, d, &o, &n, &err), &err);
  struct filling f = {.n = n, .plain = plain, .from = day_start(day_of(now) - (argc > 3 ? (int32_t)strtol(argv[3], NULL, 10) : 366)), .until = now};
  fill(&f, now);
  n->holder = true;
  n->cursor = 1;
  printf("%d offices, %lld hours, %lld days, %lld months of sums\n", n->real, (long long)f.hours, (long long)f.days, (long long)f.months);
  printf("kept: an hour %.0f KB, a day %.0f KB, a month %.0f KB, raw %.0f KB an hour\n", (double)f.sizes[1] / (double)f.hours / 1000, (double)f.sizes[2] / (double)f.days / 1000,
         f.months ? (double)f.sizes[3] / (double)f.months / 1000 : 0, (double)f.raw / ((double)(now - hour_start(now)) / HOUR_MS) / 1000);
  struct plain_ask p = {.from = day_start(day_of(now) - 365), .to = now + DAY};
  p.organisation = directory_organisation(d, n->nodes[0].o.organisation)->code;
  for (size_t g = 0; g < BASE_COUNT(groups); g++) {
    struct network_sums sums;
    const char *organisation = g == 5 ? p.organisation : NULL;
    double ours = ask(n, groups[g].by, organisation, day_of(now) - 365, day_of(now), &sums);
    p.by = (int)g;
    double theirs = ask_plain(plain, &p);
    printf("%-28s %7.1f ms; plain SQL %8.1f ms, %.1f times as long%s\n", groups[g].name, ours, theirs, theirs / ours, sums.own[0] == p.own ? "" : " (last hour apart)");
  }
  parts(n, now);
  network_close(n);
  trust_close(trust);
  store_close(samples);
  store_close(main_store);
  store_close(plain);
  printf("samples.db %.0f MB, plain.db %.0f MB\n", file_mb(argv[2], "samples.db"), file_mb(argv[2], "plain.db"));
  directory_free(d);
  free(key);
  return 0;
}
