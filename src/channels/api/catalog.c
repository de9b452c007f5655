/* The catalogue for machines: CPSV-AP 3.2 in JSON-LD. */
#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

struct catalog {
  const struct pack *pack;
  const char *base;       /* what every @id begins with */
  json_t *graph, *seen;   /* nodes; @ids that have one */
};

static json_t *lang_text(const struct text *t) {
  return json_pack("[{s:s,s:s},{s:s,s:s}]", "@language", "fa", "@value", t->fa, "@language", "en", "@value", t->en);
}

static json_t *id_of(const struct catalog *c, const char *kind, const char *code) { return json_sprintf("%s/%s/%s", c->base, kind, code); }

static json_t *reference(const struct catalog *c, const char *kind, const char *code) { return json_pack("{s:o}", "@id", id_of(c, kind, code)); }

/* A node of its own, once; NULL when the graph has it. */
static json_t *node(struct catalog *c, const char *kind, const char *code, json_t *type) {
  json_t *id = id_of(c, kind, code), *o = NULL;
  if (json_object_get(c->seen, json_string_value(id))) {
    json_decref(type);
  } else {
    o = json_object();
    json_object_set(o, "@id", id);
    json_object_set_new(o, "@type", type);
    json_object_set_new(c->seen, json_string_value(id), json_true());
    json_array_append_new(c->graph, o);
  }
  json_decref(id);
  return o;
}

static void put_place(struct catalog *c, int index) {
  const struct place *p = directory_place(pack_directory(c->pack), index);
  json_t *o = p ? node(c, "places", p->code, json_string("dct:Location")) : NULL;
  if (!o) return;
  struct text name = {p->name_fa, place_name(p, LANG_EN)};
  json_put(o, "dct:identifier", p->code);
  json_object_set_new(o, "skos:prefLabel", lang_text(&name));
}

static void put_organisation(struct catalog *c, const char *code) {
  const struct directory *d = pack_directory(c->pack);
  const struct organisation *org = directory_organisation(d, directory_find_organisation(d, code));
  json_t *o = org ? node(c, "organisations", code, json_string("cv:PublicOrganisation")) : NULL;
  if (!o) return;
  struct text name = {org->name_fa, organisation_name(org, LANG_EN)};
  int where = org->place >= 0 ? org->place : 0; /* the province stands first */
  const struct place *p = directory_place(d, where);
  json_put(o, "dct:identifier", code);
  json_object_set_new(o, "skos:prefLabel", lang_text(&name));
  json_object_set_new(o, "dct:title", lang_text(&name));
  if (p) json_object_set_new(o, "dct:spatial", reference(c, "places", p->code));
  put_place(c, where);
}

static json_t *channel(struct catalog *c, const struct service *s, const char *kind) {
  char *code = base_printf("%s/%s", s->code, kind);
  json_t *o = node(c, "channels", code, json_string("cv:Channel")), *ref = reference(c, "channels", code);
  if (o) json_put(o, "dct:identifier", code);
  if (o && strcmp(kind, "web") == 0) json_object_set_new(o, "foaf:page", reference(c, "services", s->code));
  if (o) json_object_set_new(o, "cv:ownedBy", reference(c, "organisations", json_str(c->seen, "owner")));
  free(code);
  return ref;
}

static void put_events(struct catalog *c) {
  struct text title;
  for (size_t i = 0; i < pack_life_events(c->pack); i++) {
    const char *code = pack_life_event(c->pack, i, &title);
    json_t *o = node(c, "events", code, json_pack("[s,s]", "cv:Event", "cv:LifeEvent"));
    if (!o) continue;
    json_put(o, "dct:identifier", code);
    json_object_set_new(o, "dct:title", lang_text(&title));
  }
}

static void put_service(struct catalog *c, const struct service *s, const char *owner) {
  static const char *const kinds[] = {"web", "api", "ussd", "counter"};
  const bool begun = service_begun(s), open[] = {s->web && begun, s->api && begun, s->ussd && begun, s->counter && begun}; /* none while it is to come */
  json_t *o = node(c, "services", s->code, json_string("cpsv:PublicService")), *channels = json_array(), *events = json_array();
  json_put(c->seen, "owner", owner);
  json_put(o, "dct:identifier", s->identifier && s->identifier[0] ? s->identifier : s->code);
  json_object_set_new(o, "dct:title", lang_text(&s->title));
  json_object_set_new(o, "dct:description", lang_text(&s->description));
  json_object_set_new(o, "cv:hasCompetentAuthority", reference(c, "organisations", owner));
  for (size_t i = 0; i < BASE_COUNT(kinds); i++)
    if (open[i]) json_array_append_new(channels, channel(c, s, kinds[i]));
  json_object_set_new(o, "cv:hasChannel", channels);
  if (s->legal > 0) json_object_set_new(o, "cv:processingTime", json_pack("{s:s,s:o}", "@type", "xsd:duration", "@value", json_sprintf("P%dD", s->legal)));
  for (size_t k = 0; k < s->life_event_count; k++) json_array_append_new(events, reference(c, "events", s->life_events[k]));
  json_object_set_new(o, "cv:isGroupedBy", events);
  put_organisation(c, owner);
}

void api_catalog(struct http_req *r) {
  const struct api_context *ctx = api_of(r);
  const char *host = http_header(r, "Host");
  struct catalog c = {.pack = cases_pack(ctx->cases), .base = ctx->base_url, .graph = json_array(), .seen = json_object()};
  const char *here = host && !c.base[0] ? arena_printf(http_arena(r), "http://%s", host) : NULL;
  if (here) c.base = here;
  for (size_t i = 0; i < pack_services(c.pack); i++) put_service(&c, pack_service(c.pack, i), api_owner(ctx, pack_service(c.pack, i)));
  put_events(&c);
  json_decref(c.seen);
  json_t *context = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "cpsv", "http://purl.org/vocab/cpsv#", "cv", "http://data.europa.eu/m8g/", "dct", "http://purl.org/dc/terms/",
                              "skos", "http://www.w3.org/2004/02/skos/core#", "foaf", "http://xmlns.com/foaf/0.1/", "xsd", "http://www.w3.org/2001/XMLSchema#");
  json_t *o = json_pack("{s:o,s:o}", "@context", context, "@graph", c.graph);
  char *text = json_dumps(o, JSON_COMPACT);
  json_decref(o);
  if (text) http_reply_take(r, 200, "application/ld+json", text, strlen(text));
  else http_problem_code(r, ERR_LIMIT, NULL);
}
