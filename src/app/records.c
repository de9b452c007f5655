/* Registries from the command line; and the made-up records of a demonstration. */
#include "app/app.h"
#include "app/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- made-up records ---- */

#define SEED 1405
#define PEOPLE 900

/* Of whom the records are: invented. No place of registration gives identifiers that begin with 999. */
struct person { char id[16], mobile[16], born[16]; const char *first, *last, *father; };

struct making {
  struct platform *p;
  struct samples *words;
  struct chance chance;
  struct person *people;
  struct arena *arena;
  int64_t made;
};

static void make_person(struct making *m, struct person *out) {
  int sum = 0;
  snprintf(out->id, sizeof out->id, "999%06lld", (long long)chance_range(&m->chance, 0, 999999));
  for (int i = 0; i < 9; i++) sum += (out->id[i] - '0') * (10 - i);
  int r = sum % 11;
  out->id[9] = (char)('0' + (r < 2 ? r : 11 - r));
  out->id[10] = 0;
  snprintf(out->mobile, sizeof out->mobile, "0999%07lld", (long long)chance_range(&m->chance, 0, 9999999));
  date_iso(cases_today() - (int32_t)chance_range(&m->chance, 7000, 30000), out->born);
  out->first = samples_pick(m->words, "first", &m->chance);
  out->last = samples_pick(m->words, "last", &m->chance);
  out->father = samples_pick(m->words, "first", &m->chance);
}

/* Known names of attributes; NULL: made from its type alone. */
static json_t *named_value(struct making *m, const struct registry *r, const struct registry_attribute *k, const struct person *who, const json_t *so_far) {
  const char *n = k->name;
  struct chance *c = &m->chance;
  if (strcmp(n, "first_name") == 0) return json_string(who->first);
  if (strcmp(n, "last_name") == 0) return json_string(who->last);
  if (strcmp(n, "father_name") == 0) return json_string(who->father);
  if (strcmp(n, "birth_date") == 0) return json_string(who->born);
  if (strcmp(n, "alive") == 0 || strcmp(n, "company_active") == 0) return json_boolean(chance_percent(c, 97));
  if (strcmp(n, "supported") == 0) return json_true();
  if (strcmp(n, "parcel_owner") == 0) return json_sprintf("%s %s", who->first, who->last);
  if (strcmp(n, "parcel_number") == 0) return json_sprintf("%lld/%lld", (long long)chance_range(c, 200, 9000), (long long)chance_range(c, 1, 99));
  if (strcmp(n, "parcel_use") == 0) return json_string(samples_pick(m->words, "use", c));
  if (strcmp(n, "parcel_area") == 0) return json_integer(chance_range(c, 60, 4000));
  if (strcmp(n, "area") == 0) return json_real((double)chance_range(c, 4, 160) / 4);
  if (strcmp(n, "farmer_code") == 0) return json_sprintf("KH-%06lld", (long long)chance_range(c, 300000, 999999));
  if (strcmp(n, "skill_certificate") == 0) return json_sprintf("FH-%lld-%05lld", (long long)chance_range(c, 1392, 1404), (long long)chance_range(c, 5000, 99999));
  if (strcmp(n, "household_size") == 0) return json_integer(chance_range(c, 2, 7));
  if (strcmp(n, "training_hours") == 0) return json_integer(chance_range(c, 1, 30) * 8);
  if (strcmp(n, "floors") == 0) return json_integer(chance_range(c, 1, 6));
  if (strcmp(n, "staff") == 0) return json_integer(chance_range(c, 1, 40));
  if (strcmp(n, "company_registered_on") == 0 || strcmp(n, "finished_on") == 0 || strcmp(n, "since") == 0) {
    char day[16];
    date_iso(cases_today() - (int32_t)chance_range(c, 60, 5000), day);
    return json_string(day);
  }
  if (strcmp(n, "skill_title") == 0) {
    const struct registry_attribute *skill = registry_attribute(r, "skill");
    const json_t *v = json_object_get(so_far, "skill");
    return skill && v ? json_string(field_show(m->p->pack, skill->field, v, LANG_FA, m->arena)) : NULL;
  }
  if (strcmp(n, "shop_name") == 0) return json_sprintf("%s %s", samples_pick(m->words, "shop", c), samples_pick(m->words, "last", c));
  if (strcmp(n, "name") == 0 || strcmp(n, "company_name") == 0)
    return json_sprintf("%s %s", samples_pick(m->words, "firm", c), samples_pick(m->words, "last", c));
  if (k->type == FIELD_NATIONAL_ID) return json_string(who->id);
  if (k->type == FIELD_MOBILE) return json_string(who->mobile);
  return NULL;
}

static json_t *make_record(struct making *m, const struct registry *r, const struct person *who) {
  json_t *o = json_object(), *good = NULL, *errors = NULL;
  arena_reset(m->arena);
  for (size_t i = 0; i < r->count; i++) {
    const struct registry_attribute *k = &r->attributes[i];
    json_t *v = named_value(m, r, k, who, o);
    if (!v) v = generate_field(m->p->pack, k->field, o, m->words, &m->chance, cases_today(), m->arena);
    if (v) json_object_set_new(o, k->name, v);
  }
  if (registries_check(m->p->pack, r, o, LANG_EN, m->arena, &good, &errors)) good = NULL;
  json_decref(errors);
  json_decref(o);
  return good;
}

static int make_registry(struct making *m, const struct registry *r, struct err *err) {
  size_t count = r->telephone ? PEOPLE : strcmp(r->code, "land-parcels") == 0 ? 300 : strcmp(r->code, "legal-persons") == 0 ? 120 : 200, n = 0;
  struct record_change *list = base_alloc(count * sizeof *list);
  size_t step = r->telephone ? 1 : (size_t)chance_range(&m->chance, 0, 400) * 2 + 1;
  for (size_t i = 0; i < count; i++) {
    json_t *attributes = make_record(m, r, &m->people[i * step % PEOPLE]);
    if (attributes) list[n++] = (struct record_change){.registry = r, .attributes = attributes, .source = RECORD_SYNTHETIC};
  }
  int rc = 0;
  for (size_t done = 0; done < n && rc == 0; done += 200) rc = registries_put_many(m->p->registries, list + done, n - done < 200 ? n - done : 200, err);
  for (size_t i = 0; i < n; i++) json_decref(list[i].attributes);
  m->made += (int64_t)n;
  free(list);
  return rc;
}

static void tell_sample(void *ctx, unsigned line, const char *message) { fprintf(stderr, "%s:%u: %s\n", (const char *)ctx, line, message); }

/* The few that the services' examples speak of: demonstration/CODE.csv in the pack. */
static int take_samples(struct making *m, const struct registry *r, struct err *err) {
  char *file = base_printf("%s/demonstration/%s.csv", m->p->set.pack, r->code);
  size_t n = 0;
  char *data = access(file, R_OK) == 0 ? file_read(file, 1024 * 1024, &n, err) : NULL;
  struct record_import k = {.registry = r, .lang = LANG_EN, .synthetic = true, .line = tell_sample, .ctx = file};
  int rc = data ? registries_import(m->p->registries, data, n, &k, err) : 0;
  m->made += (int64_t)k.rows;
  free(data);
  free(file);
  return rc;
}

int demo_records(struct platform *p) {
  struct making m = {.p = p, .chance = {.state = SEED}, .arena = arena_new(1024 * 1024)};
  struct err err;
  char *note = NULL;
  int rc = cases_note(p->cases, "records", &note, &err);
  if (rc == 0 && !note) rc = samples_load(&m.words, &err);
  if (rc == 0 && !note) {
    m.people = base_alloc(PEOPLE * sizeof *m.people);
    for (int i = 0; i < PEOPLE; i++) make_person(&m, &m.people[i]);
    for (size_t i = 0; i < pack_registries(p->pack) && rc == 0; i++) {
      rc = take_samples(&m, pack_registry(p->pack, i), &err);
      if (rc == 0) rc = make_registry(&m, pack_registry(p->pack, i), &err);
    }
    if (rc == 0) rc = cases_note_set(p->cases, "records", "synthetic", &err);
    if (rc == 0) log_write(LOG_INFO, "app", "%lld synthetic records were made for the demonstration", (long long)m.made);
  }
  if (rc) fprintf(stderr, "chapar: %s\n", err.message);
  free(note);
  free(m.people);
  samples_free(m.words);
  arena_free(m.arena);
  return rc;
}

/* ---- commands ---- */

static void tell_line(void *ctx, unsigned line, const char *message) { fprintf(stderr, "%s:%u: %s\n", (const char *)ctx, line, message); }

static void tell_progress(void *ctx, size_t done, size_t all) {
  if (isatty(2)) fprintf(stderr, "\r%zu of %zu rows%s", done, all, done == all ? "\n" : "");
}

/* The registry that the words name, in the opened platform; NULL after a message and *rc. */
static const struct registry *opened(struct platform *p, const struct settings *s, const char *code, int *rc) {
  *rc = platform_open(p, s, PLATFORM_ALL);
  if (*rc) return NULL;
  const struct registry *r = pack_find_registry(p->pack, code);
  struct nearest near = {.wanted = code};
  for (size_t i = 0; i < pack_registries(p->pack); i++) nearest_offer(&near, pack_registry(p->pack, i)->code);
  if (!r) {
    fprintf(stderr, "chapar: the pack has no registry '%s'%s%s%s\n", code, near.best ? "; did you mean '" : "", near.best ? near.best : "", near.best ? "'?" : "");
    *rc = EXIT_REFUSED;
  }
  return r;
}

int command_import(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  struct platform p = {0};
  struct err err;
  const char *dry = NULL, *lang = NULL, *service = NULL;
  struct own_flag own[] = {{"--dry-run!", &dry}, {"--lang", &lang}, {"--service", &service}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count == 2 && strcmp(left.items[0], "cases") == 0) {
    const struct transfer_words w = {.service = service, .lang = lang, .dry = dry != NULL};
    return service ? transfer_import(&s, &w, left.items[1]) : app_usage("import", "say which service: --service S");
  }
  if (left.count == 2 && strcmp(left.items[0], "offices") == 0 && !service) return offices_import(&s, left.items[1], dry != NULL, lang);
  if (left.count == 2 && strcmp(left.items[0], "contacts") == 0 && !service) return contacts_import(&s, left.items[1], dry != NULL, lang);
  if (left.count != 3 || strcmp(left.items[0], "registry") != 0 || service) return app_usage("import", "say what to import: registry CODE FILE, cases FILE --service S, offices FILE, or contacts FILE");
  const char *file = left.items[2];
  const struct registry *r = opened(&p, &s, left.items[1], &rc);
  size_t n = 0;
  char *data = r ? file_read(file, (size_t)512 * 1024 * 1024, &n, &err) : NULL;
  if (r && !data) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (data) {
    struct record_import k = {.registry = r, .dry = dry != NULL, .lang = base_same(lang, "fa") ? LANG_FA : LANG_EN, .line = tell_line, .progress = tell_progress,
                              .ctx = (void *)(uintptr_t)file};
    int64_t placed;
    if (registries_import(p.registries, data, n, &k, &err)) {
      fprintf(stderr, "chapar: %s\n", err.message);
      rc = EXIT_REFUSED;
    }
    printf("%s%zu rows: %zu new, %zu changed, %zu revoked, %zu as they were, %zu mistakes\n", dry ? "dry run, nothing was written: " : "", k.rows, k.made, k.changed, k.revoked,
           k.same, k.wrong);
    if (rc == 0 && !dry && trust_sequence(p.trust, &placed, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err.message);
  }
  free(data);
  platform_close(&p);
  return rc;
}

static int to_stdout(void *ctx, const char *p, size_t n) { return fwrite(p, 1, n, stdout) == n ? 0 : -1; }

int records_export(const struct settings *set, const char *code, const char *format) {
  struct platform p = {0};
  struct err err = {0};
  int rc = 0;
  const struct registry *r = opened(&p, set, code, &rc);
  if (r && (registries_export(p.registries, r, base_same(format, "jsonl") ? RECORD_JSON : RECORD_CSV, to_stdout, NULL, &err) || fflush(stdout))) {
    fprintf(stderr, "chapar: %s\n", err.message[0] ? err.message : "the export could not be written");
    rc = EXIT_REFUSED;
  }
  platform_close(&p);
  return rc;
}
