/* pack.yaml, its calendars, the choice lists and the registries. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- calendars ----------------------------------------------------------------------------------- */

struct closure { int32_t day; const char *fa, *en; size_t row; };

static int by_day(const void *a, const void *b) {
  const struct closure *x = a, *y = b;
  if (x->day != y->day) return x->day < y->day ? -1 : 1;
  return (x->row > y->row) - (x->row < y->row);
}

static struct csv *read_csv(struct compiler *c, const char *file, const char *const *names, int *columns) {
  struct err err = {0};
  size_t n = 0;
  c->file = file;
  char *data = source(c, file, &n);
  if (!data) return NULL;
  struct csv *csv = csv_read(data, n, &err);
  free(data);
  unsigned line = 0;
  int skip = 0;
  if (!csv && sscanf(err.message, "line %u: %n", &line, &skip) != 1) skip = 0;
  if (!csv) fail(c, line, "%s", err.message + skip);
  bool good = csv != NULL;
  for (size_t i = 0; csv && names[i]; i++)
    if ((columns[i] = csv_column(csv, names[i])) < 0) {
      fail(c, 1, "column '%s' is missing", names[i]);
      good = false;
    }
  if (good) return csv;
  csv_free(csv);
  return NULL;
}

/* Two reasons on one day become one title. */
static void close_days(struct compiler *c, struct calendar *cal, const struct closure *days, size_t n) {
  for (size_t i = 0; i < n;) {
    const char *fa = days[i].fa, *en = days[i].en;
    size_t k = i + 1;
    for (; k < n && days[k].day == days[i].day; k++) {
      if (strcmp(days[k].fa, days[k - 1].fa) == 0) continue;
      fa = arena_printf(c->p->arena, "%s، %s", fa, days[k].fa);
      en = arena_printf(c->p->arena, "%s, %s", en, days[k].en);
      if (!fa || !en) abort();
    }
    calendar_close(cal, days[i].day, fa, en);
    i = k;
  }
}

static void read_holidays(struct compiler *c, struct calendar *cal, const char *file) {
  static const char *const names[] = {"date", "title_fa", "title_en", "basis", NULL};
  int col[4];
  const char *before = c->file;
  struct csv *csv = read_csv(c, file, names, col);
  size_t n = csv ? csv_rows(csv) : 0;
  struct closure *days = base_alloc((n + 1) * sizeof *days);
  for (size_t i = 0; i < n; i++) {
    days[i] = (struct closure){date_parse(csv_cell(csv, i, col[0])), keep(c, csv_cell(csv, i, col[1])), keep(c, csv_cell(csv, i, col[2])), i};
    if (days[i].day == INT32_MIN) fail(c, csv_line(csv, i), "'%s' is no date: write it as 2026-03-21", csv_cell(csv, i, col[0]));
    if (!days[i].fa[0] || !days[i].en[0]) fail(c, csv_line(csv, i), "the holiday has no title in both languages");
  }
  qsort(days, n, sizeof *days, by_day);
  if (n && days[0].day != INT32_MIN) {
    close_days(c, cal, days, n);
    /* Holidays are published by the Jalali year: the year of the last one is known to its end. */
    struct date last = day_to_jalali(days[n - 1].day);
    int32_t horizon = day_from_jalali((struct date){last.year + 1, 1, 1}) - 1;
    calendar_set_horizon(cal, horizon);
    char iso[16], until[16];
    date_iso(horizon, iso);
    date_jalali(horizon, until);
    if (horizon < c->today + 365) warn(c, csv_line(csv, n - 1), "the calendar runs out on %s (%s), within a year: add the holidays of the next year", iso, until);
  }
  free(days);
  csv_free(csv);
  c->file = before;
}

static unsigned weekend_of(struct compiler *c, const struct yaml_node *map) {
  static const char *const names[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", NULL};
  const struct yaml_node *n = want(c, map, "calendar", "weekend");
  unsigned mask = 0;
  if (!is_list(c, n, "weekend")) return 0;
  for (const struct yaml_node *i = n->first; i; i = i->next) {
    const char *text = scalar(c, i, "weekend");
    struct nearest near = {.wanted = text ? text : ""};
    int day = -1;
    for (int k = 0; text && names[k]; k++) {
      nearest_offer(&near, names[k]);
      if (strcmp(names[k], text) == 0) day = k;
    }
    if (day >= 0) mask |= 1u << day;
    else if (text) fail(c, i->line, "unknown day '%s'%s", text, did_you_mean(&near).text);
  }
  if (mask == 0x7f) fail(c, n->line, "every day is weekend: nobody would ever work");
  return mask == 0x7f ? 0 : mask;
}

static int find_calendar(struct compiler *c, const struct yaml_node *n, const char *key) {
  const char *text = scalar(c, n, key);
  if (!text) return 0;
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < c->p->calendar_count; i++) {
    if (strcmp(c->p->calendars[i].code, text) == 0) return (int)i;
    nearest_offer(&near, c->p->calendars[i].code);
  }
  fail(c, n->line, "unknown calendar '%s'%s", text, did_you_mean(&near).text);
  return 0;
}

static void organisation_calendars(struct compiler *c, const struct yaml_node *root) {
  struct pack *p = c->p;
  size_t n = directory_organisations(p->directory);
  p->calendar_of = keep_alloc(c, n * sizeof *p->calendar_of);
  memset(p->calendar_of, 0xff, n * sizeof *p->calendar_of);
  const struct yaml_node *map = yaml_get(root, "organisation_calendars");
  if (map && map->kind != YAML_NODE_MAP) fail(c, map->line, "organisation_calendars must be a map of organisations to calendars");
  else
    for (const struct yaml_node *i = map ? map->first : NULL; i; i = i->next) {
      int at = directory_find_organisation(p->directory, i->key);
      if (at < 0) fail(c, i->key_line, "unknown organisation '%s' in 'organisation_calendars'", i->key);
      else p->calendar_of[at] = (int16_t)find_calendar(c, i, i->key);
    }
  for (size_t i = 0; i < n; i++) { /* from the nearest organisation above that has one */
    int up = (int)i;
    while (up >= 0 && p->calendar_of[up] < 0) up = directory_organisation(p->directory, up)->parent;
    p->calendar_of[i] = up >= 0 ? p->calendar_of[up] : (int16_t)p->default_calendar;
  }
}

static void read_calendars(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = want(c, root, "pack", "calendars"), *dflt = want(c, root, "pack", "default_calendar");
  struct pack *p = c->p;
  if (!is_list(c, list, "calendars")) return;
  if (!list->count) fail(c, list->line, "a pack has at least one calendar");
  p->calendars = keep_alloc(c, list->count * sizeof *p->calendars);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "calendar", "calendar weekend holidays")) continue;
    const char *code = name_of(c, i, "calendar", "calendar", '-');
    for (size_t k = 0; k < p->calendar_count; k++)
      if (strcmp(p->calendars[k].code, code) == 0) fail(c, i->line, "calendar '%s' stands twice", code);
    struct calendar *cal = calendar_new(code, weekend_of(c, i));
    p->calendars[p->calendar_count++] = (struct pack_calendar){code, cal};
    const struct yaml_node *holidays = want(c, i, "calendar", "holidays");
    const char *file = holidays ? scalar(c, holidays, "holidays") : NULL;
    if (file && (strchr(file, '/') || strchr(file, '\\') || file[0] == '.')) fail(c, holidays->line, "holidays '%s' must be a file of this folder", file);
    else if (file) read_holidays(c, cal, keep(c, file));
  }
  p->default_calendar = dflt && p->calendar_count ? find_calendar(c, dflt, "default_calendar") : 0;
  if (p->calendar_count) organisation_calendars(c, root);
}

/* ---- the rest of pack.yaml ---------------------------------------------------------------------------- */

static void read_life_events(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "life_events");
  struct pack *p = c->p;
  if (!is_list(c, list, "life_events")) return;
  p->life_events = keep_alloc(c, list->count * sizeof *p->life_events);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "life event", "event title latn")) continue;
    struct life_event *e = &p->life_events[p->life_event_count];
    e->code = name_of(c, i, "life event", "event", '-');
    e->title = text_of(c, i, "life event", "title", 80, true);
    e->latn = latn_of(c, i);
    for (size_t k = 0; k < p->life_event_count; k++)
      if (strcmp(p->life_events[k].code, e->code) == 0) fail(c, i->line, "life event '%s' stands twice", e->code);
    p->life_event_count++;
  }
}

static const char *const differences[] = {"flag", "refuse", NULL}, *const found_by[] = {"national_id", "legal_id", NULL};

static void read_data_services(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "data_services");
  struct pack *p = c->p;
  if (!is_list(c, list, "data_services")) return;
  p->data_services = keep_alloc(c, list->count * sizeof *p->data_services);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "data service", "provider service title attributes registry key differs")) continue;
    const struct yaml_node *provider = want(c, i, "data service", "provider"), *attributes = want(c, i, "data service", "attributes");
    int organisation = provider ? organisation_of(c, provider, "provider") : -1;
    const char *service = name_of(c, i, "data service", "service", '-');
    if (organisation < 0 || !is_list(c, attributes, "attributes")) continue;
    struct data_service *d = &p->data_services[p->data_service_count++];
    *d = (struct data_service){.provider = organisation, .service = service, .attributes = keep_alloc(c, (attributes->count + 1) * sizeof *d->attributes), .line = i->line};
    d->registry_code = scalar_of(c, i, "registry", NULL);
    d->title = yaml_get(i, "title") ? text_of(c, i, "data service", "title", 120, true) : (struct text){NULL, NULL};
    int by = word_of(c, i, "key", found_by, -1);
    if (by >= 0 && d->registry_code) fail(c, i->line, "data service '%s' is found by the key of its registry: leave 'key' out", service);
    if (by >= 0) d->key = found_by[by];
    d->key_type = by == 1 ? FIELD_LEGAL_ID : FIELD_NATIONAL_ID;
    d->refuse = word_of(c, i, "differs", differences, 0) == 1;
    for (const struct yaml_node *k = attributes->first; k; k = k->next) {
      const char *name = scalar(c, k, "attributes");
      if (name && !name_good(name, '_')) fail(c, k->line, "attribute '%s' must hold small letters, digits and '_' only", name);
      else if (name) d->attributes[d->count++] = keep(c, name);
    }
  }
}

static void read_names(struct compiler *c, const struct yaml_node *root) {
  struct pack *p = c->p;
  p->code = name_of(c, root, "pack", "pack", '-');
  p->title = text_of(c, root, "pack", "title", 120, true);
  const struct yaml_node *instance = want(c, root, "pack", "instance"), *place = want(c, root, "pack", "place"), *ussd = yaml_get(root, "ussd");
  p->instance = instance ? scalar_of(c, root, "instance", "") : "";
  if (p->instance[0] && strspn(p->instance, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(p->instance))
    fail(c, instance->line, "instance '%s' must hold letters, digits, '-' and '_' only", p->instance);
  const char *code = place ? scalar(c, place, "place") : NULL;
  p->root = code ? directory_find_place(p->directory, code) : -1;
  if (code && p->root < 0) fail(c, place->line, "unknown place '%s' in 'place'", code);
  else if (code && directory_place(p->directory, p->root)->parent >= 0) fail(c, place->line, "place '%s' is not the root of places.csv", code);
  p->ussd_code = ussd ? scalar_of(c, root, "ussd", "") : "";
  size_t n = strlen(p->ussd_code);
  if (n && (p->ussd_code[0] != '*' || p->ussd_code[n - 1] != '#' || strspn(p->ussd_code, "*#0123456789") != n || n > 16))
    fail(c, ussd->line, "ussd '%s' must be like *4015#", p->ussd_code);
}

void compile_settings(struct compiler *c) {
  c->file = "pack.yaml";
  struct yaml_doc *doc = source_yaml(c, "pack.yaml");
  const struct yaml_node *root = doc ? yaml_root(doc) : NULL, *settings;
  if (root && keys(c, root, "pack", "pack title instance place ussd calendars default_calendar organisation_calendars life_events data_services survey settings")) {
    read_names(c, root);
    read_calendars(c, root);
    read_life_events(c, root);
    read_data_services(c, root);
    compile_survey(c, root);
    settings = yaml_get(root, "settings");
    if (settings && settings->kind != YAML_NODE_MAP) fail(c, settings->line, "'settings' must be a map");
    const struct yaml_node *letter = settings ? yaml_get(settings, "letter_number") : NULL;
    const char *format = letter ? scalar(c, letter, "letter_number") : NULL;
    if (format && (!strstr(format, "{{year}}") || !strstr(format, "{{number}}") || strlen(format) > 60))
      fail(c, letter->line, "'letter_number' has {{year}} and {{number}} in it (and {{organisation}} where wanted), 60 bytes at most");
    c->p->settings = keep_json(c, settings && settings->kind == YAML_NODE_MAP ? yaml_to_json(settings) : json_object());
  }
  yaml_doc_free(doc);
}

/* ---- lists ------------------------------------------------------------------------------------------------ */

static void read_list(struct compiler *c, struct choice_list *list) {
  static const char *const names[] = {"value", "fa", "en", "latn", NULL};
  int col[4];
  struct csv *csv = read_csv(c, list->name, names, col);
  size_t n = csv ? csv_rows(csv) : 0, septets;
  list->choices = keep_alloc(c, n * sizeof *list->choices);
  if (csv && !n) fail(c, 1, "the list is empty");
  for (size_t i = 0; i < n; i++) {
    struct choice *one = &list->choices[list->count];
    unsigned line = csv_line(csv, i);
    one->value = keep(c, csv_cell(csv, i, col[0]));
    one->label = (struct text){keep(c, csv_cell(csv, i, col[1])), keep(c, csv_cell(csv, i, col[2]))};
    one->latn.fa = one->latn.en = keep(c, csv_cell(csv, i, col[3]));
    size_t length = strlen(one->value);
    if (!length || length > 40 || strspn(one->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != length)
      fail(c, line, "choice '%s' must hold letters, digits, '-' and '_' only (1 to 40)", one->value);
    if (!one->label.fa[0] || !one->label.en[0]) fail(c, line, "choice '%s' has no label in both languages", one->value);
    if (!text_gsm7(one->latn.fa, &septets) || septets > 60) fail(c, line, "'latn' of choice '%s' must be at most 60 plain Latin letters", one->value);
    for (size_t k = 0; k < list->count; k++)
      if (strcmp(list->choices[k].value, one->value) == 0) fail(c, line, "choice '%s' stands twice", one->value);
    list->count++;
  }
  csv_free(csv);
}

void compile_lists(struct compiler *c) {
  const char **names;
  c->file = "lists";
  size_t n = source_list(c, "lists", ".csv", &names);
  c->p->lists = keep_alloc(c, n * sizeof *c->p->lists);
  for (size_t i = 0; i < n; i++) {
    char *file = base_printf("lists/%s", names[i]);
    c->p->lists[i].name = keep(c, file);
    c->p->list_count++;
    read_list(c, &c->p->lists[i]);
    free(file);
  }
}

/* ---- registries -------------------------------------------------------------------------------------------- */

static void read_attributes(struct compiler *c, const struct yaml_node *root, struct registry *r) {
  const struct yaml_node *list = want(c, root, "registry", "attributes");
  if (!is_list(c, list, "attributes")) return;
  if (!list->count) fail(c, list->line, "registry '%s' has no attributes", r->code);
  r->attributes = keep_alloc(c, list->count * sizeof *r->attributes);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "attribute", "attribute type title personal choices choices_from kind")) continue;
    struct registry_attribute *a = &r->attributes[r->count];
    a->name = name_of(c, i, "attribute", "attribute", '_');
    want(c, i, "attribute", "type");
    a->type = (enum field_type)word_of(c, i, "type", field_types, FIELD_TEXT);
    a->title = text_of(c, i, "attribute", "title", 120, true);
    a->personal = bool_of(c, i, "personal", false);
    a->field = field_of_attribute(c, i, a->name, a->type, a->title, a->personal);
    for (size_t k = 0; k < r->count; k++)
      if (strcmp(r->attributes[k].name, a->name) == 0) fail(c, i->line, "attribute '%s' stands twice", a->name);
    r->count++;
  }
}

static const char *attribute_named(struct compiler *c, const struct yaml_node *n, const char *key, const struct registry *r) {
  const char *text = scalar(c, n, key);
  if (!text) return NULL;
  const struct registry_attribute *found = registry_attribute(r, text);
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < r->count; i++) nearest_offer(&near, r->attributes[i].name);
  if (!found) fail(c, n->line, "'%s' names an unknown attribute '%s'%s", key, text, did_you_mean(&near).text);
  return found ? found->name : NULL;
}

/* Which attributes together make one record: a person may have several certificates, each skill once. */
static void read_unique(struct compiler *c, const struct yaml_node *root, struct registry *r) {
  const struct yaml_node *list = yaml_get(root, "unique");
  bool keyed = false;
  if (!list) {
    r->unique = keep_alloc(c, sizeof *r->unique);
    if (r->key) r->unique[r->unique_count++] = r->key;
    return;
  }
  if (!is_list(c, list, "unique")) return;
  r->unique = keep_alloc(c, (list->count + 1) * sizeof *r->unique);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    const char *name = attribute_named(c, i, "unique", r);
    if (!name) continue;
    keyed |= base_same(name, r->key);
    r->unique[r->unique_count++] = name;
  }
  if (!keyed) fail(c, list->line, "'unique' must hold the key");
}

static void read_registry(struct compiler *c, const struct yaml_node *root, struct registry *r, const char *base) {
  r->code = "";
  r->organisation = -1;
  if (!keys(c, root, "registry", "registry title owner key unique telephone attributes")) return;
  r->code = name_of(c, root, "registry", "registry", '-');
  if (r->code[0] && strcmp(r->code, base) != 0) fail(c, root->line, "the file must be called %s.yaml after its registry", r->code);
  r->title = text_of(c, root, "registry", "title", 120, true);
  const struct yaml_node *owner = want(c, root, "registry", "owner"), *key = yaml_get(root, "key");
  if (owner) r->organisation = organisation_of(c, owner, "owner");
  read_attributes(c, root, r);
  if (key) r->key = attribute_named(c, key, "key", r);
  read_unique(c, root, r);
  const struct yaml_node *telephone = yaml_get(root, "telephone");
  if (!telephone) return;
  r->telephone = attribute_named(c, telephone, "telephone", r);
  if (!r->telephone) return;
  const struct registry_attribute *of = r->key ? registry_attribute(r, r->key) : NULL;
  if (registry_attribute(r, r->telephone)->type != FIELD_MOBILE) fail(c, telephone->line, "'telephone' names '%s', which is no mobile", r->telephone);
  if (!of || of->type != FIELD_NATIONAL_ID) fail(c, telephone->line, "'telephone' needs a registry whose key is a national_id");
}

/* The registry that answers a data service belongs to its provider and holds its attributes. */
static void join_data_services(struct compiler *c) {
  c->file = "pack.yaml";
  for (size_t i = 0; i < c->p->data_service_count; i++) {
    struct data_service *d = &c->p->data_services[i];
    if (!d->registry_code) {
      if (!d->title.fa) d->title = (struct text){d->service, d->service};
      continue;
    }
    d->registry = pack_find_registry(c->p, d->registry_code);
    if (!d->title.fa) d->title = d->registry ? d->registry->title : (struct text){d->service, d->service};
    struct nearest near = {.wanted = d->registry_code};
    for (size_t k = 0; k < c->p->registry_count; k++) nearest_offer(&near, c->p->registries[k].code);
    if (!d->registry) fail(c, d->line, "data service '%s' names an unknown registry '%s'%s", d->service, d->registry_code, did_you_mean(&near).text);
    else if (d->registry->organisation != d->provider) fail(c, d->line, "registry '%s' does not belong to the provider of data service '%s'", d->registry_code, d->service);
    else if (!d->registry->key) fail(c, d->line, "registry '%s' has no key: a data service cannot find its records", d->registry_code);
    else {
      d->key = d->registry->key;
      d->key_type = registry_attribute(d->registry, d->key)->type;
    }
    for (size_t k = 0; d->registry && k < d->count; k++)
      if (!registry_attribute(d->registry, d->attributes[k])) fail(c, d->line, "registry '%s' has no attribute '%s' for data service '%s'", d->registry_code, d->attributes[k], d->service);
  }
}

void compile_registries(struct compiler *c) {
  const char **names;
  c->file = "registries";
  size_t n = source_list(c, "registries", ".yaml", &names);
  c->p->registries = keep_alloc(c, n * sizeof *c->p->registries);
  for (size_t i = 0; i < n; i++) {
    char *file = base_printf("registries/%s", names[i]), *base = base_strdup(names[i]);
    base[strlen(base) - 5] = 0;
    c->file = keep(c, file);
    struct yaml_doc *doc = source_yaml(c, file);
    if (doc) read_registry(c, yaml_root(doc), &c->p->registries[c->p->registry_count++], base);
    yaml_doc_free(doc);
    free(file);
    free(base);
  }
  join_data_services(c);
}
