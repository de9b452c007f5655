/*
 * Counters of interfaces: from a real snmpd (a process of this test's, in a network of its own), and from an agent of ours that lies in every way we know.
 */
#include "network-kit.h"
#include "network/checks.h"
#include "network/usm.h"

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

/* ---- an agent that says what it is told to ------------------------------------------------------------------------------ */

enum mode { HONEST, NARROW, WRONG_ID, WRONG_TYPE, CUT_SHORT, HUGE, LATE, TWICE, CIRCLES, MANY, GARBAGE, ELSEWHERE, NO_UPTIME, ERROR, EMPTY, LOSSY };

static struct {
  int fd, port;
  pthread_t thread;
  atomic_bool stop;
  atomic_int mode, asked;            /* asked: questions so far */
  _Atomic uint64_t in, out;
  _Atomic int64_t uptime;
} agent;

struct message { unsigned char bytes[65000]; size_t at; }; /* written from behind */

static void put_bytes(struct message *m, const void *p, size_t n) {
  assert_true(m->at >= n);
  m->at -= n;
  memcpy(m->bytes + m->at, p, n);
}

/* Tag and length before what was put since `end`. */
static void put_head(struct message *m, unsigned char tag, size_t end) {
  size_t n = end - m->at;
  unsigned char head[5] = {tag, 0x83, (unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n}, small[2] = {tag, (unsigned char)n};
  if (n < 128) put_bytes(m, small, 2);
  else put_bytes(m, head, 5);
}

static void put_number(struct message *m, unsigned char tag, uint64_t v) {
  size_t end = m->at;
  unsigned char c;
  do {
    c = (unsigned char)v;
    put_bytes(m, &c, 1);
    v >>= 8;
  } while (v);
  if (c & 128) put_bytes(m, "", 1);
  put_head(m, tag, end);
}

/* Numbers up to 2^28 are enough here. */
static void put_oid(struct message *m, const uint32_t *id, size_t n) {
  size_t end = m->at;
  for (size_t i = n; i-- > 2;) {
    unsigned char c = id[i] & 127;
    put_bytes(m, &c, 1);
    for (uint32_t v = id[i] >> 7; v; v >>= 7) {
      c = (unsigned char)(128 | (v & 127));
      put_bytes(m, &c, 1);
    }
  }
  unsigned char first = (unsigned char)(id[0] * 40 + id[1]);
  put_bytes(m, &first, 1);
  put_head(m, 6, end);
}

struct question { unsigned char command; uint32_t id[32]; size_t count; unsigned char number[8]; size_t digits; unsigned char community[64]; size_t community_size; };

static bool open_tlv(const unsigned char **at, const unsigned char *end, unsigned char *tag, size_t *n) {
  if (end - *at < 2) return false;
  *tag = *(*at)++;
  *n = *(*at)++;
  if (*n & 128)
    for (size_t k = *n & 127, i = *n = 0; i < k && *at < end; i++) *n = *n << 8 | *(*at)++;
  return (size_t)(end - *at) >= *n;
}

/* sequence { version, community, pdu { id, a, b, sequence { sequence { oid, … } } } } */
static bool read_question(const unsigned char *at, size_t size, struct question *q) {
  const unsigned char *end = at + size;
  unsigned char tag;
  size_t n;
  memset(q, 0, sizeof *q);
  if (!open_tlv(&at, end, &tag, &n) || !open_tlv(&at, end, &tag, &n)) return false;
  at += n;
  if (!open_tlv(&at, end, &tag, &n) || n > sizeof q->community) return false;
  memcpy(q->community, at, q->community_size = n);
  at += n;
  if (!open_tlv(&at, end, &q->command, &n) || !open_tlv(&at, end, &tag, &n) || n > sizeof q->number) return false;
  memcpy(q->number, at, q->digits = n);
  at += n;
  for (int i = 0; i < 2; i++) {
    if (!open_tlv(&at, end, &tag, &n)) return false;
    at += n;
  }
  if (!open_tlv(&at, end, &tag, &n) || !open_tlv(&at, end, &tag, &n) || !open_tlv(&at, end, &tag, &n) || tag != 6 || n < 1) return false;
  q->id[q->count++] = *at / 40;
  q->id[q->count++] = *at % 40;
  for (size_t i = 1; i < n && q->count < 32; i++) {
    q->id[q->count] = q->id[q->count] << 7 | (at[i] & 127);
    q->count += !(at[i] & 128);
  }
  return true;
}

static const uint32_t table[] = {1, 3, 6, 1, 2, 1, 2, 2, 1}, wide_table[] = {1, 3, 6, 1, 2, 1, 31, 1, 1, 1}, beyond[] = {1, 3, 6, 1, 2, 1, 99, 1, 0};

/* One row of a column; bottom first, so what is told last is put first. */
static void put_row(struct message *m, const struct question *q, size_t column_at, uint32_t number, enum mode mode) {
  size_t end = m->at, value_end = m->at;
  bool wide = column_at == BASE_COUNT(wide_table);
  uint32_t id[32], column = q->id[column_at];
  memcpy(id, q->id, sizeof id);
  id[column_at + 1] = number;
  if ((wide && column == 1) || (!wide && column == 2)) {
    static const unsigned char filler[60000] = {0};
    put_bytes(m, mode == HUGE ? filler : (const unsigned char *)"eth", mode == HUGE ? sizeof filler : 3);
    put_head(m, 4, value_end);
  } else if (wide && column == 15) put_number(m, 0x42, 2500);
  else if (wide) put_number(m, mode == WRONG_TYPE ? 0x41 : 0x46, (column == 6 ? agent.in : agent.out) + number);
  else if (column == 10 || column == 16) put_number(m, 0x41, ((column == 10 ? agent.in : agent.out) + number) & 0xffffffff);
  else put_number(m, column == 8 ? 2 : column == 5 ? 0x42 : 0x41, column == 5 ? 1000000000 : 1);
  put_oid(m, id, column_at + 2);
  put_head(m, 0x30, end);
}

static void put_rows(struct message *m, const struct question *q, enum mode mode) {
  size_t end = m->at;
  bool wide = q->count > 10 && memcmp(q->id, wide_table, sizeof wide_table) == 0, known = wide || (q->count > 9 && memcmp(q->id, table, sizeof table) == 0);
  size_t column_at = wide ? BASE_COUNT(wide_table) : BASE_COUNT(table);
  uint32_t after = known && q->count > column_at + 1 ? q->id[column_at + 1] : 0, last = mode == MANY ? after + 30 : mode == HUGE ? 1 : 2;
  put_number(m, 2, 0);
  put_oid(m, beyond, BASE_COUNT(beyond));
  put_head(m, 0x30, end);
  if (!known || mode == ELSEWHERE || (mode == NARROW && wide)) return;
  if (mode == MANY) m->at = end; /* never at an end */
  if (mode == CIRCLES) put_row(m, q, column_at, 1, mode);
  for (uint32_t i = last; i > after; i--) put_row(m, q, column_at, i, mode);
}

static void answer(const struct question *q, enum mode mode, struct message *m) {
  static const uint32_t uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
  size_t end = m->at = sizeof m->bytes;
  unsigned char number[8];
  if (mode == EMPTY) {
  } else if (q->command == 0xa0) {
    if (mode == NO_UPTIME) {
      put_bytes(m, "\x80", 2); /* noSuchObject */
    } else put_number(m, 0x43, (uint64_t)agent.uptime);
    put_oid(m, uptime, BASE_COUNT(uptime));
    put_head(m, 0x30, end);
  } else put_rows(m, q, mode);
  put_head(m, 0x30, end);
  put_number(m, 2, 0);
  put_number(m, 2, mode == ERROR ? 5 : 0);
  memcpy(number, q->number, sizeof number);
  if (mode == WRONG_ID) number[q->digits - 1] ^= 1;
  size_t here = m->at;
  put_bytes(m, number, q->digits);
  put_head(m, 2, here);
  put_head(m, 0xa2, end);
  here = m->at;
  put_bytes(m, q->community, q->community_size);
  put_head(m, 4, here);
  put_number(m, 2, 1);
  put_head(m, 0x30, end);
}

static void *agent_main(void *ctx) {
  struct message *m = base_alloc(sizeof *m);
  unsigned char bytes[2000];
  struct sockaddr_in from;
  while (!agent.stop) {
    struct pollfd ready = {agent.fd, POLLIN, 0};
    socklen_t size = sizeof from;
    if (poll(&ready, 1, 50) < 1) continue;
    ssize_t n = recvfrom(agent.fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
    struct question q;
    if (n <= 0 || !read_question(bytes, (size_t)n, &q)) continue;
    enum mode mode = (enum mode)agent.mode;
    answer(&q, mode, m);
    agent.asked++;
    size_t length = sizeof m->bytes - m->at;
    if (mode == CUT_SHORT) length -= 3;
    if (mode == LATE) kit_sleep(1100);
    if (mode == LOSSY && agent.asked % 4 == 1) continue;
    if (mode == GARBAGE) random_bytes(m->bytes + m->at, length);
    for (int i = 0; i < (mode == TWICE ? 2 : 1); i++)
      if (sendto(agent.fd, m->bytes + m->at, length, 0, (struct sockaddr *)&from, size) < 0) print_message("the agent cannot send\n");
  }
  free(m);
  return NULL;
}

static int free_port(int *fd) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a;
  *fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(*fd, (struct sockaddr *)&a, size), 0);
  assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &size), 0);
  return ntohs(a.sin_port);
}

/* ---- snmpd --------------------------------------------------------------------------------------------------------------------- */

static struct { int port; pid_t pid; char secret[64], narrow[64], wrong[64]; } real;
static struct usm_users *users;

static void start_snmpd(void) {
  char path[200], text[1000];
  if (!real.port) {
    int fd;
    real.port = free_port(&fd);
    close(fd);
    snprintf(real.secret, sizeof real.secret, "secret@%d", real.port);
    snprintf(real.narrow, sizeof real.narrow, "narrow@%d", real.port);
    snprintf(real.wrong, sizeof real.wrong, "wrong@%d", real.port);
  }
  snprintf(path, sizeof path, "%s/snmpd.conf", kit_dir);
  snprintf(text, sizeof text, "createUser sealed SHA-256 \"a password\" AES \"another password\"\nrouser sealed priv\ncreateUser open SHA-512 \"a password\"\nrouser open auth\n"
           "createUser apart SHA-256 \"a password\" AES \"another password\"\nagentaddress udp:127.0.0.1:%d\ninterface_fadeout 1\nrwcommunity secret 127.0.0.1\nview old included .1.3.6.1.2.1.1\nview old included .1.3.6.1.2.1.2\nrocommunity narrow 127.0.0.1 -V old\nview blind included .1.3.6.1.2.1.1\nrocommunity blind 127.0.0.1 -V blind\n", real.port);
  must(file_write(path, text, strlen(text), 0600, err));
  real.pid = fork();
  if (real.pid == 0) {
    char *argv[] = {"snmpd", "-f", "-r", "-Lf", "/dev/null", "-C", "-c", path, NULL};
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    setenv("SNMP_PERSISTENT_DIR", kit_dir, 1);
    setenv("MIBS", "", 1);
    execv("/usr/sbin/snmpd", argv);
    _exit(127);
  }
}

static void stop_snmpd(void) {
  if (real.pid <= 0) return;
  kill(real.pid, SIGKILL);
  waitpid(real.pid, NULL, 0);
  real.pid = 0;
}

struct seen { struct interface list[INTERFACES_MOST]; int count; int64_t uptime; };

static void turn(struct agent *const *list, int count) {
  struct pollfd files[AGENTS_MOST];
  int64_t ms = agents_files(list, count, clock_mono() + 1000, files) - clock_mono();
  poll(files, (nfds_t)count, ms > 0 ? (int)ms : 0);
  agents_turn(list, count, files);
}

static enum check_cause look_as(struct seen *s, const char *name, const char *rest) {
  struct check c = {.kind = CHECK_SNMP};
  snprintf(c.name, sizeof c.name, "%s", name);
  snprintf(c.rest, sizeof c.rest, "%s", rest);
  struct agent *k = agent_begin("127.0.0.1", &c, users);
  const struct interface *list;
  enum check_cause cause;
  while (!agent_over(k, &cause, &list, &s->count, &s->uptime)) turn(&k, 1);
  memcpy(s->list, list, (size_t)s->count * sizeof *list);
  agent_end(k);
  return cause;
}

static enum check_cause look(struct seen *s, const char *community) { return look_as(s, "", community); }

static enum check_cause look_user(struct seen *s, const char *user) {
  char rest[64];
  snprintf(rest, sizeof rest, "%s@%d", user, real.port);
  return look_as(s, "3", rest);
}

static const struct interface *named(const struct seen *s, const char *name) {
  for (int i = 0; i < s->count; i++)
    if (strcmp(s->list[i].name, name) == 0) return &s->list[i];
  return NULL;
}

static void until_answers(struct seen *s, const char *community) {
  for (int64_t end = clock_mono() + KIT_WAIT_MS; look(s, community) != CHECK_OK; kit_sleep(20))
    if (clock_mono() > end || waitpid(real.pid, NULL, WNOHANG) == real.pid) fail_msg("snmpd does not answer");
}

/* Its table of interfaces is read anew every second, not every fifteen. */
static void keep_fresh(void) {
  static const oid timeout[] = {1, 3, 6, 1, 4, 1, 8072, 1, 5, 3, 1, 2, 1, 3, 6, 1, 2, 1, 2, 2};
  netsnmp_session s;
  char peer[60];
  long one = 1;
  snprintf(peer, sizeof peer, "udp:127.0.0.1:%d", real.port);
  snmp_sess_init(&s);
  s.version = SNMP_VERSION_2c;
  s.peername = peer;
  s.community = (u_char *)(uintptr_t)"secret";
  s.community_len = 6;
  void *session = snmp_sess_open(&s);
  netsnmp_pdu *set = snmp_pdu_create(SNMP_MSG_SET), *got = NULL;
  snmp_pdu_add_variable(set, timeout, BASE_COUNT(timeout), ASN_INTEGER, &one, sizeof one);
  assert_int_equal(snmp_sess_synch_response(session, set, &got), STAT_SUCCESS);
  assert_int_equal(got->errstat, SNMP_ERR_NOERROR);
  snmp_free_pdu(got);
  snmp_sess_close(session);
}

static void traffic(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char bytes[1000] = {0};
  int fd;
  to.sin_port = htons((uint16_t)free_port(&fd));
  for (int i = 0; i < 200; i++) assert_int_equal(sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&to, sizeof to), sizeof bytes);
  close(fd);
}

static void a_real_agent(void **state) {
  struct seen s, old;
  start_snmpd();
  until_answers(&s, real.secret);
  keep_fresh();
  const struct interface *lo = named(&s, "lo");
  assert_true(lo && lo->wide && lo->up == 1);
  assert_true(s.uptime >= 0);
  uint64_t before = lo->in;
  traffic();
  for (int64_t end = clock_mono() + KIT_WAIT_MS; (lo = named(&s, "lo"))->in < before + 200 * 1000; kit_sleep(100)) {
    if (clock_mono() > end) fail_msg("the counter stands at %llu", (unsigned long long)lo->in);
    assert_int_equal(look(&s, real.secret), CHECK_OK);
  }
  /* the same, of an agent that has no more than 32 bits */
  assert_int_equal(look(&old, real.narrow), CHECK_OK);
  const struct interface *narrow = named(&old, "lo");
  assert_true(narrow && !narrow->wide && narrow->up == 1);
  assert_true(narrow->in >= (lo->in & 0xffffffff));
  /* one whose view leaves the interfaces out shows none: that is what is told */
  char blind[64];
  snprintf(blind, sizeof blind, "blind@%d", real.port);
  assert_int_equal(look(&old, blind), CHECK_HIDDEN);
  /* whoever does not know the community hears nothing */
  assert_int_equal(look(&old, real.wrong), CHECK_SILENT);
  assert_int_equal(old.count, 0);
}

/* ---- version 3 ---- */

static const char users_file[] = "name,user,auth,auth_password,priv,priv_password\nsealed,sealed,sha256,a password,aes128,another password\nopen,open,sha512,a password,,\n"
  "low,sealed,sha256,a password,,\nno-auth,sealed,sha256,no password,aes128,another password\nno-priv,sealed,sha256,a password,aes128,no password\n"
  "digest,sealed,sha1,a password,aes128,another password\nnobody,nobody,sha256,a password,,\napart,apart,sha256,a password,aes128,another password\n";

/* RFC 3414, A.3.2; and what the file may not be. */
static void keys(void **state) {
  unsigned char key[USM_KEY_MOST], own[USM_KEY_MOST];
  static const unsigned char engine[12] = {[11] = 2};
  char hex[60], path[200];
  struct err why;
  usm_password_key(0, "maplesyrup", key);
  hex_encode(key, 20, hex);
  assert_string_equal(hex, "9fb5cc0381497b3793528939ff788d5d79145211");
  usm_engine_key(0, key, engine, sizeof engine, own);
  hex_encode(own, 20, hex);
  assert_string_equal(hex, "6695febc9288e36282235fc7151f128497b38f3f");
  static const char *const wrong[] = {"name,user\na,b\n", "a,b,md5,password1,,", "a,b,sha256,short,,", "a,b,sha256,password1,des,password2", "a,b,sha256,password1,aes128,", "a b,b,sha256,password1,,",
    ",b,sha256,password1,,", "a,,sha256,password1,,", "a,b,sha256,password1,,\na,c,sha256,password1,,", "a,b"};
  for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
    char *text = base_printf("%s%s\n", i ? "name,user,auth,auth_password,priv,priv_password\n" : "", wrong[i]);
    assert_null(usm_users_parse(text, strlen(text), "users.csv", &why));
    assert_true(why.code != ERR_NONE && why.message[0]);
    assert_null(strstr(why.message, "password1")); /* it goes into the log */
    free(text);
  }
  snprintf(path, sizeof path, "%s/users.csv", kit_dir);
  must(file_write(path, users_file, strlen(users_file), 0640, err));
  assert_null(usm_users_read(path, &why));
  assert_non_null(strstr(why.message, "chmod 600"));
  assert_int_equal(chmod(path, 0600), 0);
  users = usm_users_read(path, &why);
  assert_non_null(users);
}

static void version_3(void **state) {
  struct seen s;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(look_user(&s, i ? "open" : "sealed"), CHECK_OK);
    assert_true(named(&s, "lo") && named(&s, "lo")->wide && named(&s, "lo")->up == 1 && s.uptime >= 0);
  }
  static const char *const denied[] = {"low", "no-auth", "no-priv", "digest", "nobody", "apart"}; /* the last may not see anything */
  struct agent *k[BASE_COUNT(denied)];
  for (size_t i = 0; i < BASE_COUNT(denied); i++) {
    struct check c = {.kind = CHECK_SNMP, .name = "3"};
    snprintf(c.rest, sizeof c.rest, "%s@%d", denied[i], real.port);
    k[i] = agent_begin("127.0.0.1", &c, users);
  }
  for (size_t i = 0; i < BASE_COUNT(denied); i++) {
    const struct interface *list;
    enum check_cause cause;
    int count;
    int64_t uptime;
    while (!agent_over(k[i], &cause, &list, &count, &uptime)) turn(k, BASE_COUNT(denied));
    if (cause != CHECK_DENIED || count) fail_msg("%s: %s", denied[i], check_cause_text(cause));
    assert_int_equal(count, 0);
  }
  for (size_t i = 0; i < BASE_COUNT(denied); i++) agent_end(k[i]);
  assert_int_equal(look_user(&s, "missing"), CHECK_NO_ACCESS);
  assert_int_equal(look_user(&s, "sealed"), CHECK_OK);
}

/* Between us and a real snmpd: what it says is changed on the way. */
enum lie { WELL, STRIPPED, FLIPPED, PLAYED_AGAIN, FORGED_DENIAL, FORGED_DENIAL_FIRST, SHORT, OTHER_ENGINE, LOSES, FALLS_SILENT };
static struct { int fd, to, port; pthread_t thread; atomic_int lie; atomic_bool stop; } between;

/* A message in which the numbers are ours: that of a report nobody proved. */
static size_t forge(const unsigned char *question, size_t n, unsigned char *out, unsigned char counter) {
  const unsigned char *at = question, *end = question + n, *id;
  unsigned char tag;
  size_t size = 0, id_size = 0;
  struct message *m = base_alloc(sizeof *m);
  assert_true(open_tlv(&at, end, &tag, &size) && open_tlv(&at, end, &tag, &size));
  at += size;
  assert_true(open_tlv(&at, end, &tag, &size) && open_tlv(&at, end, &tag, &id_size));
  id = at;
  size_t all = m->at = sizeof m->bytes, here;
  put_number(m, 0x41, 1);
  put_oid(m, (uint32_t[]){1, 3, 6, 1, 6, 3, 15, 1, 1, counter, 0}, 11);
  put_head(m, 0x30, all);
  put_head(m, 0x30, all);
  for (int i = 0; i < 3; i++) put_number(m, 2, 0);
  put_head(m, 0xa8, all);
  put_head(m, 4, m->at);
  put_head(m, 4, m->at);
  put_head(m, 0x30, all);
  here = m->at;
  put_head(m, 4, m->at);
  put_head(m, 4, m->at);
  put_head(m, 4, m->at);
  put_number(m, 2, 7);
  put_number(m, 2, INT32_MAX);
  size_t engine = m->at;
  put_bytes(m, "\x80\0\0\0\5" "lies", 9);
  put_head(m, 4, engine);
  put_head(m, 0x30, here);
  put_head(m, 4, here);
  here = m->at;
  put_number(m, 2, 3);
  size_t flags = m->at;
  put_bytes(m, "", 1);
  put_head(m, 4, flags);
  put_number(m, 2, 8192);
  size_t number = m->at;
  put_bytes(m, id, id_size);
  put_head(m, 2, number);
  put_head(m, 0x30, here);
  put_number(m, 2, 3);
  put_head(m, 0x30, all);
  size = all - m->at;
  memcpy(out, m->bytes + m->at, size);
  free(m);
  return size;
}

static void *between_main(void *ctx) {
  static unsigned char question[9000], answer[9000], before[9000], forged[400];
  size_t before_size = 0;
  int lost = 0;
  struct sockaddr_in from;
  while (!between.stop) {
    struct pollfd ready[2] = {{between.fd, POLLIN, 0}, {between.to, POLLIN, 0}};
    socklen_t size = sizeof from;
    if (poll(ready, 2, 50) < 1) continue;
    enum lie lie = (enum lie)between.lie;
    if (ready[0].revents) {
      ssize_t n = recvfrom(between.fd, question, sizeof question, 0, (struct sockaddr *)&from, &size);
      if (n <= 0) continue;
      if (lie == FORGED_DENIAL || lie == FORGED_DENIAL_FIRST || lie == OTHER_ENGINE) {
        size_t f = forge(question, (size_t)n, forged, lie == OTHER_ENGINE ? 4 : 5);
        if (sendto(between.fd, forged, f, 0, (struct sockaddr *)&from, size) < 0) print_message("nothing forged\n");
      }
      if (lie != FORGED_DENIAL && send(between.to, question, (size_t)n, 0) < 0) continue; /* nobody there */
    }
    if (!ready[1].revents) continue;
    ssize_t n = recv(between.to, answer, sizeof answer, 0);
    if (n <= 20) continue;
    static unsigned char sent[9000];
    size_t length = (size_t)n;
    if (lie == LOSES && ++lost % 5 == 2) continue;
    if (lie == FALLS_SILENT && lost++ > 1) continue; /* it told who it is, and one answer */
    if (lie == WELL) lost = 0;
    memcpy(sent, answer, length);
    if (lie == FLIPPED) sent[length - 3] ^= 4;
    if (lie == SHORT) length -= 2;
    if (lie == PLAYED_AGAIN && before_size) memcpy(sent, before, length = before_size);
    if (lie == STRIPPED) /* its flags say that nothing was to be proven */
      for (size_t i = 0; i + 3 < 40; i++)
        if (sent[i] == 4 && sent[i + 1] == 1 && sent[i + 2] & 1) { sent[i + 2] = 0; break; }
    if (lie != PLAYED_AGAIN) memcpy(before, answer, before_size = (size_t)n);
    size = sizeof from;
    if (sendto(between.fd, sent, length, 0, (struct sockaddr *)&from, size) < 0) continue;
  }
  return NULL;
}

static enum check_cause look_through(struct seen *s, enum lie lie) {
  char rest[64];
  between.lie = lie;
  snprintf(rest, sizeof rest, "sealed@%d", between.port);
  return look_as(s, "3", rest);
}

static void lies_of_version_3(void **state) {
  struct seen s;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)real.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  between.port = free_port(&between.fd);
  between.to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(between.to, (struct sockaddr *)&a, sizeof a), 0);
  pthread_create(&between.thread, NULL, between_main, NULL);
  assert_int_equal(look_through(&s, WELL), CHECK_OK);
  /* what is not genuine is as if it had not come: the agent is there, and no more is known */
  static const enum lie lies[] = {STRIPPED, FLIPPED, FORGED_DENIAL, OTHER_ENGINE};
  for (size_t i = 0; i < BASE_COUNT(lies); i++) {
    enum check_cause cause = look_through(&s, lies[i]);
    if (cause != CHECK_DENIED && cause != CHECK_SILENT) fail_msg("lie %d: %s", lies[i], check_cause_text(cause));
    assert_int_equal(s.count, 0);
  }
  assert_int_equal(look_through(&s, SHORT), CHECK_SILENT);
  assert_int_equal(look_through(&s, PLAYED_AGAIN), CHECK_SILENT); /* of another question */
  assert_int_equal(look_through(&s, FORGED_DENIAL_FIRST), CHECK_OK); /* beside the true answers */
  assert_int_equal(look_through(&s, WELL), CHECK_OK);
  /* what is lost on the way is asked again, and who falls silent does not answer: nothing else is said of it */
  assert_int_equal(look_through(&s, LOSES), CHECK_OK);
  char through[64];
  snprintf(through, sizeof through, "secret@%d", between.port);
  assert_int_equal(look(&s, through), CHECK_OK);
  assert_int_equal(look_through(&s, WELL), CHECK_OK);
  assert_int_equal(look_through(&s, FALLS_SILENT), CHECK_SILENT);
  between.stop = true;
  pthread_join(between.thread, NULL);
  close(between.fd);
  close(between.to);
}

static json_t *interface_of(const char *code, const char *name) { /* borrowed of *office */
  static json_t *office;
  json_decref(office);
  office = code ? kit_office(code) : NULL;
  size_t i;
  json_t *one;
  json_array_foreach(json_object_get(office, "interfaces"), i, one)
    if (base_same(json_str(one, "name"), name)) return one;
  return NULL;
}

#define until(condition)                                                      \
  for (int64_t end_ = clock_mono() + KIT_WAIT_MS; !(condition); kit_sleep(20)) \
    if (clock_mono() > end_) fail_msg("never: %s", #condition)

static bool cause_is(const char *code, const char *cause) {
  char is[64];
  kit_cause(code, 0, is);
  return strcmp(is, cause) == 0;
}

static void in_the_room(void **state) {
  char checks[4][80], shown[80];
  snprintf(checks[0], sizeof checks[0], "icmp snmp:%s", real.secret);
  snprintf(checks[1], sizeof checks[1], "icmp snmp:%s", real.wrong);
  snprintf(checks[2], sizeof checks[2], "icmp snmp3:sealed@%d", real.port);
  snprintf(checks[3], sizeof checks[3], "icmp snmp3:no-auth@%d", real.port);
  struct network_plan_row rows[] = {{.line = 2, .code = "C-1", .address = "127.0.0.1"}, {.line = 3, .code = "R-1", .address = "127.0.0.1", .checks = checks[0]},
    {.line = 4, .code = "R-2", .address = "127.0.0.1", .checks = checks[1]}, {.line = 5, .code = "P-00", .address = "127.0.0.1", .checks = checks[2]},
    {.line = 6, .code = "P-01", .address = "127.0.0.1", .checks = checks[3]}};
  kit_plan(rows, 5);
  must(network_start(net, err));
  until(interface_of("R-1", "lo") && json_is_integer(json_object_get(interface_of("R-1", "lo"), "in_bps")));
  assert_true(json_is_true(json_object_get(interface_of("R-1", "lo"), "up")));
  until(kit_state("R-1") == NETWORK_UP && cause_is("R-1", "ok"));
  until(kit_state("R-2") == NETWORK_DEGRADED && cause_is("R-2", "no_answer"));
  assert_null(interface_of("R-2", "lo"));
  json_t *j = kit_office("R-1");
  assert_string_equal(json_str(j, "checks"), "icmp snmp:*"); /* as good as a password */
  char *text = json_dumps(j, 0);
  assert_null(strstr(text, "secret"));
  free(text);
  json_decref(j);
  /* version 3 in the same way; who is refused is not called silent, and no password is anywhere */
  until(interface_of("P-00", "lo") && cause_is("P-00", "ok"));
  until(kit_state("P-01") == NETWORK_DEGRADED && cause_is("P-01", "access_denied"));
  j = kit_office("P-01");
  snprintf(shown, sizeof shown, "icmp snmp3:no-auth@%d", real.port);
  assert_string_equal(json_str(j, "checks"), shown);
  json_decref(j);
  /* an interface comes and goes */
  assert_int_equal(kit_ip("link add v0 type veth peer name v1\n"), 0);
  until(interface_of("R-1", "v0"));
  assert_false(json_is_true(json_object_get(interface_of("R-1", "v0"), "up")));
  assert_int_equal(kit_ip("link del v0\n"), 0);
  until(!interface_of("R-1", "v0") && interface_of("R-1", "lo"));
  /* begun anew: nothing is told of the time between */
  struct seen later;
  stop_snmpd();
  until(cause_is("R-1", "no_answer") && kit_state("R-1") == NETWORK_DEGRADED);
  int64_t started = clock_mono();
  start_snmpd();
  until_answers(&later, real.secret);
  assert_true(later.uptime * 10 <= clock_mono() - started + 1000);
  until(cause_is("R-1", "ok") && kit_state("R-1") == NETWORK_UP);
  until(cause_is("P-00", "ok") && kit_state("P-00") == NETWORK_UP); /* its engine began anew, too */
  struct network_plan_row away[] = {{.line = 2, .code = "R-1", .active = "0"}, {.line = 3, .code = "R-2", .active = "0"}, {.line = 4, .code = "P-00", .active = "0"}, {.line = 5, .code = "P-01", .active = "0"}};
  kit_plan(away, 4);
  stop_snmpd();
}

/* ---- what is not so ---------------------------------------------------------------------------------------------------------------- */

static void rates(void **state) {
  const uint64_t wrap = 1ull << 32;
  assert_int_equal(snmp_rate(2000, 1000, 1000, true, false, 0), 8000);
  assert_int_equal(snmp_rate(500, wrap - 500, 1000, false, false, 0), 8000);           /* turned over */
  assert_int_equal(snmp_rate(500, wrap - 500, 1000, false, true, 0), -1);              /* begun anew */
  assert_int_equal(snmp_rate(500, wrap - 500, 1000, true, false, 0), -1);              /* backwards */
  assert_int_equal(snmp_rate(UINT64_MAX, UINT64_MAX - 1000, 1000, true, false, 0), 8000);
  assert_int_equal(snmp_rate(UINT64_MAX, 0, 1000, true, false, 0), -1);                /* faster than anything */
  assert_int_equal(snmp_rate(0, 1000, 1000, false, false, 1000000000), -1);            /* a turn that the line could not make: backwards */
  /* begun anew: runs shorter, or not for as much longer as passed; it turns over after 497 days */
  assert_false(snmp_rebooted(7000, 1000, 60000));
  assert_false(snmp_rebooted(6600, 1000, 60000));
  assert_false(snmp_rebooted(5000, (int64_t)UINT32_MAX - 999, 60000));
  assert_true(snmp_rebooted(999, 1000, 0));
  assert_true(snmp_rebooted(4000, 3000, 60000)); /* 30 s of age, then 40 s a minute later */
  assert_true(snmp_rebooted(4000, 400000000, 60000));
  assert_true(snmp_rebooted(-1, 1000, 60000));
  assert_true(snmp_rebooted(1000, -1, 60000));
  assert_int_equal(snmp_rate(2000, 1000, 0, true, false, 0), -1);
  assert_int_equal(snmp_rate(2000, 1000, -5, true, false, 0), -1);
}

static void lies(void **state) {
  static const struct { enum mode mode; enum check_cause cause; int count; bool wide; } all[] = {
    {HONEST, CHECK_OK, 2, true}, {NARROW, CHECK_OK, 2, false}, {TWICE, CHECK_OK, 2, true}, {HUGE, CHECK_OK, 1, true}, {MANY, CHECK_OK, INTERFACES_MOST, true}, {NO_UPTIME, CHECK_OK, 2, true}, {LOSSY, CHECK_OK, 2, true},
    {WRONG_TYPE, CHECK_WRONG, 0, false}, {CIRCLES, CHECK_WRONG, 0, false}, {ELSEWHERE, CHECK_HIDDEN, 0, false}, {ERROR, CHECK_WRONG, 0, false}, {EMPTY, CHECK_WRONG, 0, false},
    {WRONG_ID, CHECK_SILENT, 0, false}, {CUT_SHORT, CHECK_SILENT, 0, false}, {GARBAGE, CHECK_SILENT, 0, false}, {LATE, CHECK_SILENT, 0, false}, {HONEST, CHECK_OK, 2, true}};
  char community[64];
  struct seen s;
  snprintf(community, sizeof community, "any@%d", agent.port);
  agent.in = 5000000000;
  agent.out = 7;
  agent.uptime = 100;
  for (size_t i = 0; i < BASE_COUNT(all); i++) {
    agent.mode = all[i].mode;
    int64_t began = clock_mono();
    enum check_cause cause = look(&s, community);
    if (cause != all[i].cause || s.count != all[i].count) fail_msg("mode %d: %s, %d interfaces", all[i].mode, check_cause_text(cause), s.count);
    if (all[i].cause == CHECK_SILENT) assert_true(clock_mono() - began >= 900); /* it was waited for */
    if (!s.count) continue;
    assert_int_equal(s.list[0].wide, all[i].wide);
    assert_int_equal(s.list[0].in, all[i].wide ? 5000000001 : 5000000001 & 0xffffffff);
    assert_int_equal(s.list[0].out, 8);
    assert_int_equal(s.list[0].speed, all[i].wide ? 2500000000 : 1000000000);
    assert_int_equal(s.uptime, all[i].mode == NO_UPTIME ? -1 : 100);
    assert_true(strlen(s.list[0].name) < sizeof s.list[0].name);
  }
}

static char *rows_text(const char *code) {
  json_t *j = kit_office(code);
  char *text = json_dumps(json_object_get(j, "interfaces"), JSON_SORT_KEYS);
  json_decref(j);
  return text;
}

/* More questions than three readings have: what was asked when we came is over. */
static void some_readings(void) {
  int before = agent.asked;
  until(agent.asked > before + 30);
}

static void lies_in_the_room(void **state) {
  char checks[80];
  agent.mode = HONEST;
  agent.in = 1000;
  agent.uptime = 1000;
  snprintf(checks, sizeof checks, "icmp snmp:any@%d", agent.port);
  struct network_plan_row row = {.line = 2, .code = "L-1", .address = "127.0.0.1", .checks = checks};
  kit_plan(&row, 1);
  until(interface_of("L-1", "eth") && json_is_integer(json_object_get(interface_of("L-1", "eth"), "in_bps")));
  assert_int_equal(json_int(interface_of("L-1", "eth"), "in_bps", -1), 0);
  /* always begun anew, or backwards: no rate */
  agent.uptime = 999;
  until(json_is_null(json_object_get(interface_of("L-1", "eth"), "in_bps")));
  until(json_is_integer(json_object_get(interface_of("L-1", "eth"), "in_bps"))); /* two readings of one run */
  agent.mode = NO_UPTIME;
  until(json_is_null(json_object_get(interface_of("L-1", "eth"), "in_bps")));
  some_readings();
  assert_true(json_is_null(json_object_get(interface_of("L-1", "eth"), "in_bps")));
  assert_int_equal(kit_state("L-1"), NETWORK_UP);
  /* not of its kind: stated, and nothing of it is taken */
  agent.mode = WRONG_TYPE;
  agent.in = 777777;
  until(cause_is("L-1", "wrong_answer") && kit_state("L-1") == NETWORK_DEGRADED);
  char *was = rows_text("L-1");
  until(agent.asked > 0);
  int before = agent.asked;
  until(agent.asked > before + 4);
  char *is = rows_text("L-1");
  assert_string_equal(was, is);
  free(was);
  free(is);
  agent.mode = HONEST;
  until(cause_is("L-1", "ok") && kit_state("L-1") == NETWORK_UP);
  interface_of(NULL, "");
}

/* ---- many at once ------------------------------------------------------------------------------------------------------------------- */

enum { TOGETHER = 12, SILENT = 3, FLOOD = 100, PATIENT_MS = 900 };

/* Agents that answer the first question of a reading only when all of them have been asked theirs within the time that one question has: one after the other, none would ever be answered. */
static struct {
  int fd[TOGETHER + SILENT + 1], port[TOGETHER + SILENT + 1];
  struct { struct question q; struct sockaddr_in from; int64_t at; } waits[TOGETHER];
  pthread_t thread;
  atomic_bool stop;
} crowd;

static void send_to(int fd, const struct question *q, const struct sockaddr_in *to, enum mode mode, struct message *m) {
  answer(q, mode, m);
  for (int i = 0; i < (mode == WRONG_ID ? FLOOD : 1); i++)
    if (sendto(fd, m->bytes + m->at, sizeof m->bytes - m->at, 0, (const struct sockaddr *)to, sizeof *to) < 0) print_message("an agent cannot send\n");
}

static void crowd_hears(int i, struct message *m) {
  unsigned char bytes[2000];
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  struct question q;
  ssize_t n = recvfrom(crowd.fd[i], bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);
  if (n <= 0 || !read_question(bytes, (size_t)n, &q)) return;
  if (i == TOGETHER) return send_to(crowd.fd[i], &q, &from, WRONG_ID, m); /* the liar, a hundred times each */
  if (q.command != 0xa0) return send_to(crowd.fd[i], &q, &from, HONEST, m);
  crowd.waits[i].q = q;
  crowd.waits[i].from = from;
  crowd.waits[i].at = clock_mono();
  for (int k = 0; k < TOGETHER; k++)
    if (crowd.waits[k].at < clock_mono() - PATIENT_MS) return;
  for (int k = 0; k < TOGETHER; k++) {
    send_to(crowd.fd[k], &crowd.waits[k].q, &crowd.waits[k].from, HONEST, m);
    crowd.waits[k].at = 0;
  }
}

static void *crowd_main(void *ctx) {
  struct message *m = base_alloc(sizeof *m);
  while (!crowd.stop) {
    struct pollfd ready[TOGETHER + 1];
    for (int i = 0; i <= TOGETHER; i++) ready[i] = (struct pollfd){crowd.fd[i], POLLIN, 0};
    if (poll(ready, TOGETHER + 1, 50) < 1) continue;
    for (int i = 0; i <= TOGETHER; i++)
      if (ready[i].revents) crowd_hears(i, m);
  }
  free(m);
  return NULL;
}

static bool all_are(const char *cause, int from, int to) {
  char code[8];
  for (int i = from; i < to; i++) {
    snprintf(code, sizeof code, "P-%02d", i);
    if (!cause_is(code, cause)) return false;
  }
  return true;
}

static void many_at_once(void **state) {
  enum { ALL = TOGETHER + SILENT + 1 };
  static char codes[ALL][8], checks[ALL][80];
  struct network_plan_row rows[ALL];
  for (int i = 0; i < ALL; i++) {
    crowd.port[i] = free_port(&crowd.fd[i]); /* the last ones are never read: silent */
    snprintf(codes[i], sizeof codes[i], "P-%02d", i);
    snprintf(checks[i], sizeof checks[i], "icmp snmp:any@%d", crowd.port[i]);
    rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = codes[i], .address = "127.0.0.1", .checks = checks[i], .active = "1"};
  }
  agent.in = 1000;
  agent.uptime = 1000;
  pthread_create(&crowd.thread, NULL, crowd_main, NULL);
  kit_plan(rows, ALL);
  until(all_are("ok", 0, TOGETHER) && all_are("no_answer", TOGETHER, ALL));
  for (int i = 0; i < ALL; i++) rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = codes[i], .active = "0"};
  kit_plan(rows, ALL);
  crowd.stop = true;
  pthread_join(crowd.thread, NULL);
  for (int i = 0; i < ALL; i++) close(crowd.fd[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rates), cmocka_unit_test(keys), cmocka_unit_test(lies), cmocka_unit_test(a_real_agent), cmocka_unit_test(version_3), cmocka_unit_test(lies_of_version_3), cmocka_unit_test(in_the_room), cmocka_unit_test(many_at_once), cmocka_unit_test(lies_in_the_room)};
  struct err begun;
  signal(SIGPIPE, SIG_IGN);
  if (kit_start(NULL) || language_init(&begun)) return 1;
  if (access("/usr/sbin/snmpd", X_OK) || !kit_alone()) {
    print_message("network-snmp: SKIPPED: there is no snmpd, or this program may not have a network of its own\n");
    kit_stop(NULL);
    return 77;
  }
  char path[200];
  snprintf(path, sizeof path, "%s/users.csv", kit_dir); /* made by keys */
  struct network_options o = {.node = "one", .snmp_access = path, .packets = 2, .gap_ms = 5, .timeout_ms = 500, .interval_ms = 250, .retry_ms = 50};
  struct buf offices;
  buf_init(&offices, 1 << 16);
  buf_adds(&offices, "C-1,ost,09,core,,مرکز,,,,1\nR-1,ost,09,office,C-1,الف,,,,1\nR-2,ost,09,office,C-1,ب,,,,1\nL-1,ost,09,office,C-1,پ,,,,1\n");
  for (int i = 0; i < TOGETHER + SILENT + 1; i++) buf_addf(&offices, "P-%02d,ost,09,office,C-1,ت,,,,1\n", i);
  kit_room(buf_str(&offices), &o);
  buf_free(&offices);
  agent.port = free_port(&agent.fd);
  pthread_create(&agent.thread, NULL, agent_main, NULL);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  stop_snmpd();
  kit_room_close();
  agent.stop = true;
  pthread_join(agent.thread, NULL);
  close(agent.fd);
  kit_stop(NULL);
  return failed;
}
