/* A small load generator that keeps the state of each connection: one thread, one epoll, keep-alive, no allocation while it runs.
 *   bench-drive lifecycle PORT CONNECTIONS SECONDS PLAN   closed loop: create -> the actions -> search, again and again on each connection
 *   bench-drive paced PORT CONNECTIONS SECONDS RATE PLAN  open loop: RATE requests a second, each counted from the time it was due
 * It talks to 127.0.0.1 alone. PLAN has a line for each case to walk or page to ask, by tabs:
 *   lifecycle: path of the service's cases · organisation · token of an officer there · word to search for · actions by comma · body
 *   paced:     path · token
 * In a body @ID@ becomes a valid national id of ten digits and @N@ seven digits, new each time. The search is by tracking code and by word,
 * in turn, at the desk of that organisation, and must show the case. Prints one line for each kind of request and one for all. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 20, PLANS = 4096, STEPS = 8, SAMPLES = 1 << 20 };

struct plan { char *path, *organisation, *token, *word, *actions[STEPS], *body; int action_count; };
struct conn {
  int fd, step;
  struct plan *plan;
  char out[16384], *in;
  size_t out_size, sent, got;
  char tracking[17];
  int64_t due, began, round;   /* µs; began: of the whole lifecycle */
  bool busy;
};
struct kind { char name[32]; int *us; size_t count; int64_t errors; };

static struct plan plans[PLANS];
static int plan_count, next_plan, port, poller;
static struct kind kinds[STEPS + 3];
static int kind_count;
static int64_t counter, warm_until, ends;
static uint64_t seed;
static bool paced;

static void fail(const char *what) {
  fprintf(stderr, "bench-drive: %s\n", what);
  exit(1);
}

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint64_t draw(void) {
  uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static struct kind *kind_of(const char *name) {
  for (int i = 0; i < kind_count; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  if (kind_count == STEPS + 3) fail("too many kinds of requests");
  struct kind *k = &kinds[kind_count++];
  snprintf(k->name, sizeof k->name, "%s", name);
  k->us = calloc(SAMPLES, sizeof *k->us);
  if (!k->us) fail("no memory");
  return k;
}

static void count(const char *name, int64_t us, bool good) {
  struct kind *k = kind_of(name);
  if (now_us() < warm_until) return;
  if (!good) k->errors++;
  else if (k->count < SAMPLES) k->us[k->count++] = (int)us;
}

static void read_plan(const char *file) {
  FILE *f = fopen(file, "r");
  char *line = NULL, *at, *word;
  size_t room = 0;
  if (!f) fail("the plan cannot be read");
  while (plan_count < PLANS && getline(&line, &room, f) > 0) {
    struct plan *p = &plans[plan_count++];
    line[strcspn(line, "\n")] = 0;
    at = strdup(line);
    p->path = strsep(&at, "\t");
    if (!paced) p->organisation = strsep(&at, "\t");
    p->token = strsep(&at, "\t");
    if (paced) continue;
    p->word = strsep(&at, "\t");
    char *list = strsep(&at, "\t");
    p->body = at;
    while (list && (word = strsep(&list, ",")) && p->action_count < STEPS) p->actions[p->action_count++] = word;
    if (!p->body) fail("a line of the plan is too short");
  }
  free(line);
  fclose(f);
  if (!plan_count) fail("the plan is empty");
}

static void national_id(char out[11]) {
  int sum = 0;
  snprintf(out, 11, "%09u", 70000000u + (unsigned)(draw() % 29999999));
  for (int i = 0; i < 9; i++) sum += (out[i] - '0') * (10 - i);
  sum %= 11;
  out[9] = (char)('0' + (sum < 2 ? sum : 11 - sum));
  out[10] = 0;
}

static size_t fill_body(const char *text, char *out, size_t room) {
  size_t n = 0;
  while (*text && n + 16 < room) {
    if (strncmp(text, "@ID@", 4) == 0) {
      national_id(out + n);
      n += 10;
      text += 4;
    } else if (strncmp(text, "@N@", 3) == 0) {
      n += (size_t)snprintf(out + n, 8, "%07u", (unsigned)(draw() % 10000000));
      text += 3;
    } else out[n++] = *text++;
  }
  out[n] = 0;
  return n;
}

static void prepare(struct conn *c) {
  char body[12000] = "";
  const struct plan *p = c->plan;
  size_t n;
  if (paced) n = (size_t)snprintf(c->out, sizeof c->out, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", p->path, p->token);
  else if (c->step == 0) {
    size_t size = fill_body(p->body, body, sizeof body);
    n = (size_t)snprintf(c->out, sizeof c->out, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nIdempotency-Key: %llx-%lld\r\nContent-Length: %zu\r\n\r\n%s",
                         p->path, (unsigned long long)seed, (long long)++counter, size, body);
  } else if (c->step <= p->action_count) {
    size_t size = (size_t)snprintf(body, sizeof body, "{\"expected_version\":%d}", c->step);
    n = (size_t)snprintf(c->out, sizeof c->out, "POST /api/v1/cases/%s/actions/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nIdempotency-Key: %d\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                         c->tracking, p->actions[c->step - 1], c->step, p->token, size, body);
  } else n = (size_t)snprintf(c->out, sizeof c->out, "GET /api/v1/desk/cases?organisation=%s&q=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n",
                              p->organisation, c->round % 2 ? p->word : c->tracking, p->token);
  if (n >= sizeof c->out) fail("a request is too long");
  c->out_size = n;
  c->sent = c->got = 0;
}

static void push(struct conn *c) {
  while (c->sent < c->out_size) {
    ssize_t n = write(c->fd, c->out + c->sent, c->out_size - c->sent);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) fail("the server closed a connection");
    c->sent += (size_t)n;
  }
}

static void start(struct conn *c, int64_t due) {
  c->busy = true;
  c->due = due;
  if (c->step == 0) {
    c->plan = &plans[paced ? draw() % (unsigned)plan_count : (unsigned)(next_plan++ % plan_count)];
    c->began = due;
  }
  prepare(c);
  push(c);
}

static const char *name_of(const struct conn *c) {
  if (paced) return "page";
  if (c->step == 0) return "create";
  if (c->step <= c->plan->action_count) return c->plan->actions[c->step - 1];
  return c->round % 2 ? "search by word" : "search by code";
}

static void answered(struct conn *c, int status, const char *body) {
  static int told;
  int64_t now = now_us();
  bool good = status == 200 || status == 201;
  if (good && c->step == 0 && !paced) {
    const char *at = strstr(body, "\"tracking\":\"");
    if (at) snprintf(c->tracking, sizeof c->tracking, "%.16s", at + 12);
    good = at != NULL;
  }
  if (good && !paced && c->step > c->plan->action_count) good = strstr(body, c->tracking) != NULL;
  count(name_of(c), now - c->due, good);
  if (!good && told++ < 3) fprintf(stderr, "bench-drive: %s answered %d: %.300s\n", name_of(c), status, body);
  c->busy = false;
  if (paced) return;
  if (good && c->step <= c->plan->action_count) c->step++;
  else {
    if (good) count("lifecycle", now - c->began, true);
    c->step = 0;
    c->round++;
  }
  if (now < ends) start(c, now_us());
}

static void pull(struct conn *c) {
  ssize_t n = read(c->fd, c->in + c->got, ROOM - 1 - c->got);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("the server closed a connection");
  c->got += (size_t)n;
  c->in[c->got] = 0;
  char *body = strstr(c->in, "\r\n\r\n"), *length;
  if (!body) return;
  *body = 0;
  length = strcasestr(c->in, "\r\nContent-Length:");
  *body = '\r';
  if (!length) fail("an answer without Content-Length");
  size_t size = strtoull(length + 17, NULL, 10);
  body += 4;
  if ((size_t)(body - c->in) + size > ROOM - 1) fail("an answer is too long");
  if (c->got < (size_t)(body - c->in) + size) return;
  answered(c, atoi(c->in + 9), body);
}

static void dial(struct conn *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) fail("nobody answers at that port");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  c->in = malloc(ROOM);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
  if (!c->in || epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e)) fail("no memory");
}

static int by_size(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void report(double seconds) {
  struct rusage use;
  int64_t all = 0;
  for (int i = 0; i < kind_count; i++) {
    struct kind *k = &kinds[i];
    qsort(k->us, k->count, sizeof *k->us, by_size);
    if (strcmp(k->name, "lifecycle") != 0) all += (int64_t)k->count;
    printf("KIND %s RATE %.1f P50 %.2f P99 %.2f MOST %.2f ERRORS %lld\n", k->name, (double)k->count / seconds, k->count ? k->us[k->count / 2] / 1000.0 : 0.0,
           k->count ? k->us[k->count * 99 / 100] / 1000.0 : 0.0, k->count ? k->us[k->count - 1] / 1000.0 : 0.0, (long long)k->errors);
  }
  getrusage(RUSAGE_SELF, &use);
  double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
  printf("ALL REQUESTS %.1f DRIVER %.1f\n", (double)all / seconds, cpu * 1e6 / (double)(all ? all : 1)); /* a second; µs of processor a request */
}

int main(int argc, char **argv) {
  if (argc < 6) fail("usage: lifecycle PORT CONNECTIONS SECONDS PLAN | paced PORT CONNECTIONS SECONDS RATE PLAN");
  paced = strcmp(argv[1], "paced") == 0;
  if (paced && argc < 7) fail("paced needs a rate and a plan");
  port = atoi(argv[2]);
  int connections = atoi(argv[3]), seconds = atoi(argv[4]), rate = paced ? atoi(argv[5]) : 0;
  if (connections < 1 || connections > 1024 || seconds < 1 || (paced && rate < 1)) fail("a number is out of range");
  read_plan(argv[paced ? 6 : 5]);
  seed = (uint64_t)now_us() ^ (uint64_t)getpid() << 40;
  poller = epoll_create1(0);
  struct conn *conns = calloc((size_t)connections, sizeof *conns);
  if (!conns) fail("no memory");
  for (int i = 0; i < connections; i++) dial(&conns[i]);
  int64_t began = now_us();
  warm_until = began + 1000000;
  ends = warm_until + seconds * INT64_C(1000000);
  if (!paced)
    for (int i = 0; i < connections; i++) {
      conns[i].round = i;
      start(&conns[i], now_us());
    }
  for (int64_t sent = 0; now_us() < ends + 2000000;) {
    struct epoll_event e[256];
    int64_t now = now_us(), due = began + sent * 1000000 / (rate ? rate : 1);
    bool busy = false;
    for (int i = 0; i < connections; i++) {
      if (paced && !conns[i].busy && due <= now && due < ends) {
        start(&conns[i], due);
        due = began + ++sent * 1000000 / rate;
      }
      busy = busy || conns[i].busy;
    }
    if (now >= ends && !busy) break;
    int wait = !paced ? 100 : due <= now ? 1 : (int)((due - now) / 1000) + 1;
    int n = epoll_wait(poller, e, 256, wait > 100 ? 100 : wait);
    for (int i = 0; i < n; i++) {
      struct conn *c = e[i].data.ptr;
      if (!c->busy) continue;
      if (e[i].events & EPOLLOUT) push(c);
      if (e[i].events & EPOLLIN) pull(c);
    }
  }
  report(seconds);
  return 0;
}
