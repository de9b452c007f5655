/* What tests of the network room with real packets share: a network of the program's own (loopback alone), and the room upon a small pack. */
#ifndef NETWORK_KIT_H
#define NETWORK_KIT_H

#include "network/inner.h"
#include "network/inner_core.h"
#include "store-kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { KIT_WAIT_MS = 60000 };

__attribute__((unused)) static struct network *net;
static struct store *kit_main, *kit_samples;
static struct trust *kit_trust;
static struct directory *kit_directory;
__attribute__((unused)) static bool kit_room_pg;   /* both stores in one of PostgreSQL */

/* Answers whether this program may have a network of its own. */
__attribute__((unused)) static bool kit_alone(void) {
  if (unshare(CLONE_NEWNET)) return false;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
  if (fd >= 0) close(fd);
  return up;
}

__attribute__((unused)) static int kit_ip(const char *text) {
  char path[200];
  snprintf(path, sizeof path, "%s/batch", kit_dir);
  must(file_write(path, text, strlen(text), 0600, err));
  char *argv[] = {"ip", "-batch", path, NULL};
  return kit_run(argv, NULL, 0);
}

__attribute__((unused)) static void kit_file(const char *folder, const char *name, const char *text) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(file_write(path, text, strlen(text), 0644, err));
}

__attribute__((unused)) static void kit_said(void *ctx, const char *file, unsigned line, const char *message) { print_message("%s:%u: %s\n", file, line, message); }

/* offices: lines behind the head of offices.csv; organisation ost, place 09. */
__attribute__((unused)) static void kit_room(const char *offices, const struct network_options *o) {
  static const char *const main_rooms[] = {"store", "trust", "network", NULL}, *const sample_rooms[] = {"store", "samples", NULL};
  char folder[200], where[600], key[200];
  snprintf(folder, sizeof folder, "%s/pack", kit_dir);
  must(dir_make(folder, 0755, err));
  kit_file(folder, "places.csv", "code,parent,kind,setting,name_fa,name_en,lat,lon,population,population_year,households\n09,,province,mixed,استان,Province,,,,,\n");
  kit_file(folder, "organisations.csv", "code,kind,parent,place,class,member,name_fa,name_en,phone,unit_of\nost,agency,,09,GOV,1,استانداری,Governor,,\n");
  char *text = base_printf("code,organisation,place,level,uplinks,name_fa,name_en,lat,lon,synthetic\n%s", offices);
  kit_file(folder, "offices.csv", text);
  free(text);
  kit_directory = directory_load(folder, kit_said, NULL);
  assert_non_null(kit_directory);
  kit_new_where(kit_room_pg, where, sizeof where);
  must(store_open(where, NULL, &kit_main, err));
  must(store_migrate(kit_main, kit_room_pg ? NULL : main_rooms, err));
  kit_samples = kit_main;
  if (!kit_room_pg) {
    kit_new_where(false, where, sizeof where);
    must(store_open(where, NULL, &kit_samples, err));
    must(store_migrate(kit_samples, sample_rooms, err));
  }
  static int turn; /* what was signed with a key stands beside it */
  snprintf(key, sizeof key, "%s/key-%d.pem", kit_dir, turn++);
  struct trust_options t = {.key_file = key, .origin = "test/ledger", .node = "one"};
  must(trust_open(kit_main, &t, &kit_trust, err));
  must(network_open(kit_main, kit_samples, kit_trust, kit_directory, o, &net, err));
}

__attribute__((unused)) static void kit_room_close(void) {
  network_close(net);
  trust_close(kit_trust);
  if (kit_samples != kit_main) store_close(kit_samples);
  store_close(kit_main);
  directory_free(kit_directory);
}

__attribute__((unused)) static void kit_plan(struct network_plan_row *rows, size_t count) {
  struct network_by by = {"op", NULL};
  json_t *j;
  struct err err;
  if (network_plan(net, &by, rows, count, false, LANG_EN, &j, &err)) {
    char *text = json_dumps(json_object_get(j, "errors"), 0);
    fail_msg("%s: %s", err.message, text);
  }
  json_decref(j);
}

__attribute__((unused)) static enum network_state kit_state(const char *code) {
  struct network_office o;
  assert_int_equal(network_node(net, network_find(net, code), &o), 0);
  return o.state;
}

/* The office as its own people see it; caller frees. */
__attribute__((unused)) static json_t *kit_office(const char *code) {
  json_t *j;
  must(network_office(net, code, LANG_EN, &j, err));
  return j;
}

__attribute__((unused)) static void kit_cause(const char *code, size_t number, char out[64]) {
  json_t *j = kit_office(code);
  const char *cause = json_str(json_array_get(json_object_get(j, "check_results"), number), "cause");
  snprintf(out, 64, "%s", cause ? cause : "");
  json_decref(j);
}

#endif
