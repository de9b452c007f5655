/* Opening the log: its key, its name, and declared new logs. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

enum { WHY_MOST = 500 };

char *origin_of(const char *base, int64_t generation) {
  return generation <= 1 ? base_strdup(base) : base_printf("%s/%lld", base, (long long)generation);
}

const struct log_name *trust_name(const struct trust *t) { return atomic_load(&t->name); }
const char *trust_key_id(const struct trust *t) { return trust_name(t)->id; }
const char *trust_public_key(const struct trust *t) { return trust_name(t)->text; }
const char *trust_origin(const struct trust *t) { return trust_name(t)->key.name; }

static struct log_name *name_new(const struct trust *t, int64_t generation) {
  struct log_name *n = base_alloc(sizeof *n);
  char *origin = origin_of(t->base, generation);
  n->generation = generation;
  vkey_make(&n->key, origin, KEY_NOTE, t->key.public);
  n->text = vkey_text(&n->key);
  hex_encode(n->key.id, 4, n->id);
  free(origin);
  return n;
}

void trust_adopt(struct trust *t, int64_t generation) {
  struct log_name *now = atomic_load(&t->name);
  if (now != NULL && now->generation >= generation) return;
  struct log_name *n = name_new(t, generation);
  n->older = now;
  atomic_store(&t->name, n);
}

/* ---- the names in the store ---- */

struct begin {
  struct trust *t;
  const char *why; /* NULL: only if there is no log yet */
  int64_t least, generation;
};

static int begin_work(struct store_tx *tx, void *arg, struct err *err) {
  struct begin *b = arg;
  int64_t newest, size;
  unsigned char root[TRUST_HASH];
  if (store_value(tx, &newest, 0, err, "SELECT MAX(generation) FROM ledger_log", "") != 0 || state_read(tx, &size, root, err) != 0)
    return -1;
  b->generation = newest;
  if (newest > 0 && b->why == NULL) return 0;
  b->generation = newest + 1 > b->least ? newest + 1 : b->least;
  struct log_name *n = name_new(b->t, b->generation);
  int rc = store_put(
    tx, err,
    "INSERT INTO ledger_log (generation, origin, key, begun_at, first_size, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT (generation) DO NOTHING",
    "ittiit", b->generation, n->key.name, n->text, store_time(tx), size, b->why == NULL ? "the first" : b->why);
  free(n->text);
  free(n);
  return rc;
}

int trust_new_log(struct trust *t, const char *why, struct err *err) {
  struct remembered m;
  if (why == NULL || why[0] == '\0' || strlen(why) > WHY_MOST || !utf8_valid(why, strlen(why)))
    return err_set(err, ERR_INVALID, "say why a new log is begun, in at most %d bytes", WHY_MOST);
  pthread_mutex_lock(&t->lock);
  struct begin b = {.t = t, .why = why};
  int rc = head_remembered(t, &m, err);
  if (rc == 0) {
    b.least = head_generation(t, &m) + 1;
    rc = store_write(t->store, STORE_FRONT, begin_work, &b, err);
  }
  if (rc == 0) {
    trust_adopt(t, b.generation);
    log_write(LOG_WARN, "trust", "a new log is declared: %s", trust_public_key(t));
  }
  pthread_mutex_unlock(&t->lock);
  return rc;
}

static int newest_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, 0, err, "SELECT MAX(generation) FROM ledger_log", "");
}

int trust_begun(struct store *s, bool *begun, struct err *err) {
  int64_t generation = 0;
  int rc = store_read(s, newest_work, &generation, err);
  *begun = generation > 0;
  return rc;
}

/* ---- open and close ---- */

static int names_open(struct trust *t, struct err *err) {
  struct begin b = {.t = t, .least = 1};
  if (store_read(t->store, newest_work, &b.generation, err) != 0) return -1;
  if (b.generation == 0 && store_write(t->store, STORE_FRONT, begin_work, &b, err) != 0) return -1;
  trust_adopt(t, b.generation);
  return 0;
}

int trust_open(struct store *s, const struct trust_options *o, struct trust **out, struct err *err) {
  *out = NULL;
  if (!name_valid(o->origin) || strlen(o->origin) > NAME_MOST - 21)
    return err_set(err, ERR_INVALID, "the name of the ledger has no spaces and no '+', and at most %d bytes", NAME_MOST - 21);
  struct trust *t = base_alloc(sizeof *t);
  t->store = s;
  t->key_file = base_strdup(o->key_file);
  t->head_file = base_printf("%s.head", o->key_file);
  t->base = base_strdup(o->origin);
  t->tsa_url = base_strdup(o->tsa_url);
  t->tsa_ca_file = base_strdup(o->tsa_ca_file);
  t->node = base_strdup(o->node == NULL ? "node" : o->node);
  t->post = o->post;
  t->post_ctx = o->post_ctx;
  pthread_mutex_init(&t->lock, NULL);
  if (key_open(o->key_file, &t->key, err) == 0 && names_open(t, err) == 0) {
    *out = t;
    return 0;
  }
  trust_close(t);
  return -1;
}

void trust_close(struct trust *t) {
  if (t == NULL) return;
  if (t->lease_until > clock_mono()) store_lease(t->store, "ledger", t->node, 0, NULL, NULL); /* let the next begin at once */
  for (struct log_name *n = atomic_load(&t->name), *older; n != NULL; n = older) {
    older = n->older;
    free(n->text);
    free(n);
  }
  key_close(&t->key);
  pthread_mutex_destroy(&t->lock);
  free(t->key_file);
  free(t->head_file);
  free(t->base);
  free(t->tsa_url);
  free(t->tsa_ca_file);
  free(t->node);
  free(t);
}
