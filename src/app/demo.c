#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Accounts of the demonstration: every role once, and officers of the organisations that its best services belong to. */
static const struct { const char *username, *name, *organisation; int role; } accounts[] = {
  {"operator", "اپراتور استان", "ostandari", STAFF_OPERATOR},
  {"auditor", "حسابرس", "ostandari", STAFF_AUDITOR},
  {"helpdesk", "مرکز تماس", "ostandari", STAFF_HELPDESK},
  {"agent", "دفتر پیشخوان", "ostandari", STAFF_AGENT},
};
static const char *const desk_kinds[][2] = {{"officer", "کارشناس"}, {"supervisor", "سرپرست"}, {"manager", "مدیر"}, {"helpdesk", "پاسخ‌گوی تلفن"}};
static const int desk_roles[] = {STAFF_OFFICER, STAFF_SUPERVISOR, STAFF_MANAGER, STAFF_HELPDESK};

#define PASSWORD "chapar-demo-1405"

struct making {
  struct platform *p;
  json_t *list, *have, *known; /* have: seen in this run; known: in the store already */
  struct identity_member *missing;
  size_t count;
};

static int make(struct making *m, const char *username, const char *name, const char *organisation, int role) {
  char *mark = base_printf("%s %s %s", username, organisation, staff_role_text(role));
  if (directory_find_organisation(pack_directory(m->p->pack), organisation) >= 0 && !json_object_get(m->have, mark)) {
    json_object_set_new(m->have, mark, json_true());
    json_array_append_new(m->list, json_pack("{s:s,s:s,s:s,s:s}", "username", username, "password", PASSWORD, "organisation", organisation, "role", staff_role_text(role)));
    if (!json_object_get(m->known, mark)) {
      m->missing = base_realloc(m->missing, (m->count + 1) * sizeof *m->missing);
      m->missing[m->count++] = (struct identity_member){base_strdup(username), name, organisation, role};
    }
  }
  free(mark);
  return 0;
}

static int make_desk(struct making *m, const char *organisation) {
  int rc = 0;
  for (size_t k = 0; k < BASE_COUNT(desk_roles) && rc == 0; k++) {
    char *username = base_printf("%s.%s", organisation, desk_kinds[k][0]);
    rc = make(m, username, desk_kinds[k][1], organisation, desk_roles[k]);
    free(username);
  }
  const struct directory *d = pack_directory(m->p->pack);
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, organisation));
  if (rc == 0 && o && o->kind == ORG_DEHYARI) { /* a village office files for people too */
    char *username = base_printf("%s.agent", organisation);
    rc = make(m, username, "متصدی دهیاری", organisation, STAFF_AGENT);
    free(username);
  }
  if (rc == 0) { /* a second officer, so that four eyes can be shown */
    char *username = base_printf("%s.officer2", organisation);
    rc = make(m, username, "کارشناس دوم", organisation, STAFF_OFFICER);
    free(username);
  }
  return rc;
}

static const char *code_of(const struct directory *d, int organisation) {
  const struct organisation *o = directory_organisation(d, organisation);
  return o ? o->code : NULL;
}

/* The desks that the examples of a service reach: owner, provider, and whoever is asked. */
static int make_for(struct making *m, const struct service *s) {
  const struct directory *d = pack_directory(m->p->pack);
  const json_t *example = json_array_get(s->examples, 0);
  struct err none;
  const char *owner = code_of(d, service_owner(m->p->pack, s, example, &none)), *provider = code_of(d, s->provider);
  int rc = owner ? make_desk(m, owner) : 0;
  if (rc == 0 && provider) rc = make_desk(m, provider);
  for (size_t i = 0; i < s->inquiry_count && rc == 0; i++) {
    const char *asked = code_of(d, inquiry_organisation(m->p->pack, &s->inquiries[i], example));
    if (asked) rc = make_desk(m, asked);
  }
  return rc;
}

int demo_accounts(struct platform *p, json_t **out) {
  struct making m = {.p = p, .list = json_array(), .have = json_object(), .known = json_object()};
  struct err err;
  json_t *all = NULL, *one;
  size_t k;
  int rc = identity_staff(p->identity, NULL, &all, &err);
  json_array_foreach(all, k, one) {
    char *mark = base_printf("%s %s %s", json_str(one, "username"), json_str(one, "organisation"), json_str(one, "role"));
    json_object_set_new(m.known, mark, json_true());
    free(mark);
  }
  for (size_t i = 0; i < BASE_COUNT(accounts) && rc == 0; i++) rc = make(&m, accounts[i].username, accounts[i].name, accounts[i].organisation, accounts[i].role);
  for (size_t i = 0; i < pack_services(p->pack) && rc == 0; i++) rc = make_for(&m, pack_service(p->pack, i));
  if (rc == 0 && m.count) rc = identity_staff_many(p->identity, m.missing, m.count, PASSWORD, &err);
  for (size_t i = 0; i < m.count; i++) free((char *)m.missing[i].username);
  free(m.missing);
  json_decref(all);
  json_decref(m.have);
  json_decref(m.known);
  if (rc) {
    fprintf(stderr, "chapar: %s\n", err.message);
    json_decref(m.list);
    return -1;
  }
  *out = m.list;
  return 0;
}
