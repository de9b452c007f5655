/* Rights to data services: of the pack, of approved requests; taken back, given again; and what a published registry tells under one. */
#include "registries-kit.h"

static int empty_rights(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM data_right", "") < 0 || store_exec(tx, err, "DELETE FROM act", "") < 0 ? -1 : 0;
}

static int setup(void **state) {
  if (kit_setup(state)) return -1;
  struct kit *k = *state;
  must(store_write(k->store, STORE_FRONT, empty_rights, NULL, err));
  return 0;
}

static json_t *rights(struct kit *k, struct right_query q) {
  json_t *out = NULL;
  must(registries_rights(k->g, &q, LANG_EN, &out, err));
  return out;
}

/* Of one asking subsystem at a provider; borrowed from list. */
static const json_t *right_of(const json_t *list, const char *subsystem) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (strcmp(json_str(json_array_get(list, i), "subsystem"), subsystem) == 0) return json_array_get(list, i);
  return NULL;
}

static int64_t acts(struct kit *k) {
  json_t *out = NULL;
  struct act_query q = {.limit = 500};
  must(identity_acts(k->identity, &q, &out, err));
  int64_t n = (int64_t)json_array_size(json_object_get(out, "items"));
  json_decref(out);
  return n;
}

static void the_pack_gives_each_form_what_it_asks_and_no_more(void **state) {
  struct kit *k = *state;
  must(registries_rights_pack(k->g, NULL, err));
  json_t *list = rights(k, (struct right_query){.provider = "sabt-ahval", .valid = true});
  const json_t *licence = right_of(list, "business-licence"), *village = right_of(list, "village-residence");
  assert_non_null(licence);
  assert_string_equal(json_str(licence, "asker"), "samt");
  assert_int_equal(json_array_size(json_object_get(licence, "attributes")), 2);
  assert_int_equal(json_array_size(json_object_get(village, "attributes")), 3);
  assert_null(json_str(licence, "until"));
  assert_string_equal(json_str(licence, "source"), "pack");
  json_decref(list);
  assert_int_equal(acts(k), 1);
  must(registries_rights_pack(k->g, NULL, err));
  assert_int_equal(acts(k), 1); /* nothing changed, nothing is recorded */
}

static void what_a_provider_took_back_stays_so_until_it_is_given_again(void **state) {
  struct kit *k = *state;
  char id[RIGHT_ID], grant[RIGHT_ID];
  struct err why;
  struct actor manager = kit_staff("sabt-ahval", STAFF_MANAGER), officer = kit_staff("sabt-ahval", STAFF_OFFICER), asker = kit_staff("samt", STAFF_MANAGER),
               stranger = kit_staff("abfa", STAFF_MANAGER);
  must(registries_rights_pack(k->g, NULL, err));
  json_t *list = rights(k, (struct right_query){.provider = "sabt-ahval", .asker = "samt"});
  snprintf(id, sizeof id, "%s", json_str(json_array_get(list, 0), "id"));
  snprintf(grant, sizeof grant, "%s", json_str(json_array_get(list, 0), "grant"));
  json_decref(list);
  assert_int_equal(registries_right_change(k->g, &stranger, id, RIGHT_REVOKE, "not ours", &why), -1);
  assert_int_equal(why.code, ERR_NOT_FOUND);
  assert_int_equal(registries_right_change(k->g, &officer, id, RIGHT_REVOKE, "not mine", &why), -1);
  assert_int_equal(why.code, ERR_FORBIDDEN);
  assert_int_equal(registries_right_change(k->g, &asker, id, RIGHT_REVOKE, "not mine", &why), -1);
  assert_int_equal(why.code, ERR_FORBIDDEN);
  assert_int_equal(registries_right_change(k->g, &manager, id, RIGHT_REVOKE, "", &why), -1);
  assert_int_equal(why.code, ERR_INVALID);
  must(registries_right_change(k->g, &manager, id, RIGHT_REVOKE, "دیگر لازم نیست", err));
  assert_int_equal(registries_right_change(k->g, &manager, id, RIGHT_REVOKE, "again", &why), -1);
  assert_int_equal(why.code, ERR_CONFLICT);
  must(registries_rights_pack(k->g, NULL, err)); /* as at the next start */
  list = rights(k, (struct right_query){.id = id});
  assert_string_equal(json_str(json_array_get(list, 0), "state"), "revoked");
  assert_string_equal(json_str(json_array_get(list, 0), "why"), "دیگر لازم نیست");
  json_decref(list);
  must(registries_right_change(k->g, &manager, id, RIGHT_RESTORE, "needed after all", err));
  list = rights(k, (struct right_query){.id = id});
  assert_string_equal(json_str(json_array_get(list, 0), "state"), "valid");
  assert_string_not_equal(json_str(json_array_get(list, 0), "grant"), grant); /* for gateways it is another one */
  json_decref(list);
  assert_int_equal(acts(k), 3);
}

static const char *given_event = "6037000000000000/4/grant";

static int give_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kit *k = arg;
  json_t *attributes = json_pack("[s,s,s]", "parcel_owner", "owner_id", "parcel_area"); /* the owner's id is not published */
  struct data_right r = {.event = given_event, .tracking = "6037000000000000", .asker = "jihad", .service = "land-parcel", .purpose = "support for the farmer who works the land",
                         .basis = "Act of 1389", .attributes = attributes, .months = 6};
  int rc = registries_right_put(k->g, tx, &r, err);
  json_decref(attributes);
  return rc;
}

static void an_approved_request_gives_a_right_once_and_for_its_term(void **state) {
  struct kit *k = *state;
  must(store_write(k->store, STORE_FRONT, give_work, k, err));
  must(store_write(k->store, STORE_FRONT, give_work, k, err)); /* the effect, tried again */
  json_t *list = rights(k, (struct right_query){.asker = "jihad"});
  assert_int_equal(json_array_size(list), 1);
  const json_t *one = json_array_get(list, 0);
  int64_t until = 0;
  assert_int_equal(clock_parse(json_str(one, "until"), &until), 0);
  int64_t days = (until - clock_now()) / 86400000;
  assert_in_range(days, 175, 186);
  assert_string_equal(json_str(one, "subsystem"), RIGHT_SUBSYSTEM);
  assert_int_equal(json_array_size(json_object_get(one, "attributes")), 2);
  struct right_scope scope;
  must(registries_right_scope(k->g, json_str(one, "grant"), &scope, err));
  assert_string_equal(scope.asker, "jihad");
  assert_int_equal(json_array_size(scope.attributes), 2);
  json_decref(scope.attributes);
  must(registries_right_scope(k->g, "g-something-else", &scope, err));
  assert_null(scope.attributes);
  json_decref(list);
  assert_int_equal(acts(k), 1);
  int64_t real = clock_now();
  clock_set(until - INT64_C(10) * 86400000);
  list = rights(k, (struct right_query){.provider = "sabt-asnad", .valid = true, .review = true});
  assert_string_equal(json_str(json_array_get(list, 0), "review"), "ends");
  json_decref(list);
  clock_set(until + 1000);
  list = rights(k, (struct right_query){.asker = "jihad"});
  assert_string_equal(json_str(json_array_get(list, 0), "state"), "expired");
  json_decref(list);
  clock_set(0);
  assert_true(clock_now() >= real);
}

static void a_year_after_nobody_read_it_a_right_is_to_be_reviewed(void **state) {
  struct kit *k = *state;
  struct actor manager = kit_staff("sabt-ahval", STAFF_MANAGER);
  must(registries_rights_pack(k->g, NULL, err));
  clock_set(clock_now() + INT64_C(400) * 86400000);
  json_t *list = rights(k, (struct right_query){.provider = "sabt-ahval", .valid = true, .review = true});
  size_t before = json_array_size(list);
  assert_true(before > 3);
  assert_string_equal(json_str(json_array_get(list, 0), "review"), "yearly");
  must(registries_right_change(k->g, &manager, json_str(json_array_get(list, 0), "id"), RIGHT_REVIEWED, "", err));
  json_decref(list);
  list = rights(k, (struct right_query){.provider = "sabt-ahval", .valid = true, .review = true});
  assert_int_equal(json_array_size(list), before - 1);
  json_decref(list);
  clock_set(0);
}

int main(void) {
#define RIGHTS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, kit_teardown)
  const struct CMUnitTest tests[] = {
    RIGHTS_TEST(the_pack_gives_each_form_what_it_asks_and_no_more), RIGHTS_TEST(what_a_provider_took_back_stays_so_until_it_is_given_again),
    RIGHTS_TEST(an_approved_request_gives_a_right_once_and_for_its_term), RIGHTS_TEST(a_year_after_nobody_read_it_a_right_is_to_be_reviewed),
  };
  KIT_RUN(tests);
}
