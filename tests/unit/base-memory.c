/* Arenas, buffers and errors. */
#include "base/bytes.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void arena_hands_out_zeroed_aligned_memory(void **state)
{
  struct arena *a = arena_new(1 << 20);
  for (size_t size = 0; size < 3000; size += 7) {
    unsigned char *p = arena_alloc(a, size);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
    memset(p, 0xAA, size);
    arena_strdup(a, "x"); /* leaves the place unaligned */
  }
  size_t used = arena_used(a);
  assert_true(used > 3000 / 7 * 1500);
  arena_reset(a);
  assert_int_equal(arena_used(a), 0);
  unsigned char *p = arena_alloc(a, 1000);
  for (size_t i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
  arena_free(a);
  arena_free(NULL);
}

static void arena_refuses_beyond_its_cap(void **state)
{
  struct arena *a = arena_new(100);
  assert_non_null(arena_alloc(a, 100));
  assert_false(arena_overflowed(a));
  assert_null(arena_alloc(a, 1));
  assert_true(arena_overflowed(a));
  assert_null(arena_strdup(a, ""));
  assert_null(arena_printf(a, "%d", 1));
  arena_reset(a);
  assert_false(arena_overflowed(a));
  assert_null(arena_alloc(a, SIZE_MAX));
  assert_null(arena_strdup(a, NULL));
  assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
  assert_string_equal(arena_strndup(a, "ab", 3), "ab");
  assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
  arena_free(a);
}

static void arena_keeps_its_block_for_small_things_after_a_large_one(void **state)
{
  struct arena *a = arena_new(64 << 20);
  char *before = arena_strdup(a, "before");
  char *large = arena_alloc(a, 5 << 20);
  memset(large, 1, 5 << 20);
  char *after = arena_strdup(a, "after");
  assert_ptr_equal(after, before + 7);
  for (int i = 0; i < 20000; i++) assert_non_null(arena_alloc(a, 200));
  assert_string_equal(before, "before");
  assert_string_equal(after, "after");
  arena_free(a);
}

static void buffer_grows_and_stops_at_its_cap(void **state)
{
  struct buf b = {0};
  assert_string_equal(buf_str(&b), "");
  buf_adds(&b, "one");
  buf_addc(&b, ' ');
  buf_addf(&b, "%s %d", "two", 3);
  buf_adds(&b, NULL);
  assert_string_equal(b.data, "one two 3");
  assert_int_equal(b.len, 9);
  char *s = buf_take(&b);
  assert_string_equal(s, "one two 3");
  free(s);
  s = buf_take(&b);
  assert_string_equal(s, "");
  free(s);
  buf_init(&b, 4);
  buf_adds(&b, "1234");
  assert_false(buf_overflowed(&b));
  buf_addc(&b, '5');
  assert_true(buf_overflowed(&b));
  assert_string_equal(buf_str(&b), "1234");
  buf_clear(&b);
  assert_false(buf_overflowed(&b));
  buf_addf(&b, "%05d", 1);
  assert_true(buf_overflowed(&b));
  assert_string_equal(buf_str(&b), "");
  buf_free(&b);
  assert_int_equal(b.cap, 4);
  for (int i = 0; i < 100000; i++) buf_adds(&b, "");
  buf_free(&b);
  buf_init(&b, 0);
  for (int i = 0; i < 100000; i++) buf_addf(&b, "%d,", i % 10);
  assert_int_equal(b.len, 200000);
  buf_free(&b);
  buf_free(NULL);
}

static void buffer_expects(void **state)
{
  struct buf b = {0}, small;
  buf_adds(&b, "x=");
  buf_expect(&b, 1000);
  char *at = b.data;
  assert_string_equal(buf_str(&b), "x=");
  for (int i = 0; i < 250; i++) buf_add64(&b, "\xfb\xff", 2);
  assert_ptr_equal(b.data, at); /* no more room was needed */
  assert_int_equal(b.len, 1002);
  assert_string_equal(b.data + 998, "+/8=");
  buf_free(&b);
  buf_init(&small, 5);
  buf_expect(&small, 6);
  assert_string_equal(buf_str(&small), "");
  buf_add64(&small, "f", 1);
  assert_string_equal(buf_str(&small), "Zg==");
  buf_add64(&small, "f", 1);
  assert_true(buf_overflowed(&small));
  assert_string_equal(buf_str(&small), "Zg==");
  buf_expect(&small, 1);
  buf_free(&small);
}

static void buffer_takes_numbers(void **state)
{
  static const struct { int64_t n; const char *text; } rows[] = {{0, "0"}, {7, "7"}, {-1, "-1"}, {10, "10"}, {-1234567890123, "-1234567890123"},
    {INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"}};
  struct buf b = {0};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    buf_clear(&b);
    buf_addi(&b, rows[i].n);
    assert_string_equal(buf_str(&b), rows[i].text);
  }
  buf_free(&b);
}

static void *other_buffer(void *own)
{
  struct buf *b = buf_own(0);
  assert_ptr_not_equal(b, own);
  buf_adds(b, "theirs");
  return NULL;
}

static void buffer_of_each_thread(void **state)
{
  pthread_t thread;
  struct buf *b = buf_own(10);
  buf_adds(b, "0123456789");
  assert_false(buf_overflowed(b));
  assert_int_equal(pthread_create(&thread, NULL, other_buffer, b), 0);
  pthread_join(thread, NULL);
  assert_string_equal(buf_str(b), "0123456789");
  buf_addc(b, 'x');
  assert_true(buf_overflowed(b));
  assert_ptr_equal(buf_own(1 << 20), b);       /* empty again, with another cap */
  assert_int_equal(b->len, 0);
  assert_false(buf_overflowed(b));
  for (int i = 0; i < 10000; i++) buf_adds(b, "0123456789");
  assert_int_equal(b->len, 100000);
  assert_true(buf_own(1 << 20)->room < 100000); /* what was much is not kept */
}

/* What was there is there afterwards: heap, variables, code, words in the program's own file. */
static void settles(void **state)
{
  static int counted = 7;
  char *kept = base_strdup("kept");
  void *freed[200];
  for (size_t i = 0; i < BASE_COUNT(freed); i++) freed[i] = base_alloc(64 * 1024);
  for (size_t i = 0; i < BASE_COUNT(freed); i++) free(freed[i]);
  for (int round = 0; round < 3; round++) {
    memory_settle();
    counted++;
    assert_string_equal(kept, "kept");
    assert_string_equal(err_name(ERR_KEY_REUSED), "idempotency_key_reused");
  }
  assert_int_equal(counted, 10);
  free(kept);
}

static void errors_carry_their_row(void **state)
{
  struct err e;
  assert_int_equal(err_set(&e, ERR_CONFLICT, "version %d", 3), -1);
  assert_int_equal(e.code, ERR_CONFLICT);
  assert_string_equal(e.message, "version 3");
  assert_int_equal(err_set(NULL, ERR_LIMIT, "nobody listens"), -1);
  assert_int_equal(err_status(ERR_CONFLICT), 409);
  assert_string_equal(err_name(ERR_KEY_REUSED), "idempotency_key_reused");
  assert_int_equal(err_status((enum err_code)999), 500);
  assert_string_equal(err_name((enum err_code)999), "internal");
  err_set(&e, ERR_INVALID, "%s again", e.message); /* may quote itself */
  assert_string_equal(e.message, "version 3 again");
}

static void error_messages_stay_utf8(void **state)
{
  struct err e;
  char long_text[1200] = "x";
  for (size_t i = 1; i + 2 < sizeof long_text; i += 2) memcpy(long_text + i, "م", 3);
  err_set(&e, ERR_INVALID, "%s", long_text);
  assert_true(strlen(e.message) >= 509);
  assert_true(utf8_valid(e.message, strlen(e.message)));
  err_set(&e, ERR_INVALID, "a\xFF%.3s|", "ابت");
  assert_string_equal(e.message, "aا|");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(arena_hands_out_zeroed_aligned_memory),
    cmocka_unit_test(arena_refuses_beyond_its_cap),
    cmocka_unit_test(arena_keeps_its_block_for_small_things_after_a_large_one),
    cmocka_unit_test(buffer_grows_and_stops_at_its_cap),
    cmocka_unit_test(buffer_expects), cmocka_unit_test(buffer_takes_numbers), cmocka_unit_test(buffer_of_each_thread), cmocka_unit_test(settles), cmocka_unit_test(errors_carry_their_row),
    cmocka_unit_test(error_messages_stay_utf8),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
