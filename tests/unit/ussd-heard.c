#include "channels/ussd/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void carriers(void **state) {
  (void)state;
  struct ussd_carriers c;
  struct err err;
  assert_int_equal(ussd_carriers_read("", &c, &err), 0);
  const struct ussd_carrier *one = ussd_carrier_of(&c, "anything");
  assert_int_equal(one->unicode, 80);
  assert_int_equal(one->gsm, 182);
  assert_int_equal(ussd_carriers_read(" * screen=70/160 ;; mci ops=32/33/34/35 end=op;irancell screen=80/182", &c, &err), 0);
  one = ussd_carrier_of(&c, "mci");
  assert_int_equal(one->unicode, 70); /* what stands for all comes first */
  assert_int_equal(one->asks, 34);
  assert_false(one->end_bit);
  assert_int_equal(ussd_carrier_of(&c, "irancell")->unicode, 80);
  assert_int_equal(ussd_carrier_of(&c, NULL)->gsm, 160);
  static const char *const wrong[] = {"a screen=1/2", "a screen=80", "a screen=80/182/3", "a screen=80/182x", "a ops=1/1/2/3", "a ops=1/2/3", "a ops=1/2/3/256", "a end=maybe",
    "a colour=red", "a123456789012345678901234567890123456789 screen=80/182"};
  for (size_t i = 0; i < BASE_COUNT(wrong); i++) assert_int_equal(ussd_carriers_read(wrong[i], &c, &err), -1);
}

static enum heard_kind kind(const char *query, struct heard *h) {
  struct ussd_carriers c;
  struct err err;
  assert_int_equal(ussd_carriers_read("bare end=op", &c, &err), 0);
  return heard_kannel(query, ussd_carrier_of(&c, strstr(query, "bare") ? "bare" : ""), h);
}

static void kannel(void **state) {
  (void)state;
  struct heard h;
  assert_int_equal(kind("msisdn=1&text=2", &h), HEARD_MESSAGE);
  assert_int_equal(kind("op=&its=", &h), HEARD_MESSAGE);
  assert_int_equal(kind("", &h), HEARD_MESSAGE);
  assert_int_equal(kind("op=%01&its=*%00", &h), HEARD_BEGINS);
  assert_true(h.has_its && h.its[0] == '*' && h.its[1] == 0);
  assert_int_equal(kind("its=%25%26&op=%12", &h), HEARD_REPLY);
  assert_true(h.its[0] == '%' && h.its[1] == '&');
  assert_int_equal(kind("op=%12&its=*%03", &h), HEARD_OVER);
  assert_int_equal(kind("bare=&op=%12&its=*%03", &h), HEARD_REPLY);
  assert_int_equal(kind("op=%11", &h), HEARD_OVER);
  assert_int_equal(kind("op=%", &h), HEARD_OVER);
  assert_int_equal(kind("op=%1", &h), HEARD_OVER);
  assert_int_equal(kind("top=%01", &h), HEARD_MESSAGE);
  assert_int_equal(kind("op=%12&its=%2", &h), HEARD_REPLY);
  assert_int_equal(kind("op=%12&its=*", &h), HEARD_REPLY);
  assert_false(h.has_its);
}

static void meta(void **state) {
  (void)state;
  const struct ussd_carrier *usual = ussd_carrier_of(&(struct ussd_carriers){0}, NULL);
  char out[80];
  struct heard h = {.op = 1, .has_its = true, .its = {0x2a, 0x04}};
  heard_meta(&h, usual, false, out);
  assert_string_equal(out, "?smpp?ussd_service_op=%02&its_session_info=%2A%04");
  heard_meta(&h, usual, true, out);
  assert_string_equal(out, "?smpp?ussd_service_op=%11&its_session_info=%2A%05");
  h.has_its = false;
  heard_meta(&h, usual, true, out);
  assert_string_equal(out, "?smpp?ussd_service_op=%11");
}

static void inputs(void **state) {
  (void)state;
  char text[] = "*4015*31**7", *got[3];
  assert_int_equal(heard_inputs(text, got, 3), 3);
  assert_string_equal(got[2], "7");
  char many[] = "1*2*3*4";
  assert_int_equal(heard_inputs(many, got, 3), 3);
  assert_int_equal(heard_inputs((char[]){""}, got, 3), 0);
}

static void addresses(void **state) {
  (void)state;
  assert_true(heard_allowed("", "192.0.2.1"));
  assert_true(heard_allowed("192.0.2.10, 192.0.2.1", "192.0.2.1"));
  assert_true(heard_allowed("192.0.2.1,::1", "::1"));
  assert_false(heard_allowed("192.0.2.10", "192.0.2.1"));
  assert_false(heard_allowed("1192.0.2.1", "192.0.2.1"));
  assert_false(heard_allowed("192.0.2.1", ""));
}

static void latin(void **state) {
  (void)state;
  static const char *const good[][2] = {{"کارده", "Kardeh"}, {"کارده", "karde"}, {"کارده", "K"}, {"قوچان", "Ghoochan"}, {"قوچان", "quch"}, {"عباس‌آباد", "Abbasabad"}, {"خواف", "Khaf"},
    {"شهرآباد", "Shahr"}, {"یوسف‌آباد", "Yoosef"}, {"ایرج", "Iraj"}, {"هاشم‌آباد", "Hash"}, {"ورزنه", "Varz"}, {"چناران", "Chenaran"}, {"امید", "Omid"}};
  static const char *const bad[][2] = {{"کارده", "Garde"}, {"کارده", ""}, {"کارده", "a"}, {"کارده", "123"}, {"کارده", "Kardan"}, {"عباس‌آباد", "Bas"}, {"بسطام", "Abas"}, {"ورزنه", "Yarz"}};
  for (size_t i = 0; i < BASE_COUNT(good); i++) assert_true(latin_begins(good[i][0], good[i][1]));
  for (size_t i = 0; i < BASE_COUNT(bad); i++) assert_false(latin_begins(bad[i][0], bad[i][1]));
  struct arena *a = arena_new(4096);
  assert_string_equal(latin_of(a, "کارده بالا ۲"), "Kardeh Bala 2");
  assert_string_equal(latin_of(a, "عباس‌آباد"), "Abas-abad");
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(carriers), cmocka_unit_test(kannel), cmocka_unit_test(meta), cmocka_unit_test(inputs), cmocka_unit_test(addresses),
    cmocka_unit_test(latin)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
