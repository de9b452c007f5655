/* Mandates: accepted by the attorney alone, within their scope, until their day, while the principal lives; ended at once; offers lapse. */
#include "cases-kit.h"
#include "cases/private.h"

static bool dead;

static int known(void *ctx, const char *registry, const char *key, const char *attribute, json_t **value, struct err *err) {
  assert_string_equal(registry, "members");
  *value = dead ? json_false() : NULL;
  return 0;
}

static struct cases *node(struct kit *k) {
  struct cases *c;
  struct cases_options o = {.secret = kit_secret, .node = "two", .identity = k->identity, .notify = kit_notify, .record = kit_record, .known = known};
  must(cases_open(k->store, k->trust, k->pack, &o, &c, err));
  return c;
}

static const char *offer(struct kit *k, const struct actor *to, const char *service, const char *until) {
  json_t *data = json_pack("{s:s}", "attorney", to->national_id);
  if (service) json_put(data, "service", service);
  if (until) json_put(data, "until", until);
  struct kit_filed f = kit_try(k->cases, pack_find_version(k->pack, "proxy", 1), &k->ali, kit_new_key(k), data);
  assert_int_equal(f.code, ERR_NONE);
  return kit_keep(k, &f);
}

static enum err_code acting(struct cases *c, struct actor *who, const struct actor *principal) {
  struct err e = {0};
  who->acting_as[0] = who->acting_scope[0] = 0;
  return cases_act_for(c, who, principal->national_id, NULL, &e) ? e.code : ERR_NONE;
}

static void within_its_scope_and_its_day(void **state) {
  struct kit *k = *state;
  struct cases *c = node(k);
  struct actor zahra = kit_person(k, 7), other = kit_person(k, 8);
  const char *own = kit_tacit(k, &k->ali, "x"), *permit = kit_permit(k, &k->ali, "person"), *m = offer(k, &zahra, "tacit", "2026-06-08");
  dead = false;
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_FORBIDDEN);
  denied(kit_act(k, m, &k->ali, "accept", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, m, &other, "accept", NULL), ERR_NOT_FOUND);
  acts(kit_act(k, m, &zahra, "accept", NULL));
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_NONE);
  assert_int_equal(acting(c, &other, &k->ali), ERR_FORBIDDEN);
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_NONE);
  struct case_row row = kit_row(k, own), away = kit_row(k, permit);
  assert_int_equal(case_right_of(&zahra, &row), CASE_CITIZEN);
  assert_int_equal(case_right_of(&zahra, &away), CASE_PUBLIC);
  denied(kit_act(k, permit, &zahra, "withdraw", NULL), ERR_NOT_FOUND);
  acts(kit_act(k, own, &zahra, "withdraw", NULL));
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_event WHERE action='withdraw' AND payload LIKE '%\"mandate\":%' AND tracking=?1", own), 1);
  kit_now("2026-06-08");
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_NONE);
  kit_now("2026-06-09");
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_FORBIDDEN);
  cases_close(c);
  kit_verified(k);
}

static void ended_at_once(void **state) {
  struct kit *k = *state;
  struct cases *c = node(k);
  struct actor zahra = kit_person(k, 7), weak = zahra;
  const char *m = offer(k, &zahra, NULL, NULL);
  dead = false;
  acts(kit_act(k, m, &zahra, "accept", NULL));
  weak.assurance = ASSURANCE_CLAIMED;
  assert_int_equal(acting(c, &weak, &k->ali), ERR_FORBIDDEN);
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_NONE);
  assert_string_equal(zahra.acting_scope, "all");
  dead = true;
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_FORBIDDEN);
  dead = false;
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_NONE);
  denied(kit_act(k, m, &zahra, "revoke", NULL), ERR_NOT_FOUND); /* acting for him she does not see his mandates */
  acts(kit_act(k, m, &k->ali, "revoke", NULL));
  assert_int_equal(acting(c, &zahra, &k->ali), ERR_FORBIDDEN);
  cases_close(c);
  kit_verified(k);
}

static void an_offer_lapses(void **state) {
  struct kit *k = *state;
  struct actor zahra = kit_person(k, 7);
  const char *m = offer(k, &zahra, NULL, NULL);
  kit_until(k, "2026-06-20");
  assert_string_equal(kit_row(k, m).state, "gone");
  denied(kit_act(k, m, &zahra, "accept", NULL), ERR_CONFLICT);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM mandate WHERE since>0 AND tracking=?1", m), 0);
  kit_verified(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(within_its_scope_and_its_day), KIT_TEST(ended_at_once), KIT_TEST(an_offer_lapses)};
  KIT_RUN(tests);
}
