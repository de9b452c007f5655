/* Keys, signed notes, checkpoints, promises. */
#include "trust-kit.h"
#include <sys/stat.h>

static const char foo_key[] = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"; /* C2SP signed-note, example */
static const char foo_note[] = "This is an example message.\n\n"
  "\xE2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

static void published_example(void **state) {
  struct vkey k;
  struct note n;
  const struct note_line *line;
  must(vkey_parse(foo_key, &k, err));
  assert_string_equal(k.name, "example.com/foo");
  char *again = vkey_text(&k);
  assert_string_equal(again, foo_key);
  free(again);
  must(note_parse(foo_note, sizeof foo_note - 1, &n, err));
  assert_int_equal(n.count, 1);
  assert_int_equal(note_check(&n, &k, &line), 1);
  assert_ptr_equal(line, &n.lines[0]);
}

static void every_changed_byte_is_seen(void **state) {
  struct vkey k;
  struct note n;
  const struct note_line *line;
  char copy[sizeof foo_note];
  must(vkey_parse(foo_key, &k, err));
  for (size_t i = 0; i < sizeof foo_note - 1; i++)
    for (int bit = 0; bit < 8; bit++) {
      memcpy(copy, foo_note, sizeof copy);
      copy[i] ^= (char)(1 << bit);
      if (note_parse(copy, sizeof copy - 1, &n, NULL) == 0 && note_check(&n, &k, &line) == 1) fail_msg("byte %zu, bit %d", i, bit);
    }
}

static void malformed_notes(void **state) {
  static const char *const bad[] = {"",
                                    "\n",
                                    "\n\n",
                                    "text\n",
                                    "text\n\n",
                                    "text\n\nno dash\n",
                                    "text\n\n\xE2\x80\x94 name\n",
                                    "text\n\n\xE2\x80\x94 na+me AAAAAAAA\n",
                                    "text\n\n\xE2\x80\x94 name AAAAAAA\n",
                                    "text\n\n\xE2\x80\x94 name AAAA\n",
                                    "te\txt\n\n\xE2\x80\x94 name AAAAAAAA\n",
                                    "text\n\n\xE2\x80\x94 name AAAAAAAA",
                                    "text\n\n\xE2\x80\x94 name AAAAAAAA\n\n",
                                    "te\xffxt\n\n\xE2\x80\x94 name AAAAAAAA\n",
                                    "text\n\n\xE2\x80\x94  AAAAAAAA\n"};
  struct note n;
  for (size_t i = 0; i < BASE_COUNT(bad); i++)
    if (note_parse(bad[i], strlen(bad[i]), &n, NULL) == 0) fail_msg("note %zu", i);
  must(note_parse("a\n\nb\n\n\xE2\x80\x94 name AAAAAAAA\n", 24, &n, err));
  assert_int_equal(n.size, 5);
  static const char *const keys[] = {"",
                                     "a",
                                     "a+b",
                                     "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
                                     "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
                                     "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
                                     "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
                                     "exa mple+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"};
  struct vkey k;
  for (size_t i = 0; i < BASE_COUNT(keys); i++)
    if (vkey_parse(keys[i], &k, NULL) == 0) fail_msg("key %zu", i);
  assert_false(name_valid("a\xC2\xA0" "b"));
  assert_false(name_valid(""));
  assert_true(name_valid("\xD8\xAE\xD8\xB1\xD8\xA7\xD8\xB3\xD8\xA7\xD9\x86"));
}

static void malformed_checkpoints(void **state) {
  static const char root[] = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
  static const char *const bad[] = {"o\n1\n",
                                    "\n1\n%s\n",
                                    "o\n01\n%s\n",
                                    "o\n-1\n%s\n",
                                    "o\n1x\n%s\n",
                                    "o\n99999999999999999999\n%s\n",
                                    "o\n9223372036854775808\n%s\n",
                                    "o\n1\n%s",
                                    "o\n1\nAAAA\n",
                                    "o\n1\n%s\n\n",
                                    "o\n+1\n%s\n",
                                    "o\n\n%s\n"};
  struct checkpoint c;
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    struct buf b = {0};
    const char *hole = strstr(bad[i], "%s");
    buf_add(&b, bad[i], hole != NULL ? (size_t)(hole - bad[i]) : strlen(bad[i]));
    if (hole != NULL) {
      buf_adds(&b, root);
      buf_adds(&b, hole + 2);
    }
    if (checkpoint_parse(b.data, b.len, &c, NULL) == 0) fail_msg("checkpoint %zu", i);
    buf_free(&b);
  }
  char *text = base_printf("example.com/behind-the-sofa\n20852163\n%s\nmore\n", root);
  must(checkpoint_parse(text, strlen(text), &c, err));
  assert_int_equal(c.size, 20852163);
  assert_string_equal(c.origin, "example.com/behind-the-sofa");
  free(text);
}

static void keys_in_files(void **state) {
  char file[256], other[256];
  struct key a, b;
  struct stat st;
  unsigned char one[32], two[32], s1[SIGNATURE], s2[SIGNATURE];
  kit_path(file, "key.pem");
  must(key_open(file, &a, err));
  assert_int_equal(stat(file, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  must(key_open(file, &b, err));
  assert_memory_equal(a.public, b.public, PUBLIC_KEY);
  key_sign(&a, "x", 1, s1);
  key_sign(&b, "x", 1, s2);
  assert_memory_equal(s1, s2, SIGNATURE);
  assert_true(key_check(a.public, "x", 1, s1));
  assert_false(key_check(a.public, "y", 1, s1));
  key_close(&a);
  key_close(&b);
  chmod(file, 0640);
  refused(key_open(file, &a, err), ERR_FORBIDDEN);
  chmod(file, 0600);
  must(file_write(file, "rubbish", 7, 0600, err));
  refused(key_open(file, &a, err), ERR_INVALID);
  kit_path(other, "secret");
  must(trust_secret(other, one, err));
  must(trust_secret(other, two, err));
  assert_memory_equal(one, two, 32);
  chmod(other, 0644);
  refused(trust_secret(other, two, err), ERR_FORBIDDEN);
  must(file_write(other, "short", 5, 0600, err));
  refused(trust_secret(other, two, err), ERR_INVALID);
  kit_path(other, "none/secret");
  assert_int_equal(trust_secret(other, two, NULL), -1);
}

static void promises(void **state) {
  struct store *s = kit_store("promise");
  struct trust *t = kit_trust(s, "promise.pem", "a");
  struct kit_leaf l;
  struct vkey k;
  struct err e;
  kit_leaf(&l, 1);
  must(vkey_parse(trust_public_key(t), &k, err));
  json_t *one = trust_promise(t, l.hash, 1795000000123), *two = trust_promise(t, l.hash, 1795000000123),
         *late = trust_promise(t, l.hash, 1795000000124);
  assert_true(json_equal(one, two));
  assert_false(json_equal(one, late));
  assert_true(promise_check(one, &k, l.hash, &e));
  assert_string_equal(json_str(one, "key_id"), trust_key_id(t));
  json_object_set_new(two, "at", json_string(json_str(late, "at")));
  assert_false(promise_check(two, &k, l.hash, &e));
  l.hash[0] ^= 1;
  assert_false(promise_check(one, &k, l.hash, &e));
  json_decref(one);
  json_decref(two);
  json_decref(late);
  struct timespec a, b;
  enum { TIMES = 2000 };
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < TIMES; i++) json_decref(trust_promise(t, l.hash, i));
  clock_gettime(CLOCK_MONOTONIC, &b);
  print_message("a promise takes %.1f µs\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / TIMES / 1000);
  trust_close(t);
  struct trust_options o = {.key_file = "x", .origin = "has space"};
  refused(trust_open(s, &o, &t, err), ERR_INVALID);
  o.origin = "has+plus";
  refused(trust_open(s, &o, &t, err), ERR_INVALID);
  store_close(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(published_example), cmocka_unit_test(every_changed_byte_is_seen), cmocka_unit_test(malformed_notes),
    cmocka_unit_test(malformed_checkpoints), cmocka_unit_test(keys_in_files), cmocka_unit_test(promises)};
  return cmocka_run_group_tests_name("trust-note", tests, kit_start, kit_stop);
}
