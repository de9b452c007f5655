/* What a witness does: follows a log that grows, refuses one that forks or goes back, and its co-signature is one that the log takes. */
#include "trust-kit.h"

static char *checkpoint(struct trust *t) {
  char *text = NULL;
  t->signed_at = 0;
  kit_sequence(t);
  must(trust_checkpoint(t, &text, err));
  return text;
}

static json_t *path(struct trust *t, int64_t first, int64_t second) {
  json_t *o = NULL;
  must(trust_consistency(t, first, second, &o, err));
  return o;
}

static void follows_and_refuses(void **state) {
  struct store *s = kit_store("log.db"), *s2 = kit_store("fork.db");
  struct trust *t = kit_trust(s, "log.pem", "one");
  struct trust_seen first, second, now;
  kit_append(s, 0, 5);
  char *one = checkpoint(t);
  must(trust_follow(trust_public_key(t), one, NULL, NULL, &first, err));
  assert_int_equal(first.size, 5);
  kit_append(s, 5, 8);
  kit_sleep(1100); /* a head a second at most */
  char *two = checkpoint(t);
  struct err told;
  assert_int_equal(trust_follow(trust_public_key(t), two, &first, NULL, &second, &told), 1); /* longer: the proof is wanted */
  json_t *proof = path(t, 5, 13);
  must(trust_follow(trust_public_key(t), two, &first, json_object_get(proof, "consistency_path"), &second, err));
  refused(trust_follow(trust_public_key(t), one, &second, NULL, &now, err), ERR_CONFLICT); /* it went back */
  struct trust_seen other = first;
  other.root[3] ^= 1;
  refused(trust_follow(trust_public_key(t), two, &other, json_object_get(proof, "consistency_path"), &now, err), ERR_CONFLICT); /* another history was seen */
  refused(trust_follow(trust_public_key(t), one, &other, NULL, &now, err), ERR_CONFLICT);
  json_t *none = json_array();
  refused(trust_follow(trust_public_key(t), two, &first, none, &now, err), ERR_CONFLICT);
  /* a true fork: another history under the same key */
  char *key = base_printf("%s/log.pem.head", kit_dir);
  unlink(key);
  struct trust *f = kit_trust(s2, "log.pem", "two");
  kit_append(s2, 1000, 13);
  kit_append(s2, 2000, 2);
  char *forked = checkpoint(f);
  json_t *lie = path(f, 13, 15);
  refused(trust_follow(trust_public_key(t), forked, &second, json_object_get(lie, "consistency_path"), &now, err), ERR_CONFLICT);
  forked[3] ^= 1;
  refused(trust_follow(trust_public_key(t), forked, &second, NULL, &now, err), ERR_INVALID);
  json_decref(none);
  json_decref(proof);
  json_decref(lie);
  free(one); free(two); free(forked); free(key);
  trust_close(t);
  trust_close(f);
  store_close(s);
  store_close(s2);
}

static void cosigns(void **state) {
  struct store *s = kit_store("cosigned.db");
  struct trust *t = kit_trust(s, "cosigned.pem", "one");
  struct key witness;
  struct vkey name;
  char file[256];
  unsigned char signature[SIGNATURE];
  json_t *who = NULL;
  struct err told;
  kit_path(file, "witness.pem");
  must(key_open(file, &witness, err));
  vkey_make(&name, "KHR/GOV/1/ss1", KEY_COSIGNATURE, witness.public);
  char *key = vkey_text(&name);
  kit_append(s, 0, 3);
  char *head = checkpoint(t);
  int64_t at = clock_now();
  char *text = trust_cosigned_text(head, at, &told);
  key_sign(&witness, text, strlen(text), signature);
  char *note = trust_cosigned_note(head, key, at, signature, &told);
  must(trust_cosign(t, key, note, err));
  must(trust_cosigners(t, 3, &who, err));
  assert_int_equal(json_array_size(who), 1);
  assert_string_equal(json_str(json_array_get(who, 0), "name"), "KHR/GOV/1/ss1");
  json_decref(who);
  must(trust_cosigners(t, 4, &who, err));
  assert_int_equal(json_array_size(who), 0);
  json_decref(who);
  signature[0] ^= 1;
  char *bad = trust_cosigned_note(head, key, at, signature, &told);
  refused(trust_cosign(t, key, bad, err), ERR_INVALID);
  free(key); free(head); free(text); free(note); free(bad);
  key_close(&witness);
  trust_close(t);
  store_close(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(follows_and_refuses), cmocka_unit_test(cosigns)};
  return cmocka_run_group_tests(tests, kit_start, kit_stop);
}
