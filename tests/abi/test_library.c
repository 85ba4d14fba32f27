/* Section 2 of smartvpn.h, and the names of section 4. */
#include "support.h"

static void version_is_that_of_the_header(void** state) {
  (void)state;
  assert_string_equal(smartvpn_version(), SMARTVPN_VERSION_STRING);
  assert_int_equal(smartvpn_abi_version(), SMARTVPN_ABI_VERSION);
}

static void has_knows_what_is_built_what_is_not_and_what_never_was(void** state) {
  (void)state;
  static const char* const present[] = {"host",        "testing", "proxy_protocol", "memory_store", "authorize",
                                        "reconfigure", "rotate",  "patch",          "export",       "transactions"};
  static const char* const switched[] = {"tls", "websocket", "tunnel",     "tun",        "sqlite_store",
                                         "qr",  "wireguard", "masquerade", "vector_aead"};
  static const char* const absent[] = {"quic", "nat", "bridge"};
  for (size_t i = 0; i < sizeof present / sizeof *present; ++i) assert_int_equal(smartvpn_has(present[i]), 1);
  for (size_t i = 0; i < sizeof switched / sizeof *switched; ++i) assert_in_range(smartvpn_has(switched[i]), 0, 1);
  for (size_t i = 0; i < sizeof absent / sizeof *absent; ++i) assert_int_equal(smartvpn_has(absent[i]), 0);
  assert_int_equal(smartvpn_has("teleport"), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_has(""), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_has(NULL), SMARTVPN_INVALID);
}

static void every_status_has_a_name_and_a_text(void** state) {
  (void)state;
  assert_string_equal(smartvpn_status_name(SMARTVPN_OK), "OK");
  assert_string_equal(smartvpn_status_name(SMARTVPN_BAD_HANDLE), "BAD_HANDLE");
  assert_string_equal(smartvpn_status_name(SMARTVPN_INTERNAL), "INTERNAL");
  for (smartvpn_status status = SMARTVPN_INTERNAL; status <= SMARTVPN_PENDING; ++status) {
    assert_string_not_equal(smartvpn_status_name(status), "UNKNOWN");
    assert_string_not_equal(smartvpn_status_text(status), "");
  }
  assert_string_equal(smartvpn_status_name(-1000), "UNKNOWN");
  assert_non_null(smartvpn_status_text(-1000));
}

int main(void) {
  const struct CMUnitTest library[] = {
      cmocka_unit_test(version_is_that_of_the_header),
      cmocka_unit_test(has_knows_what_is_built_what_is_not_and_what_never_was),
      cmocka_unit_test(every_status_has_a_name_and_a_text),
  };
  return cmocka_run_group_tests(library, NULL, NULL);
}
