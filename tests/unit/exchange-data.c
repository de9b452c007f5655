/* Registries as data services: what is answered, to whom, under which right; refusals in the provider's voice; the look before the answer. */
#include "exchange/exchange.h"
#include "registries-kit.h"

struct looked { int count; bool fails; char asker[80], issue[120], grant[60]; json_t *persons; };

static int look(void *ctx, const struct exchange_look *k, struct err *err) {
  struct looked *l = ctx;
  if (l->fails) return err_set(err, ERR_UNAVAILABLE, "the store is full");
  l->count++;
  snprintf(l->asker, sizeof l->asker, "%s", k->asker);
  snprintf(l->issue, sizeof l->issue, "%s", k->issue);
  snprintf(l->grant, sizeof l->grant, "%s", k->grant);
  json_decref(l->persons);
  l->persons = json_deep_copy(k->persons);
  return 0;
}

struct asked { struct kit *k; struct exchange_data *d; struct looked looked; struct exchange_id client, service; };

static int setup(void **state) {
  if (kit_setup(state)) return -1;
  struct asked *a = base_alloc(sizeof *a);
  a->k = *state;
  struct exchange_data_options o = {.pack = kit_pack, .registries = a->k->g, .look = look, .ctx = &a->looked};
  must(exchange_data_open(&o, &a->d, err));
  must(exchange_id_parse("KHR/GOV/10000011/business-licence", 4, 4, &a->client, err));
  must(exchange_id_parse("KHR/GOV/10000015/registries/person", 5, 5, &a->service, err));
  kit_put(a->k, "persons", "{\"national_id\":\"" ID "\",\"first_name\":\"مریم\",\"last_name\":\"رضایی\",\"mobile\":\"09151234567\",\"father_id\":\"" OTHER "\"}", RECORD_IMPORT, NULL, false);
  kit_put(a->k, "persons", "{\"national_id\":\"" ID "\",\"last_name\":\"رضایی‌نیا\"}", RECORD_IMPORT, NULL, false);
  must(registries_rights_pack(a->k->g, NULL, err));
  *state = a;
  return 0;
}

static int teardown(void **state) {
  struct asked *a = *state;
  void *kit = a->k;
  exchange_data_close(a->d);
  json_decref(a->looked.persons);
  free(a);
  return kit_teardown(&kit);
}

/* Ask; the answer's JSON (new reference) and its status. */
static json_t *ask(struct asked *a, const char *path, const char *query, const char *issue, const char *grant, const char *purpose, int *status) {
  struct exchange_asked q = {.client = &a->client, .service = &a->service, .method = "GET", .path = path, .query = query, .message_id = "m", .user = "u", .issue = issue,
                             .grant = grant, .purpose = purpose};
  struct exchange_answer out = {.content = HTTP_NO_CONTENT};
  must(exchange_data_answer(a->d, &q, &out, err));
  *status = out.status;
  json_t *v = json_loads(out.content.data, 0, NULL);
  assert_non_null(v);
  assert_string_equal(out.media_type, out.status == 200 ? "application/json" : "application/problem+json");
  if (out.status != 200) assert_int_equal(json_int(v, "status", 0), out.status);
  free(out.content.data);
  free(out.media_type);
  return v;
}

static void told_why(struct asked *a, const char *path, const char *query, const char *issue, const char *purpose, int status, const char *code) {
  int got = 0;
  json_t *v = ask(a, path, query, issue, "", purpose, &got);
  assert_int_equal(got, status);
  assert_string_equal(json_str(v, "code"), code);
  assert_true(strlen(json_str(json_object_get(v, "messages"), "fa")) > 10 && strlen(json_str(json_object_get(v, "messages"), "en")) > 10);
  json_decref(v);
}

static const char *grant_of(struct asked *a, char out[RIGHT_ID]) {
  json_t *list = NULL;
  must(registries_rights(a->k->g, &(struct right_query){.provider = "sabt-ahval", .asker = "samt"}, LANG_EN, &list, err));
  snprintf(out, RIGHT_ID, "%s", json_str(json_array_get(list, 0), "grant"));
  json_decref(list);
  return out;
}

static void the_right_says_which_attributes_are_given(void **state) {
  struct asked *a = *state;
  char grant[RIGHT_ID];
  int status;
  json_t *v = ask(a, "/records", "key=%DB%B0499370899", "6037000000000000", grant_of(a, grant), "Business licence", &status);
  assert_int_equal(status, 200);
  const json_t *one = json_array_get(json_object_get(v, "items"), 0), *attributes = json_object_get(one, "attributes");
  assert_int_equal(json_object_size(attributes), 2); /* not the father, not the mobile */
  assert_string_equal(json_str(attributes, "last_name"), "رضایی‌نیا");
  assert_int_equal(json_int(one, "version", 0), 2);
  assert_true(json_flag(one, "valid", false));
  char path[80];
  snprintf(path, sizeof path, "/records/%s", json_str(one, "ref"));
  json_decref(v);
  assert_int_equal(a->looked.count, 1);
  assert_string_equal(a->looked.asker, "samt");
  assert_string_equal(a->looked.issue, "6037000000000000");
  assert_string_equal(a->looked.grant, grant);
  assert_int_equal(json_array_size(a->looked.persons), 1); /* whose data they are, and not the father whom the record names */
  v = ask(a, path, "", "6037000000000000", grant, "Business licence", &status);
  assert_int_equal(status, 200);
  const json_t *history = json_object_get(v, "history");
  assert_int_equal(json_array_size(history), 2);
  assert_int_equal(json_array_size(json_object_get(json_array_get(history, 0), "changed")), 1);
  assert_int_equal(json_array_size(json_object_get(json_array_get(history, 1), "changed")), 2); /* of five that it set */
  json_decref(v);
  assert_int_equal(a->looked.count, 2);
}

static void refusals_say_what_to_do_and_nobody_is_recorded(void **state) {
  struct asked *a = *state;
  told_why(a, "/records", "key=" ID, NULL, "p", 403, "no_issue");
  told_why(a, "/records", "key=" ID, "   ", "p", 403, "no_issue");
  told_why(a, "/records", "key=" ID, "case\x01", "p", 403, "no_issue");
  told_why(a, "/records", "key=" ID, "case 7", "", 403, "no_purpose");
  told_why(a, "/records", "key=1234567890", "case 7", "p", 422, "bad_key");
  told_why(a, "/records", "", "case 7", "p", 400, "no_key");
  told_why(a, "/records", "key=" ID "&all=1", "case 7", "p", 400, "no_key");
  told_why(a, "/other", "", "case 7", "p", 404, "no_path");
  told_why(a, "/records/00000000000000000000000000000000", "", "case 7", "p", 404, "no_record");
  told_why(a, "/records/../records", "", "case 7", "p", 404, "no_path");
  snprintf(a->service.service, sizeof a->service.service, "land-parcel"); /* not this provider's */
  told_why(a, "/records", "key=87", "case 7", "p", 404, "no_service");
  assert_int_equal(a->looked.count, 0);
}

static void what_is_not_recorded_is_not_given(void **state) {
  struct asked *a = *state;
  int status;
  a->looked.fails = true;
  log_set_level(LOG_ERROR + 1);
  json_t *v = ask(a, "/records", "key=" ID, "case 7", "", "p", &status);
  log_set_level(LOG_ERROR);
  assert_int_equal(status, 503);
  assert_null(json_object_get(v, "items"));
  json_decref(v);
}

static void nobody_is_looked_at_when_nothing_is_known(void **state) {
  struct asked *a = *state;
  int status;
  json_t *v = ask(a, "/records", "key=" OTHER, "case 7", "", "p", &status);
  assert_int_equal(status, 200);
  assert_int_equal(json_array_size(json_object_get(v, "items")), 0);
  assert_int_equal(a->looked.count, 0);
  json_decref(v);
}

static void a_thing_needs_no_case_unless_its_owner_is_named(void **state) {
  struct asked *a = *state;
  int status;
  kit_put(a->k, "legal-persons", "{\"legal_id\":\"10380284790\",\"company_name\":\"شبکه گستر\",\"company_active\":\"yes\",\"manager_id\":\"" OTHER "\"}", RECORD_IMPORT, NULL, false);
  kit_put(a->k, "land-parcels", "{\"parcel_number\":\"87\",\"parcel_owner\":\"مریم\",\"owner_id\":\"" ID "\",\"parcel_area\":95.5}", RECORD_IMPORT, NULL, false);
  must(exchange_id_parse("KHR/GOV/10000016/registries/legal-person", 5, 5, &a->service, err));
  json_t *v = ask(a, "/records", "key=10380284790", NULL, "", "", &status);
  assert_int_equal(status, 200);
  assert_null(json_object_get(json_object_get(json_array_get(json_object_get(v, "items"), 0), "attributes"), "manager_id"));
  json_decref(v);
  assert_int_equal(a->looked.count, 0);
  must(exchange_id_parse("KHR/GOV/10000016/registries/land-parcel", 5, 5, &a->service, err));
  told_why(a, "/records", "key=87", NULL, "p", 403, "no_issue"); /* its owner's name is published */
  v = ask(a, "/records", "key=87", "case 7", "", "p", &status);
  assert_int_equal(status, 200);
  json_decref(v);
  assert_int_equal(a->looked.count, 1);
}

static void the_description_is_made_of_the_definition(void **state) {
  struct asked *a = *state;
  json_t *v = exchange_data_openapi(a->d, pack_find_data_service(kit_pack, "sabt-ahval", "person"));
  assert_string_equal(json_str(v, "openapi"), "3.1.0");
  const json_t *record = json_object_get(json_object_get(json_object_get(v, "components"), "schemas"), "record");
  const json_t *attributes = json_object_get(json_object_get(json_object_get(record, "properties"), "attributes"), "properties");
  assert_int_equal(json_object_size(attributes), 5);
  assert_string_equal(json_str(json_object_get(attributes, "birth_date"), "format"), "date");
  assert_true(json_flag(json_object_get(attributes, "birth_date"), "x-personal", false));
  const json_t *parameters = json_object_get(json_object_get(json_object_get(json_object_get(v, "paths"), "/records"), "get"), "parameters");
  assert_string_equal(json_str(json_array_get(parameters, 1), "name"), "X-Road-Issue");
  assert_true(json_flag(json_array_get(parameters, 1), "required", false));
  json_decref(v);
}

int main(void) {
#define DATA_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
    DATA_TEST(the_right_says_which_attributes_are_given), DATA_TEST(refusals_say_what_to_do_and_nobody_is_recorded), DATA_TEST(what_is_not_recorded_is_not_given),
    DATA_TEST(nobody_is_looked_at_when_nothing_is_known), DATA_TEST(a_thing_needs_no_case_unless_its_owner_is_named), DATA_TEST(the_description_is_made_of_the_definition),
  };
  KIT_RUN(tests);
}
