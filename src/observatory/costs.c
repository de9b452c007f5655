/* What visits and delay cost people: simple arithmetic over stated assumptions, in two figures that say how little is known. */
#include "observatory/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *o, const char *key, double dflt, double most) {
  const json_t *v = json_object_get(o, key);
  double d = json_number_value(v);
  return json_is_number(v) && d >= 0 && d <= most ? d : dflt;
}

struct cost_assumptions observatory_assumptions(const struct observatory *o) {
  const json_t *s = json_object_get(pack_settings(cases_pack(o->cases)), "costs"), *source = json_object_get(s, "source");
  struct cost_assumptions a = {.travel = true};
  a.hours_per_visit = number(s, "hours_per_visit", 2, 100);
  a.speed_kmh = fmax(1, number(s, "speed_kmh", 60, 1000));
  a.detour = number(s, "detour", 1.3, 10);
  a.hour_low = number(json_object_get(s, "hour"), "low", 400000, 1e9);
  a.hour_high = fmax(a.hour_low, number(json_object_get(s, "hour"), "high", 900000, 1e9));
  a.km_low = number(json_object_get(s, "km"), "low", 30000, 1e9);
  a.km_high = fmax(a.km_low, number(json_object_get(s, "km"), "high", 60000, 1e9));
  a.source = (struct text){json_str(source, "fa") ? json_str(source, "fa") : "", json_str(source, "en") ? json_str(source, "en") : ""};
  return a;
}

/* Great circle, km; below 0 when a place has no coordinates. */
static double distance(const struct place *a, const struct place *b) {
  const double rad = 3.14159265358979 / 180;
  if (!a || !b || isnan(a->lat) || isnan(b->lat) || isnan(a->lon) || isnan(b->lon)) return -1;
  double h = pow(sin((b->lat - a->lat) * rad / 2), 2) + cos(a->lat * rad) * cos(b->lat * rad) * pow(sin((b->lon - a->lon) * rad / 2), 2);
  return 2 * 6371 * asin(fmin(1, sqrt(h)));
}

/* Two figures that count; the rest is noise. */
static int64_t rounded(double v) {
  if (v < 1) return 0;
  double scale = pow(10, floor(log10(v)) - 1);
  return (int64_t)(round(v / scale) * scale);
}

struct cost { int64_t requests, visits, late_days; double km, hours; };

/* Sums and open cases by organisation, service and county. */
struct spending {
  struct making *m;
  const struct cost_assumptions *a;
  json_t *keys;                   /* "service\tcounty" → place in list */
  struct cost *list;
};

static struct cost *cost_of(struct spending *k, const char *service, const char *county) {
  char key[200];
  snprintf(key, sizeof key, "%s\t%s", service, county);
  json_t *v = json_object_get(k->keys, key);
  if (v) return &k->list[json_integer_value(v)];
  size_t n = json_object_size(k->keys);
  json_object_set_new(k->keys, key, json_integer((json_int_t)n));
  k->list = base_realloc(k->list, (n + 1) * sizeof *k->list);
  memset(&k->list[n], 0, sizeof k->list[n]);
  return &k->list[n];
}

static void spend(struct spending *k, const char *organisation, const char *service, const char *county, int64_t requests, int64_t late_days) {
  const struct pack *p = cases_pack(k->m->o->cases);
  const struct directory *d = pack_directory(p);
  const struct service *s = pack_find_shown(p, service);
  const struct organisation *office = directory_organisation(d, directory_find_organisation(d, organisation));
  struct cost *c = cost_of(k, service, county);
  int64_t visits = s ? requests * s->visits : 0;
  const struct place *from = directory_place(d, directory_find_place(d, county)), *to = office ? directory_place(d, office->place) : NULL;
  double way = k->a->travel ? fmax(0, distance(from, to)) * k->a->detour * 2 : 0;
  c->requests += requests;
  c->visits += visits;
  c->late_days += late_days;
  c->km += (double)visits * way;
  c->hours += (double)visits * (k->a->hours_per_visit + way / k->a->speed_kmh);
}

/* key: "organisation\tservice\tcounty" */
static void spend_key(struct spending *k, const char *key, int64_t requests, int64_t late_days) {
  char copy[200], *rest = copy, *parts[3];
  snprintf(copy, sizeof copy, "%s", key);
  for (int i = 0; i < 3; i++) parts[i] = strsep(&rest, "\t");
  if (parts[2]) spend(k, parts[0], parts[1], parts[2], requests, late_days);
}

static int gather(struct spending *k, struct err *err) {
  json_t *sums = NULL, *open = NULL, *v;
  const char *key;
  int rc = observatory_sums(k->m->o, k->m->q, GROUP_EACH, &sums, err);
  if (rc == 0) rc = observatory_open_now(k->m->o, k->m->q, GROUP_EACH, &open, err);
  json_object_foreach(sums, key, v) spend_key(k, key, sums_get(v, "arrived"), sums_get(v, "late_days"));
  json_object_foreach(open, key, v) spend_key(k, key, 0, sums_get(v, "late_days"));
  json_decref(sums);
  json_decref(open);
  return rc;
}

static void put_cost(struct making *m, const struct cost_assumptions *a, const char *key, const struct cost *c) {
  char service[128], *county;
  snprintf(service, sizeof service, "%s", key);
  county = strchr(service, '\t');
  if (!county || (!c->visits && !c->late_days)) return;
  *county++ = 0;
  const struct directory *d = pack_directory(cases_pack(m->o->cases));
  const struct place *p = directory_place(d, directory_find_place(d, county));
  json_t *row = table_row(m);
  cell_text(row, service);
  cell_text(row, service_name(m, service));
  cell_text(row, p ? place_name(p, m->l) : word(m->l, "observatory.no_place"));
  cell_count(m, row, c->requests);
  if (m->hide && c->requests > 0 && c->requests < FEW) {
    for (int i = 0; i < 6; i++) cell_text(row, NULL);
    return;
  }
  cell_number(row, c->visits);
  cell_number(row, rounded(c->km));
  cell_number(row, rounded(c->hours));
  cell_number(row, rounded(c->hours * a->hour_low + c->km * a->km_low));
  cell_number(row, rounded(c->hours * a->hour_high + c->km * a->km_high));
  cell_number(row, c->late_days);
}

int observatory_costs_table(struct making *m, struct err *err) {
  static const struct { const char *key, *kind; } columns[] = {{"code", "id"}, {"service", "text"}, {"place", "text"}, {"arrived", "count"}, {"visits", "count"}, {"km", "count"},
    {"hours", "count"}, {"money_low", "money"}, {"money_high", "money"}, {"late_days", "count"}};
  struct cost_assumptions standing = observatory_assumptions(m->o);
  struct spending k = {.m = m, .a = m->q->costs ? m->q->costs : &standing, .keys = json_object()};
  json_t *v;
  const char *key;
  int rc = gather(&k, err);
  for (size_t i = 0; i < BASE_COUNT(columns); i++) table_column(m, columns[i].key, columns[i].kind);
  if (rc == 0) json_object_foreach(k.keys, key, v) put_cost(m, k.a, key, &k.list[json_integer_value(v)]);
  json_decref(k.keys);
  free(k.list);
  return rc;
}
