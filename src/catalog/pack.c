/* The whole compilation, and what the finished pack answers. */
#include "catalog/compile.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PACK_MEMORY ((size_t)1 << 30)
#define PACK_FILES 4096
#define PACK_BYTES ((size_t)128 << 20)
#define PACK_PATH 240

/* ---- hash -------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Paths of all files below folder/under, hidden ones left out; depth bounds links that turn in circles. */
static void walk(const char *folder, const char *under, unsigned depth, char ***list, size_t *n, size_t *room) {
  char *path = base_printf("%s/%s", folder, under);
  DIR *dir = depth ? opendir(path) : NULL;
  free(path);
  for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
    struct stat st;
    if (e->d_name[0] == '.') continue;
    char *name = base_printf("%s%s%s", under, under[0] ? "/" : "", e->d_name), *full = base_printf("%s/%s", folder, name);
    bool found = stat(full, &st) == 0;
    free(full);
    if (found && S_ISDIR(st.st_mode)) walk(folder, name, depth - 1, list, n, room);
    if (found && S_ISREG(st.st_mode)) {
      if (*n == *room) *list = base_realloc(*list, (*room = *room ? 2 * *room : 64) * sizeof **list);
      (*list)[(*n)++] = name;
    } else {
      free(name);
    }
  }
  if (dir) closedir(dir);
}

struct reading {
  const char *folder;
  int (*each)(void *ctx, const char *path, const char *data, size_t n);
  void *ctx;
  EVP_MD_CTX *md;
  size_t total;
};

static int read_one(struct reading *k, const char *name, struct err *err) {
  size_t size = 0, length = strlen(name);
  struct err why = {0};
  char *path = base_printf("%s/%s", k->folder, name), *data = file_read(path, PACK_BYTES, &size, &why), head[32];
  int rc = 0;
  free(path);
  if (!data) return err_set(err, why.code, "%s cannot be read: %s", name, why.message);
  k->total += size;
  if (length > PACK_PATH || !utf8_valid(name, length)) rc = err_set(err, ERR_LIMIT, "the name of %.60s… is too long or no UTF-8", name);
  else if (k->total > PACK_BYTES) rc = err_set(err, ERR_LIMIT, "the folder holds more than 128 MiB: keep large maps and sources elsewhere");
  snprintf(head, sizeof head, "%zu", size);
  EVP_DigestUpdate(k->md, name, length + 1);
  EVP_DigestUpdate(k->md, head, strlen(head) + 1);
  EVP_DigestUpdate(k->md, data, size);
  if (rc == 0 && k->each && k->each(k->ctx, name, data, size)) rc = err_set(err, ERR_INTERNAL, "%s was not taken", name);
  free(data);
  return rc;
}

int pack_files(const char *folder, int (*each)(void *ctx, const char *path, const char *data, size_t n), void *ctx, char hash[65], struct err *err) {
  char **list = NULL;
  size_t n = 0, room = 0;
  unsigned char digest[32] = {0};
  int rc = 0;
  struct reading k = {.folder = folder, .each = each, .ctx = ctx, .md = EVP_MD_CTX_new()};
  if (!k.md || EVP_DigestInit_ex(k.md, EVP_sha256(), NULL) != 1) abort();
  walk(folder, "", 8, &list, &n, &room);
  if (n) qsort(list, n, sizeof *list, by_text);
  if (n > PACK_FILES) rc = err_set(err, ERR_LIMIT, "the folder holds %zu files: %d at most", n, PACK_FILES);
  for (size_t i = 0; i < n; i++) {
    if (rc == 0) rc = read_one(&k, list[i], err);
    free(list[i]);
  }
  free(list);
  EVP_DigestFinal_ex(k.md, digest, NULL);
  EVP_MD_CTX_free(k.md);
  hex_encode(digest, sizeof digest, hash);
  return rc;
}

static void hash_files(struct compiler *c) {
  char hex[65];
  struct err err = {0};
  c->file = "pack.yaml";
  if (pack_files(c->folder, NULL, NULL, hex, &err)) fail(c, 0, "%s", err.message);
  c->p->hash = keep(c, hex);
}

static const char *hash_json(struct compiler *c, const json_t *v) {
  char *text = json_canonical(v), hex[65];
  unsigned char digest[32];
  if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1) abort();
  free(text);
  hex_encode(digest, sizeof digest, hex);
  hex[32] = 0;
  return keep(c, hex);
}

/* ---- families of versions ------------------------------------------------------------------------------ */

static int by_code(const void *a, const void *b) {
  const struct service *x = *(struct service *const *)a, *y = *(struct service *const *)b;
  int order = strcmp(x->code, y->code);
  return order ? order : (x->version > y->version) - (x->version < y->version);
}

static void make_families(struct compiler *c) {
  struct pack *p = c->p;
  if (p->service_count) qsort(p->services, p->service_count, sizeof *p->services, by_code);
  p->families = keep_alloc(c, p->service_count * sizeof *p->families);
  for (size_t i = 0; i < p->service_count; i++) {
    struct family *last = p->family_count ? &p->families[p->family_count - 1] : NULL;
    if (last && strcmp(p->services[last->first]->code, p->services[i]->code) == 0) last->count++;
    else p->families[p->family_count++] = (struct family){i, 1};
  }
}

/* ---- compile ---------------------------------------------------------------------------------------------- */

static void from_directory(void *ctx, const char *file, unsigned line, const char *message) {
  struct compiler *c = ctx;
  c->file = file;
  fail(c, line, "%s", message);
}

static void finish_services(struct compiler *c) {
  for (size_t i = 0; i < c->p->service_count; i++) {
    struct service *s = c->p->services[i];
    s->form_schema = keep_json(c, schema_build(c->p, s, c->today));
    s->etag = hash_json(c, s->definition);
  }
}

struct pack *pack_compile(const char *folder, const struct pack_report *report) { return pack_compile_on(folder, day_of(clock_now()), report); }

struct pack *pack_compile_on(const char *folder, int32_t day, const struct pack_report *report) {
  struct compiler *c = base_alloc(sizeof *c);
  struct pack *p = base_alloc(sizeof *p);
  p->references = 1;
  p->arena = arena_new(PACK_MEMORY);
  p->kept = json_array();
  *c = (struct compiler){.p = p, .folder = folder, .file = "pack.yaml", .report = report, .today = day};
  p->directory = directory_load(folder, from_directory, c);
  if (p->directory) {
    compile_settings(c);
    compile_lists(c);
    compile_registries(c);
    compile_services(c);
    make_families(c);
    hash_files(c);
  }
  if (c->errors == 0) finish_services(c);
  bool good = c->errors == 0;
  free(c);
  if (good) return p;
  pack_unref(p);
  return NULL;
}

struct pack *pack_ref(struct pack *p) {
  __atomic_add_fetch(&p->references, 1, __ATOMIC_RELAXED);
  return p;
}

void pack_unref(struct pack *p) {
  if (!p || __atomic_sub_fetch(&p->references, 1, __ATOMIC_ACQ_REL) > 0) return;
  for (size_t i = 0; i < p->calendar_count; i++) calendar_free(p->calendars[i].calendar);
  json_decref(p->kept);
  directory_free(p->directory);
  arena_free(p->arena);
  free(p);
}

/* ---- what it answers ---------------------------------------------------------------------------------------- */

const char *text_in(const struct text *t, enum lang l) { return l == LANG_EN ? t->en : t->fa; }
const char *pack_hash(const struct pack *p) { return p->hash; }
const char *pack_name(const struct pack *p, enum lang l) { return text_in(&p->title, l); }
const char *pack_code(const struct pack *p) { return p->code; }
const char *pack_instance(const struct pack *p) { return p->instance; }
const char *pack_ussd_code(const struct pack *p) { return p->ussd_code; }
const json_t *pack_settings(const struct pack *p) { return p->settings; }
const struct directory *pack_directory(const struct pack *p) { return p->directory; }
size_t pack_services(const struct pack *p) { return p->family_count; }

static const struct service *in_effect(const struct pack *p, const struct family *f, int32_t today) {
  for (size_t i = f->count; i-- > 0;)
    if (p->services[f->first + i]->valid_from <= today) return p->services[f->first + i];
  return NULL;
}

static const struct service *to_show(const struct pack *p, const struct family *f) {
  const struct service *s = in_effect(p, f, day_of(clock_now()));
  return s ? s : p->services[f->first];
}

const struct service *pack_service(const struct pack *p, size_t i) { return i < p->family_count ? to_show(p, &p->families[i]) : NULL; }
bool service_begun(const struct service *s) { return s->valid_from <= day_of(clock_now()); }

static const struct family *find_family(const struct pack *p, const char *code) {
  size_t lo = 0, hi = p->family_count;
  while (code && lo < hi) {
    size_t mid = (lo + hi) / 2;
    int order = strcmp(code, p->services[p->families[mid].first]->code);
    if (order == 0) return &p->families[mid];
    if (order < 0) hi = mid;
    else lo = mid + 1;
  }
  return NULL;
}

const struct service *pack_find(const struct pack *p, const char *code) {
  const struct family *f = find_family(p, code);
  return f ? in_effect(p, f, day_of(clock_now())) : NULL;
}

const struct service *pack_find_shown(const struct pack *p, const char *code) {
  const struct family *f = find_family(p, code);
  return f ? to_show(p, f) : NULL;
}

const struct service *pack_find_version(const struct pack *p, const char *code, int version) {
  const struct family *f = find_family(p, code);
  for (size_t i = 0; f && i < f->count; i++)
    if (p->services[f->first + i]->version == version) return p->services[f->first + i];
  return NULL;
}

size_t pack_versions(const struct pack *p) { return p->service_count; }
const struct service *pack_version(const struct pack *p, size_t i) { return i < p->service_count ? p->services[i] : NULL; }

const struct calendar *pack_calendar(const struct pack *p, const char *calendar_code) {
  for (size_t i = 0; calendar_code && i < p->calendar_count; i++)
    if (strcmp(p->calendars[i].code, calendar_code) == 0) return p->calendars[i].calendar;
  return NULL;
}

const char *pack_calendar_of(const struct pack *p, int organisation) {
  bool known = directory_organisation(p->directory, organisation) != NULL;
  return p->calendars[known ? p->calendar_of[organisation] : p->default_calendar].code;
}

size_t pack_calendars(const struct pack *p) { return p->calendar_count; }
const char *pack_calendar_code(const struct pack *p, size_t i) { return i < p->calendar_count ? p->calendars[i].code : NULL; }
size_t pack_life_events(const struct pack *p) { return p->life_event_count; }

const char *pack_life_event(const struct pack *p, size_t i, struct text *title) {
  if (i >= p->life_event_count) return NULL;
  if (title) *title = p->life_events[i].title;
  return p->life_events[i].code;
}

const char *pack_life_event_latn(const struct pack *p, size_t i) { return i < p->life_event_count ? p->life_events[i].latn : ""; }

size_t pack_registries(const struct pack *p) { return p->registry_count; }
const struct registry *pack_registry(const struct pack *p, size_t i) { return i < p->registry_count ? &p->registries[i] : NULL; }

const struct registry_attribute *registry_attribute(const struct registry *r, const char *name) {
  for (size_t i = 0; name && i < r->count; i++)
    if (strcmp(r->attributes[i].name, name) == 0) return &r->attributes[i];
  return NULL;
}

bool pack_data_source(const struct pack *p, const struct field *f, struct data_source *out) {
  char full[200];
  for (size_t i = 0; f->prefill && i < p->data_service_count; i++) {
    const struct data_service *d = &p->data_services[i];
    for (size_t k = 0; k < d->count; k++) {
      const char *provider = directory_organisation(p->directory, d->provider)->code;
      snprintf(full, sizeof full, "%s/%s:%s", provider, d->service, d->attributes[k]);
      if (strcmp(full, f->prefill) != 0) continue;
      *out = (struct data_source){provider, d->service, d->attributes[k], d->registry, d};
      return true;
    }
  }
  return false;
}

size_t pack_data_services(const struct pack *p) { return p->data_service_count; }
const struct data_service *pack_data_service(const struct pack *p, size_t i) { return i < p->data_service_count ? &p->data_services[i] : NULL; }
const char *data_service_provider(const struct pack *p, const struct data_service *d) { return directory_organisation(p->directory, d->provider)->code; }

const struct data_service *pack_find_data_service(const struct pack *p, const char *provider, const char *service) {
  const struct data_service *found = NULL;
  for (size_t i = 0; service && i < p->data_service_count; i++) {
    const struct data_service *d = &p->data_services[i];
    if (strcmp(d->service, service) != 0 || (provider && strcmp(data_service_provider(p, d), provider) != 0)) continue;
    if (found) return NULL;
    found = d;
  }
  return found;
}

const struct registry *pack_find_registry(const struct pack *p, const char *code) {
  for (size_t i = 0; code && i < p->registry_count; i++)
    if (strcmp(p->registries[i].code, code) == 0) return &p->registries[i];
  return NULL;
}
