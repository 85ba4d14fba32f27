/* Sized structs: older and newer callers than the library. */
#include "support.h"

static void callbacks_of_every_age_are_judged_by_their_size(void** state) {
  (void)state;
  struct {
    smartvpn_callbacks known;
    uint64_t later[2];
  } newer;
  smartvpn_server* server = new_server("testing");
  memset(&newer, 0, sizeof newer);
  newer.known.struct_size = sizeof newer;
  assert_ok(smartvpn_server_set_callbacks(server, &newer.known, &err));
  newer.later[1] = 1;
  assert_int_equal(smartvpn_server_set_callbacks(server, &newer.known, NULL), SMARTVPN_UNSUPPORTED);
  /* As of before `authorize` was there. What stands behind it then is not read. */
  newer.known.authorize = (smartvpn_authorize_fn)1;
  newer.known.struct_size = offsetof(smartvpn_callbacks, authorize);
  assert_ok(smartvpn_server_set_callbacks(server, &newer.known, &err));
  newer.known.struct_size = offsetof(smartvpn_callbacks, authorize) - 1;
  assert_int_equal(smartvpn_server_set_callbacks(server, &newer.known, NULL), SMARTVPN_INVALID);
  newer.known.struct_size = 0;
  assert_int_equal(smartvpn_server_set_callbacks(server, &newer.known, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_server_set_callbacks(server, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static uint64_t first_session(smartvpn_server* server) {
  char json[4096];
  for (;;) {
    assert_ok(smartvpn_session_list(server, json, sizeof json, NULL, &err));
    const char* id = strstr(json, "\"id\":");
    if (id) return strtoull(id + 5, NULL, 10);
  }
}

static void filled_structs_keep_their_size_and_get_zeroes_at_the_end(void** state) {
  (void)state;
  struct {
    smartvpn_session_info known;
    uint64_t later[2];
  } newer;
  smartvpn_server* server = running_server("host");
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  uint64_t id = first_session(server);
  memset(&newer, 0xee, sizeof newer);
  newer.known.struct_size = sizeof newer;
  assert_ok(smartvpn_session_get_info(server, id, &newer.known, &err));
  assert_int_equal(newer.known.struct_size, sizeof newer);
  assert_int_equal(newer.known.id, id);
  assert_int_equal(newer.known.reserved, 0);
  assert_int_equal(newer.later[0], 0);
  assert_int_equal(newer.later[1], 0);
  newer.known.struct_size = offsetof(smartvpn_session_info, reserved);
  assert_int_equal(smartvpn_session_get_info(server, id, &newer.known, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_session_get_info(server, id, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest structs[] = {
      cmocka_unit_test(callbacks_of_every_age_are_judged_by_their_size),
      cmocka_unit_test(filled_structs_keep_their_size_and_get_zeroes_at_the_end),
  };
  return cmocka_run_group_tests(structs, NULL, NULL);
}
