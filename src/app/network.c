/* The network room's stores and ports. */
#include "app/app.h"

#include <stdlib.h>
#include <string.h>

static bool works(void *ctx, int organisation, int32_t day) {
  const struct platform *p = ctx;
  return !p->cases || cases_calendar_works(p->cases, pack_calendar_of(p->network_pack, organisation), day); /* with closures that were declared later */
}

/* Services that an organisation, or the one whose unit it is, owns or performs; those owned by place count for every organisation of the kind. */
static int64_t services(void *ctx, const char *organisation) {
  const struct pack *p = ctx;
  const struct directory *d = pack_directory(p);
  int64_t count = 0;
  int o = directory_find_organisation(d, organisation);
  if (o < 0) return 0;
  if (directory_organisation(d, o)->unit_of >= 0) o = directory_organisation(d, o)->unit_of;
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    count += s->organisation == o || s->provider == o || (s->organisation < 0 && s->owner_kind == (int)directory_organisation(d, o)->kind);
  }
  return count;
}

static int64_t accept_ms(const struct platform *p) {
  bool own = strcmp(settings_source("accept_seconds"), "default") != 0;
  return (p->set.demo && !own ? 360 : settings_number(p->set.accept_seconds, 259200)) * INT64_C(1000);
}

static const char *maybe(const char *s) { return s && s[0] ? s : NULL; }

int platform_network(struct platform *p, struct err *err) {
  static const char *const rooms[] = {"store", "samples", NULL};
  p->samples = p->main;
  if (!p->set.store[0]) {
    char *url = base_printf("sqlite:%s/network.db", p->set.data);
    p->samples = NULL;
    int rc = store_open(url, &(struct store_options){.readers = 4}, &p->samples, err);
    if (rc == 0) rc = store_migrate(p->samples, rooms, err);
    free(url);
    if (rc) return -1;
  }
  p->network_pack = pack_ref(p->pack); /* as it was when it began: offices and places are the same in every pack that is served beside it */
  struct network_options o = {.node = p->node, .demo = p->set.demo, .anchors = maybe(p->set.probe_anchors), .source4 = maybe(p->set.probe_source), .snmp_access = maybe(p->set.snmp_access), .helper = p->prober,
                              .interval_ms = settings_number(p->set.probe_interval, 60) * 1000, .works = works, .works_ctx = p, .accept_ms = accept_ms(p), .services = services, .services_ctx = p->network_pack,
                              .tell = app_network_tell, .tell_ctx = p, .alarm = app_network_alarm, .alarm_ctx = p, .hand = app_network_hand, .hand_ctx = p};
  return network_open(p->main, p->samples, p->trust, pack_directory(p->network_pack), &o, &p->network, err);
}

int platform_network_start(struct platform *p, struct err *err) { return strcmp(p->set.probe, "no") == 0 ? 0 : network_start(p->network, err); }

void platform_network_close(struct platform *p) {
  network_close(p->network);
  if (p->samples != p->main) store_close(p->samples);
  pack_unref(p->network_pack);
  p->network = NULL;
  p->samples = NULL;
}
