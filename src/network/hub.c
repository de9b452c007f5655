/* Signed reports of probers elsewhere, as the centre takes them in. */
#include "network/checks.h"
#include "network/hub.h"
#include "network/inner_core.h"

#include <math.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum { SKEW_MOST = 600000, BACKLOG_MOST = 1000000, AGAIN_MOST = 500 };
#define NUMBER_AHEAD (30 * INT64_C(86400000))   /* of a report before its time (see AHEAD_MS of hub_run.c) */
#define NUMBER_MOST (INT64_C(1) << 53)          /* of samples, and what else is a number in JSON */

/* ---- keys ------------------------------------------------------------------------------------------------------------- */

EVP_PKEY *hub_open_key(const char *folder, struct err *err) {
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
  EVP_PKEY *key = hub_open_key(folder, err);
  if (!key) return -1;
  char *text = public_of(key);
  snprintf(public_base64, 64, "%s", text);
  free(text);
  EVP_PKEY_free(key);
  return 0;
}

static char *signed_text(const char *what, const void *body, size_t n, size_t *size) {
  size_t head = strlen(what);
  char *text = base_alloc(head + n + 1);
  memcpy(text, what, head);
  memcpy(text + head, body, n);
  *size = head + n;
  return text;
}

char *hub_sign(EVP_PKEY *key, const char *what, const void *body, size_t n) {
  unsigned char signature[64];
  size_t size, length = sizeof signature;
  char *text = signed_text(what, body, n, &size);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  bool ok = EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(c, signature, &length, (unsigned char *)text, size) == 1;
  EVP_MD_CTX_free(c);
  free(text);
  return ok ? base64_encode(signature, length) : base_strdup("");
}

bool hub_verify(const char *key, const char *what, const void *body, size_t n, const char *signature) {
  unsigned char raw[32], given[64];
  size_t kn = 0, sn = 0, size;
  if (!key[0] || !signature || base64_decode(key, strlen(key), raw, sizeof raw, &kn) || kn != 32 || base64_decode(signature, strlen(signature), given, sizeof given, &sn) || sn != 64) return false;
  EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, kn);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  char *text = signed_text(what, body, n, &size);
  bool ok = k && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) == 1 && EVP_DigestVerify(c, given, sn, (unsigned char *)text, size) == 1;
  free(text);
  EVP_MD_CTX_free(c);
  EVP_PKEY_free(k);
  return ok;
}

/* ---- the centre: reports come in ------------------------------------------------------------------------------------------- */

int hub_refuse(struct network_refusal *why, struct err *err, enum err_code code, const char *word, const char *value) {
  why->word = word;
  snprintf(why->value, sizeof why->value, "%s", value ? value : "");
  return err_set(err, code, "%s %.200s", word, why->value);
}

bool hub_name_ok(const char *name) {
  size_t n = name ? strlen(name) : 0;
  return n > 0 && n <= 40 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static const char *const troubles[] = {
#define X(name, text) text,
  PROBER_TROUBLE_TABLE(X)
#undef X
};

const char *trouble_text(enum prober_trouble t) { return troubles[t]; }

enum prober_trouble trouble_parse(const char *text) {
  int t = 0;
  while (t < TROUBLES && !base_same(troubles[t], text)) t++;
  return (enum prober_trouble)t;
}

static int prober_of(const struct network *n, const char *name) {
  for (int i = 1; name && name[0] && i < n->prober_count; i++)
    if (base_same(n->probers[i].name, name) && n->probers[i].key[0]) return i;
  return -1;
}

/* One sample as it came (see hub_sample). check: the number of a check that it is about, -1: it is a probe. */
struct came { struct core_result r; int check; enum check_cause cause; };

static bool check_is(const struct check *c, const json_t *mark) {
  char is[17];
  check_mark(c, is);
  return base_same(is, json_string_value(mark));
}

/* Which check of the plan is meant, as long as it is the same. */
static int check_of(const struct node *node, const json_t *number, const json_t *mark) {
  int64_t i = json_is_integer(number) ? json_integer_value(number) : -1;
  return i >= 0 && i < node->checks && check_is(&node->check[i], mark) ? (int)i : -1;
}

static int cause_parse(const char *text) {
  for (int c = CHECK_NOT_SENT; text && c < CHECK_CAUSES; c++)
    if (base_same(check_cause_text((enum check_cause)c), text)) return c;
  return -1;
}

/* Of an office of this prober, at a time that can be. Hours of which raw results are kept no longer are summed for good. */
static const struct node *whose(const struct network *n, int prober, const json_t *s, int64_t now, int64_t *at) {
  const char *code = json_string_value(json_array_get(s, 0));
  const struct node *node = code ? network_at(n, code) : NULL;
  *at = json_integer_value(json_array_get(s, 1));
  return json_is_integer(json_array_get(s, 1)) && node && node->prober == prober && *at >= now - n->o.raw_days * (int64_t)86400000 && *at <= now + SKEW_MOST ? node : NULL;
}

static bool read_sample(const struct network *n, int prober, const json_t *s, int64_t now, struct came *out) {
  double v[5] = {NAN, NAN, NAN, NAN, NAN};
  int64_t at, sent = json_integer_value(json_array_get(s, 2)), lost = json_integer_value(json_array_get(s, 3));
  const struct node *node = whose(n, prober, s, now, &at);
  if (!node) return false;
  *out = (struct came){.r = {.node = node->o.node, .sent_at = at, .at = at}, .check = -1};
  if (base_same(json_string_value(json_array_get(s, 2)), "check")) {
    int cause = cause_parse(json_string_value(json_array_get(s, 5)));
    out->check = check_of(node, json_array_get(s, 3), json_array_get(s, 4));
    if (cause >= 0) out->cause = (enum check_cause)cause;
    return cause >= 0 && out->check >= 0;
  }
  if (!json_is_integer(json_array_get(s, 2)) || !json_is_integer(json_array_get(s, 3)) || sent < 0 || sent > NETWORK_PACKETS_MOST || lost < 0 || lost > sent) return false;
  out->r.unsent = sent == 0;
  for (size_t i = 0; lost < sent && i < 5; i++) {
    const json_t *number = json_array_get(s, 4 + i);
    v[i] = json_is_number(number) ? json_number_value(number) : NAN;
    if (!(v[i] >= 0 && v[i] <= 60000) || (i && i < 4 && v[i] < v[i - 1])) return false;
  }
  out->r.m = (struct measured){(int)sent, (int)lost, v[0], v[1], v[2], v[3], sent - lost > 1 ? v[4] : NAN};
  return true;
}

static void undo(void *ctx, int node, int64_t since) {
  struct network *n = ctx;
  network_op(n, (struct op){.kind = OP_UNDO, .node = node, .code = n->nodes[node].o.code, .from = since});
}

/* How often something comes of a prober at least: what it measures most often is asked so. */
static int64_t often(const struct network *n, int p) {
  int64_t least = 0;
  for (int i = 0; i < n->real; i++)
    if (n->nodes[i].prober == p && n->core->nodes[i].spec.measured && (!least || n->nodes[i].o.interval_ms < least)) least = n->nodes[i].o.interval_ms;
  return least > n->o.interval_ms ? least : n->o.interval_ms;
}

/* Under the lock. What it measured while it was not heard takes the place of "unknown"; what it did not measure stays unknown. */
static void take_report(struct network *n, int p, const json_t *samples, int64_t from, int64_t now) {
  struct prober *k = &n->probers[p];
  int64_t bridge = network_bridge(often(n, p));
  size_t i;
  json_t *s;
  json_array_foreach(samples, i, s) {
    struct came c;
    if (from + (int64_t)i < k->next) continue; /* came before */
    k->next = from + (int64_t)i + 1;
    if (!read_sample(n, p, s, now, &c)) continue;
    if (c.check >= 0) { /* says nothing about whether echoes were sent: gaps are told by probes alone */
      checks_result(n, c.r.node, c.check, c.cause, c.r.at);
      continue;
    }
    bool gap = k->last && c.r.sent_at - k->last > bridge;
    if (!c.r.unsent && gap) core_away(n->core, p, k->last, c.r.sent_at, false);
    else if (!c.r.unsent && !k->mute && n->core->probers_away >> p & 1) core_rewind(n->core, p, now, undo, n); /* what could not be sent was not measured */
    k->mute = c.r.unsent;
    if (!c.r.unsent && c.r.sent_at > k->last) k->last = c.r.sent_at;
    network_take(n, &c.r, p);
  }
  k->heard = clock_mono();
}

/* One interface of a reading, as put_interfaces wants it; NULL where it cannot be so. */
static json_t *row_of(const json_t *given, int64_t at) {
  const char *name = json_string_value(json_array_get(given, 1));
  json_t *row = json_object();
  bool ok = json_array_size(given) == HUB_ROW && name && strlen(name) < 64;
  for (const char *c = name; ok && *c; c++) ok = *c >= 32 && *c < 127;
  for (size_t f = 0; ok && f < HUB_ROW; f++) {
    const json_t *v = json_array_get(given, f);
    if (f != 1) ok = json_is_integer(v) && json_integer_value(v) >= (f == 2 || f > 6 ? -1 : 0) && (f || json_integer_value(v) <= INT32_MAX) && (f != 2 || json_integer_value(v) <= 1);
    json_object_set_new(row, hub_row_names[f], f == 1 ? json_string(name ? name : "") : json_integer(json_integer_value(v)));
  }
  json_object_set_new(row, "at", json_integer(at));
  if (ok) return row;
  json_decref(row);
  return NULL;
}

/* Under the lock: readings of agents, each whole or not at all. */
static void take_interfaces(struct network *n, int p, const json_t *list, int64_t now) {
  size_t i, k;
  json_t *one, *given;
  int64_t at;
  json_array_foreach(list, i, one) {
    const struct node *node = whose(n, p, one, now, &at);
    const json_t *of = json_array_get(one, 3);
    bool asked = false;
    for (int c = 0; node && c < node->checks && !asked; c++) asked = node->check[c].kind == CHECK_SNMP && check_is(&node->check[c], json_array_get(one, 2));
    if (!asked || !json_array_size(of) || json_array_size(of) > INTERFACES_MOST) continue;
    json_t *rows = json_array();
    json_array_foreach(of, k, given) {
      json_t *row = row_of(given, at);
      if (row) json_array_append_new(rows, row);
    }
    if (json_array_size(rows) == json_array_size(of)) checks_rows(n, node->o.node, rows);
    json_decref(rows);
  }
}

struct keeping { const struct network *n; const char *name, *key; int64_t last, next, report, heard, backlog, oldest, skew, epoch; const char *version, *trouble; };

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  if (k->epoch && store_lease_check(tx, "network", k->n->node_name, k->epoch, err)) return -1;
  return store_put(tx, err, "UPDATE network_prober SET last=?2,next=?3 WHERE name=?1 AND key=?4 AND next<=?3", "tiit", k->name, k->last, k->next, k->key) ||
         store_put(tx, err, "UPDATE network_prober_said SET report=?2,heard=?3,version=?4,backlog=?5,oldest=?6,skew=?7,trouble=?8 WHERE name=?1 AND report<?2", "tiitiiit", k->name, k->report,
                   k->heard, k->version, k->backlog, k->oldest, k->skew, k->trouble) ? -1 : 0;
}

struct taken_away { const char *name; char key[64], reason[NETWORK_NOTE_MOST + 1]; int64_t at; };

static int taken_away_work(struct store_tx *tx, void *arg, struct err *err) {
  struct taken_away *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT revoked_key,reason,revoked_at FROM network_prober_said WHERE name=?1 AND revoked_at>0", "t", k->name);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    snprintf(k->key, sizeof k->key, "%s", store_text(r, 0));
    snprintf(k->reason, sizeof k->reason, "%s", store_text(r, 1));
    k->at = store_int(r, 2);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* Who signs with a key that was taken away is told so; everybody else only that it is not admitted. */
static int refuse_stranger(struct network *n, const char *name, const void *body, size_t size, const char *signature, struct network_refusal *why, struct err *err) {
  struct taken_away k = {.name = name};
  if (!hub_name_ok(name)) return hub_refuse(why, err, ERR_UNAUTHENTICATED, "probe.stranger", NULL);
  if (store_read(n->main, taken_away_work, &k, err)) return -1;
  if (k.key[0] && hub_verify(k.key, HUB_REPORT, body, size, signature)) return hub_refuse(why, err, ERR_FORBIDDEN, "probe.revoked", k.reason);
  return hub_refuse(why, err, ERR_UNAUTHENTICATED, "probe.stranger", NULL);
}

/* Under the lock: what the report says, judged and taken. */
static int take_parts(struct network *n, int p, const json_t *j, int64_t *next, struct keeping *k, struct network_refusal *why, struct err *err) {
  int64_t now = network_label(n), theirs = json_int(j, "now", 0), report = json_int(j, "report", 0), from = json_int(j, "from", 0);
  struct prober *prober = &n->probers[p];
  char apart[32];
  if (!n->holder) return hub_refuse(why, err, ERR_UNAVAILABLE, "probe.elsewhere", NULL);
  if (network_crowded(n)) return hub_refuse(why, err, ERR_UNAVAILABLE, "probe.store", NULL);
  snprintf(apart, sizeof apart, "%+lld", (long long)((theirs - now) / 1000));
  if (json_array_size(json_object_get(j, "samples")) + json_array_size(json_object_get(j, "interfaces")) > 0 && (theirs - now > SKEW_MOST || now - theirs > SKEW_MOST)) return hub_refuse(why, err, ERR_INVALID, "probe.clock", apart);
  if (report <= prober->report) return hub_refuse(why, err, ERR_CONFLICT, "probe.repeated", NULL);
  if (report > now + NUMBER_AHEAD || from > now + NUMBER_AHEAD) return hub_refuse(why, err, ERR_INVALID, "probe.form", NULL); /* it would be the last one ever */
  prober->report = report;
  prober->trouble = trouble_parse(json_str(j, "trouble"));
  take_report(n, p, json_object_get(j, "samples"), from, now);
  take_interfaces(n, p, json_object_get(j, "interfaces"), now);
  *k = (struct keeping){.n = n, .name = prober->name, .key = k->key, .last = prober->last, .next = prober->next, .report = report, .heard = now, .backlog = json_int(j, "backlog", 0),
    .oldest = json_int(j, "oldest", 0), .skew = json_int(j, "apart", 0), .epoch = n->epoch, .version = json_str(j, "version"), .trouble = trouble_text(prober->trouble)};
  *next = k->next;
  return 0;
}

#define VERSION_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+~-" /* it is shown on terminals */

static bool sound(const json_t *j, const char *name) {
  const json_t *samples = json_object_get(j, "samples"), *rows = json_object_get(j, "interfaces");
  const char *version = json_str(j, "version"), *numbers[] = {"from", "report", "now", "oldest"};
  for (size_t i = 0; i < BASE_COUNT(numbers); i++)
    if (json_int(j, numbers[i], -1) < 0 || json_int(j, numbers[i], -1) > NUMBER_MOST) return false;
  if (json_int(j, "oldest", 0) > json_int(j, "now", 0) + SKEW_MOST || json_int(j, "backlog", -1) < 0 || json_int(j, "backlog", -1) > BACKLOG_MOST) return false;
  if (json_int(j, "apart", 0) > NUMBER_MOST || json_int(j, "apart", 0) < -NUMBER_MOST) return false;
  return trouble_parse(json_str(j, "trouble")) < TROUBLES && json_is_array(samples) && json_array_size(samples) <= HUB_BATCH_MOST && json_is_array(rows) && json_array_size(rows) <= HUB_ROWS_MOST && base_same(json_str(j, "name"), name) && version && strlen(version) <= 40 && strspn(version, VERSION_LETTERS) == strlen(version);
}

int network_report(struct network *n, const char *name, const void *body, size_t size, const char *signature, int64_t *next, struct network_refusal *why, struct err *err) {
  *why = (struct network_refusal){0};
  if (size > HUB_REPORT_MOST) return err_set(err, ERR_TOO_LARGE, "a report has %d bytes at most", HUB_REPORT_MOST);
  pthread_mutex_lock(&n->lock);
  int p = prober_of(n, name);
  char *key = base_strdup(p > 0 ? n->probers[p].key : "");
  pthread_mutex_unlock(&n->lock);
  bool ok = hub_verify(key, HUB_REPORT, body, size, signature);
  json_t *j = NULL;
  struct keeping k = {.key = key};
  int64_t lost = 0;
  int rc = ok ? 0 : refuse_stranger(n, name, body, size, signature, why, err);
  if (rc == 0) {
    j = json_read(body, size, 6, err);
    if (!j || !sound(j, name)) rc = hub_refuse(why, err, ERR_INVALID, "probe.form", NULL);
  }
  if (rc == 0) { /* while it was read, another key may have come in the place of this one */
    pthread_mutex_lock(&n->lock);
    lost = n->lost;
    p = prober_of(n, name);
    if (p < 1 || !base_same(n->probers[p].key, key)) rc = hub_refuse(why, err, ERR_UNAUTHENTICATED, "probe.stranger", NULL);
    else rc = take_parts(n, p, j, next, &k, why, err);
    pthread_mutex_unlock(&n->lock);
  }
  if (rc == 0) rc = network_settle(n, err);
  if (rc == 0) { /* what was taken while another node began to measure was forgotten before it was written */
    pthread_mutex_lock(&n->lock);
    if (n->lost != lost) rc = hub_refuse(why, err, ERR_UNAVAILABLE, "probe.elsewhere", NULL);
    pthread_mutex_unlock(&n->lock);
  }
  if (rc == 0) rc = store_write(n->main, STORE_FRONT, keep_work, &k, err);
  json_decref(j);
  free(key);
  return rc;
}

int network_prober_plan(struct network *n, const char *name, json_t **out, struct err *err) {
  json_t *list = json_array(), *again = json_array();
  pthread_mutex_lock(&n->lock);
  int p = prober_of(n, name);
  for (int i = 0; p > 0 && i < n->real; i++) {
    const struct node *node = &n->nodes[i];
    if (node->prober != p || !node->active || !address_ok(node->o.address)) continue;
    json_t *o = json_object();
    json_put(o, "code", node->o.code);
    json_put(o, "address", node->o.address);
    json_object_set_new(o, "interval_ms", json_integer(node->o.interval_ms));
    json_put(o, "checks", node->o.checks);
    json_array_append_new(list, o);
    if (!n->again[i] || json_array_size(again) == AGAIN_MOST) continue;
    n->again[i] = 0;
    json_array_append_new(again, json_string(node->o.code));
  }
  *out = json_pack("{s:o,s:o,s:i,s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:I}", "offices", list, "again", again, "attempts", n->o.attempts, "retry_ms", n->o.retry_ms, "check_ms", n->o.check_ms, "packets", n->o.packets, "gap_ms", n->o.gap_ms, "timeout_ms", n->o.timeout_ms, "revision", (json_int_t)n->revision,
                   "next", (json_int_t)(p > 0 ? n->probers[p].next : 0), "now", (json_int_t)network_label(n));
  pthread_mutex_unlock(&n->lock);
  if (p > 0) return 0;
  json_decref(*out);
  *out = NULL;
  return err_set(err, ERR_NOT_FOUND, "there is no prober %.40s", name ? name : "");
}
