/* Section 5: building a configuration, and what is said about a wrong one. */
#include "support.h"

/* What `set` answers, with the error's path and text in `*path` and `*text`. */
static smartvpn_status set(smartvpn_config* config, const char* pointer, const char* json, char path[64],
                           char text[300]) {
  smartvpn_error* error = NULL;
  smartvpn_status status = smartvpn_config_set(config, pointer, json, strlen(json), &error);
  snprintf(path, 64, "%s", smartvpn_error_path(error));
  snprintf(text, 300, "%s", smartvpn_error_text(error));
  smartvpn_error_free(error);
  return status;
}

static void misspelt_key_gets_its_path_and_the_nearest_one(void** state) {
  (void)state;
  char path[64], text[300];
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &err));
  assert_int_equal(set(config, "/security/max_conections_per_ip", "5", path, text), SMARTVPN_INVALID);
  assert_string_equal(path, "/security/max_conections_per_ip");
  assert_non_null(strstr(text, "max_connections_per_ip"));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void wrong_type_range_and_absent_features_are_told_apart(void** state) {
  (void)state;
  char path[64], text[300];
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &err));
  assert_int_equal(set(config, "/network/mtu", "\"big\"", path, text), SMARTVPN_INVALID);
  assert_string_equal(path, "/network/mtu");
  assert_int_equal(set(config, "/network/mtu", "100000", path, text), SMARTVPN_INVALID);
  assert_int_equal(set(config, "/network/mtu", "not json", path, text), SMARTVPN_INVALID);
  assert_int_equal(set(config, "/forwarding/mode", "\"nat\"", path, text), SMARTVPN_UNSUPPORTED);
  assert_string_equal(path, "/forwarding/mode");
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void keys_can_be_set_one_by_one(void** state) {
  (void)state;
  char key[SMARTVPN_KEY_SIZE], quoted[SMARTVPN_KEY_SIZE + 2], json[4096];
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  snprintf(quoted, sizeof quoted, "\"%s\"", key);
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &err));
  assert_ok(smartvpn_config_set(config, "/listen/0/transport", "\"websocket\"", SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_config_set(config, "/listen/0/port", "8443 and more", 4, &err)); /* the length counts */
  assert_ok(smartvpn_config_set(config, "/keys/noise_private_key", quoted, strlen(quoted), &err));
  assert_ok(smartvpn_config_validate(config, &err));
  assert_ok(smartvpn_config_to_json(config, 0, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "8443"));
  assert_null(strstr(json, key));
  assert_ok(smartvpn_config_to_json(config, 1, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, key));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void failed_set_leaves_the_configuration_as_it_was(void** state) {
  (void)state;
  char before[4096], after[4096], path[64], text[300];
  smartvpn_config* config = new_server_config("testing");
  assert_ok(smartvpn_config_to_json(config, 1, before, sizeof before, NULL, &err));
  assert_int_equal(set(config, "/network", "{\"mtu\": 1300, \"sub\": []}", path, text), SMARTVPN_INVALID);
  assert_ok(smartvpn_config_to_json(config, 1, after, sizeof after, NULL, &err));
  assert_string_equal(before, after);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void what_needs_the_whole_picture_is_validates(void** state) {
  (void)state;
  smartvpn_error* error = NULL;
  smartvpn_server* server = NULL;
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &err));
  assert_int_equal(smartvpn_config_validate(config, &error), SMARTVPN_INVALID);
  assert_string_equal(smartvpn_error_path(error), "/listen");
  smartvpn_error_free(error);
  assert_int_equal(smartvpn_server_create(config, &server, &error), SMARTVPN_INVALID);
  assert_null(server);
  smartvpn_error_free(error);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void configuration_of_the_other_kind_is_refused(void** state) {
  (void)state;
  smartvpn_tunnel* tunnel = NULL;
  smartvpn_config* config = new_server_config("testing");
  assert_int_equal(smartvpn_tunnel_create(config, &tunnel, NULL), SMARTVPN_BAD_STATE);
  assert_null(tunnel);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void text_comes_whole_or_not_at_all(void** state) {
  (void)state;
  char json[4096];
  size_t needed = 0, again = 0;
  smartvpn_config* config = new_server_config("testing");
  assert_int_equal(smartvpn_config_to_json(config, 0, NULL, 0, &needed, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_in_range(needed, 2, sizeof json);
  memset(json, 'x', sizeof json);
  assert_int_equal(smartvpn_config_to_json(config, 0, json, needed - 1, &again, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_int_equal(again, needed);
  assert_int_equal(json[0], 'x');
  assert_ok(smartvpn_config_to_json(config, 0, json, needed, &again, &err));
  assert_int_equal(strlen(json) + 1, needed);
  assert_int_equal(json[needed], 'x');
  assert_int_equal(smartvpn_config_to_json(config, 0, NULL, 100, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void null_arguments_are_invalid(void** state) {
  (void)state;
  smartvpn_config* config = NULL;
  assert_int_equal(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, NULL, 0, &config, NULL), SMARTVPN_INVALID);
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &err));
  assert_int_equal(smartvpn_config_set(config, NULL, "1", 1, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_config_set(config, "/network/mtu", NULL, 0, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest config[] = {
      cmocka_unit_test(misspelt_key_gets_its_path_and_the_nearest_one),
      cmocka_unit_test(wrong_type_range_and_absent_features_are_told_apart),
      cmocka_unit_test(keys_can_be_set_one_by_one),
      cmocka_unit_test(failed_set_leaves_the_configuration_as_it_was),
      cmocka_unit_test(what_needs_the_whole_picture_is_validates),
      cmocka_unit_test(configuration_of_the_other_kind_is_refused),
      cmocka_unit_test(text_comes_whole_or_not_at_all),
      cmocka_unit_test(null_arguments_are_invalid),
  };
  return cmocka_run_group_tests(config, NULL, NULL);
}
