/* Services that an organisation defines itself: judged by the compiler beside the pack that is served, approved by two, then served in a pack of
 * their own (cases_serve_pack). The pack that is served is never changed under those who read it. */
#include "cases/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MOST = 256 * 1024, MISTAKES_MOST = 100 };

/* ---- judging ---- */

struct judging {
  struct cases *c;
  const char *folder, *file, *organisation;
  struct proposal_check *out;
  char code[48];
  int version;
};

static void mistake(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  struct judging *k = ctx;
  if (warning || json_array_size(k->out->mistakes) >= MISTAKES_MOST) return;
  bool ours = base_same(file, k->file);
  json_array_append_new(k->out->mistakes, json_pack("{s:s,s:i,s:s,s:b}", "file", file, "line", (int)line, "message", message, "ours", ours));
}

static void ours(struct judging *k, unsigned line, const char *message) { mistake(k, k->file, line, message, false); }

static int pack_work(struct store_tx *tx, void *arg, struct err *err) {
  struct judging *k = arg;
  return case_pack_write(tx, pack_hash(k->c->pack), k->folder, err);
}

/* The service's code and version say what its file is called; neither may lead out of the folder. */
static const char *name_of(struct judging *k, const char *text, size_t n) {
  unsigned line = 1;
  struct err why = {0};
  struct yaml_doc *doc = yaml_read(text, n, &line, &why);
  if (!doc) {
    ours(k, line, why.message);
    return NULL;
  }
  const struct yaml_node *root = yaml_root(doc), *code = yaml_get(root, "service"), *version = yaml_get(root, "version");
  const char *typed = code && code->kind == YAML_NODE_SCALAR ? code->text : "";
  int64_t v = 0;
  size_t size = strlen(typed);
  bool good = size > 0 && size <= 40 && typed[0] >= 'a' && typed[0] <= 'z' && strspn(typed, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
  if (good) snprintf(k->code, sizeof k->code, "%s", typed);
  else ours(k, code ? code->line : 1, "'service' must be a code of small letters, digits and '-' (1 to 40)");
  bool counted = version && version->kind == YAML_NODE_SCALAR && parse_i64(version->text, &v) == 0 && v >= 1 && v <= 9999;
  if (!counted) ours(k, version ? version->line : 1, "'version' must be a number from 1 to 9999");
  k->version = (int)v;
  yaml_doc_free(doc);
  return good && counted ? k->code : NULL;
}

static const char *code_of(const struct pack *p, int organisation) {
  const struct organisation *o = directory_organisation(pack_directory(p), organisation);
  return o ? o->code : "";
}

/* What the compiler cannot know: whose it is, and that it takes nothing from others. */
static void judge_owner(struct judging *k, const struct pack *p, const struct service *s) {
  if (strcmp(code_of(p, s->organisation), k->organisation) != 0) ours(k, s->line, "'owner' must be your own organisation");
  if (s->valid_from <= cases_today()) ours(k, s->line, "'valid_from' must be a day to come: it is approved first");
  const struct registry *g = s->record.registry ? pack_find_registry(p, s->record.registry) : NULL;
  if (g && strcmp(code_of(p, g->organisation), k->organisation) != 0) ours(k, s->line, "'outputs.record' writes into another organisation's registry");
  for (size_t i = 0; i < pack_versions(k->c->pack); i++) {
    const struct service *other = pack_version(k->c->pack, i);
    if (strcmp(other->code, s->code) != 0) continue;
    if (strcmp(code_of(k->c->pack, other->organisation), k->organisation) != 0) {
      ours(k, s->line, "this code belongs to another organisation's service: choose another");
      return;
    }
    if (other->version >= s->version) {
      ours(k, s->line, "'version' must be higher than those that there are");
      return;
    }
  }
}

static void file_of(char out[96], const char *service, int64_t version) {
  snprintf(out, 96, version == 1 ? "services/%s.yaml" : "services/%s-v%lld.yaml", service, (long long)version);
}

static int judge(struct judging *k, const char *text, size_t n, struct err *err) {
  char name[96];
  file_of(name, k->code, k->version);
  char *full = base_printf("%s/%s", k->folder, name);
  FILE *there = fopen(full, "r");
  k->file = name;
  int rc = 0;
  if (there) {
    fclose(there);
    ours(k, 1, "this version is there already: give the change the next version");
  } else if ((rc = file_write(full, text, n, 0600, err)) == 0) {
    struct pack_report report = {.line = mistake, .ctx = k};
    struct pack *p = pack_compile(k->folder, &report);
    const struct service *s = p ? pack_find_version(p, k->code, k->version) : NULL;
    if (s) judge_owner(k, p, s);
    if (s && json_array_size(k->out->mistakes) == 0) {
      k->out->pack = p;
      k->out->service = s;
    } else {
      pack_unref(p);
      if (json_array_size(k->out->mistakes) == 0) ours(k, 1, "this is no service");
    }
  }
  free(full);
  k->file = "services/new.yaml";
  return rc;
}

void proposal_check_free(struct proposal_check *out) {
  pack_unref(out->pack);
  json_decref(out->mistakes);
  memset(out, 0, sizeof *out);
}

/* One at a time: a compilation takes the memory of a whole pack. */
int cases_proposal_check(struct cases *c, const char *organisation, const char *text, size_t n, struct proposal_check *out, struct err *err) {
  static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
  const char *tmp = getenv("TMPDIR");
  struct judging k = {.c = c, .organisation = organisation, .out = out, .file = "services/new.yaml"};
  *out = (struct proposal_check){.mistakes = json_array()};
  if (n > TEXT_MOST || !utf8_valid(text, n) || memchr(text, 0, n)) {
    ours(&k, 1, "a definition is a text in UTF-8 of at most 256 KiB");
    return 0;
  }
  if (!name_of(&k, text, n)) return 0;
  if (pthread_mutex_trylock(&one)) return err_set(err, ERR_UNAVAILABLE, "another definition is being judged: try again in a moment");
  char *folder = base_printf("%s/chapar-proposal-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
  int rc = mkdtemp(folder) ? 0 : err_set(err, ERR_UNAVAILABLE, "no folder for temporary files");
  k.folder = folder;
  if (rc == 0) {
    rc = store_read(c->store, pack_work, &k, err);
    if (rc == 0) rc = judge(&k, text, n, err);
    case_folder_drop(folder);
  }
  pthread_mutex_unlock(&one);
  free(folder);
  snprintf(out->code, sizeof out->code, "%s", k.code);
  out->version = k.version;
  if (rc) proposal_check_free(out);
  return rc;
}

/* ---- proposing, approving, withdrawing ---- */

struct proposing {
  const struct actor *who;
  const char *organisation, *text, *id, *detail;
  const struct proposal_check *check;
  enum { ACT_APPROVES, ACT_WITHDRAWS } what;
};

static int told(struct store_tx *tx, const struct actor *who, const char *kind, const char *organisation, const char *service, int64_t version, struct err *err) {
  json_t *detail = json_pack("{s:I}", "version", (json_int_t)version);
  int rc = identity_act_put(tx, &(struct act){.kind = kind, .who = who->username, .organisation = organisation, .subject = service, .detail = detail}, err);
  json_decref(detail);
  return rc;
}

static int propose_work(struct store_tx *tx, void *arg, struct err *err) {
  struct proposing *k = arg;
  char slot[96];
  int64_t others = 0;
  k->detail = NULL;
  snprintf(slot, sizeof slot, "%s/%d", k->check->code, k->check->version);
  if (store_value(tx, &others, 0, err, "SELECT COUNT(*) FROM proposal WHERE slot=?1", "t", slot)) return -1;
  if (others) {
    k->detail = "case.proposal_there";
    return err_set(err, ERR_CONFLICT, "this version was proposed already");
  }
  if (store_exec(tx, err, "INSERT INTO proposal (id,organisation,service,version,slot,definition,at,who,approver,operator,ended) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,'','','')",
                 "tttittit", k->id, k->organisation, k->check->code, (int64_t)k->check->version, slot, k->text, clock_now(), k->who->username) < 0)
    return -1;
  return told(tx, k->who, "definition_upload", k->organisation, k->check->code, k->check->version, err);
}

int cases_propose(struct cases *c, const struct actor *who, const char *organisation, const char *text, struct proposal_check *check, char id[33], const char **detail,
                  struct err *err) {
  unsigned char raw[16];
  struct proposing k = {.who = who, .organisation = organisation, .text = text, .id = id, .check = check};
  *detail = NULL;
  if (!identity_manages(who, organisation)) return err_set(err, ERR_NOT_FOUND, "no such organisation");
  if (cases_proposal_check(c, organisation, text, strlen(text), check, err)) return -1;
  if (!check->pack) return err_set(err, ERR_INVALID, "the definition has mistakes");
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, id);
  int rc = store_write(c->store, STORE_FRONT, propose_work, &k, err);
  *detail = k.detail;
  return rc;
}

static int refuse(struct proposing *k, const char *detail, struct err *err) {
  k->detail = detail;
  return err_set(err, ERR_CONFLICT, "%s", detail);
}

/* Three people: who proposed it, somebody else of the organisation, and an operator who is neither. */
static int approve(struct proposing *k, struct store_tx *tx, const char *organisation, const char *who, const char *approver, const char *operator_, struct err *err) {
  const char *me = k->who->username;
  if (strcmp(who, me) == 0 || strcmp(approver, me) == 0 || strcmp(operator_, me) == 0) return refuse(k, "case.proposal_yours", err);
  if (!approver[0] && actor_has_role(k->who, organisation, STAFF_MANAGER))
    return store_put(tx, err, "UPDATE proposal SET approver=?2 WHERE id=?1", "tt", k->id, me);
  if (!operator_[0] && actor_has_role(k->who, NULL, STAFF_OPERATOR)) return store_put(tx, err, "UPDATE proposal SET operator=?2 WHERE id=?1", "tt", k->id, me);
  return refuse(k, "case.proposal_done", err);
}

static int act_work(struct store_tx *tx, void *arg, struct err *err) {
  struct proposing *k = arg;
  char organisation[48] = "", service[48] = "", who[64] = "", approver[64] = "", operator_[64] = "", ended[64] = "";
  int64_t version = 0;
  k->detail = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT organisation,service,version,who,approver,operator,ended FROM proposal WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(organisation, sizeof organisation, "%s", store_text(r, 0));
    snprintf(service, sizeof service, "%s", store_text(r, 1));
    version = store_int(r, 2);
    snprintf(who, sizeof who, "%s", store_text(r, 3));
    snprintf(approver, sizeof approver, "%s", store_text(r, 4));
    snprintf(operator_, sizeof operator_, "%s", store_text(r, 5));
    snprintf(ended, sizeof ended, "%s", store_text(r, 6));
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0 || !identity_manages(k->who, organisation)) return err_set(err, ERR_NOT_FOUND, "no such proposal");
  if (ended[0]) return refuse(k, "case.proposal_ended", err);
  if (k->what == ACT_APPROVES) rc = approve(k, tx, organisation, who, approver, operator_, err);
  else if (approver[0] && operator_[0]) rc = refuse(k, "case.proposal_approved", err);
  else rc = store_put(tx, err, "UPDATE proposal SET ended=?2,slot=id WHERE id=?1", "tt", k->id, k->who->username);
  return rc ? -1 : told(tx, k->who, k->what == ACT_APPROVES ? "definition_approve" : "definition_withdraw", organisation, service, version, err);
}

int cases_proposal_act(struct cases *c, const struct actor *who, const char *id, bool approves, const char **detail, struct err *err) {
  struct proposing k = {.who = who, .id = id, .what = approves ? ACT_APPROVES : ACT_WITHDRAWS};
  int rc = store_write(c->store, STORE_FRONT, act_work, &k, err);
  *detail = k.detail;
  return rc;
}

/* ---- reading ---- */

struct reading {
  struct cases *c;
  const struct actor *who;
  const char *organisation, *id;
  json_t *list;
};

/* Served: the pack of this process has this version, and with this text. */
static const char *state_of(struct cases *c, const struct store_rows *r) {
  if (store_text(r, 8)[0]) return "withdrawn";
  if (c && pack_find_version(c->pack, store_text(r, 2), (int)store_int(r, 3))) return "served";
  if (store_text(r, 6)[0] && store_text(r, 7)[0]) return "approved";
  return "waiting";
}

static json_t *proposal_json(struct cases *c, const struct store_rows *r) {
  char at[32];
  clock_rfc3339(store_int(r, 4), at);
  json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:s,s:s}", "id", store_text(r, 0), "organisation", store_text(r, 1), "service", store_text(r, 2), "version",
                        (json_int_t)store_int(r, 3), "at", at, "who", store_text(r, 5));
  json_put(o, "approver", store_text(r, 6)[0] ? store_text(r, 6) : NULL);
  json_put(o, "operator", store_text(r, 7)[0] ? store_text(r, 7) : NULL);
  json_put(o, "state", state_of(c, r));
  return o;
}

#define PROPOSALS "SELECT id,organisation,service,version,at,who,approver,operator,ended,definition FROM proposal "

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  json_array_clear(k->list);
  struct store_rows *r = k->id ? store_select(tx, err, PROPOSALS "WHERE id=?1", "t", k->id)
                       : k->organisation ? store_select(tx, err, PROPOSALS "WHERE organisation=?1 ORDER BY at DESC,id LIMIT 100", "t", k->organisation)
                                         : store_select(tx, err, PROPOSALS "ORDER BY at DESC,id LIMIT 100", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    if (!identity_manages(k->who, store_text(r, 1))) continue;
    json_t *one = proposal_json(k->c, r);
    if (k->id) json_put(one, "text", store_text(r, 9));
    json_array_append_new(k->list, one);
  }
  store_done(r);
  return rc;
}

int cases_proposals(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err) {
  struct reading k = {c, who, organisation, NULL, json_array()};
  if (store_read(c->store, list_work, &k, err)) {
    json_decref(k.list);
    return -1;
  }
  *out = k.list;
  return 0;
}

int cases_proposal(struct cases *c, const struct actor *who, const char *id, json_t **out, struct err *err) {
  struct reading k = {c, who, NULL, id, json_array()};
  int rc = store_read(c->store, list_work, &k, err);
  if (rc == 0 && json_array_size(k.list) == 0) rc = err_set(err, ERR_NOT_FOUND, "no such proposal");
  if (rc == 0) *out = json_incref(json_array_get(k.list, 0));
  json_decref(k.list);
  return rc;
}

int cases_proposal_mistakes(struct cases *c, const struct actor *who, const char *id, json_t **mistakes, struct err *err) {
  struct proposal_check check = {0};
  json_t *one = NULL;
  if (cases_proposal(c, who, id, &one, err)) return -1;
  const char *text = json_str(one, "text");
  int rc = base_same(json_str(one, "state"), "waiting") ? cases_proposal_check(c, json_str(one, "organisation"), text, strlen(text), &check, err) : 0;
  *mistakes = rc ? NULL : check.mistakes ? json_incref(check.mistakes) : json_array();
  proposal_check_free(&check);
  json_decref(one);
  return rc;
}

/* ---- what is to be served ---- */

struct due {
  const struct pack *without; /* NULL: all of them */
  json_t *list;
};

static int approved_work(struct store_tx *tx, void *arg, struct err *err) {
  struct due *k = arg;
  json_t *one;
  size_t i;
  int rc;
  json_array_clear(k->list);
  struct store_rows *r = store_select(tx, err, "SELECT id,service,version FROM proposal WHERE approver<>'' AND operator<>'' AND ended='' ORDER BY service,version", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    char name[96];
    if (k->without && pack_find_version(k->without, store_text(r, 1), (int)store_int(r, 2))) continue;
    file_of(name, store_text(r, 1), store_int(r, 2));
    json_array_append_new(k->list, json_pack("{s:s,s:s}", "id", store_text(r, 0), "file", name));
  }
  store_done(r);
  if (rc < 0) return -1;
  json_array_foreach(k->list, i, one) {
    if (!(r = store_select(tx, err, "SELECT definition FROM proposal WHERE id=?1", "t", json_str(one, "id")))) return -1;
    if ((rc = store_next(r, err)) == 1) json_put(one, "text", store_text(r, 0));
    store_done(r);
    if (rc != 1) return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "no such proposal");
  }
  return 0;
}

int cases_proposals_approved(struct store *s, const struct pack *without, json_t **out, struct err *err) {
  struct due k = {without, json_array()};
  if (store_read(s, approved_work, &k, err)) {
    json_decref(k.list);
    return -1;
  }
  *out = k.list;
  return 0;
}

int cases_pack_folder(struct cases *c, const char *folder, struct err *err) {
  struct judging k = {.c = c, .folder = folder};
  return store_read(c->store, pack_work, &k, err);
}
