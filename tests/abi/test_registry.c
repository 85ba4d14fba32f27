/* Section 9: clients come, change and go while the server runs. */
#include "support.h"

static smartvpn_status create(smartvpn_server* server, const char* json, smartvpn_credentials** out, char path[64]) {
  smartvpn_error* error = NULL;
  smartvpn_status status = smartvpn_client_create(server, json, strlen(json), out, &error);
  snprintf(path, 64, "%s", smartvpn_error_path(error));
  smartvpn_error_free(error);
  return status;
}

static void created_client_has_everything_it_needs(void** state) {
  (void)state;
  char path[64], json[2048], public_key[SMARTVPN_KEY_SIZE];
  smartvpn_credentials* credentials = NULL;
  smartvpn_config* config = NULL;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(create(server, "{\"id\": \"alice-laptop\", \"tags\": [\"staff\"]}", &credentials, path),
                   SMARTVPN_OK);

  const char* private_key = smartvpn_credentials_private_key(credentials);
  assert_int_equal(strlen(private_key), SMARTVPN_KEY_SIZE - 1);
  assert_ok(smartvpn_key_public(private_key, public_key, sizeof public_key, NULL, &err));
  assert_non_null(strstr(smartvpn_credentials_client(credentials), public_key));
  assert_non_null(strstr(smartvpn_credentials_client(credentials), "\"staff\""));
  assert_null(strstr(smartvpn_credentials_client(credentials), private_key));

  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                      SMARTVPN_NUL_TERMINATED, &config, &err));
  assert_ok(smartvpn_config_validate(config, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);

  assert_ok(smartvpn_client_get(server, "alice-laptop", json, sizeof json, NULL, &err));
  assert_string_equal(json, smartvpn_credentials_client(credentials));
  assert_int_equal(smartvpn_credentials_free(credentials), SMARTVPN_OK);
  assert_null(smartvpn_credentials_private_key(credentials));
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void client_that_brings_its_key_keeps_its_secret(void** state) {
  (void)state;
  char path[64], json[200], secret[SMARTVPN_KEY_SIZE], public_key[SMARTVPN_KEY_SIZE];
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_key_generate(secret, sizeof secret, NULL, &err));
  assert_ok(smartvpn_key_public(secret, public_key, sizeof public_key, NULL, &err));
  snprintf(json, sizeof json, "{\"id\": \"carol\", \"noise_public_key\": \"%s\"}", public_key);
  assert_int_equal(create(server, json, &credentials, path), SMARTVPN_OK);
  assert_string_equal(smartvpn_credentials_private_key(credentials), "");
  assert_non_null(strstr(smartvpn_credentials_client(credentials), public_key));
  smartvpn_credentials_free(credentials);
  assert_int_equal(create(server, json, &credentials, path), SMARTVPN_EXISTS);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void wrong_descriptions_are_refused_with_a_path(void** state) {
  (void)state;
  char path[64];
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(create(server, "{}", &credentials, path), SMARTVPN_INVALID);
  assert_string_equal(path, "/id");
  assert_int_equal(create(server, "{\"id\": \"a b\"}", &credentials, path), SMARTVPN_INVALID);
  assert_string_equal(path, "/id");
  assert_int_equal(create(server, "{\"id\": \"a\", \"tag\": []}", &credentials, path), SMARTVPN_INVALID);
  assert_string_equal(path, "/tag");
  assert_int_equal(create(server, "{\"id\": \"a\", \"noise_public_key\": \"x\"}", &credentials, path),
                   SMARTVPN_INVALID);
  assert_string_equal(path, "/noise_public_key");
  assert_int_equal(create(server, "[", &credentials, path), SMARTVPN_INVALID);
  assert_null(credentials);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void clients_are_listed_switched_and_removed(void** state) {
  (void)state;
  char path[64], json[4096];
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_client_list(server, json, sizeof json, NULL, &err));
  assert_string_equal(json, "[]");
  assert_int_equal(create(server, "{\"id\": \"b\"}", &credentials, path), SMARTVPN_OK);
  smartvpn_credentials_free(credentials);
  assert_int_equal(create(server, "{\"id\": \"a\"}", &credentials, path), SMARTVPN_OK);
  smartvpn_credentials_free(credentials);
  assert_ok(smartvpn_client_list(server, json, sizeof json, NULL, &err));
  assert_true(strstr(json, "\"id\":\"a\"") && strstr(json, "\"id\":\"a\"") < strstr(json, "\"id\":\"b\""));
  assert_ok(smartvpn_client_disable(server, "a", &err));
  assert_ok(smartvpn_client_get(server, "a", json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"enabled\":false"));
  assert_ok(smartvpn_client_enable(server, "a", &err));
  assert_ok(smartvpn_client_get(server, "a", json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"enabled\":true"));
  assert_ok(smartvpn_client_remove(server, "a", &err));
  assert_int_equal(smartvpn_client_get(server, "a", json, sizeof json, NULL, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_client_remove(server, "a", NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_client_enable(server, "a", NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_client_get(server, NULL, json, sizeof json, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest registry[] = {
      cmocka_unit_test(created_client_has_everything_it_needs),
      cmocka_unit_test(client_that_brings_its_key_keeps_its_secret),
      cmocka_unit_test(wrong_descriptions_are_refused_with_a_path),
      cmocka_unit_test(clients_are_listed_switched_and_removed),
  };
  return cmocka_run_group_tests(registry, NULL, NULL);
}
