#include "network/checks.h"

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <stdlib.h>
#include <string.h>

enum { INTERFACES_MOST = 128, ROUNDS_MOST = 40, COLUMNS = 6 };

/* ifName, ifHCInOctets, ifHCOutOctets, ifInErrors, ifOutErrors, ifOperStatus */
static const oid columns[COLUMNS][11] = {
  {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10},
  {1, 3, 6, 1, 2, 1, 2, 2, 1, 14}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 20}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 8}};
static const size_t lengths[COLUMNS] = {11, 11, 11, 10, 10, 10};

struct interface { int64_t number; char name[64]; uint64_t value[COLUMNS]; unsigned there; };
struct before { char code[NETWORK_CODE]; int64_t number; uint64_t in, out; int64_t at; };
struct snmp_reader { struct before *before; size_t count, room; };

struct snmp_reader *snmp_reader_new(void) {
  snmp_disable_log(); /* sessions set the library up as far as version 2c needs: no files of names, no configuration */
  return base_alloc(sizeof(struct snmp_reader));
}

void snmp_reader_free(struct snmp_reader *s) {
  if (!s) return;
  free(s->before);
  free(s);
}

static struct interface *at_number(struct interface *list, int *count, int64_t number) {
  for (int i = 0; i < *count; i++)
    if (list[i].number == number) return &list[i];
  if (*count == INTERFACES_MOST) return NULL;
  list[*count] = (struct interface){.number = number};
  return &list[(*count)++];
}

/* One variable: of the column that was asked, with one number behind it, and of the right type; else the column is over. */
static bool take(const netsnmp_variable_list *v, int column, struct interface *list, int *count, oid *last) {
  if (v->name_length != lengths[column] + 1 || memcmp(v->name, columns[column], lengths[column] * sizeof(oid)) != 0) return false;
  oid number = v->name[v->name_length - 1];
  if (number > INT32_MAX || number <= *last) return false; /* an agent that goes in circles */
  *last = number;
  struct interface *i = at_number(list, count, (int64_t)number);
  if (!i) return false;
  if (column == 0) {
    if (v->type != ASN_OCTET_STR) return false;
    size_t n = v->val_len < sizeof i->name - 1 ? v->val_len : sizeof i->name - 1;
    for (size_t k = 0; k < n; k++) i->name[k] = v->val.string[k] >= 32 && v->val.string[k] < 127 ? (char)v->val.string[k] : '?';
  } else if (v->type == ASN_COUNTER64 && v->val_len == sizeof(struct counter64)) i->value[column] = (uint64_t)v->val.counter64->high << 32 | (v->val.counter64->low & 0xffffffff);
  else if ((v->type == ASN_COUNTER || v->type == ASN_INTEGER || v->type == ASN_GAUGE) && v->val_len == sizeof(long)) i->value[column] = (uint64_t)*v->val.integer & 0xffffffff;
  else return false;
  i->there |= 1u << column;
  return true;
}

static bool read_column(void *session, int column, struct interface *list, int *count) {
  oid name[12], last = 0;
  memcpy(name, columns[column], lengths[column] * sizeof(oid));
  size_t length = lengths[column];
  for (int round = 0; round < ROUNDS_MOST; round++) {
    netsnmp_pdu *ask = snmp_pdu_create(SNMP_MSG_GETBULK), *answer = NULL;
    ask->non_repeaters = 0;
    ask->max_repetitions = 32;
    snmp_add_null_var(ask, name, length);
    if (snmp_sess_synch_response(session, ask, &answer) != STAT_SUCCESS || !answer || answer->errstat != SNMP_ERR_NOERROR) {
      if (answer) snmp_free_pdu(answer);
      return false;
    }
    bool more = answer->variables != NULL;
    for (const netsnmp_variable_list *v = answer->variables; v && more; v = v->next_variable) more = take(v, column, list, count, &last);
    snmp_free_pdu(answer);
    if (!more) return true;
    name[lengths[column]] = last;
    length = lengths[column] + 1;
  }
  return true;
}

static int64_t rate(uint64_t now, uint64_t before, int64_t ms) {
  if (ms <= 0 || now < before) return -1; /* begun anew */
  double bps = (double)(now - before) * 8000.0 / (double)ms;
  return bps > 4e12 ? -1 : (int64_t)bps; /* faster than anything: not believed */
}

static struct before *before_of(struct snmp_reader *s, const char *code, int64_t number) {
  for (size_t i = 0; i < s->count; i++)
    if (s->before[i].number == number && strcmp(s->before[i].code, code) == 0) return &s->before[i];
  if (s->count == s->room) s->before = base_realloc(s->before, (s->room = s->room * 2 + 64) * sizeof *s->before);
  struct before *b = &s->before[s->count++];
  *b = (struct before){.number = number};
  snprintf(b->code, sizeof b->code, "%s", code);
  return b;
}

static json_t *rows_of(struct snmp_reader *s, const char *code, const struct interface *list, int count) {
  json_t *rows = json_array();
  int64_t mono = clock_mono();
  for (int i = 0; i < count; i++) {
    const struct interface *k = &list[i];
    if (!(k->there & 6)) continue;
    struct before *b = before_of(s, code, k->number);
    json_t *r = json_object();
    const struct { const char *name; int64_t value; } figures[] = {{"number", k->number}, {"up", k->value[5] == 1}, {"in_octets", (int64_t)(k->value[1] & INT64_MAX)},
      {"out_octets", (int64_t)(k->value[2] & INT64_MAX)}, {"in_errors", (int64_t)k->value[3]}, {"out_errors", (int64_t)k->value[4]},
      {"in_bps", b->at ? rate(k->value[1], b->in, mono - b->at) : -1}, {"out_bps", b->at ? rate(k->value[2], b->out, mono - b->at) : -1}, {"at", clock_now()}};
    for (size_t f = 0; f < BASE_COUNT(figures); f++) json_object_set_new(r, figures[f].name, json_integer(figures[f].value));
    json_put(r, "name", k->name);
    json_array_append_new(rows, r);
    b->in = k->value[1];
    b->out = k->value[2];
    b->at = mono;
  }
  return rows;
}

bool snmp_reader_read(struct snmp_reader *s, struct network *n, int node, const char *code, const char *address, const char *community) {
  netsnmp_session wanted;
  char secret[64], peer[96];
  const char *at = strchr(community, '@'); /* COMMUNITY@PORT */
  snprintf(secret, sizeof secret, "%.*s", at ? (int)(at - community) : (int)strlen(community), community);
  snprintf(peer, sizeof peer, strchr(address, ':') ? "udp6:[%s]:%s" : "udp:%s:%s", address, at ? at + 1 : "161");
  snmp_sess_init(&wanted);
  wanted.version = SNMP_VERSION_2c;
  wanted.peername = peer;
  wanted.community = (u_char *)secret;
  wanted.community_len = strlen(secret);
  wanted.timeout = 1000000;
  wanted.retries = 0;
  void *session = snmp_sess_open(&wanted);
  if (!session) return false;
  struct interface *list = base_alloc(INTERFACES_MOST * sizeof *list);
  int count = 0;
  bool ok = true;
  for (int c = 0; ok && c < COLUMNS; c++) ok = read_column(session, c, list, &count);
  snmp_sess_close(session);
  if (ok) {
    json_t *rows = rows_of(s, code, list, count);
    pthread_mutex_lock(&n->lock);
    if (n->holder) {
      const struct node *there = network_at(n, code);
      if (there) network_op(n, (struct op){.kind = OP_INTERFACES, .node = node, .code = there->o.code, .rows = json_incref(rows)});
    }
    pthread_mutex_unlock(&n->lock);
    json_decref(rows);
  }
  free(list);
  return ok;
}
