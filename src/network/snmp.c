/* Counters of interfaces, version 2c, one agent after the other on a thread of its own. Nothing of an agent is believed that is not of the column that was asked, of its type and in order. */
#include "network/checks.h"

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MOST = 8, ASK_MS = 1000, ALL_MS = 5000, IN_TURN = 32 };
enum column { C_NAME, C_IN, C_OUT, C_STATUS, C_IN_ERRORS, C_OUT_ERRORS, C_NAME32, C_IN32, C_OUT32, C_SPEED, COLUMNS };

/* ifName ifHCInOctets ifHCOutOctets | ifOperStatus ifInErrors ifOutErrors | ifDescr ifInOctets ifOutOctets ifSpeed */
static const oid columns[COLUMNS][11] = {
  {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10},
  {1, 3, 6, 1, 2, 1, 2, 2, 1, 8}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 14}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 20},
  {1, 3, 6, 1, 2, 1, 2, 2, 1, 2}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 10}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 16}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 5}};
static const size_t lengths[COLUMNS] = {11, 11, 11, 10, 10, 10, 10, 10, 10, 10};
static const u_char types[COLUMNS] = {ASN_OCTET_STR, ASN_COUNTER64, ASN_COUNTER64, ASN_INTEGER, ASN_COUNTER, ASN_COUNTER, ASN_OCTET_STR, ASN_COUNTER, ASN_COUNTER, ASN_GAUGE};

struct reading { void *session; struct interface *list; int *count; int64_t until; bool heard; };

static struct interface *at_number(const struct reading *k, int64_t number, bool add) {
  for (int i = 0; i < *k->count; i++)
    if (k->list[i].number == number) return &k->list[i];
  if (!add || *k->count == INTERFACES_MOST) return NULL;
  k->list[*k->count] = (struct interface){.number = number, .up = -1};
  return &k->list[(*k->count)++];
}

static void put_name(struct interface *i, const u_char *text, size_t size) {
  size_t n = size < sizeof i->name - 1 ? size : sizeof i->name - 1;
  for (size_t k = 0; k < n; k++) i->name[k] = text[k] >= 32 && text[k] < 127 ? (char)text[k] : '?';
  i->name[n] = 0;
}

static void put_value(struct interface *i, enum column c, uint64_t v) {
  if (c == C_IN || c == C_IN32) i->in = v;
  if (c == C_OUT || c == C_OUT32) i->out = v;
  if (c == C_IN_ERRORS) i->in_errors = v;
  if (c == C_OUT_ERRORS) i->out_errors = v;
  if (c == C_SPEED) i->speed = v == UINT32_MAX ? 0 : v;
  if (c == C_STATUS && v >= 1 && v <= 7) i->up = v == 1;
}

enum taken { TAKEN, OVER, WRONG };

/* One variable: of the column that was asked with one number behind it, more than the last, and of the right type. What is of another column ends this one. */
static enum taken take(const struct reading *k, const netsnmp_variable_list *v, enum column c, oid *last) {
  if (v->type == SNMP_ENDOFMIBVIEW || v->name_length < lengths[c] || memcmp(v->name, columns[c], lengths[c] * sizeof(oid)) != 0) return OVER;
  if (v->name_length != lengths[c] + 1) return WRONG;
  oid number = v->name[lengths[c]];
  if (number > INT32_MAX || number <= *last || v->type != types[c]) return WRONG; /* not of its kind, or an agent that goes in circles */
  *last = number;
  bool wide = c == C_IN || c == C_OUT, octets = wide || c == C_IN32 || c == C_OUT32;
  struct interface *i = at_number(k, (int64_t)number, octets);
  if (!i) return TAKEN; /* names and errors of what has no counters, or more than we keep */
  if (c == C_NAME || c == C_NAME32) put_name(i, v->val.string, v->val_len);
  else if (wide && v->val_len == sizeof(struct counter64)) put_value(i, c, (uint64_t)v->val.counter64->high << 32 | (v->val.counter64->low & 0xffffffff));
  else if (!wide && v->val_len == sizeof(long)) put_value(i, c, (uint64_t)*v->val.integer & 0xffffffff);
  else return WRONG;
  i->there |= 1u << c;
  i->wide |= wide;
  return TAKEN;
}

static netsnmp_pdu *ask(struct reading *k, int command, const oid *name, size_t length) {
  netsnmp_pdu *question = snmp_pdu_create(command), *answer = NULL;
  if (command == SNMP_MSG_GETBULK) {
    question->non_repeaters = 0;
    question->max_repetitions = IN_TURN;
  }
  snmp_add_null_var(question, name, length);
  if (clock_mono() > k->until || snmp_sess_synch_response(k->session, question, &answer) != STAT_SUCCESS || !answer) return NULL;
  k->heard = true;
  return answer;
}

/* false: not as it should be. What came of a column before that is not counted either: the whole reading is thrown away. */
static bool read_column(struct reading *k, enum column c) {
  oid name[12], last = 0;
  memcpy(name, columns[c], lengths[c] * sizeof(oid));
  size_t length = lengths[c];
  for (int round = 0; round < ROUNDS_MOST; round++) {
    netsnmp_pdu *answer = ask(k, SNMP_MSG_GETBULK, name, length);
    bool good = answer && answer->command == SNMP_MSG_RESPONSE && answer->errstat == SNMP_ERR_NOERROR && answer->variables;
    enum taken t = good ? TAKEN : WRONG;
    int many = 0;
    for (const netsnmp_variable_list *v = good ? answer->variables : NULL; v && t == TAKEN; v = v->next_variable) t = ++many > IN_TURN ? WRONG : take(k, v, c, &last);
    if (answer) snmp_free_pdu(answer);
    if (t != TAKEN) return t == OVER;
    name[lengths[c]] = last;
    length = lengths[c] + 1;
  }
  return true; /* more than we keep */
}

static int64_t read_uptime(struct reading *k) {
  static const oid name[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
  netsnmp_pdu *answer = ask(k, SNMP_MSG_GET, name, BASE_COUNT(name));
  const netsnmp_variable_list *v = answer && answer->command == SNMP_MSG_RESPONSE && answer->errstat == SNMP_ERR_NOERROR ? answer->variables : NULL;
  bool good = v && v->type == ASN_TIMETICKS && v->val_len == sizeof(long) && v->name_length == BASE_COUNT(name) && memcmp(v->name, name, sizeof name) == 0;
  int64_t out = good ? (int64_t)((uint64_t)*v->val.integer & 0xffffffff) : -1;
  if (answer) snmp_free_pdu(answer);
  return out;
}

static bool read_all(struct reading *k, int64_t *uptime) {
  *uptime = read_uptime(k);
  if (!k->heard) return false;
  for (enum column c = C_IN; c <= C_OUT; c++)
    if (!read_column(k, c)) return false;
  bool wide = *k->count > 0;
  for (enum column c = C_IN32; !wide && c <= C_SPEED; c++)
    if (!read_column(k, c)) return false;
  if (!read_column(k, wide ? C_NAME : C_NAME32)) return false;
  for (enum column c = C_STATUS; c <= C_OUT_ERRORS; c++)
    if (!read_column(k, c)) return false;
  return true;
}

enum check_cause agent_read(const char *address, const char *community, struct interface list[INTERFACES_MOST], int *count, int64_t *uptime) {
  netsnmp_session wanted;
  char secret[64], peer[96];
  const char *at = strchr(community, '@'); /* COMMUNITY@PORT */
  *count = 0;
  *uptime = -1;
  snprintf(secret, sizeof secret, "%.*s", at ? (int)(at - community) : (int)strlen(community), community);
  snprintf(peer, sizeof peer, strchr(address, ':') ? "udp6:[%s]:%s" : "udp:%s:%s", address, at ? at + 1 : "161");
  snmp_sess_init(&wanted);
  wanted.version = SNMP_VERSION_2c;
  wanted.peername = peer;
  wanted.community = (u_char *)secret;
  wanted.community_len = strlen(secret);
  wanted.timeout = ASK_MS * 1000;
  wanted.retries = 0;
  struct reading k = {.session = snmp_sess_open(&wanted), .list = list, .count = count, .until = clock_mono() + ALL_MS};
  if (!k.session) return CHECK_NOT_SENT;
  bool good = read_all(&k, uptime);
  snmp_sess_close(k.session);
  if (good && *count > 0) return CHECK_OK;
  *count = 0;
  return k.heard ? CHECK_WRONG : CHECK_SILENT;
}

int64_t snmp_rate(uint64_t now, uint64_t before, int64_t ms, bool wide, bool rebooted, uint64_t speed) {
  if (ms <= 0 || rebooted || (wide && now < before)) return -1;
  uint64_t passed = wide || now >= before ? now - before : now + (1ull << 32) - before;
  double bps = (double)passed * 8000.0 / (double)ms;
  return bps > 4e12 || (speed && bps > (double)speed * 1.1) ? -1 : (int64_t)bps; /* faster than anything, or than the line: not believed */
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------ */

/* What an agent said the last time. */
struct before { struct interface *list; int count; int64_t at, uptime; char address[64]; struct check check; };
struct agents { struct before *of; int room; }; /* by node */

static const struct interface *same(const struct before *b, const struct interface *i) {
  for (int k = 0; k < b->count; k++)
    if (b->list[k].number == i->number && b->list[k].wide == i->wide && strcmp(b->list[k].name, i->name) == 0) return &b->list[k];
  return NULL;
}

static int64_t fits(uint64_t v) { return (int64_t)(v & INT64_MAX); }

static json_t *rows_of(const struct before *b, const struct before *now) {
  json_t *rows = json_array();
  int64_t at = clock_now();
  bool rebooted = b->uptime < 0 || now->uptime < b->uptime; /* one that does not tell how long it runs: who knows */
  for (int i = 0; i < now->count; i++) {
    const struct interface *k = &now->list[i], *was = same(b, k);
    json_t *r = json_object();
    const struct { const char *name; int64_t value; } figures[] = {{"number", k->number}, {"up", k->up}, {"in_octets", fits(k->in)}, {"out_octets", fits(k->out)}, {"in_errors", fits(k->in_errors)},
      {"out_errors", fits(k->out_errors)}, {"in_bps", was ? snmp_rate(k->in, was->in, now->at - b->at, k->wide, rebooted, k->speed) : -1},
      {"out_bps", was ? snmp_rate(k->out, was->out, now->at - b->at, k->wide, rebooted, k->speed) : -1}, {"at", at}};
    for (size_t f = 0; f < BASE_COUNT(figures); f++) json_object_set_new(r, figures[f].name, json_integer(figures[f].value));
    json_put(r, "name", k->name);
    json_array_append_new(rows, r);
  }
  return rows;
}

/* The same moment for all rows of a reading: rows of the office that are older are of interfaces that are no more. */
static void put_rows(struct network *n, const struct asking *a, json_t *rows) {
  pthread_mutex_lock(&n->lock);
  const struct node *there = n->holder ? network_at(n, a->code) : NULL;
  if (there && base_same(there->o.address, a->address)) network_op(n, (struct op){.kind = OP_INTERFACES, .node = there->o.node, .code = there->o.code, .rows = json_incref(rows)});
  pthread_mutex_unlock(&n->lock);
}

static struct before *last_of(struct agents *k, const struct asking *a) {
  if (a->node >= k->room) {
    int room = a->node + 256;
    k->of = base_realloc(k->of, (size_t)room * sizeof *k->of);
    memset(k->of + k->room, 0, (size_t)(room - k->room) * sizeof *k->of);
    k->room = room;
  }
  struct before *b = &k->of[a->node];
  if (strcmp(b->address, a->address) == 0 && memcmp(&b->check, &a->check, sizeof b->check) == 0) return b;
  free(b->list);
  *b = (struct before){.uptime = -1, .check = a->check}; /* another agent */
  snprintf(b->address, sizeof b->address, "%s", a->address);
  return b;
}

static void read_agent(struct network *n, struct agents *k, const struct asking *a) {
  struct before *was = last_of(k, a), now = *was;
  now.list = base_alloc(INTERFACES_MOST * sizeof *now.list);
  enum check_cause cause = agent_read(a->address, a->check.rest, now.list, &now.count, &now.uptime);
  if (cause == CHECK_OK) {
    now.at = clock_mono();
    now.list = base_realloc(now.list, (size_t)now.count * sizeof *now.list);
    json_t *rows = rows_of(was, &now);
    put_rows(n, a, rows);
    json_decref(rows);
    free(was->list);
    *was = now;
  } else free(now.list);
  checks_judge(n, a, cause, 0);
}

void *network_snmp_main(void *ctx) {
  struct network *n = ctx;
  struct turns turns = {0};
  struct agents agents = {0};
  struct asking a;
  snmp_disable_log(); /* sessions set the library up as far as version 2c needs: no files of names, no configuration */
  for (bool stopping = false; !stopping;) {
    if (checks_next(n, &turns, true, &a)) read_agent(n, &agents, &a);
    else clock_wait(n->o.retry_ms < 100 ? n->o.retry_ms : 100);
    pthread_mutex_lock(&n->lock);
    stopping = n->stopping;
    pthread_mutex_unlock(&n->lock);
  }
  for (int i = 0; i < agents.room; i++) free(agents.of[i].list);
  free(agents.of);
  free(turns.due);
  return NULL;
}
