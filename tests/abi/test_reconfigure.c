/* Section 6: a running server takes a changed configuration and says for each key what became of it. */
#include "support.h"

/* A server and the configuration it runs on. */
typedef struct {
  smartvpn_config* config;
  smartvpn_server* server;
} fixture;

static fixture set_up(void) {
  fixture f = {new_server_config("testing"), NULL};
  assert_ok(smartvpn_server_create(f.config, &f.server, &err));
  assert_ok(smartvpn_server_start(f.server, &err));
  return f;
}

static void tear_down(fixture* f) {
  assert_int_equal(smartvpn_config_free(f->config), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(f->server), SMARTVPN_OK);
}

static void set(fixture* f, const char* pointer, const char* json) {
  assert_ok(smartvpn_config_set(f->config, pointer, json, SMARTVPN_NUL_TERMINATED, &err));
}

static void expect_changes(fixture* f, uint32_t flags, const char* json) {
  smartvpn_changes* changes = NULL;
  assert_ok(smartvpn_server_reconfigure(f->server, f->config, flags, &changes, &err));
  assert_string_equal(smartvpn_changes_json(changes), json);
  assert_int_equal(smartvpn_changes_free(changes), SMARTVPN_OK);
}

static void every_changed_key_gets_its_answer(void** state) {
  (void)state;
  fixture f = set_up();
  expect_changes(&f, 0, "[]");
  set(&f, "/network/dns", "[\"10.8.0.1\"]");
  set(&f, "/network/mtu", "1380");
  set(&f, "/listen/0/address", "\"::1\"");
  const char* all =
      "[{\"path\":\"/listen/0/address\",\"result\":\"needs_listener_restart\"},"
      "{\"path\":\"/network/dns\",\"result\":\"applied\"},"
      "{\"path\":\"/network/mtu\",\"result\":\"needs_server_restart\"}]";
  expect_changes(&f, SMARTVPN_RECONFIGURE_DRY_RUN, all);
  expect_changes(&f, 0, all);
  expect_changes(&f, 0,
                 "[{\"path\":\"/listen/0/address\",\"result\":\"needs_listener_restart\"},"
                 "{\"path\":\"/network/mtu\",\"result\":\"needs_server_restart\"}]");
  tear_down(&f);
}

static void a_refused_configuration_changes_nothing(void** state) {
  (void)state;
  fixture f = set_up();
  smartvpn_error* err = NULL;
  set(&f, "/security/connection_ip_block_list", "[\"10.0.0.9-10.0.0.1\"]");
  assert_int_equal(smartvpn_server_reconfigure(f.server, f.config, 0, NULL, &err), SMARTVPN_INVALID);
  assert_string_equal(smartvpn_error_path(err), "/security/connection_ip_block_list/0");
  smartvpn_error_free(err);
  set(&f, "/security/connection_ip_block_list", "[]");
  expect_changes(&f, 0, "[]");
  assert_int_equal(smartvpn_server_reconfigure(f.server, f.config, 2, NULL, NULL), SMARTVPN_UNSUPPORTED);
  tear_down(&f);
}

static void it_is_for_servers_that_run(void** state) {
  (void)state;
  smartvpn_config* config = new_server_config("testing");
  smartvpn_config* tunnel = NULL;
  smartvpn_server* server = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_TUNNEL, &tunnel, &err));
  assert_ok(smartvpn_server_create(config, &server, &err));
  assert_int_equal(smartvpn_server_reconfigure(server, config, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_server_start(server, &err));
  assert_int_equal(smartvpn_server_reconfigure(server, tunnel, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_reconfigure(server, NULL, 0, NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_reconfigure(NULL, config, 0, NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_server_reconfigure(server, config, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_null(smartvpn_changes_json(NULL));
  smartvpn_config_free(tunnel);
  smartvpn_config_free(config);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

/* Found by fuzz_abi: the configuration was judged first. */
static void a_bad_server_is_told_before_a_wrong_configuration(void** state) {
  (void)state;
  smartvpn_config* empty = NULL;
  smartvpn_server* server = new_server("testing");
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &empty, &err));
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_reconfigure(server, empty, 0, NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_reconfigure(NULL, empty, 0, NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_config_free(empty), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest reconfigure[] = {
      cmocka_unit_test(every_changed_key_gets_its_answer),
      cmocka_unit_test(a_refused_configuration_changes_nothing),
      cmocka_unit_test(it_is_for_servers_that_run),
      cmocka_unit_test(a_bad_server_is_told_before_a_wrong_configuration),
  };
  return cmocka_run_group_tests(reconfigure, NULL, NULL);
}
