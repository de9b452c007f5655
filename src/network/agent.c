/* One agent's counters of interfaces, version 2c or 3, question by question, many agents beside each other: none is waited for. Nothing of an agent is believed that is not of the column that was
 * asked, of its type and in order. */
#include "network/checks.h"
#include "network/usm.h"

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <net-snmp/library/large_fd_set.h>
#include <net-snmp/library/snmp_transport.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS_MOST = 8, ASK_MS = 1000, ALL_MS = 5000, ASKED_MOST = 3, IN_TURN = 32 };
enum column { C_ENGINE = -2, C_UPTIME, C_NAME, C_IN, C_OUT, C_HIGH_SPEED, C_STATUS, C_IN_ERRORS, C_OUT_ERRORS, C_NAME32, C_IN32, C_OUT32, C_SPEED, COLUMNS };

/* ifName ifHCInOctets ifHCOutOctets ifHighSpeed | ifOperStatus ifInErrors ifOutErrors | ifDescr ifInOctets ifOutOctets ifSpeed */
static const oid columns[COLUMNS][11] = {
  {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10}, {1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 15},
  {1, 3, 6, 1, 2, 1, 2, 2, 1, 8}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 14}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 20},
  {1, 3, 6, 1, 2, 1, 2, 2, 1, 2}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 10}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 16}, {1, 3, 6, 1, 2, 1, 2, 2, 1, 5}};
static const size_t lengths[COLUMNS] = {11, 11, 11, 11, 10, 10, 10, 10, 10, 10, 10};
static const u_char types[COLUMNS] = {ASN_OCTET_STR, ASN_COUNTER64, ASN_COUNTER64, ASN_GAUGE, ASN_INTEGER, ASN_COUNTER, ASN_COUNTER, ASN_OCTET_STR, ASN_COUNTER, ASN_COUNTER, ASN_GAUGE};

/* The last question and what came of it: nothing yet, more of the same column is wanted, the column is whole, nothing is believed, it is to be asked again. */
enum taken { WAITING, MORE, WHOLE, WRONG, AGAIN };

struct agent {
  void *session;                       /* version 2c; NULL: version 3, through a socket of its own */
  int fd;
  struct usm usm;
  int32_t number;                      /* of the last question */
  int asked, numbers[ASKED_MOST];      /* how often it was asked, and its numbers in version 2c: an answer to any of them is one */
  bool again, denied;                  /* it was asked twice; the agent does not know the user or the password */
  struct interface list[INTERFACES_MOST];
  int count;
  int64_t uptime, until, answer_by;    /* monotonic ms: of all questions, of the last one */
  enum column column;
  int round;                           /* of the column */
  oid last;
  enum taken taken;
  bool heard, late, unsent, unknown, over, good; /* unknown: there is no such user in the file */
};

static struct interface *at_number(struct agent *k, int64_t number, bool add) {
  for (int i = 0; i < k->count; i++)
    if (k->list[i].number == number) return &k->list[i];
  if (!add || k->count == INTERFACES_MOST) return NULL;
  k->list[k->count] = (struct interface){.number = number, .up = -1};
  return &k->list[k->count++];
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
  if (c == C_HIGH_SPEED) i->speed = v * 1000000; /* told in Mbit/s */
  if (c == C_SPEED) i->speed = v == UINT32_MAX ? 0 : v;
  if (c == C_STATUS && v >= 1 && v <= 7) i->up = v == 1;
}

/* One variable: of the column that was asked with one number behind it, more than the last, and of the right type. What is of another column ends this one. */
static enum taken take(struct agent *k, const netsnmp_variable_list *v) {
  enum column c = k->column;
  if (v->type == SNMP_ENDOFMIBVIEW || v->name_length < lengths[c] || memcmp(v->name, columns[c], lengths[c] * sizeof(oid)) != 0) return WHOLE;
  if (v->name_length != lengths[c] + 1) return WRONG;
  oid number = v->name[lengths[c]];
  if (number > INT32_MAX || number <= k->last || v->type != types[c]) return WRONG; /* not of its kind, or an agent that goes in circles */
  k->last = number;
  bool wide = c == C_IN || c == C_OUT, octets = wide || c == C_IN32 || c == C_OUT32;
  struct interface *i = at_number(k, (int64_t)number, octets);
  if (!i) return MORE; /* names and errors of what has no counters, or more than we keep */
  if (c == C_NAME || c == C_NAME32) put_name(i, v->val.string, v->val_len);
  else if (wide && v->val_len == sizeof(struct counter64)) put_value(i, c, (uint64_t)v->val.counter64->high << 32 | (v->val.counter64->low & 0xffffffff));
  else if (!wide && v->val_len == sizeof(long)) put_value(i, c, (uint64_t)*v->val.integer & 0xffffffff);
  else return WRONG;
  i->there |= 1u << c;
  i->wide |= wide;
  return MORE;
}

static enum taken take_column(struct agent *k, const netsnmp_pdu *answer) {
  bool good = answer->command == SNMP_MSG_RESPONSE && answer->errstat == SNMP_ERR_NOERROR && answer->variables;
  enum taken t = good ? MORE : WRONG;
  int many = 0;
  for (const netsnmp_variable_list *v = good ? answer->variables : NULL; v && t == MORE; v = v->next_variable) t = ++many > IN_TURN ? WRONG : take(k, v);
  return t == MORE && ++k->round == ROUNDS_MOST ? WHOLE : t; /* more than we keep */
}

static const oid uptime_name[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};

/* One that does not tell how long it runs is asked all the same. */
static enum taken take_uptime(struct agent *k, const netsnmp_pdu *answer) {
  const netsnmp_variable_list *v = answer->command == SNMP_MSG_RESPONSE && answer->errstat == SNMP_ERR_NOERROR ? answer->variables : NULL;
  bool good = v && v->type == ASN_TIMETICKS && v->val_len == sizeof(long) && v->name_length == BASE_COUNT(uptime_name) && memcmp(v->name, uptime_name, sizeof uptime_name) == 0;
  if (good) k->uptime = (int64_t)((uint64_t)*v->val.integer & 0xffffffff);
  return WHOLE;
}

static enum taken take_answer(struct agent *k, const netsnmp_pdu *answer) {
  if (answer->errstat == SNMP_ERR_AUTHORIZATIONERROR || answer->errstat == SNMP_ERR_NOACCESS) k->denied = true;
  else k->heard = true;
  return k->column == C_UPTIME ? take_uptime(k, answer) : take_column(k, answer);
}

/* Within snmp_sess_read2: what is next is asked after that. */
static int heard(int operation, netsnmp_session *session, int number, netsnmp_pdu *answer, void *ctx) {
  struct agent *k = ctx;
  if (operation != NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE || !answer) return 1;
  for (int i = 0; i < k->asked; i++)
    if (k->numbers[i] == number) k->taken = take_answer(k, answer); /* else of a question before that was asked twice */
  return 1;
}

static void end(struct agent *k, bool good) {
  k->over = true;
  k->good = good && k->count > 0;
  if (!k->good) k->count = 0; /* the whole reading is thrown away */
}

/* Version 3: one message, sealed. */
static bool send_sealed(struct agent *k, netsnmp_pdu *question) {
  unsigned char pdu[USM_ASK_MOST], message[USM_ASK_MOST];
  size_t left = sizeof pdu, n = 0;
  unsigned char *end = NULL;
  if (question) {
    random_bytes(&k->number, sizeof k->number);
    question->reqid = k->number &= INT32_MAX;
    end = snmp_pdu_build(question, pdu, &left);
  }
  if (!question || end) n = usm_ask(&k->usm, question ? pdu : NULL, question ? (size_t)(end - pdu) : 0, message);
  if (!n) return false;
  ssize_t sent = send(k->fd, message, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno == ECONNREFUSED) sent = send(k->fd, message, n, MSG_DONTWAIT | MSG_NOSIGNAL); /* that was told of the one before */
  return sent == (ssize_t)n;
}

/* What was lost on the way is asked again. */
static void ask(struct agent *k, int64_t now) {
  oid name[12];
  size_t length = k->column < 0 ? BASE_COUNT(uptime_name) : lengths[k->column];
  k->taken = WAITING;
  k->asked++;
  k->answer_by = now + ASK_MS < k->until ? now + ASK_MS : k->until;
  if (k->column == C_ENGINE) {
    if (send_sealed(k, NULL)) return;
    k->unsent = true;
    return end(k, false);
  }
  netsnmp_pdu *question = snmp_pdu_create(k->column == C_UPTIME ? SNMP_MSG_GET : SNMP_MSG_GETBULK);
  memcpy(name, k->column < 0 ? uptime_name : columns[k->column], length * sizeof(oid));
  if (k->column != C_UPTIME) {
    question->non_repeaters = 0;
    question->max_repetitions = IN_TURN;
    if (k->round) name[length++] = k->last;
  }
  snmp_add_null_var(question, name, length);
  if (k->session) {
    int number = snmp_sess_async_send(k->session, question, heard, k);
    k->numbers[k->asked - 1] = number;
    if (number) return; /* it has the question now */
    snmp_free_pdu(question);
  } else {
    bool sent = send_sealed(k, question);
    snmp_free_pdu(question);
    if (sent) return;
  }
  k->unsent = true;
  end(k, false);
}

/* What has 64 bits has ifXTable's names as well; what has not, ifTable alone. */
static enum column next_column(const struct agent *k) {
  switch (k->column) {
  case C_ENGINE: return C_UPTIME;
  case C_UPTIME: return C_IN;
  case C_IN: return C_OUT;
  case C_OUT: return k->count ? C_HIGH_SPEED : C_IN32;
  case C_HIGH_SPEED: return C_NAME;
  case C_IN32: return k->count ? C_OUT32 : COLUMNS; /* it shows none at all */
  case C_OUT32: return C_SPEED;
  case C_SPEED: return C_NAME32;
  case C_NAME: case C_NAME32: return C_STATUS;
  case C_STATUS: return C_IN_ERRORS;
  case C_IN_ERRORS: return C_OUT_ERRORS;
  default: return COLUMNS;
  }
}

static void go_on(struct agent *k, int64_t now) {
  if (k->taken == WAITING && now < k->answer_by) return;
  k->late = k->taken == WAITING || (k->taken != WRONG && now >= k->until);
  if (k->taken == WRONG || now >= k->until || (k->taken == WAITING && (k->asked == ASKED_MOST || k->denied))) return end(k, false);
  if (k->taken == WAITING) return ask(k, now);
  if (k->taken != AGAIN) k->again = false;
  k->asked = 0;
  if (k->taken == WHOLE) {
    k->column = next_column(k);
    k->round = 0;
    k->last = 0;
  }
  if (k->column == COLUMNS) end(k, true);
  else ask(k, now);
}

/* COMMUNITY@PORT or NAME@PORT, taken apart. */
static const char *port_of(const char *text, char first[64]) {
  const char *at = strchr(text, '@');
  snprintf(first, 64, "%.*s", at ? (int)(at - text) : (int)strlen(text), text);
  return at ? at + 1 : "161";
}

static void open_community(struct agent *k, const char *address, const char *rest) {
  netsnmp_session wanted;
  char secret[64], peer[96];
  const char *port = port_of(rest, secret);
  snprintf(peer, sizeof peer, strchr(address, ':') ? "udp6:[%s]:%s" : "udp:%s:%s", address, port);
  snmp_sess_init(&wanted);
  wanted.version = SNMP_VERSION_2c;
  wanted.peername = peer;
  wanted.community = (u_char *)secret;
  wanted.community_len = strlen(secret);
  wanted.timeout = 1000L * 60 * ALL_MS; /* times out here alone */
  wanted.retries = 0;
  k->session = snmp_sess_open(&wanted);
  netsnmp_transport *t = k->session ? snmp_sess_transport(k->session) : NULL;
  if (t) k->fd = t->sock;
}

/* Connected: what comes from elsewhere is not taken in. */
static void open_user(struct agent *k, const char *address, const char *rest, const struct usm_user *user) {
  char name[64];
  int64_t port;
  struct sockaddr_in6 six = {.sin6_family = AF_INET6};
  struct sockaddr_in four = {.sin_family = AF_INET};
  bool v6 = strchr(address, ':') != NULL;
  if (parse_i64(port_of(rest, name), &port) || port < 1 || port > 65535) return;
  four.sin_port = six.sin6_port = htons((uint16_t)port);
  if (inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1) return;
  k->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (k->fd >= 0 && connect(k->fd, v6 ? (struct sockaddr *)&six : (struct sockaddr *)&four, v6 ? sizeof six : sizeof four)) {
    close(k->fd);
    k->fd = -1;
  }
  usm_begin(&k->usm, user);
}

struct agent *agent_begin(const char *address, const struct check *c, const struct usm_users *users) {
  struct agent *k = base_alloc(sizeof *k);
  char name[64];
  int64_t now = clock_mono();
  bool v3 = c->name[0] != 0;
  *k = (struct agent){.fd = -1, .uptime = -1, .until = now + ALL_MS, .column = v3 ? C_ENGINE : C_UPTIME};
  port_of(c->rest, name);
  const struct usm_user *user = v3 ? usm_users_find(users, name) : NULL;
  k->unknown = v3 && !user;
  if (v3 && user) open_user(k, address, c->rest, user);
  else if (!v3) open_community(k, address, c->rest);
  if (k->fd >= 0) ask(k, now);
  else {
    k->unsent = true;
    end(k, false);
  }
  return k;
}

void agent_end(struct agent *k) {
  if (!k) return;
  if (k->session) snmp_sess_close(k->session);
  else if (k->fd >= 0) close(k->fd);
  usm_end(&k->usm);
  free(k);
}

int64_t agent_boots(const struct agent *k) { return k->usm.engine_size ? k->usm.boots : -1; }

bool agent_over(const struct agent *k, enum check_cause *cause, const struct interface **list, int *count, int64_t *uptime) {
  if (!k->over) return false;
  bool none = k->column == COLUMNS && k->taken == WHOLE; /* everything was asked and well answered, and nothing was there */
  bool sealed = k->usm.engine_size && !k->heard && k->late; /* it told who it is, and nothing of what it was asked three times over: as many are where the password of privacy is wrong */
  *cause = k->good ? CHECK_OK : k->unknown ? CHECK_NO_ACCESS : k->denied || sealed ? CHECK_DENIED : k->late ? CHECK_SILENT : k->unsent ? CHECK_NOT_SENT : none ? CHECK_HIDDEN : CHECK_WRONG;
  *list = k->list;
  *count = k->count;
  *uptime = k->uptime;
  return true;
}

int64_t agents_files(struct agent *const *list, int count, int64_t until, struct pollfd *files) {
  for (int i = 0; i < count; i++) {
    files[i] = (struct pollfd){.fd = list[i]->over ? -1 : list[i]->fd, .events = POLLIN};
    int64_t by = list[i]->over ? 0 : list[i]->answer_by;
    if (by < until) until = by;
  }
  return until;
}

/* Answers are asked for again once where the agent told another time than it seemed to have; what is denied may be somebody else's lie: it is waited on. */
static void read_sealed(struct agent *k) {
  unsigned char message[USM_MESSAGE_MOST + 1], *pdu;
  size_t size;
  ssize_t n = recv(k->fd, message, sizeof message, MSG_DONTWAIT);
  if (n < 1 || n > USM_MESSAGE_MOST) return;
  enum usm_took took = usm_take(&k->usm, message, (size_t)n, &pdu, &size);
  if (took == USM_KNOWN && k->column == C_ENGINE) k->taken = WHOLE;
  if (took == USM_DENIED && k->column != C_ENGINE) k->denied = true;
  if (took == USM_TIME && k->column != C_ENGINE && !k->again) {
    k->again = true;
    k->taken = AGAIN;
  }
  if (took != USM_ANSWER || k->column == C_ENGINE) return;
  netsnmp_pdu *answer = snmp_pdu_create(SNMP_MSG_RESPONSE);
  answer->version = SNMP_VERSION_3;
  if (snmp_pdu_parse(answer, pdu, &size) == 0 && answer->command == SNMP_MSG_RESPONSE && answer->reqid == k->number) k->taken = take_answer(k, answer);
  snmp_free_pdu(answer);
}

static void read_community(struct agent *k) {
  netsnmp_large_fd_set set;
  netsnmp_large_fd_set_init(&set, k->fd + 1);
  NETSNMP_LARGE_FD_SET(k->fd, &set);
  snmp_sess_read2(k->session, &set);
  netsnmp_large_fd_set_cleanup(&set);
}

/* One message of each at a time: who floods delays nobody. */
void agents_turn(struct agent *const *list, int count, const struct pollfd *files) {
  for (int i = 0; i < count; i++) {
    if (list[i]->over) continue;
    if (files[i].revents && list[i]->session) read_community(list[i]);
    else if (files[i].revents) read_sealed(list[i]);
    go_on(list[i], clock_mono());
  }
}
