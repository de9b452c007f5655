/* Answers judged, shown, priced and addressed, over tests/packs/mini. */
#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pack *pack;
static const struct service *join, *fault;
static struct arena *arena;
static int32_t today;

static void hear(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  print_message("%s:%u: %s\n", file, line, message);
}

/* Judge one field by itself with earlier answers. "" when accepted (and *out set), else the code. */
static const char *judge(const char *name, const char *in, const char *data, json_t **out) {
  json_t *value = json_loads(in, JSON_DECODE_ANY, NULL), *before = json_loads(data, 0, NULL);
  const char *code = NULL, *message = NULL;
  assert_non_null(value);
  assert_non_null(before);
  int rc = field_check(pack, service_field(join, name), value, before, today, LANG_FA, arena, out, &code, &message);
  if (rc) assert_true(message && message[0] && !strchr(message, '{') && strncmp(message, "answer.", 7) != 0);
  json_decref(value);
  json_decref(before);
  return rc ? code : "";
}

static void accepts_after(const char *name, const char *in, const char *want, const char *data) {
  json_t *out = NULL, *wanted = json_loads(want, JSON_DECODE_ANY, NULL);
  const char *code = judge(name, in, data, &out);
  if (code[0]) fail_msg("%s: %s was refused: %s", name, in, code);
  if (!json_equal(out, wanted)) fail_msg("%s: %s became %s", name, in, json_dumps(out, JSON_ENCODE_ANY));
  json_decref(out);
  json_decref(wanted);
}

static void accepts(const char *name, const char *in, const char *want) { accepts_after(name, in, want, "{}"); }

static void refuses_after(const char *name, const char *in, const char *code, const char *data) {
  json_t *out = NULL;
  const char *got = judge(name, in, data, &out);
  if (strcmp(got, code) != 0) fail_msg("%s: %s gave '%s', not '%s'", name, in, got, code);
  assert_null(out);
}

static void refuses(const char *name, const char *in, const char *code) { refuses_after(name, in, code, "{}"); }

static void identifiers(void **state) {
  accepts("national_id", "\"۰۴۹۹-۳۷۰۸ ۹۹\"", "\"0499370899\"");
  accepts("national_id", "\"68415941\"", "\"0068415941\"");
  refuses("national_id", "\"0499370890\"", "pattern");
  refuses("national_id", "499370899", "type");
  refuses("national_id", "\"\"", "required");
  refuses("national_id", "null", "required");
  accepts("mobile", "\"+98 915 123 4567\"", "\"09151234567\"");
  refuses("mobile", "\"12345\"", "pattern");
  accepts("email", "\" a.b@example.ir \"", "\"a.b@example.ir\"");
  refuses("email", "\"a@b\"", "type");
  refuses("email", "\"a b@example.ir\"", "type");
  refuses("email", "\"a@-x.ir\"", "type");
  accepts("postal_code", "\"91857-13579\"", "\"9185713579\"");
  accepts_after("sheba", "\"ir82 0540 1026 8002 0817 9090 02\"", "\"IR820540102680020817909002\"", "{\"kind\":\"company\"}");
  accepts_after("legal_id", "\"10380284790\"", "\"10380284790\"", "{\"kind\":\"company\"}");
  refuses("legal_id", "\"10380284790\"", "not_asked");
}

static void texts(void **state) {
  accepts("name", "\"  علي  \"", "\"علی\"");
  accepts("name", "\"a\\nb\"", "\"a b\"");
  accepts("name", "\"\u202Bنام\u202C\"", "\"نام\"");
  refuses("name", "\"ا\"", "min");
  refuses("name", "\"ا\u200F\"", "min");
  refuses("name", "\"1234567890123456789012345678901\"", "too_long");
  refuses("name", "7", "type");
  refuses("name", "[\"ab\"]", "type");
  accepts("about", "\"خط یک\\nخط دو\"", "\"خط یک\\nخط دو\"");
  json_t *out = NULL;
  assert_string_equal(judge("about", "\"\u200F\"", "{}", &out), ""); /* optional, and nothing is left */
  assert_null(out);
}

static void numbers(void **state) {
  static const char company[] = "{\"kind\":\"company\"}";
  accepts_after("staff", "\"۱۲\"", "12", company);
  accepts_after("staff", "12.0", "12", company);
  accepts_after("staff", "\"۴٬۹۹\"", "499", company);
  refuses_after("staff", "0", "min", company);
  refuses_after("staff", "501", "max", company);
  refuses_after("staff", "1.5", "type", company);
  refuses_after("staff", "\"1e2\"", "type", company);
  refuses_after("staff", "1e300", "type", company);
  refuses_after("staff", "true", "type", company);
  accepts("area", "\"۱۲٫۵\"", "12.5");
  accepts("area", "1.00049", "1");
  accepts("area", "99.25", "99.25");
  refuses("area", "99.26", "max");
  refuses("area", "0.4", "min");
  refuses("area", "\"1.2.3\"", "type");
  accepts_after("capital", "\"1,000,000\"", "1000000", "{\"kind\":\"person\"}");
  refuses_after("capital", "1000001", "constraint", "{\"kind\":\"person\"}");
  accepts_after("capital", "1000001", "1000001", company);
  refuses_after("capital", "-1", "min", company);
}

static void dates(void **state) {
  accepts("birth_date", "\"۱۳۶۹/۱/۱\"", "\"1990-03-21\"");
  accepts("birth_date", "\"1990-03-21\"", "\"1990-03-21\"");
  refuses("birth_date", "\"1990-02-30\"", "date");
  refuses("birth_date", "\"yesterday\"", "date");
  refuses("birth_date", "\"2020-01-01\"", "max");
  accepts("birth_date", "\"2008-11-27\"", "\"2008-11-27\""); /* 6570 days before */
  refuses("birth_date", "\"2008-11-28\"", "max");
  accepts("opening", "\"2026-11-24\"", "\"2026-11-24\"");
  refuses("opening", "\"2026-11-23\"", "min");
  refuses("opening", "\"2027-11-24\"", "max");
}

static void choices_and_places(void **state) {
  accepts("kind", "\"company\"", "\"company\"");
  refuses("kind", "\"Company\"", "choice");
  refuses("kind", "1", "type");
  accepts("colours", "\"red,blue\"", "[\"red\",\"blue\"]");
  accepts("colours", "[\"red\",\"red\"]", "[\"red\"]");
  refuses("colours", "[\"red\",\"green\",\"blue\"]", "max");
  refuses("colours", "[\"pink\"]", "choice");
  refuses("colours", "[7]", "choice");
  refuses("colours", "{}", "type");
  refuses("colours", "[]", "required");
  accepts("county", "\"۹۹۰۱\"", "\"9901\"");
  refuses("county", "\"99\"", "place");
  refuses("county", "\"1234\"", "place");
  accepts_after("city", "\"9901011001\"", "\"9901011001\"", "{\"county\":\"9901\"}");
  refuses_after("city", "\"9902011001\"", "place", "{\"county\":\"9901\"}");
  accepts("city", "\"9902011001\"", "\"9902011001\"");
  accepts_after("sponsor", "\"crew\"", "\"crew\"", "{\"capital\":101}");
  refuses_after("sponsor", "\"upper\"", "choice", "{\"capital\":101}");
  refuses_after("sponsor", "\"crew\"", "not_asked", "{\"capital\":100}");
  accepts("photo", "[\"doc-1\",\"doc-2\"]", "[\"doc-1\",\"doc-2\"]");
  accepts("photo", "\"doc-1\"", "[\"doc-1\"]");
  refuses("photo", "[\"../etc\"]", "choice");
  refuses("photo", "[\"a\",\"b\",\"c\"]", "max");
  accepts("accuracy", "\"on\"", "true");
  accepts("accuracy", "\"بله\"", "true");
  refuses("accuracy", "false", "required");
  refuses("accuracy", "7", "type");
}

static void whole_answers(void **state) {
  json_t *out = NULL, *errors = NULL, *in = json_deep_copy(json_array_get(join->examples, 0));
  for (size_t i = 0; i < json_array_size(join->examples); i++) {
    assert_int_equal(service_validate(pack, join, json_array_get(join->examples, i), today, LANG_FA, arena, &out, &errors), 0);
    assert_true(json_equal(out, json_array_get(join->examples, i)));
    json_decref(out);
  }
  json_object_set_new(in, "staff", json_integer(3));
  json_object_set_new(in, "colour", json_string("red"));
  json_object_set_new(in, "mobile", json_string("1"));
  assert_int_equal(service_validate(pack, join, in, today, LANG_EN, arena, &out, &errors), -1);
  assert_null(out);
  assert_int_equal(json_array_size(errors), 3);
  assert_string_equal(json_str(json_array_get(errors, 0), "field"), "mobile");
  assert_string_equal(json_str(json_array_get(errors, 1), "code"), "not_asked");
  assert_string_equal(json_str(json_array_get(errors, 2), "code"), "unknown");
  json_decref(errors);
  /* A refused answer leaves open what it decides: nothing is said of the company's fields. */
  json_object_set_new(in, "kind", json_string("club"));
  assert_int_equal(service_validate(pack, join, in, today, LANG_EN, arena, &out, &errors), -1);
  for (size_t i = 0; i < json_array_size(errors); i++) assert_string_not_equal(json_str(json_array_get(errors, i), "field"), "staff");
  json_decref(errors);
  json_t *list = json_array();
  assert_int_equal(service_validate(pack, join, list, today, LANG_EN, arena, &out, &errors), -1);
  assert_int_equal(json_array_size(errors), 1);
  json_decref(errors);
  json_decref(list);
  json_decref(in);
}

static void pruned(void **state) {
  json_t *data = json_deep_copy(json_array_get(join->examples, 1)), *out = NULL, *errors = NULL;
  assert_non_null(json_object_get(data, "insured"));
  json_object_set_new(data, "kind", json_string("person"));
  service_prune(join, data);
  assert_null(json_object_get(data, "legal_id"));
  assert_null(json_object_get(data, "insured")); /* through staff, which went before it */
  assert_non_null(json_object_get(data, "sponsor"));
  json_object_set_new(data, "capital", json_integer(5));
  service_prune(join, data);
  assert_non_null(json_object_get(data, "sponsor")); /* born before 1980 */
  assert_int_equal(service_validate(pack, join, data, today, LANG_FA, arena, &out, &errors), 0);
  json_decref(out);
  json_decref(data);
}

static bool holds(const char *name, const char *data) {
  json_t *d = json_loads(data, 0, NULL);
  bool result = cond_holds(service_field(join, name)->when, d);
  json_decref(d);
  return result;
}

static void conditions(void **state) {
  assert_true(cond_holds(NULL, NULL));
  assert_false(holds("staff", "{}"));
  assert_true(holds("staff", "{\"kind\":\"company\"}"));
  assert_false(holds("staff", "{\"kind\":null}"));
  assert_false(holds("staff", "{\"kind\":7}"));
  assert_true(holds("shade", "{\"colours\":[\"red\"]}"));
  assert_false(holds("shade", "{\"colours\":[\"red\",\"green\"]}"));
  assert_false(holds("shade", "{}"));
  assert_true(holds("sponsor", "{\"capital\":100.5}"));
  assert_true(holds("sponsor", "{\"birth_date\":\"1979-12-31\"}"));
  assert_false(holds("sponsor", "{\"birth_date\":\"1980-01-01\"}"));
  assert_true(holds("photo", "{}"));
  assert_false(holds("photo", "{\"sponsor\":\"crew\"}"));
}

static void shows(const char *name, const char *value, enum lang l, const char *want) {
  json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
  assert_string_equal(field_show(pack, service_field(join, name), v, l, arena), want);
  json_decref(v);
}

static void shown(void **state) {
  shows("kind", "\"company\"", LANG_FA, "شرکت");
  shows("colours", "[\"red\",\"blue\"]", LANG_EN, "Red, Blue");
  shows("staff", "1234", LANG_EN, "1,234");
  shows("insured", "true", LANG_FA, "بله");
  shows("birth_date", "\"1990-03-21\"", LANG_FA, "۱۳۶۹/۰۱/۰۱");
  shows("county", "\"9901\"", LANG_EN, "Upper");
  shows("city", "\"9901011001\"", LANG_EN, "Upper City, Central, Upper");
  shows("sponsor", "\"crew\"", LANG_EN, "Road Crew");
  shows("name", "\"Rayan ۱\"", LANG_EN, "Rayan ۱");
  shows("area", "12.5", LANG_EN, "12.5");
  shows("earlier", "\"1234567812345670\"", LANG_EN, "1234 5678 1234 5670");
  shows("photo", "[\"a\",\"b\"]", LANG_EN, "2 file(s)");
  shows("national_id", "null", LANG_FA, "");
}

static void owners_and_fees(void **state) {
  struct err err = {0};
  const struct directory *d = pack_directory(pack);
  json_t *with = json_pack("{s:s}", "place", "9901012001000001"), *without = json_pack("{s:s}", "place", "9901012001000002"), *none = json_object();
  assert_int_equal(service_owner(pack, join, none, &err), directory_find_organisation(d, "centre"));
  assert_int_equal(service_owner(pack, fault, with, &err), directory_find_organisation(d, "water-village"));
  assert_int_equal(service_owner(pack, fault, without, &err), directory_find_organisation(d, "upper"));
  assert_int_equal(service_owner(pack, fault, none, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  assert_int_equal(fault->secretary, directory_find_organisation(d, "crew"));
  const struct fee_row *row = NULL;
  json_t *person = json_pack("{s:s}", "kind", "person"), *local = json_pack("{s:s}", "county", "9902");
  assert_int_equal(service_fee(join, person, &row), 0);
  assert_ptr_equal(row, &join->fees[0]);
  assert_int_equal(service_fee(join, none, &row), 1000);
  assert_int_equal(service_fee(fault, none, &row), 0);
  assert_null(row);
  assert_int_equal(inquiry_organisation(pack, &join->inquiries[0], none), directory_find_organisation(d, "records"));
  assert_int_equal(inquiry_organisation(pack, &join->inquiries[1], local), directory_find_organisation(d, "lower"));
  assert_int_equal(inquiry_organisation(pack, &join->inquiries[1], none), -1);
  json_decref(with);
  json_decref(without);
  json_decref(none);
  json_decref(person);
  json_decref(local);
}

static void versions_and_calendars(void **state) {
  assert_int_equal(pack_services(pack), 2);
  assert_string_equal(pack_service(pack, 0)->code, "fault");
  assert_int_equal(pack_find(pack, "fault")->version, 1); /* version 2 begins in 2090 */
  assert_int_equal(pack_find_version(pack, "fault", 2)->version, 2);
  assert_null(pack_find_version(pack, "fault", 3));
  assert_null(pack_find(pack, "nothing"));
  clock_set(INT64_C(3800000000000)); /* 2090-06 */
  assert_int_equal(pack_find(pack, "fault")->version, 2);
  clock_set(INT64_C(1000000000000)); /* 2001: before both */
  assert_null(pack_find(pack, "fault"));
  assert_int_equal(pack_service(pack, 0)->version, 1);
  clock_set(INT64_C(1795392000000));
  const struct directory *d = pack_directory(pack);
  assert_string_equal(pack_calendar_of(pack, directory_find_organisation(d, "centre")), "official");
  assert_string_equal(pack_calendar_of(pack, directory_find_organisation(d, "crew-night")), "crews"); /* from crew, above it */
  const struct calendar *c = pack_calendar(pack, "crews");
  assert_true(calendar_works(c, day_from_gregorian((struct date){2026, 11, 26})));  /* a Thursday */
  assert_false(calendar_works(pack_calendar(pack, "official"), day_from_gregorian((struct date){2026, 11, 26})));
  assert_string_equal(calendar_title(c, LANG_EN, day_from_gregorian((struct date){2026, 3, 21})), "Nowruz, Eid al-Fitr");
  assert_string_equal(pack_find_registry(pack, "members")->key, "national_id");
  assert_int_equal(strlen(pack_hash(pack)), 64);
  struct pack *again = pack_compile("tests/packs/mini", NULL);
  assert_string_equal(pack_hash(again), pack_hash(pack));
  assert_string_equal(pack_find(again, "join")->etag, join->etag);
  pack_unref(again);
}

static void workflow_and_definition(void **state) {
  int submitted = service_state(join, "submitted");
  assert_int_equal(join->start, submitted);
  const struct action *a = service_action(join, submitted, "reject");
  assert_true(a->reason_required && a->kind == ACT_REJECT && a->to == service_state(join, "rejected"));
  assert_int_equal(join->states[submitted].silence_action, 1);
  assert_null(service_action(join, submitted, "appeal"));
  assert_null(service_action(join, 99, "reject"));
  const struct action *reply = service_action(join, service_state(join, "waiting"), "provide_info");
  assert_int_equal(reply->to, -1);
  json_t *in = json_pack("{s:s}", "reply", "more"), *out = NULL, *errors = NULL;
  assert_int_equal(action_validate(pack, reply, in, today, LANG_FA, arena, &out, &errors), 0);
  json_decref(out);
  assert_int_equal(action_validate(pack, reply, NULL, today, LANG_FA, arena, &out, &errors), -1);
  json_decref(errors);
  assert_int_equal(action_validate(pack, a, NULL, today, LANG_FA, arena, &out, &errors), 0);
  json_decref(out);
  json_decref(in);
  assert_true(json_is_object(json_object_get(fault->definition, "workflow"))); /* written out */
  assert_int_equal(json_array_size(json_object_get(join->form_schema, "examples")), 2);
  assert_true(json_is_false(json_object_get(join->form_schema, "additionalProperties")));
}

static void small_arenas_are_survived(void **state) {
  for (size_t cap = 0; cap < 4000; cap += 37) {
    struct arena *a = arena_new(cap);
    json_t *out = NULL, *errors = NULL, *in = json_deep_copy(json_array_get(join->examples, 1));
    json_object_set_new(in, "staff", json_string("۹۹۹"));
    assert_int_equal(service_validate(pack, join, in, today, LANG_FA, a, &out, &errors), -1);
    json_decref(errors);
    json_decref(in);
    arena_free(a);
  }
}

int main(void) {
  struct err err = {0};
  const struct CMUnitTest tests[] = {cmocka_unit_test(identifiers), cmocka_unit_test(texts), cmocka_unit_test(numbers), cmocka_unit_test(dates),
    cmocka_unit_test(choices_and_places), cmocka_unit_test(whole_answers), cmocka_unit_test(pruned), cmocka_unit_test(conditions),
    cmocka_unit_test(shown), cmocka_unit_test(owners_and_fees), cmocka_unit_test(versions_and_calendars),
    cmocka_unit_test(workflow_and_definition), cmocka_unit_test(small_arenas_are_survived)};
  struct pack_report report = {hear, NULL};
  if (language_init(&err)) return 1;
  clock_set(INT64_C(1795392000000)); /* 2026-11-23 */
  today = day_of(clock_now());
  arena = arena_new(4 << 20);
  pack = pack_compile("tests/packs/mini", &report);
  if (!pack) return 1;
  join = pack_find(pack, "join");
  fault = pack_find(pack, "fault");
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  arena_free(arena);
  pack_unref(pack);
  return failed;
}
