/* A prober elsewhere: it measures by the centre's plan, keeps what it measured in files until the centre has it, and signs each report. */
#include "network/inner.h"
#include "network/inner_core.h"

#include <dirent.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNED "chapar-report-v1\n"
enum { REPORT_MOST = 1 << 20, BATCH_MOST = 4000, QUEUE_FILES = 60000, PLAN_MS = 30000, BATCH_MS = 5000, SKEW_MOST = 600000 };

/* ---- keys ------------------------------------------------------------------------------------------------------------- */

static EVP_PKEY *open_key(const char *folder, struct err *err) {
  char *path = base_printf("%s/prober.pem", folder);
  EVP_PKEY *key = NULL;
  if (dir_make(folder, 0700, err) == 0) {
    FILE *f = fopen(path, "re");
    if (f) {
      key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
      fclose(f);
      if (!key) err_set(err, ERR_INVALID, "%s holds no key", path);
    } else if ((key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"))) {
      BIO *b = BIO_new(BIO_s_mem());
      char *text = NULL;
      long n = PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) ? BIO_get_mem_data(b, &text) : 0;
      if (n <= 0 || file_write(path, text, (size_t)n, 0600, err)) {
        EVP_PKEY_free(key);
        key = NULL;
      }
      BIO_free(b);
    }
  }
  free(path);
  return key;
}

static char *public_of(EVP_PKEY *key) {
  unsigned char raw[32];
  size_t n = sizeof raw;
  return EVP_PKEY_get_raw_public_key(key, raw, &n) == 1 ? base64_encode(raw, n) : base_strdup("");
}

int network_hub_key(const char *folder, char public_base64[64], struct err *err) {
  EVP_PKEY *key = open_key(folder, err);
  if (!key) return -1;
  char *text = public_of(key);
  snprintf(public_base64, 64, "%s", text);
  free(text);
  EVP_PKEY_free(key);
  return 0;
}

static char *signed_text(const void *body, size_t n, size_t *size) {
  char *text = base_alloc(sizeof SIGNED + n);
  memcpy(text, SIGNED, sizeof SIGNED - 1);
  memcpy(text + sizeof SIGNED - 1, body, n);
  *size = sizeof SIGNED - 1 + n;
  return text;
}

static char *sign(EVP_PKEY *key, const void *body, size_t n) {
  unsigned char signature[64];
  size_t size, length = sizeof signature;
  char *text = signed_text(body, n, &size);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  bool ok = EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(c, signature, &length, (unsigned char *)text, size) == 1;
  EVP_MD_CTX_free(c);
  free(text);
  return ok ? base64_encode(signature, length) : base_strdup("");
}

static bool verify(const char *key, const void *body, size_t n, const char *signature) {
  unsigned char raw[32], given[64];
  size_t kn = 0, sn = 0, size;
  if (!key[0] || !signature || base64_decode(key, strlen(key), raw, sizeof raw, &kn) || kn != 32 || base64_decode(signature, strlen(signature), given, sizeof given, &sn) || sn != 64) return false;
  EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, kn);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  char *text = signed_text(body, n, &size);
  bool ok = k && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) == 1 && EVP_DigestVerify(c, given, sn, (unsigned char *)text, size) == 1;
  free(text);
  EVP_MD_CTX_free(c);
  EVP_PKEY_free(k);
  return ok;
}

/* ---- the centre: reports come in ------------------------------------------------------------------------------------------- */

static int prober_of(const struct network *n, const char *name) {
  for (int i = 1; name && name[0] && i < n->prober_count; i++)
    if (base_same(n->probers[i].name, name) && n->probers[i].key[0]) return i;
  return -1;
}

/* [code, at, sent, lost, min, median, p95, max, jitter]; numbers in ms, the last five only where something answered. */
static bool read_sample(const struct network *n, int prober, const json_t *s, int64_t now, struct core_result *r) {
  double v[5] = {NAN, NAN, NAN, NAN, NAN};
  const char *code = json_string_value(json_array_get(s, 0));
  const struct node *node = code ? network_at(n, code) : NULL;
  int64_t at = json_integer_value(json_array_get(s, 1)), sent = json_integer_value(json_array_get(s, 2)), lost = json_integer_value(json_array_get(s, 3));
  if (!node || node->prober != prober || at < now - 90 * (int64_t)86400000 || at > now + SKEW_MOST || sent < 1 || sent > NETWORK_PACKETS_MOST || lost < 0 || lost > sent) return false;
  for (size_t i = 0; lost < sent && i < 5; i++) {
    v[i] = json_number_value(json_array_get(s, 4 + i));
    if (!(v[i] >= 0 && v[i] <= 60000)) return false;
  }
  *r = (struct core_result){.node = node->o.node, .sent_at = at, .at = at, .m = {(int)sent, (int)lost, v[0], v[1], v[2], v[3], sent - lost > 1 ? v[4] : NAN}};
  return true;
}

static void undo(void *ctx, int node, int64_t since) {
  struct network *n = ctx;
  network_op(n, (struct op){.kind = OP_UNDO, .node = node, .code = n->nodes[node].o.code, .from = since});
}

/* Under the lock. What it measured while it was not heard takes the place of "unknown"; what it did not measure stays unknown. */
static void take_report(struct network *n, int p, const json_t *samples, int64_t from, int64_t now) {
  struct prober *k = &n->probers[p];
  int64_t bridge = 2 * (int64_t)n->o.interval_ms + 30000;
  size_t i;
  json_t *s;
  json_array_foreach(samples, i, s) {
    struct core_result r;
    if (from + (int64_t)i < k->next) continue; /* came before */
    k->next = from + (int64_t)i + 1;
    if (!read_sample(n, p, s, now, &r)) continue;
    bool gap = k->last && r.sent_at - k->last > bridge;
    if (gap) core_away(n->core, p, k->last, r.sent_at, false);
    else if (n->core->probers_away >> p & 1) core_rewind(n->core, p, now, undo, n);
    if (r.sent_at > k->last) k->last = r.sent_at;
    network_take(n, &r, p);
  }
  k->heard = clock_mono();
}

struct keeping { const char *name; int64_t last, next; };

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  return store_put(tx, err, "UPDATE network_prober SET last=?2,next=?3 WHERE name=?1 AND next<?3", "tii", k->name, k->last, k->next);
}

int network_report(struct network *n, const char *name, const void *body, size_t size, const char *signature, int64_t *next, struct err *err) {
  if (size > REPORT_MOST) return err_set(err, ERR_TOO_LARGE, "a report has %d bytes at most", REPORT_MOST);
  pthread_mutex_lock(&n->lock);
  int p = prober_of(n, name);
  char *key = base_strdup(p > 0 ? n->probers[p].key : "");
  bool holder = n->holder;
  pthread_mutex_unlock(&n->lock);
  bool ok = verify(key, body, size, signature);
  free(key);
  if (!ok) return err_set(err, ERR_UNAUTHENTICATED, "this is not signed by a prober that was admitted");
  if (!holder) return err_set(err, ERR_UNAVAILABLE, "another node measures now");
  json_t *j = json_read(body, size, 4, err), *samples = json_object_get(j, "samples");
  int64_t from = json_int(j, "from", -1), theirs = json_int(j, "now", 0);
  int rc = j ? 0 : -1;
  if (rc == 0 && (!json_is_array(samples) || from < 0 || json_array_size(samples) > BATCH_MOST || !base_same(json_str(j, "name"), name)))
    rc = err_set(err, ERR_INVALID, "a report has name, from, now and at most %d samples", BATCH_MOST);
  struct keeping k = {0};
  if (rc == 0) {
    pthread_mutex_lock(&n->lock);
    int64_t now = network_label(n);
    p = prober_of(n, name);
    if (theirs - now > SKEW_MOST || now - theirs > SKEW_MOST) rc = err_set(err, ERR_INVALID, "the prober's clock differs from the centre's by %lld s: set it", (long long)((theirs - now) / 1000));
    else if (p > 0) {
      take_report(n, p, samples, from, now);
      k = (struct keeping){n->probers[p].name, n->probers[p].last, n->probers[p].next};
      *next = k.next;
    }
    pthread_mutex_unlock(&n->lock);
  }
  json_decref(j);
  if (rc == 0) rc = network_settle(n, err);
  return rc || !k.name ? rc : store_write(n->main, STORE_FRONT, keep_work, &k, err);
}

int network_prober_plan(struct network *n, const char *name, json_t **out, struct err *err) {
  json_t *list = json_array();
  pthread_mutex_lock(&n->lock);
  int p = prober_of(n, name);
  for (int i = 0; p > 0 && i < n->real; i++) {
    const struct node *node = &n->nodes[i];
    if (node->prober != p || !node->active || !address_ok(node->o.address)) continue;
    json_t *o = json_object();
    json_put(o, "code", node->o.code);
    json_put(o, "address", node->o.address);
    json_object_set_new(o, "interval_ms", json_integer(node->o.interval_ms));
    json_array_append_new(list, o);
  }
  *out = json_pack("{s:o,s:i,s:i,s:i,s:I,s:I}", "offices", list, "packets", n->o.packets, "gap_ms", n->o.gap_ms, "timeout_ms", n->o.timeout_ms, "revision", (json_int_t)n->revision,
                   "next", (json_int_t)(p > 0 ? n->probers[p].next : 0));
  pthread_mutex_unlock(&n->lock);
  if (p > 0) return 0;
  json_decref(*out);
  *out = NULL;
  return err_set(err, ERR_NOT_FOUND, "there is no prober %.40s", name ? name : "");
}

int network_probers(struct network *n, json_t **out, struct err *err) {
  json_t *list = json_array();
  pthread_mutex_lock(&n->lock);
  int64_t now = network_label(n);
  for (int p = 1; p < n->prober_count; p++) {
    const struct prober *k = &n->probers[p];
    int64_t offices = 0;
    for (int i = 0; i < n->real; i++) offices += n->nodes[i].prober == p;
    json_t *o = json_object();
    json_put(o, "name", k->name);
    json_put(o, "key", k->key);
    json_object_set_new(o, "last", time_json(k->last));
    json_object_set_new(o, "away", json_boolean(n->core->probers_away >> p & 1));
    json_object_set_new(o, "behind_s", k->last ? json_integer((now - k->last) / 1000) : json_null());
    json_object_set_new(o, "offices", json_integer(offices));
    json_array_append_new(list, o);
  }
  pthread_mutex_unlock(&n->lock);
  *out = json_pack("{s:o}", "items", list);
  return 0;
}

/* ---- the hub ------------------------------------------------------------------------------------------------------------------- */

struct spot { char code[NETWORK_CODE], address[64]; int64_t interval; };
struct hub {
  const struct network_hub_options *o;
  EVP_PKEY *key;
  struct link *link;
  bool planned;
  struct schedule due;
  struct spot *spots;
  int count, packets, gap, timeout;
  json_t *samples;
  int64_t first, revision;           /* number of the first sample in samples */
};

static char *file_of(const struct hub *h, int64_t first) { return base_printf("%s/q-%015lld.json", h->o->folder, (long long)first); }

static json_t *rounded(double ms) { return json_real(isnan(ms) ? 0 : round(ms * 1000) / 1000); }

static void hub_done(void *ctx, const struct core_result *r) {
  struct hub *h = ctx;
  const struct measured *m = &r->m;
  schedule_set(&h->due, r->node, schedule_next(r->node, m->lost >= m->sent ? 5000 : h->spots[r->node].interval, clock_mono()));
  if (r->unsent) return; /* it says nothing about anybody */
  json_t *s = json_pack("[s,I,i,i]", h->spots[r->node].code, (json_int_t)r->sent_at, m->sent, m->lost);
  if (m->lost < m->sent) {
    const double v[] = {m->min, m->median, m->p95, m->max, m->jitter};
    for (int i = 0; i < 5; i++) json_array_append_new(s, rounded(v[i]));
  }
  json_array_append_new(h->samples, s);
}

static void plan_takes_effect(struct hub *h, json_t *plan) {
  json_t *list = json_object_get(plan, "offices"), *o;
  size_t i;
  h->revision = json_int(plan, "revision", 0);
  schedule_free(&h->due);
  free(h->spots);
  h->count = (int)json_array_size(list);
  h->spots = base_alloc(((size_t)h->count + 1) * sizeof *h->spots);
  struct ping_options p = {.packets = (int)json_int(plan, "packets", 5), .gap_ms = (int)json_int(plan, "gap_ms", 200), .timeout_ms = (int)json_int(plan, "timeout_ms", 1500),
                           .ctx = h, .done = hub_done};
  h->planned = true;
  link_open(h->link, &p, h->count);
  schedule_init(&h->due, h->count);
  json_array_foreach(list, i, o) {
    struct spot *s = &h->spots[i];
    snprintf(s->code, sizeof s->code, "%s", json_str(o, "code") ? json_str(o, "code") : "");
    snprintf(s->address, sizeof s->address, "%s", json_str(o, "address") ? json_str(o, "address") : "");
    s->interval = json_int(o, "interval_ms", 60000);
    if (s->interval < 100) s->interval = 100;
    if (link_target(h->link, (int)i, s->address) == 0) schedule_set(&h->due, (int)i, schedule_next((int)i, s->interval < 5000 ? s->interval : 5000, clock_mono()));
  }
}

static int call(struct hub *h, const char *body, char **answer, size_t *size, struct err *err) {
  char *path = base_printf("/probe/%s", h->o->name), *signature = sign(h->key, body, strlen(body));
  int rc = h->o->call(h->o->ctx, path, signature, body, strlen(body), answer, size, err);
  free(path);
  free(signature);
  return rc;
}

/* The plan comes with the answer to a report, also to one without samples; without the centre it is as it was when it last answered. */
static void take_plan(struct hub *h, const char *text, size_t size, bool fresh) {
  struct err err;
  json_t *plan = text ? json_read(text, size, 6, &err) : NULL;
  char *file = base_printf("%s/plan.json", h->o->folder);
  bool other = plan && (!h->planned || json_int(plan, "revision", 0) != h->revision);
  if (other && fresh && file_write(file, text, size, 0600, &err)) log_write(LOG_WARN, "network", "%s", err.message);
  if (plan && !json_array_size(h->samples) && h->first < json_int(plan, "next", 0)) h->first = json_int(plan, "next", 0);
  if (other) plan_takes_effect(h, plan);
  json_decref(plan);
  free(file);
}

static void ask_plan(struct hub *h) {
  char *file = base_printf("%s/plan.json", h->o->folder), *text = NULL;
  size_t size = 0;
  struct err err;
  json_t *ask = json_pack("{s:s,s:I,s:I,s:[]}", "name", h->o->name, "from", (json_int_t)h->first, "now", (json_int_t)clock_now(), "samples");
  char *body = json_canonical(ask);
  bool fresh = call(h, body, &text, &size, &err) == 0;
  if (!fresh) log_write(LOG_INFO, "network", "the centre does not answer: %s", err.message);
  if (!fresh && !h->planned) text = file_read(file, REPORT_MOST * 4, &size, &err);
  take_plan(h, text, size, fresh);
  json_decref(ask);
  free(body);
  free(text);
  free(file);
}

static void keep_batch(struct hub *h) {
  size_t n = json_array_size(h->samples);
  struct err err;
  if (!n) return;
  json_t *all = json_pack("{s:s,s:I,s:I,s:O}", "name", h->o->name, "from", (json_int_t)h->first, "now", (json_int_t)clock_now(), "samples", h->samples);
  char *text = json_canonical(all), *file = file_of(h, h->first);
  if (file_write(file, text, strlen(text), 0600, &err)) log_write(LOG_WARN, "network", "%s", err.message);
  else {
    h->first += (int64_t)n;
    json_array_clear(h->samples);
  }
  while (json_array_size(h->samples) > BATCH_MOST - 500) json_array_remove(h->samples, 0); /* a full disk: the oldest are lost */
  free(file);
  free(text);
  json_decref(all);
}

static int by_number(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static size_t queued(const struct hub *h, int64_t **out) {
  size_t count = 0, room = 64;
  int64_t number, *list = base_alloc(room * sizeof *list);
  DIR *d = opendir(h->o->folder);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!base_starts(e->d_name, "q-") || strlen(e->d_name) != 22 || strcmp(e->d_name + 17, ".json") != 0) continue;
    char digits[16];
    memcpy(digits, e->d_name + 2, 15);
    digits[15] = 0;
    if (parse_i64(digits, &number)) continue;
    if (count == room) list = base_realloc(list, (room *= 2) * sizeof *list);
    list[count++] = number;
  }
  if (d) closedir(d);
  qsort(list, count, sizeof *list, by_number);
  *out = list;
  return count;
}

/* The clock that a report tells is that of its sending, not of its measuring. */
static char *as_of_now(char *text, size_t size) {
  struct err err;
  json_t *j = json_read(text, size, 4, &err);
  if (!j) return NULL;
  json_object_set_new(j, "now", json_integer(clock_now()));
  char *out = json_canonical(j);
  json_decref(j);
  return out;
}

/* Oldest first, until the centre does not take one; at most so many a turn, so that measuring goes on. */
static void send_queue(struct hub *h) {
  int64_t *list;
  size_t count = queued(h, &list), begin = count > QUEUE_FILES ? count - QUEUE_FILES : 0;
  bool going = true;
  for (size_t i = 0; i < count; i++) {
    char *file = file_of(h, list[i]), *text = NULL, *body = NULL, *answer = NULL;
    size_t size = 0, answered = 0;
    struct err err;
    if (i < begin) {
      unlink(file);
      log_write(LOG_WARN, "network", "measurements from number %lld on are lost: the queue is full", (long long)list[i]);
    } else if (going && i < begin + 20) {
      text = file_read(file, REPORT_MOST * 2, &size, &err);
      body = text ? as_of_now(text, size) : NULL;
      if (!body) unlink(file); /* not whole: the disk was full */
      else {
        going = call(h, body, &answer, &answered, &err) == 0;
        if (going) unlink(file);
        else log_write(LOG_INFO, "network", "the centre has not taken number %lld: %s", (long long)list[i], err.message);
      }
    }
    free(file);
    free(text);
    free(body);
    free(answer);
  }
  free(list);
}

int network_hub_run(const struct network_hub_options *o, struct err *err) {
  struct hub h = {.o = o, .samples = json_array(), .first = clock_now()}; /* numbers only grow, also when the folder is lost */
  int64_t asked = 0, kept = clock_mono(), *list;
  h.key = open_key(o->folder, err);
  if (!h.key) {
    json_decref(h.samples);
    return -1;
  }
  h.link = link_new(o->probe.source4, o->probe.source6);
  size_t count = queued(&h, &list);
  if (count && h.first <= list[count - 1] + BATCH_MOST) h.first = list[count - 1] + BATCH_MOST + 1;
  free(list);
  while (!*o->stop) {
    int64_t now = clock_mono(), at = 0, wait = clock_mono_us() + 100000, next;
    if (!asked || now - asked > (h.planned ? PLAN_MS : 2000)) {
      asked = now;
      ask_plan(&h);
    }
    if (!h.planned) {
      clock_wait(200);
      continue;
    }
    for (int node; (node = schedule_first(&h.due, &at)) >= 0 && at <= now;) {
      schedule_remove(&h.due, node);
      if (!link_start(h.link, node)) schedule_set(&h.due, node, now + h.spots[node].interval);
    }
    next = link_turn(h.link, clock_mono_us());
    link_wait(link_ready(h.link), next < wait ? next : wait);
    if (now - kept < (o->probe.retry_ms > 0 ? o->probe.retry_ms : BATCH_MS) && json_array_size(h.samples) < BATCH_MOST / 2) continue;
    kept = now;
    keep_batch(&h);
    send_queue(&h);
  }
  keep_batch(&h);
  link_free(h.link);
  schedule_free(&h.due);
  free(h.spots);
  json_decref(h.samples);
  EVP_PKEY_free(h.key);
  return 0;
}
