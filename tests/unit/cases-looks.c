/* Unusual looking: who snoops stands out, who works does not; and nobody judges themselves. */
#include "cases-kit.h"

enum { CASES = 48, OFFICERS = 6, DAYS = 10 };

static void looks(struct kit *k, const struct actor *who, const char *tracking) { must(cases_look(k->cases, who, tracking, "staff", NULL, NULL, err)); }

static size_t reports_of(const json_t *list, const char *who, const char *kind) {
  size_t i, n = 0;
  const json_t *one;
  json_array_foreach(list, i, one) n += base_same(json_str(one, "who"), who) && (!kind || base_same(json_str(one, "kind"), kind));
  return n;
}

static json_t *seen_by(struct kit *k, const struct actor *who) {
  json_t *out = NULL;
  must(cases_looks(k->cases, who, false, &out, err));
  return out;
}

static void who_snoops_stands_out(void **state) {
  struct kit *k = *state;
  struct identity_member staff[OFFICERS + 2];
  char names[OFFICERS][16];
  const char *trackings[CASES];
  struct actor officers[OFFICERS], snoop = kit_staff("snoop", "centre", ROLE_OFFICER), boss = kit_staff("boss", "centre", ROLE_SUPERVISOR);
  for (int i = 0; i < OFFICERS; i++) {
    snprintf(names[i], sizeof names[i], "worker%d", i);
    staff[i] = (struct identity_member){names[i], "کارمند نمونه", "centre", STAFF_OFFICER};
    officers[i] = kit_staff(names[i], "centre", ROLE_OFFICER);
  }
  staff[OFFICERS] = (struct identity_member){"snoop", "کنجکاو", "centre", STAFF_OFFICER};
  staff[OFFICERS + 1] = (struct identity_member){"boss", "سرپرست", "centre", STAFF_SUPERVISOR};
  must(identity_staff_many(k->identity, staff, OFFICERS + 2, "a-long-password", err));
  for (int i = 0; i < CASES; i++) {
    struct actor person = kit_person(k, 600 + (unsigned)i);
    trackings[i] = kit_permit(k, &person, "person");
  }
  /* Ordinary days: a few cases each, looked at and worked on. */
  for (int day = 0; day < DAYS; day++) {
    for (int i = 0; i < OFFICERS; i++)
      for (int n = 0; n < 3 + i % 3; n++) {
        const char *t = trackings[(day * 7 + i * 5 + n) % CASES];
        char key[40];
        snprintf(key, sizeof key, "%d/%d/%d", day, i, n);
        looks(k, &officers[i], t);
        must(cases_remark(k->cases, &officers[i], t, "looked into", key, err));
      }
    must(cases_looks_review(k->cases, cases_today(), err));
    kit_later(INT64_C(86400000));
  }
  json_t *list = seen_by(k, &boss);
  assert_int_equal(json_array_size(list), 0); /* nothing yet */
  json_decref(list);
  /* One evening. */
  int64_t start = day_start(cases_today()) + INT64_C(23) * 3600000;
  kit_later(start - clock_now());
  for (int i = 0; i < CASES; i++) looks(k, &snoop, trackings[i]);
  must(cases_looks_review(k->cases, cases_today(), err));
  list = seen_by(k, &boss);
  assert_int_equal(reports_of(list, "snoop", "many"), 1);
  assert_int_equal(reports_of(list, "snoop", "night"), 1);
  assert_int_equal(reports_of(list, "snoop", "outside"), 0); /* there is time to act yet */
  assert_int_equal(json_int(json_array_get(list, 0), "count", 0), CASES);
  json_decref(list);
  kit_later(INT64_C(3) * 86400000);
  must(cases_looks_review(k->cases, cases_today(), err));
  must(cases_looks_review(k->cases, cases_today(), err)); /* again changes nothing */
  list = seen_by(k, &boss);
  assert_int_equal(reports_of(list, "snoop", "outside"), 1);
  assert_int_equal(json_array_size(list), 3);
  for (int i = 0; i < OFFICERS; i++) assert_int_equal(reports_of(list, names[i], NULL), 0);
  char *text = json_dumps(list, 0);
  for (int i = 0; i < CASES; i++) assert_null(strstr(text, trackings[i])); /* counts, not data */
  free(text);
  /* Who may know of it: not the officer, not another organisation; each is acknowledged once. */
  struct actor elsewhere = kit_staff("other", "upper", ROLE_MANAGER), auditor = kit_staff("auditor", "upper", ROLE_AUDITOR);
  const struct actor *none[] = {&snoop, &elsewhere, &officers[0]};
  for (size_t i = 0; i < BASE_COUNT(none); i++) {
    json_t *mine = seen_by(k, none[i]);
    assert_int_equal(json_array_size(mine), 0);
    json_decref(mine);
  }
  json_t *all = seen_by(k, &auditor);
  assert_int_equal(json_array_size(all), 3);
  json_decref(all);
  struct err why;
  const char *id = json_str(json_array_get(list, 0), "id");
  assert_int_equal(cases_looks_acknowledge(k->cases, &elsewhere, id, "seen", NULL, &why), -1);
  assert_int_equal(why.code, ERR_NOT_FOUND);
  assert_int_equal(cases_looks_acknowledge(k->cases, &boss, id, "x", NULL, &why), -1);
  assert_int_equal(why.code, ERR_INVALID);
  json_t *done = NULL;
  must(cases_looks_acknowledge(k->cases, &boss, id, "asked and warned", &done, err));
  assert_string_equal(json_str(done, "acknowledged_by"), "boss");
  json_decref(done);
  assert_int_equal(cases_looks_acknowledge(k->cases, &boss, id, "again", NULL, &why), -1);
  assert_int_equal(why.code, ERR_CONFLICT);
  json_decref(list);
  kit_jobs(k);
  kit_verified(k);
}

static void oneself(void **state) {
  struct kit *k = *state;
  struct identity_member staff[] = {{"curious", "نام", "centre", STAFF_OFFICER}, {"boss", "سرپرست", "centre", STAFF_SUPERVISOR}};
  struct actor curious = kit_staff("curious", "centre", ROLE_OFFICER), boss = kit_staff("boss", "centre", ROLE_SUPERVISOR), person = kit_person(k, 700);
  must(identity_staff_many(k->identity, staff, 2, "a-long-password", err));
  must(identity_staff_is(k->identity, "curious", person.national_id, err));
  looks(k, &curious, kit_permit(k, &person, "person"));
  must(cases_looks_review(k->cases, cases_today(), err));
  json_t *list = seen_by(k, &boss);
  assert_int_equal(reports_of(list, "curious", "namesake"), 1);
  json_decref(list);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(who_snoops_stands_out), KIT_TEST(oneself)};
  KIT_RUN(tests);
}
