/* What forms are filled in with: every provider of a service's fields is asked at once, through the exchange. */
#include "exchange/data.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 16, MOST_ANSWER = 1024 * 1024 };

struct call {
  struct exchange_data *d;
  const struct data_service *s;
  char key[200];
  char client[EXCHANGE_ID + 1], service[EXCHANGE_ID + 1], issue[80];
  json_t *items;                   /* records; NULL: nothing was answered */
  const char *why;
  pthread_t thread;
  bool apart;
};

/* The key to ask with: the person's own id, or what another answer says of a thing. False: not to be asked. */
static bool key_for(const struct field *f, const struct data_source *from, const char *national_id, const json_t *answers, const char **key, const char **by) {
  *by = NULL;
  *key = NULL;
  if (!from->data->key) return false;
  if (from->data->key_type == FIELD_NATIONAL_ID) {
    if (f->prefill_of && !base_same(json_str(answers, f->prefill_of), national_id)) return false; /* of somebody else: no relation is on record */
    *key = national_id;
    return true;
  }
  const struct registry_attribute *wanted = from->registry ? registry_attribute(from->registry, from->attribute) : NULL;
  if (wanted && wanted->personal) return false; /* what is found by a thing's number gives nothing personal */
  *by = f->prefill_of ? f->prefill_of : from->data->key;
  *key = json_str(answers, *by);
  return *key && strlen(*key) < sizeof ((struct call *)0)->key;
}

static void encode(const char *text, char *out, size_t room) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
  size_t n = 0;
  for (const char *c = text; *c && n + 4 < room; c++) {
    if (strchr(plain, *c)) out[n++] = *c;
    else n += (size_t)snprintf(out + n, room - n, "%%%02X", (unsigned char)*c);
  }
  out[n] = 0;
}

static const char *reason(const char *error) {
  return strstr(error, "access_denied") ? "refused" : strstr(error, "service_disabled") || strstr(error, "maintenance") ? "stopped" : "unreachable";
}

static void *ask(void *arg) {
  struct call *k = arg;
  char key[3 * sizeof k->key + 4], path[sizeof key + 32];
  struct err err = {0};
  struct exchange_answer a = {.content = HTTP_NO_CONTENT};
  encode(k->key, key, sizeof key);
  snprintf(path, sizeof path, "/records?key=%s", key);
  struct exchange_call c = {.client = k->client, .service = k->service, .method = "GET", .path = path, .user = "form", .issue = k->issue, .timeout_ms = k->d->o.timeout_ms};
  k->why = "unreachable";
  if (exchange_call(k->d->x, &c, &a, &err)) log_write(LOG_WARN, "exchange", "%s: %s", k->service, err.message);
  else if (a.error[0]) {
    k->why = reason(a.error);
    log_write(LOG_WARN, "exchange", "%s could not be asked for %s: %s", k->service, k->client, a.error);
  } else if (a.status == 200 && a.content.data && a.content.size <= MOST_ANSWER) {
    json_t *v = json_read(a.content.data, (size_t)a.content.size, 0, &err);
    json_t *items = json_object_get(v, "items");
    if (json_is_array(items)) k->items = json_incref(items);
    else log_write(LOG_WARN, "exchange", "%s answered what is no list of records", k->service);
    json_decref(v);
  } else if (a.status == 422) k->items = json_array(); /* it knows no such key */
  else {
    if (a.status == 403) k->why = "refused";
    log_write(LOG_WARN, "exchange", "%s answered %d", k->service, a.status);
  }
  exchange_answer_free(&a);
  return NULL;
}

/* The field's own rules, but for those that speak of the moment: whether it is asked now. */
static json_t *fitting(const struct pack *p, const struct field *f, const json_t *value, const json_t *answers) {
  struct field plain = *f;
  struct arena *a = arena_new(256 * 1024);
  const char *code, *message;
  json_t *out = NULL;
  plain.when = plain.constraint = NULL;
  if (field_check(p, &plain, value, answers, day_of(clock_now()), LANG_EN, a, &out, &code, &message)) out = NULL;
  arena_free(a);
  return out;
}

/* Of the newest valid record that knows it; records come newest first. */
static json_t *known(const struct pack *p, const struct field *f, const json_t *items, const char *attribute, const json_t *answers) {
  size_t i;
  const json_t *one;
  json_array_foreach(items, i, one) {
    const json_t *value = json_flag(one, "valid", false) ? json_object_get(json_object_get(one, "attributes"), attribute) : NULL;
    if (value) return fitting(p, f, value, answers);
  }
  return NULL;
}

struct asking {
  struct exchange_data *d;
  const struct service *s;
  const char *tracking;            /* of the case, NULL: there is none yet */
  struct call calls[MOST_CALLS];
  size_t count;
};

static struct call *call_of(struct asking *k, const struct data_service *s, const char *key) {
  struct exchange_id client, service;
  for (size_t i = 0; i < k->count; i++)
    if (k->calls[i].s == s && strcmp(k->calls[i].key, key) == 0) return &k->calls[i];
  int asks = k->s->organisation >= 0 ? k->s->organisation : k->s->secretary;
  if (k->count == MOST_CALLS || !exchange_data_id(k->d, asks, k->s->code, NULL, &client) ||
      !exchange_data_id(k->d, s->provider, EXCHANGE_REGISTRIES, s->service, &service))
    return NULL;
  struct call *c = &k->calls[k->count++];
  *c = (struct call){.d = k->d, .s = s};
  snprintf(c->key, sizeof c->key, "%s", key);
  exchange_id_text(&client, c->client);
  exchange_id_text(&service, c->service);
  snprintf(c->issue, sizeof c->issue, "%s%s", k->tracking ? "" : "form ", k->tracking ? k->tracking : k->s->code);
  return c;
}

static void put_field(const struct asking *k, const struct field *f, const struct data_source *from, const struct call *c, const char *by, const json_t *answers, json_t *out) {
  json_t *value = c->items ? known(k->d->o.pack, f, c->items, from->attribute, answers) : NULL;
  if (c->items && !value) return;
  json_t *o = json_object();
  if (value) json_object_set_new(o, "value", value);
  else json_put(o, "why", c->why);
  json_put(o, "organisation", from->organisation);
  json_put(o, "registry", from->registry ? from->registry->code : from->service);
  json_object_set_new(o, "refuse", json_boolean(f->refuse_difference));
  if (by) json_put(o, "key", by);
  json_object_set_new(out, f->name, o);
}

int exchange_data_prefill(struct exchange_data *d, const struct service *s, const char *national_id, const json_t *answers, const char *tracking, json_t **out, struct err *err) {
  struct asking *k = base_alloc(sizeof *k);
  const char *key, *by;
  struct data_source from;
  k->d = d;
  k->s = s;
  k->tracking = tracking;
  for (size_t i = 0; i < s->field_count; i++)
    if (pack_data_source(d->o.pack, s->fields[i], &from) && key_for(s->fields[i], &from, national_id, answers, &key, &by)) call_of(k, from.data, key);
  for (size_t i = 1; i < k->count; i++) k->calls[i].apart = pthread_create(&k->calls[i].thread, NULL, ask, &k->calls[i]) == 0;
  for (size_t i = 0; i < k->count; i++)
    if (!k->calls[i].apart) ask(&k->calls[i]);
  for (size_t i = 0; i < k->count; i++)
    if (k->calls[i].apart) pthread_join(k->calls[i].thread, NULL);
  *out = json_object();
  for (size_t i = 0; i < s->field_count; i++) {
    if (!pack_data_source(d->o.pack, s->fields[i], &from) || !key_for(s->fields[i], &from, national_id, answers, &key, &by)) continue;
    const struct call *c = call_of(k, from.data, key);
    if (c) put_field(k, s->fields[i], &from, c, by, answers, *out);
  }
  for (size_t i = 0; i < k->count; i++) json_decref(k->calls[i].items);
  free(k);
  return 0;
}
