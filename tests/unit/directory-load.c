/* The tiny province, and the real one. */
#include "directory/directory.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned told;
static void hear(void *ctx, const char *file, unsigned line, const char *message) {
  print_message("%s:%u: %s\n", file, line, message);
  told++;
}

static struct directory *mini;
static int place(const char *code) { return directory_find_place(mini, code); }

static void tables_are_read(void **state) {
  assert_int_equal(directory_places(mini), 11);
  assert_int_equal(directory_organisations(mini), 8);
  assert_int_equal(directory_offices(mini), 4);
  const struct place *upper = directory_place(mini, place("9901"));
  assert_string_equal(upper->name_en, "Upper");
  assert_int_equal(upper->kind, PLACE_COUNTY);
  assert_int_equal(upper->population, 600);
  assert_int_equal(upper->households, -1);
  assert_true(upper->lat == 36.5);
  const struct place *village = directory_place(mini, place("9901012001000002"));
  assert_true(isnan(village->lat));
  assert_string_equal(place_name(village, LANG_EN), "ده سنگ");
  const struct office *hub = directory_office(mini, directory_find_office(mini, "M-3"));
  assert_int_equal(hub->uplink_count, 2);
  assert_true(hub->synthetic);
  assert_int_equal(hub->level, OFFICE_HUB);
  const struct organisation *night = directory_organisation(mini, directory_find_organisation(mini, "crew-night"));
  assert_int_equal(night->unit_of, directory_find_organisation(mini, "crew"));
}

static void what_is_not_there(void **state) {
  assert_int_equal(place("12345"), -1);
  assert_int_equal(directory_find_place(mini, NULL), -1);
  assert_null(directory_place(mini, -1));
  assert_null(directory_place(mini, 11));
  assert_null(directory_office(mini, 4));
  assert_int_equal(directory_shapes(mini), 0);
  assert_null(directory_shape(mini, 0));
  assert_string_equal(directory_attribution(mini), "");
  assert_false(directory_within(mini, -1, 0));
  assert_int_equal(directory_responsible(mini, -1, ORG_AGENCY), -1);
}

static void the_tree(void **state) {
  int village = place("9901012001000001");
  assert_true(directory_within(mini, village, place("9901")));
  assert_true(directory_within(mini, village, village));
  assert_false(directory_within(mini, village, place("9902")));
  assert_int_equal(directory_ancestor(mini, village, PLACE_COUNTY), place("9901"));
  assert_int_equal(directory_ancestor(mini, village, PLACE_CITY), -1);
  assert_int_equal(directory_ancestor(mini, place("9901"), PLACE_COUNTY), place("9901"));
  const struct place *root = directory_place(mini, place("99"));
  assert_int_equal(root->parent, -1);
  assert_int_equal(root->first_child, place("9901")); /* بالا before پایین */
  assert_int_equal(directory_place(mini, root->first_child)->next, place("9902"));
  struct arena *a = arena_new(10000);
  assert_string_equal(place_path(mini, village, LANG_FA, a), "ده آب، دره، مرکزی، بالا");
  assert_string_equal(place_path(mini, place("9902"), LANG_EN, a), "Lower");
  assert_string_equal(place_path(mini, place("99"), LANG_EN, a), "Little Province");
  arena_free(a);
}

static void who_is_responsible(void **state) {
  int with = place("9901012001000001"), without = place("9901012001000002");
  assert_int_equal(directory_responsible(mini, with, ORG_DEHYARI), directory_find_organisation(mini, "water-village"));
  assert_int_equal(directory_responsible(mini, without, ORG_DEHYARI), -1);
  assert_int_equal(directory_responsible(mini, without, ORG_GOVERNORATE), directory_find_organisation(mini, "upper"));
  assert_int_equal(directory_responsible(mini, place("99010110010001"), ORG_MUNICIPALITY), directory_find_organisation(mini, "upper-city"));
  assert_int_equal(directory_responsible(mini, place("9902011001"), ORG_MUNICIPALITY), -1);
}

static void search(void **state) {
  int out[16];
  assert_int_equal(directory_search_places(mini, "ده", -1, -1, out, 16), 2);
  assert_int_equal(directory_search_places(mini, "ده اب", -1, -1, out, 16), 1); /* folded */
  assert_int_equal(out[0], place("9901012001000001"));
  assert_int_equal(directory_search_places(mini, "شهر", PLACE_CITY, place("9902"), out, 16), 1);
  assert_int_equal(out[0], place("9902011001"));
  assert_int_equal(directory_search_places(mini, "", PLACE_COUNTY, -1, out, 1), 1);
  assert_int_equal(directory_search_places(mini, NULL, PLACE_VILLAGE, -1, out, 16), 2);
  assert_int_equal(directory_search_places(mini, "zzz", -1, -1, out, 16), 0);
}

static void near_names(void **state) {
  struct nearest n = {.wanted = "contry"};
  nearest_offer(&n, "kind");
  assert_null(n.best);
  nearest_offer(&n, "country");
  nearest_offer(&n, "county");
  assert_string_equal(n.best, "country");
  struct nearest swapped = {.wanted = "recrods"};
  nearest_offer(&swapped, "records");
  assert_int_equal(swapped.distance, 1);
  struct nearest far = {.wanted = "ab"};
  nearest_offer(&far, "xy");
  assert_null(far.best);
}

static void khorasan(void **state) {
  int64_t begun = clock_mono();
  struct directory *d = directory_load("packs/khorasan-razavi", hear, NULL);
  assert_non_null(d);
  int64_t took = clock_mono() - begun;
  print_message("%zu places, %zu organisations, %zu offices in %lld ms\n", directory_places(d), directory_organisations(d),
                directory_offices(d), (long long)took);
  assert_true(directory_places(d) > 7000 && directory_offices(d) >= 4200);
  int out[5];
  assert_int_equal(directory_shapes(d), 34);
  assert_true(strstr(directory_attribution(d), "OpenStreetMap") != NULL);
  for (size_t i = 0; i < directory_shapes(d); i++) {
    const struct shape *s = directory_shape(d, i);
    assert_int_equal(directory_place(d, s->place)->kind, PLACE_COUNTY);
    assert_true(s->ring_count > 0 && s->rings[0].count > 20);
  }
  assert_true(directory_search_places(d, "نیشابور", PLACE_COUNTY, -1, out, 5) >= 1);
  for (size_t i = 0; i < directory_places(d); i++) {
    int up = directory_place(d, (int)i)->parent, found = 0;
    for (int k = up < 0 ? -1 : directory_place(d, up)->first_child; k >= 0; k = directory_place(d, k)->next) found += k == (int)i;
    assert_int_equal(found, up >= 0);
    if (directory_ancestor(d, (int)i, PLACE_COUNTY) >= 0) assert_true(directory_responsible(d, (int)i, ORG_GOVERNORATE) >= 0);
  }
  directory_free(d);
}

int main(void) {
  struct err err = {0};
  const struct CMUnitTest tests[] = {cmocka_unit_test(tables_are_read), cmocka_unit_test(what_is_not_there), cmocka_unit_test(the_tree),
    cmocka_unit_test(who_is_responsible), cmocka_unit_test(search), cmocka_unit_test(near_names), cmocka_unit_test(khorasan)};
  if (language_init(&err)) return 1;
  mini = directory_load("tests/packs/mini", hear, NULL);
  if (!mini || told) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  directory_free(mini);
  directory_free(NULL);
  return failed;
}
