/* Cases of before, from paper or another system: judged whole first, then filed as what they are. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { FLYING = 512, NUMBER_MOST = 100, COMMENT_MOST = 4000 };
#define HOUR INT64_C(3600000)

struct old_case {
  struct case_imported was;
  json_t *data;
  int64_t at;
  unsigned line;
  char key[NUMBER_MOST + 1];
};

struct import {
  struct cases *c;
  struct case_import *k;
  struct csv *csv;
  struct service def;            /* today's text, but for what paper has elsewhere: documents and declarations need not be there */
  struct field *fields;
  struct field **each;
  int *columns, number, submitted, state, closed, comment, letter_no, letter_date;
  struct old_case *list;
  struct arena *arena;           /* lives as long as the list */
};

static void wrong(struct import *m, unsigned line, const char *text) {
  m->k->wrong++;
  if (m->k->line) m->k->line(m->k->ctx, line, text);
}

static void wrong_with(struct import *m, unsigned line, const char *key, const char *name) {
  struct arena *a = arena_new(64 * 1024);
  const char *text = word_fill(a, m->k->lang, key, "name", name, NULL);
  wrong(m, line, text ? text : key);
  arena_free(a);
}

/* ---- the head ---- */

static void relax(struct import *m, const struct service *s) {
  m->def = *s;
  m->fields = base_alloc((s->field_count + 1) * sizeof *m->fields);
  m->each = base_alloc((s->field_count + 1) * sizeof *m->each);
  m->columns = base_alloc((s->field_count + 1) * sizeof *m->columns);
  for (size_t i = 0; i < s->field_count; i++) {
    m->fields[i] = *s->fields[i];
    m->each[i] = &m->fields[i];
    if (m->fields[i].type == FIELD_DOCUMENT || m->fields[i].type == FIELD_DECLARATION) m->fields[i].required = false;
    m->columns[i] = m->fields[i].type == FIELD_DOCUMENT ? -1 : csv_column(m->csv, m->fields[i].name);
  }
  m->def.fields = m->each;
}

static const char *const plain_names[] = {"number", "submitted_at", "state", "closed_at", "comment", "letter_no", "letter_date"};

static bool known_column(const struct service *s, const char *name) {
  for (size_t i = 0; i < BASE_COUNT(plain_names); i++)
    if (strcmp(name, plain_names[i]) == 0) return true;
  const struct field *f = service_field(s, name);
  return f && f->type != FIELD_DOCUMENT;
}

static bool known_head(struct import *m, const char *data, size_t n) {
  int *const places[] = {&m->number, &m->submitted, &m->state, &m->closed, &m->comment, &m->letter_no, &m->letter_date};
  size_t good = m->k->wrong, length = 0;
  while (length < n && data[length] != '\r' && data[length] != '\n') length++;
  char *head = strndup(data, length), *rest = head;
  if (base_starts(rest, "\xef\xbb\xbf")) rest += 3;
  for (char *name; (name = strsep(&rest, ",")) != NULL;) {
    size_t w = strlen(name);
    if (w >= 2 && name[0] == '"' && name[w - 1] == '"') {
      name[w - 1] = 0;
      name++;
    }
    if (!known_column(m->k->service, name)) wrong_with(m, 1, "import.no_column", name);
  }
  free(head);
  for (size_t i = 0; i < BASE_COUNT(places); i++) {
    *places[i] = csv_column(m->csv, plain_names[i]);
    if (i < 3 && *places[i] < 0) wrong_with(m, 1, "import.missing_column", plain_names[i]);
  }
  return m->k->wrong == good;
}

/* ---- one row ---- */

static const char *cell(const struct import *m, size_t row, int column) {
  const char *text = csv_plain(csv_cell(m->csv, row, column));
  text = text_repair(m->arena, text);
  return text ? text : "";
}

static int32_t day_cell(struct import *m, size_t row, int column, const char *name, unsigned line) {
  const char *text = cell(m, row, column);
  int32_t day = text[0] ? date_parse(text) : INT32_MIN;
  if (text[0] && day == INT32_MIN) wrong_with(m, line, "import.bad_day", name);
  else if (day != INT32_MIN && day > cases_today()) wrong_with(m, line, "import.late_day", name);
  return day;
}

static void judge_state(struct import *m, size_t row, struct old_case *o, int32_t submitted) {
  const char *name = cell(m, row, m->state);
  int state = service_state(m->k->service, name);
  if (state < 0) return wrong_with(m, o->line, "import.no_state", name);
  o->was.state = state;
  bool final = m->k->service->states[state].result != RESULT_OPEN;
  int32_t closed = day_cell(m, row, m->closed, "closed_at", o->line);
  if (final && closed == INT32_MIN && !cell(m, row, m->closed)[0]) wrong_with(m, o->line, "import.needs_closed", name);
  if (!final && closed != INT32_MIN) wrong_with(m, o->line, "import.not_closed", name);
  if (closed != INT32_MIN && closed < submitted) wrong_with(m, o->line, "import.closed_before", name);
  if (closed != INT32_MIN) o->was.closed_at = day_start(closed) + 13 * HOUR;
}

static json_t *answers_of(const struct import *m, size_t row) {
  json_t *in = json_object();
  for (size_t i = 0; i < m->def.field_count; i++) {
    const char *text = csv_plain(csv_cell(m->csv, row, m->columns[i]));
    if (!text[0]) continue;
    char *copy = base_strdup(text);
    for (char *p = copy; m->fields[i].type == FIELD_CHOICES && *p; p++)
      if (*p == '|') *p = ',';
    json_put(in, m->fields[i].name, copy);
    free(copy);
  }
  return in;
}

static void judge_answers(struct import *m, size_t row, struct old_case *o, int32_t submitted) {
  struct arena *a = arena_new(1024 * 1024);
  json_t *in = answers_of(m, row), *errors = NULL, *e;
  struct err err;
  size_t i;
  if (service_validate(m->c->pack, &m->def, in, submitted, m->k->lang, a, &o->data, &errors)) {
    o->data = NULL;
    json_array_foreach(errors, i, e) {
      const struct field *f = service_field(m->k->service, json_str(e, "field"));
      char *text = base_printf("%s: %s", f ? text_in(&f->label, m->k->lang) : json_str(e, "field"), json_str(e, "message"));
      wrong(m, o->line, text);
      free(text);
    }
  } else if (service_owner(m->c->pack, m->k->service, o->data, &err) < 0) wrong_with(m, o->line, "import.no_owner", "");
  json_decref(in);
  json_decref(errors);
  arena_free(a);
}

static void judge(struct import *m, size_t row, json_t *seen) {
  struct old_case *o = &m->list[row];
  o->line = csv_line(m->csv, row);
  const char *number = cell(m, row, m->number);
  if (!number[0] || strlen(number) > NUMBER_MOST) wrong_with(m, o->line, "import.no_number", "");
  else if (json_object_get(seen, number)) wrong_with(m, o->line, "import.twice", number);
  else json_object_set_new(seen, number, json_true());
  snprintf(o->key, sizeof o->key, "%s", number);
  int32_t submitted = day_cell(m, row, m->submitted, "submitted_at", o->line);
  if (submitted == INT32_MIN) {
    if (!cell(m, row, m->submitted)[0]) wrong_with(m, o->line, "import.bad_day", "submitted_at");
    return;
  }
  o->at = day_start(submitted) + 12 * HOUR;
  o->was.number = o->key;
  o->was.comment = cell(m, row, m->comment);
  o->was.letter_no = cell(m, row, m->letter_no);
  o->was.letter_date = cell(m, row, m->letter_date);
  if (strlen(o->was.comment) > COMMENT_MOST || strlen(o->was.letter_no) > 64 || strlen(o->was.letter_date) > 32) wrong_with(m, o->line, "import.too_long", o->key);
  judge_state(m, row, o, submitted);
  judge_answers(m, row, o, submitted);
}

/* ---- filing ---- */

struct filing {
  pthread_mutex_t lock;
  pthread_cond_t less;
  int flying;
  struct import *m;
};

struct flight {
  struct filing *f;
  struct old_case *o;
  struct case_submission s;
  char *body;
};

static void filed(void *arg, int rc, const struct err *err) {
  struct flight *k = arg;
  struct filing *f = k->f;
  struct case_import *i = f->m->k;
  pthread_mutex_lock(&f->lock);
  if (rc == 0 && k->s.repeated) i->same++;
  else if (rc == 0) i->made++;
  else if (err && err->code == ERR_KEY_REUSED) wrong_with(f->m, k->o->line, "import.other_before", k->o->key);
  else wrong(f->m, k->o->line, err ? err->message : "");
  f->flying--;
  pthread_cond_signal(&f->less);
  pthread_mutex_unlock(&f->lock);
  json_decref(k->s.errors);
  free(k->body);
  free(k);
}

/* All that a row says, so that the same number with anything else is told. */
static char *body_of(const struct old_case *o) {
  json_t *b = json_pack("{s:O,s:I,s:i,s:I,s:s,s:s,s:s}", "data", o->data, "at", (json_int_t)o->at, "state", o->was.state, "closed", (json_int_t)o->was.closed_at,
                        "comment", o->was.comment, "letter_no", o->was.letter_no, "letter_date", o->was.letter_date);
  char *text = json_canonical(b);
  json_decref(b);
  return text;
}

static void wait_below(struct filing *f, int most) {
  pthread_mutex_lock(&f->lock);
  while (f->flying > most) pthread_cond_wait(&f->less, &f->lock);
  pthread_mutex_unlock(&f->lock);
}

static int file_all(struct import *m, struct err *err) {
  struct filing f = {.lock = PTHREAD_MUTEX_INITIALIZER, .less = PTHREAD_COND_INITIALIZER, .m = m};
  struct case_import *i = m->k;
  for (size_t n = 0; n < i->rows; n++) {
    struct flight *k = base_alloc(sizeof *k);
    struct err why;
    k->f = &f;
    k->o = &m->list[n];
    k->body = body_of(k->o);
    k->s = (struct case_submission){.service = i->service, .data = k->o->data, .key = k->o->key, .body = k->body, .caller = "import", .intake = INTAKE_PAPER,
                                    .lang = LANG_FA, .at = k->o->at, .imported = &k->o->was, .actor = {.kind = ACTOR_SYSTEM}};
    wait_below(&f, FLYING - 1);
    pthread_mutex_lock(&f.lock);
    f.flying++;
    pthread_mutex_unlock(&f.lock);
    if (cases_submit(m->c, &k->s, filed, k, &why)) filed(k, -1, &why);
    if (i->progress && n % 256 == 255) i->progress(i->ctx, n + 1, i->rows);
  }
  wait_below(&f, 0);
  if (i->progress) i->progress(i->ctx, i->rows, i->rows);
  pthread_mutex_destroy(&f.lock);
  pthread_cond_destroy(&f.less);
  return i->wrong ? err_set(err, ERR_CONFLICT, "%zu of %zu cases were not taken", i->wrong, i->rows) : 0;
}

static int import_rows(struct import *m, struct err *err) {
  json_t *seen = json_object();
  for (size_t n = 0; n < m->k->rows; n++) judge(m, n, seen);
  json_decref(seen);
  if (arena_overflowed(m->arena)) return err_set(err, ERR_TOO_LARGE, "the file is too large: divide it");
  if (m->k->wrong) return err_set(err, ERR_INVALID, "%zu mistakes: nothing was written", m->k->wrong);
  return m->k->dry ? 0 : file_all(m, err);
}

int cases_import(struct cases *c, const char *data, size_t n, struct case_import *k, struct err *err) {
  struct import m = {.c = c, .k = k, .csv = csv_read(data, n, err)};
  unsigned line = 0;
  int skip = 0, rc;
  k->rows = k->made = k->same = k->wrong = 0;
  if (!m.csv) {
    if (sscanf(err->message, "line %u: %n", &line, &skip) != 1) skip = 0;
    wrong(&m, line ? line : 1, err->message + skip);
    return -1;
  }
  if (k->service->mandate.present || k->service->about_field || k->service->staff_only) {
    csv_free(m.csv);
    return err_set(err, ERR_UNSUPPORTED, "requests for this service cannot be of before");
  }
  k->rows = csv_rows(m.csv);
  m.arena = arena_new(n * 2 + 1024 * 1024);
  m.list = base_alloc((k->rows + 1) * sizeof *m.list);
  relax(&m, k->service);
  rc = known_head(&m, data, n) ? import_rows(&m, err) : err_set(err, ERR_INVALID, "the header row is not this service's");
  for (size_t i = 0; i < k->rows; i++) json_decref(m.list[i].data);
  free(m.list);
  free(m.fields);
  free(m.each);
  free(m.columns);
  arena_free(m.arena);
  csv_free(m.csv);
  return rc;
}

/* ---- inside the transaction of its filing ---- */

int case_import_step(struct cases *c, struct store_tx *tx, const struct case_row *filed, const struct case_imported *was, struct err *err) {
  struct case_row row = *filed;
  const char *from = row.state;
  int64_t now = store_time(tx);
  bool open = row.def->states[was->state].result == RESULT_OPEN;
  if (open) case_stamp(c, &row, now); /* its clock begins now: nothing is silently decided for having been late elsewhere */
  cases_set_state(c, &row, was->state, open ? now : was->closed_at);
  row.letter_no = was->letter_no;
  row.letter_date = was->letter_date;
  json_t *p = json_object(), *imported = json_object();
  json_put(imported, "number", was->number);
  json_object_set_new(p, "imported", imported);
  if (was->comment[0]) json_put(p, "comment", was->comment);
  json_put(p, "who", "system");
  char *payload = json_canonical(p);
  json_decref(p);
  struct case_entry e = {.action = "import", .from_state = from, .to_state = row.state, .role = "system", .organisation = "", .at = now, .payload = payload};
  int rc = case_append(c, tx, &row, &e, NULL, err);
  free(payload);
  return rc;
}
