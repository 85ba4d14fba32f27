/* Section 13, with the key pair of RFC 7748 section 6.1. */
#include "support.h"

static void generated_keys_differ_and_have_public_keys(void** state) {
  (void)state;
  char a[SMARTVPN_KEY_SIZE], b[SMARTVPN_KEY_SIZE], public_key[SMARTVPN_KEY_SIZE];
  size_t needed = 0;
  assert_ok(smartvpn_key_generate(a, sizeof a, &needed, &err));
  assert_int_equal(needed, SMARTVPN_KEY_SIZE);
  assert_int_equal(strlen(a), SMARTVPN_KEY_SIZE - 1);
  assert_ok(smartvpn_key_generate(b, sizeof b, NULL, &err));
  assert_string_not_equal(a, b);
  assert_ok(smartvpn_key_public(a, public_key, sizeof public_key, NULL, &err));
  assert_string_not_equal(a, public_key);
}

static void public_key_is_that_of_the_rfc(void** state) {
  (void)state;
  char public_key[SMARTVPN_KEY_SIZE];
  assert_ok(
      smartvpn_key_public("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", public_key, sizeof public_key, NULL, &err));
  assert_string_equal(public_key, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
}

static void what_is_no_key_is_invalid(void** state) {
  (void)state;
  char public_key[SMARTVPN_KEY_SIZE];
  static const char* const wrong[] = {"", "short", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",
                                      "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC=="};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
    assert_int_equal(smartvpn_key_public(wrong[i], public_key, sizeof public_key, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_key_public(NULL, public_key, sizeof public_key, NULL, NULL), SMARTVPN_INVALID);
}

static void too_small_a_buffer_stays_untouched(void** state) {
  (void)state;
  char small[SMARTVPN_KEY_SIZE - 1];
  size_t needed = 0;
  memset(small, 'x', sizeof small);
  assert_int_equal(smartvpn_key_generate(small, sizeof small, &needed, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_int_equal(needed, SMARTVPN_KEY_SIZE);
  for (size_t i = 0; i < sizeof small; ++i) assert_int_equal(small[i], 'x');
}

int main(void) {
  const struct CMUnitTest keys[] = {
      cmocka_unit_test(generated_keys_differ_and_have_public_keys),
      cmocka_unit_test(public_key_is_that_of_the_rfc),
      cmocka_unit_test(what_is_no_key_is_invalid),
      cmocka_unit_test(too_small_a_buffer_stays_untouched),
  };
  return cmocka_run_group_tests(keys, NULL, NULL);
}
