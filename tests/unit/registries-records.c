/* Records: made, changed, revoked, once by event; who may read; history; erasing; what the verifier sees. */
#include "registries-kit.h"

static void a_record_is_made_once_and_changes_make_versions(void **state) {
  struct kit *k = *state;
  struct record_change a = kit_put(k, "farmers", "{\"national_id\":\"۰۴۹۹۳۷۰۸۹۹\",\"village\":\"0916050003164003\",\"crop\":\"saffron\",\"area\":\"2.5\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(a.done, RECORD_MADE);
  assert_int_equal(a.version, 1);
  struct record_change same = kit_put(k, "farmers", "{\"national_id\":\"" ID "\",\"village\":\"0916050003164003\",\"crop\":\"saffron\",\"area\":2.5}", RECORD_IMPORT, NULL, false);
  assert_int_equal(same.done, RECORD_SAME);
  assert_int_equal(same.version, 1);
  assert_string_equal(same.ref, a.ref);
  struct record_change more = kit_put(k, "farmers", "{\"national_id\":\"" ID "\",\"village\":\"0916050003164003\",\"crop\":\"saffron\",\"farmer_code\":\"KH-1\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(more.done, RECORD_CHANGED);
  assert_int_equal(more.version, 2);
  struct record_change other = kit_put(k, "farmers", "{\"national_id\":\"" ID "\",\"village\":\"0916050003164003\",\"crop\":\"wheat\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(other.done, RECORD_MADE);
  assert_string_not_equal(other.ref, a.ref);
  struct actor officer = kit_staff("jihad", STAFF_OFFICER);
  json_t *out = NULL, *persons = NULL, *one;
  must(registries_find(k->g, &officer, "farmers", ID, LANG_EN, &out, &persons, err));
  assert_int_equal(json_array_size(json_object_get(out, "items")), 2);
  size_t i;
  json_array_foreach(json_object_get(out, "items"), i, one) {
    if (strcmp(json_str(one, "ref"), a.ref) != 0) continue;
    const json_t *attributes = json_object_get(one, "attributes"), *history = json_object_get(one, "history");
    assert_float_equal(json_number_value(json_object_get(attributes, "area")), 2.5, 0.0001);
    assert_string_equal(json_str(attributes, "farmer_code"), "KH-1");
    assert_int_equal(json_array_size(history), 2);
    assert_string_equal(json_str(json_array_get(history, 0), "change"), "update");
    const json_t *changed = json_object_get(json_array_get(history, 0), "changed");
    assert_int_equal(json_array_size(changed), 1);
    assert_string_equal(json_string_value(json_array_get(changed, 0)), "farmer_code");
  }
  char person[72];
  identity_person_key(k->identity, ID, person);
  assert_int_equal(json_array_size(persons), 1);
  assert_string_equal(json_string_value(json_array_get(persons, 0)), person);
  json_decref(out);
  json_decref(persons);
}

static void an_event_is_applied_once(void **state) {
  struct kit *k = *state;
  const char *first = "{\"owner_id\":\"" ID "\",\"name\":\"رایان توس\",\"staff\":1}", *later = "{\"owner_id\":\"" ID "\",\"name\":\"رایان توس\",\"staff\":9}";
  assert_int_equal(kit_put(k, "it-business", first, RECORD_OUTCOME, "6037/4/record", false).done, RECORD_MADE);
  struct record_change again = kit_put(k, "it-business", later, RECORD_OUTCOME, "6037/4/record", false);
  assert_int_equal(again.done, RECORD_SAME);
  assert_int_equal(again.version, 1);
  assert_int_equal(kit_put(k, "it-business", later, RECORD_OUTCOME, "6037/9/record", false).done, RECORD_CHANGED);
}

struct outcome { struct kit *k; const char *registry, *event; json_t *attributes; };

static int outcome_work(struct store_tx *tx, void *arg, struct err *err) {
  struct outcome *o = arg;
  return registries_outcome(o->k->g, tx, o->registry, o->event, o->attributes, "6037000000000000", err);
}

static void an_outcome_never_stops_the_outbox(void **state) {
  struct kit *k = *state;
  int64_t n = -1;
  log_set_level(LOG_ERROR + 1);
  struct outcome o = {k, "it-business", "a", json_pack("{s:s,s:s,s:s}", "owner_id", ID, "name", "x", "county", "no-such-place")};
  must(store_write(k->store, STORE_FRONT, outcome_work, &o, err)); /* without the county */
  must(registries_count(k->g, "it-business", &n, err));
  assert_int_equal(n, 1);
  json_object_del(o.attributes, "owner_id");
  o.event = "b";
  must(store_write(k->store, STORE_FRONT, outcome_work, &o, err)); /* what makes it one is missing */
  o.registry = "no-such";
  must(store_write(k->store, STORE_FRONT, outcome_work, &o, err));
  must(registries_count(k->g, NULL, &n, err));
  assert_int_equal(n, 1);
  json_decref(o.attributes);
  log_set_level(LOG_ERROR);
}

static void rights_follow_the_owner(void **state) {
  struct kit *k = *state;
  const struct registry *r = pack_find_registry(kit_pack, "residents");
  static const struct { const char *organisation; int role; enum record_right right; } rows[] = {
    {"ostandari", STAFF_OFFICER, RECORD_ALL}, {"ostandari", STAFF_MANAGER, RECORD_ALL}, {"ostandari", STAFF_HELPDESK, RECORD_MASKED}, {"ostandari", STAFF_AGENT, RECORD_NOTHING},
    {"samt", STAFF_OFFICER, RECORD_NOTHING}, {"samt", STAFF_HELPDESK, RECORD_NOTHING}, {"samt", STAFF_AUDITOR, RECORD_ALL}, {"samt", STAFF_OPERATOR, RECORD_ALL}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    struct actor a = kit_staff(rows[i].organisation, rows[i].role);
    assert_int_equal(registries_right(k->g, &a, r), rows[i].right);
  }
  struct actor citizen = kit_citizen(k, ID, ASSURANCE_CERTIFICATE), nobody = {.kind = ACTOR_NOBODY};
  assert_int_equal(registries_right(k->g, &citizen, r), RECORD_NOTHING);
  assert_int_equal(registries_right(k->g, &nobody, r), RECORD_NOTHING);
  kit_put(k, "residents", "{\"national_id\":\"" ID "\",\"village\":\"0916050003164003\",\"since\":\"1393-07-01\"}", RECORD_IMPORT, NULL, false);
  json_t *out = NULL, *persons = NULL;
  struct actor stranger = kit_staff("samt", STAFF_OFFICER), helpdesk = kit_staff("ostandari", STAFF_HELPDESK);
  refused(registries_find(k->g, &stranger, "residents", ID, LANG_EN, &out, &persons, err), ERR_NOT_FOUND);
  refused(registries_find(k->g, &citizen, "residents", ID, LANG_EN, &out, &persons, err), ERR_NOT_FOUND);
  must(registries_find(k->g, &helpdesk, "residents", ID, LANG_EN, &out, &persons, err));
  const json_t *one = json_array_get(json_object_get(out, "items"), 0);
  assert_string_equal(json_str(json_object_get(one, "attributes"), "national_id"), "049****899");
  assert_string_equal(json_str(json_object_get(one, "attributes"), "since"), "•••");
  char *shown = json_dumps(json_object_get(one, "shown"), 0);
  assert_null(strstr(shown, ID));
  assert_null(strstr(shown, "2014"));
  free(shown);
  json_decref(out);
  json_decref(persons);
}

static void one_sees_what_is_known_about_oneself(void **state) {
  struct kit *k = *state;
  json_t *out = NULL;
  kit_put(k, "land-parcels", "{\"parcel_number\":\"123/45\",\"owner_id\":\"" ID "\"}", RECORD_SYNTHETIC, NULL, false);
  kit_put(k, "land-parcels", "{\"parcel_number\":\"87\",\"owner_id\":\"" OTHER "\"}", RECORD_SYNTHETIC, NULL, false);
  struct actor claimed = kit_citizen(k, ID, ASSURANCE_CLAIMED), matched = kit_citizen(k, ID, ASSURANCE_SIM_MATCHED), staff = kit_staff("ostandari", STAFF_OPERATOR);
  refused(registries_mine(k->g, &claimed, LANG_FA, &out, err), ERR_FORBIDDEN);
  refused(registries_mine(k->g, &staff, LANG_FA, &out, err), ERR_FORBIDDEN);
  must(registries_mine(k->g, &matched, LANG_FA, &out, err));
  assert_int_equal(json_array_size(out), 1);
  assert_string_equal(json_str(json_object_get(json_array_get(out, 0), "attributes"), "parcel_number"), "123/45");
  assert_true(json_flag(json_array_get(out, 0), "synthetic", false));
  json_decref(out);
  /* Sold: it is the other's now. */
  kit_put(k, "land-parcels", "{\"parcel_number\":\"123/45\",\"owner_id\":\"" OTHER "\"}", RECORD_IMPORT, NULL, false);
  must(registries_mine(k->g, &matched, LANG_FA, &out, err));
  assert_int_equal(json_array_size(out), 0);
  json_decref(out);
}

/* ---- the verifier ---- */

static int faults;
static void count_fault(void *ctx, const char *line) { faults++; }

static int spoil_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "UPDATE registry_record SET attributes='{\"parcel_number\":\"1\",\"parcel_area\":9999}' WHERE ref=?1", "t", (const char *)arg) == 1 ? 0 : -1;
}

static void headers_say_nothing_personal_and_changes_are_noticed(void **state) {
  struct kit *k = *state;
  struct record_change a = kit_put(k, "land-parcels", "{\"parcel_number\":\"1\",\"parcel_area\":100,\"parcel_owner\":\"مریم رضایی\",\"owner_id\":\"" ID "\"}", RECORD_IMPORT, NULL, false);
  unsigned char digest[TRUST_HASH];
  char *header = base_printf("{\"kind\":\"record\",\"record\":\"%s\",\"version\":1}", a.ref), *none = base_printf("{\"kind\":\"record\",\"record\":\"%s\",\"version\":2}", a.ref);
  struct registries *reader = registries_reader(k->store);
  faults = 0;
  assert_int_equal(registries_leaf_digest(reader, header, digest), 0);
  assert_int_equal(registries_leaf_digest(reader, none, digest), -1);
  assert_int_equal(registries_leaf_digest(reader, "{", digest), -1);
  must(registries_verify(reader, count_fault, NULL, err));
  assert_int_equal(faults, 0);
  must(store_write(k->store, STORE_FRONT, spoil_work, a.ref, err));
  refused(registries_verify(reader, count_fault, NULL, err), ERR_CONFLICT);
  assert_int_equal(faults, 1);
  /* Erased: nothing left to find, and nothing wrong. */
  must(registries_erase(k->g, a.ref, "keeper", "a court has ordered it", err));
  refused(registries_erase(k->g, a.ref, "keeper", "again", err), ERR_CONFLICT);
  refused(registries_erase(k->g, a.ref, "keeper", "", err), ERR_INVALID);
  refused(registries_erase(k->g, "00", "keeper", "why", err), ERR_NOT_FOUND);
  assert_int_equal(registries_leaf_digest(reader, header, digest), 1);
  must(registries_verify(reader, count_fault, NULL, err));
  struct actor auditor = kit_staff("ostandari", STAFF_AUDITOR), me = kit_citizen(k, ID, ASSURANCE_SIM_MATCHED);
  json_t *out = NULL, *persons = NULL;
  refused(registries_find(k->g, &auditor, "land-parcels", "1", LANG_EN, &out, &persons, err), ERR_NOT_FOUND);
  must(registries_mine(k->g, &me, LANG_EN, &out, err));
  assert_int_equal(json_array_size(out), 0);
  json_decref(out);
  registries_close(reader);
  free(header);
  free(none);
}

/* ---- what others are told ---- */

static void prefill_gives_ones_own_and_no_more(void **state) {
  struct kit *k = *state;
  const struct service *s = pack_find(kit_pack, "takapo-register"), *child = pack_find(kit_pack, "child-health");
  json_t *out = NULL, *answers = json_object();
  kit_put(k, "persons", "{\"national_id\":\"" ID "\",\"first_name\":\"مریم\",\"last_name\":\"رضایی\",\"birth_date\":\"1364-05-12\",\"mobile\":\"09151234567\"}", RECORD_IMPORT, NULL, false);
  kit_put(k, "persons", "{\"national_id\":\"" OTHER "\",\"first_name\":\"علی\",\"birth_date\":\"1402-01-01\"}", RECORD_IMPORT, NULL, false);
  kit_put(k, "legal-persons", "{\"legal_id\":\"10380284790\",\"company_name\":\"شبکه گستر\",\"company_active\":\"yes\",\"manager_id\":\"" OTHER "\"}", RECORD_IMPORT, NULL, false);
  must(registries_prefill(k->g, s, ID, answers, &out, err));
  assert_int_equal(json_object_size(out), 2);
  const json_t *first = json_object_get(out, "first_name");
  assert_string_equal(json_str(first, "value"), "مریم");
  assert_string_equal(json_str(first, "organisation"), "sabt-ahval");
  assert_true(json_flag(first, "refuse", false));
  json_decref(out);
  json_put(answers, "legal_id", "10380284790");
  must(registries_prefill(k->g, s, ID, answers, &out, err));
  assert_string_equal(json_str(json_object_get(out, "company_name"), "value"), "شبکه گستر");
  assert_string_equal(json_str(json_object_get(out, "company_name"), "key"), "legal_id");
  json_decref(out);
  json_put(answers, "child_id", OTHER);
  must(registries_prefill(k->g, child, ID, answers, &out, err));
  assert_null(json_object_get(out, "child_born_on"));
  json_decref(out);
  assert_int_equal(kit_put(k, "persons", "{\"national_id\":\"" ID "\"}", RECORD_IMPORT, NULL, true).done, RECORD_REVOKED);
  must(registries_prefill(k->g, s, ID, answers, &out, err));
  assert_null(json_object_get(out, "first_name")); /* what is no longer valid tells nothing */
  json_decref(out);
  json_decref(answers);
}

static void a_telephone_is_known_or_not(void **state) {
  struct kit *k = *state;
  kit_put(k, "persons", "{\"national_id\":\"" ID "\",\"mobile\":\"+98 915 123 4567\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(registries_telephone(k->g, ID, "09151234567", NULL), 1);
  assert_int_equal(registries_telephone(k->g, ID, "09151234568", NULL), 0);
  assert_int_equal(registries_telephone(k->g, OTHER, "09151234567", NULL), 0);
  assert_int_equal(registries_telephone(k->g, ID, "", NULL), 0);
  kit_put(k, "persons", "{\"national_id\":\"" ID "\"}", RECORD_IMPORT, NULL, true);
  assert_int_equal(registries_telephone(k->g, ID, "09151234567", NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(a_record_is_made_once_and_changes_make_versions), KIT_TEST(an_event_is_applied_once), KIT_TEST(an_outcome_never_stops_the_outbox),
    KIT_TEST(rights_follow_the_owner), KIT_TEST(one_sees_what_is_known_about_oneself), KIT_TEST(headers_say_nothing_personal_and_changes_are_noticed),
    KIT_TEST(prefill_gives_ones_own_and_no_more), KIT_TEST(a_telephone_is_known_or_not),
  };
  KIT_RUN(tests);
}
