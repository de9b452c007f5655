/* Indicators of the network for the index: coverage, availability and quality by county, with where each comes from. */
#include "network/network.h"
#include "observatory/tables.h"

#include <math.h>
#include <stdlib.h>

void observatory_network(struct observatory *o, struct network *n) { o->network = n; }

static void cell_real(json_t *row, double v) { json_array_append_new(row, isnan(v) ? json_null() : json_real(v)); }
static double part(int64_t n, int64_t of) { return of > 0 ? (double)n / (double)of : NAN; }

static int put_row(struct making *m, int place, const struct network_line *l, struct err *err) {
  const struct network_sums *s = &l->sums;
  struct network_coverage c;
  int32_t day = 0;
  int known = network_coverage_in(m->o->network, place, m->q->period.from, m->q->period.to, &c, &day, err);
  int64_t measured = s->up[0] + s->degraded[0] + s->own[0] + s->upstream[0] + s->maintenance[0], all = measured + s->unknown[0];
  if (known < 0) return -1;
  json_t *row = table_row(m);
  cell_text(row, l->key);
  cell_text(row, m->l == LANG_EN ? l->name_en : l->name_fa);
  cell_text(row, known ? date_short(m->a, m->l, day) : NULL);
  if (known) cell_number(row, c.offices);
  else cell_text(row, NULL);
  cell_real(row, known ? part(c.connected, c.offices) : NAN);
  if (known) cell_number(row, c.villages_large);
  else cell_text(row, NULL);
  cell_real(row, known ? part(c.villages_connected, c.villages_large) : NAN);
  cell_real(row, network_availability_of(s, 1));
  cell_real(row, network_availability_of(s, 0));
  cell_real(row, l->goal);
  cell_real(row, part(s->lost, s->sent));
  cell_real(row, s->rtt_count ? s->rtt_sum / (double)s->rtt_count : NAN);
  cell_real(row, part(measured, all));
  cell_number(row, l->incidents);
  return 0;
}

int observatory_network_table(struct making *m, struct err *err) {
  static const struct { const char *key, *kind; } columns[] = {{"code", "id"}, {"place", "text"}, {"covered_on", "text"}, {"net_offices", "count"}, {"net_covered", "fine"}, {"net_villages", "count"},
    {"net_villages_covered", "fine"}, {"net_service", "fine"}, {"net_all", "fine"}, {"net_goal", "fine"}, {"net_loss", "fine"}, {"net_rtt", "mean"}, {"net_measured", "fine"}, {"net_incidents", "count"}};
  const struct directory *d = pack_directory(cases_pack(m->o->cases));
  for (size_t i = 0; i < BASE_COUNT(columns); i++) table_column(m, columns[i].key, columns[i].kind);
  m->note = word(m->l, "observatory.net_note");
  if (!m->o->network) return 0;
  int place = m->q->place ? directory_find_place(d, m->q->place) : -1;
  struct network_line *lines = NULL;
  size_t n = 0;
  struct network_availability_query q = {.by = NETWORK_BY_PROVINCE, .from = m->q->period.from, .to = m->q->period.to, .place = -1, .organisation = m->q->organisation};
  for (int turn = place >= 0; turn < 2; turn++) { /* the province first, then its counties */
    q.by = turn ? NETWORK_BY_COUNTY : NETWORK_BY_PROVINCE;
    q.place = turn ? place : -1;
    if (network_availability(m->o->network, &q, &lines, &n, err)) return -1;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) rc = put_row(m, directory_find_place(d, lines[i].key), &lines[i], err);
    network_availability_free(lines, n);
    if (rc) return -1;
  }
  return 0;
}
