/* What comes from the network as an answer to an echo request: raw and not, IPv4 and IPv6; nothing counts but what we sent. */
#include "network/ping.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void done(void *ctx, const struct core_result *r) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct ping *p;
  static struct sockaddr_storage from;
  if (!p) {
    struct ping_options o = {.packets = 5, .gap_ms = 1000000, .timeout_ms = 1000000, .done = done};
    p = ping_new(&o, 2);
    ping_target(p, 0, "127.0.0.9");
    ping_target(p, 1, "::1");
    ping_start(p, 0);
    ping_start(p, 1);
    inet_pton(AF_INET, "127.0.0.9", &((struct sockaddr_in *)&from)->sin_addr);
  }
  if (size < 1) return 0;
  struct ping_counters c;
  ping_take(p, data[0] & 1 ? AF_INET6 : AF_INET, data[0] & 2, data + 1, size - 1, &from, clock_mono_us(), 0);
  ping_counters(p, &c);
  if (c.received) abort();
  return 0;
}
