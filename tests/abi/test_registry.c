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

/* The client's JSON, kept until the next call. */
static const char* client_json(smartvpn_server* server, const char* id) {
  static char json[4096];
  assert_ok(smartvpn_client_get(server, id, json, sizeof json, NULL, &err));
  return json;
}

static smartvpn_status update(smartvpn_server* server, const char* id, const char* json, uint64_t revision,
                              char path[64]) {
  smartvpn_error* error = NULL;
  smartvpn_status status = smartvpn_client_update(server, id, json, strlen(json), revision, &error);
  snprintf(path, 64, "%s", smartvpn_error_path(error));
  smartvpn_error_free(error);
  return status;
}

static void every_key_but_secrets_is_given_back(void** state) {
  (void)state;
  char path[64], text[SMARTVPN_KEY_SIZE], json[2048];
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_key_generate(text, sizeof text, NULL, &err));
  snprintf(json, sizeof json,
           "{\"id\": \"site\", \"wireguard_preshared_key\": \"%s\", \"expires_at\": \"2030-01-01T00:00:00Z\","
           " \"subnets\": [\"192.168.7.0/24\"], \"allow_overlap\": true, \"transports\": [\"websocket\"],"
           " \"session_policy\": \"refuse-new\", \"priority\": 7, \"security\": {\"destination_block_list\":"
           " [\"192.0.2.9\"], \"rate_limit\": {\"to_client_bytes_per_second\": 9}}}",
           text);
  assert_int_equal(create(server, json, &credentials, path), SMARTVPN_OK);
  smartvpn_credentials_free(credentials);
  const char* got = client_json(server, "site");
  const char* parts[] = {"\"expires_at\":1893456000000",
                         "\"subnets\":[\"192.168.7.0/24\"]",
                         "\"allow_overlap\":true",
                         "\"transports\":[\"websocket\"]",
                         "\"session_policy\":\"refuse-new\"",
                         "\"priority\":7",
                         "\"destination_block_list\":[\"192.0.2.9\"]",
                         "\"to_client_bytes_per_second\":9",
                         "\"max_sessions\":1",
                         "\"revision\":1"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i)
    if (!strstr(got, parts[i])) fail_msg("%s lacks %s", got, parts[i]);
  assert_null(strstr(got, text));
  assert_null(strstr(got, "rotation"));
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void updates_are_merge_patches_with_a_revision(void** state) {
  (void)state;
  char path[64];
  uint64_t revision = 0;
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(create(server, "{\"id\": \"alice\", \"tags\": [\"a\", \"b\"], \"priority\": 7}", &credentials, path),
                   SMARTVPN_OK);
  smartvpn_credentials_free(credentials);
  assert_int_equal(update(server, "alice", "{\"tags\": [\"c\"], \"priority\": null}", 1, path), SMARTVPN_OK);
  assert_non_null(strstr(client_json(server, "alice"), "\"tags\":[\"c\"]"));
  assert_non_null(strstr(client_json(server, "alice"), "\"priority\":100"));
  assert_ok(smartvpn_registry_revision(server, &revision, &err));
  assert_true(revision == 2);
  assert_int_equal(update(server, "alice", "{\"priority\": 1}", 1, path), SMARTVPN_CONFLICT);
  assert_int_equal(update(server, "nobody", "{}", 0, path), SMARTVPN_NOT_FOUND);
  assert_int_equal(update(server, "alice", "{\"id\": \"bob\"}", 0, path), SMARTVPN_INVALID);
  assert_string_equal(path, "/id");
  assert_int_equal(update(server, "alice", "{\"subnets\": [\"0.0.0.0/0\"]}", 0, path), SMARTVPN_INVALID);
  assert_string_equal(path, "/subnets/0");
  assert_int_equal(update(server, "alice", "{\"addresses\": [\"10.8.0.1\"]}", 0, path), SMARTVPN_INVALID);
  assert_string_equal(path, "/addresses/0");
  assert_int_equal(smartvpn_client_update(server, "alice", NULL, 0, 0, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_client_update(server, NULL, "{}", 2, 0, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_registry_revision(server, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_narrowed_client_is_cut_before_the_call_returns(void** state) {
  (void)state;
  char path[64], json[4096];
  smartvpn_server* server = running_server("testing");
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  assert_int_equal(update(server, "alice", "{\"description\": \"x\"}", 0, path), SMARTVPN_OK);
  assert_ok(smartvpn_session_list(server, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "alice"));
  assert_int_equal(update(server, "alice", "{\"transports\": [\"quic\"]}", 0, path), SMARTVPN_OK);
  assert_ok(smartvpn_session_list(server, json, sizeof json, NULL, &err));
  assert_string_equal(json, "[]");
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void clients_are_asked_for_in_pages(void** state) {
  (void)state;
  char path[64], json[8192];
  size_t needed = 0;
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  const char* ids[] = {"{\"id\": \"a\"}", "{\"id\": \"b\", \"tags\": [\"staff\"]}", "{\"id\": \"c\"}"};
  for (size_t i = 0; i < 3; ++i) {
    assert_int_equal(create(server, ids[i], &credentials, path), SMARTVPN_OK);
    smartvpn_credentials_free(credentials);
  }
  assert_ok(smartvpn_client_query(server, NULL, 0, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"matches\":3,\"revision\":3}"));
  assert_null(strstr(json, "\"next\""));
  assert_ok(smartvpn_client_query(server, "{\"limit\": 1, \"after\": \"a\"}", SMARTVPN_NUL_TERMINATED, json,
                                  sizeof json, &needed, &err));
  assert_int_equal(needed, strlen(json) + 1);
  assert_non_null(strstr(json, "\"id\":\"b\""));
  assert_null(strstr(json, "\"id\":\"c\""));
  assert_non_null(strstr(json, "\"next\":\"b\",\"matches\":3"));
  assert_ok(smartvpn_client_query(server, "{\"tag\": \"staff\", \"online\": false}", SMARTVPN_NUL_TERMINATED, json,
                                  sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"matches\":1"));
  assert_int_equal(smartvpn_client_query(server, "{\"limit\": 0}", 12, json, sizeof json, NULL, NULL),
                   SMARTVPN_INVALID);
  assert_int_equal(smartvpn_client_query(server, NULL, 0, json, 4, &needed, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void keys_are_rotated_with_an_overlap(void** state) {
  (void)state;
  char path[64], old_key[SMARTVPN_KEY_SIZE];
  smartvpn_credentials *first = NULL, *second = NULL;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(create(server, "{\"id\": \"alice\"}", &first, path), SMARTVPN_OK);
  assert_ok(smartvpn_key_public(smartvpn_credentials_private_key(first), old_key, sizeof old_key, NULL, &err));
  assert_ok(
      smartvpn_client_rotate(server, "alice", "{\"overlap_seconds\": 60}", SMARTVPN_NUL_TERMINATED, &second, &err));
  assert_string_not_equal(smartvpn_credentials_private_key(first), smartvpn_credentials_private_key(second));
  assert_non_null(strstr(smartvpn_credentials_config(second), smartvpn_credentials_private_key(second)));
  const char* rotation = strstr(client_json(server, "alice"), "\"rotation\":{\"previous_noise_public_key\":");
  assert_non_null(rotation);
  assert_non_null(strstr(rotation, old_key));
  assert_non_null(strstr(rotation, "\"seen\":false"));
  smartvpn_credentials_free(second);
  assert_int_equal(smartvpn_client_rotate(server, "alice", NULL, 0, &second, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_client_rotate_roll_back(server, "alice", &err));
  assert_null(strstr(client_json(server, "alice"), "rotation"));
  assert_non_null(strstr(client_json(server, "alice"), old_key));
  assert_int_equal(smartvpn_client_rotate_roll_back(server, "alice", NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_rotate_commit(server, "alice", NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_client_rotate(server, "alice", NULL, 0, &second, &err));
  assert_ok(smartvpn_client_rotate_commit(server, "alice", &err));
  assert_null(strstr(client_json(server, "alice"), old_key));
  smartvpn_credentials_free(second);
  smartvpn_credentials_free(first);
  assert_int_equal(smartvpn_client_rotate(server, "alice", "{\"overlap\": 1}", 14, &second, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_client_rotate(server, "alice", NULL, 0, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_client_rotate(server, "nobody", NULL, 0, &second, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_client_rotate_commit(server, "nobody", NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

/* A server with a WireGuard key; `keep` is registry.keep_private_keys. */
static smartvpn_server* wireguard_server(const char* keep) {
  char key[SMARTVPN_KEY_SIZE], quoted[SMARTVPN_KEY_SIZE + 2];
  smartvpn_server* server = NULL;
  smartvpn_config* config = new_server_config("testing");
  assert_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  snprintf(quoted, sizeof quoted, "\"%s\"", key);
  assert_ok(smartvpn_config_set(config, "/keys/wireguard_private_key", quoted, SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_config_set(config, "/network/wireguard_endpoint", "\"vpn.example.com:51820\"",
                                SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_config_set(config, "/registry/keep_private_keys", keep, SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_server_create(config, &server, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  assert_ok(smartvpn_server_start(server, &err));
  return server;
}

static void wireguard_credentials_come_with_fixed_addresses(void** state) {
  (void)state;
  char path[64];
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = wireguard_server("false");
  assert_int_equal(create(server, "{\"id\": \"phone\"}", &credentials, path), SMARTVPN_OK);
  const char* key = smartvpn_credentials_wireguard_private_key(credentials);
  const char* conf = smartvpn_credentials_wireguard_config(credentials);
  assert_int_equal(strlen(key), SMARTVPN_KEY_SIZE - 1);
  assert_non_null(strstr(conf, key));
  assert_non_null(strstr(conf, "10.8.0.2"));
  assert_non_null(strstr(conf, "fd00:8::2"));
  assert_non_null(strstr(conf, "vpn.example.com:51820"));
  assert_non_null(strstr(smartvpn_credentials_client(credentials), "\"addresses\":[\"10.8.0.2\",\"fd00:8::2\"]"));
  assert_non_null(strstr(smartvpn_credentials_client(credentials), "\"wireguard_public_key\""));
  assert_int_equal(smartvpn_credentials_free(credentials), SMARTVPN_OK);
  assert_null(smartvpn_credentials_wireguard_private_key(credentials));
  assert_null(smartvpn_credentials_wireguard_config(credentials));
  assert_int_equal(create(server, "{\"id\": \"tablets\", \"max_sessions\": 3}", &credentials, path), SMARTVPN_OK);
  assert_string_equal(smartvpn_credentials_wireguard_private_key(credentials), "");
  assert_string_equal(smartvpn_credentials_wireguard_config(credentials), "");
  assert_int_equal(smartvpn_credentials_free(credentials), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void exports_say_whether_the_private_key_is_in_them(void** state) {
  (void)state;
  char path[64], json[4096];
  size_t needed = 0;
  smartvpn_error* error = NULL;
  for (int keep = 0; keep < 2; ++keep) {
    smartvpn_credentials* credentials = NULL;
    smartvpn_server* server = wireguard_server(keep ? "true" : "false");
    const smartvpn_status status = keep ? SMARTVPN_OK : SMARTVPN_SECRET_NOT_KEPT;
    assert_int_equal(create(server, "{\"id\": \"phone\"}", &credentials, path), SMARTVPN_OK);
    assert_int_equal(
        smartvpn_client_export(server, "phone", SMARTVPN_EXPORT_NATIVE, json, sizeof json, &needed, &error), status);
    smartvpn_error_free(error);
    assert_int_equal(needed, strlen(json) + 1);
    if (keep)
      assert_string_equal(json, smartvpn_credentials_config(credentials));
    else
      assert_non_null(strstr(json, "\"noise_private_key\": \"\""));
    assert_int_equal(smartvpn_client_export(server, "phone", SMARTVPN_EXPORT_WIREGUARD, json, sizeof json, NULL, NULL),
                     status);
    assert_int_equal(strstr(json, smartvpn_credentials_wireguard_private_key(credentials)) != NULL, keep);
    assert_int_equal(smartvpn_client_export(server, "phone", SMARTVPN_EXPORT_NATIVE, json, 4, &needed, NULL),
                     SMARTVPN_BUFFER_TOO_SMALL);
    assert_int_equal(smartvpn_client_export(server, "phone", 7, json, sizeof json, NULL, NULL), SMARTVPN_INVALID);
    assert_int_equal(smartvpn_client_export(server, "nobody", 0, json, sizeof json, NULL, NULL), SMARTVPN_NOT_FOUND);
    smartvpn_credentials_free(credentials);
    assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  }
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(create(server, "{\"id\": \"plain\"}", &credentials, path), SMARTVPN_OK);
  smartvpn_credentials_free(credentials);
  assert_int_equal(smartvpn_client_export(server, "plain", SMARTVPN_EXPORT_WIREGUARD, json, sizeof json, NULL, NULL),
                   SMARTVPN_UNSUPPORTED);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void before_start_there_is_no_registry(void** state) {
  (void)state;
  char json[64];
  uint64_t revision = 0;
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = new_server("testing");
  assert_int_equal(smartvpn_client_create(server, "{\"id\": \"a\"}", 11, &credentials, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_update(server, "a", "{}", 2, 0, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_query(server, NULL, 0, json, sizeof json, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_rotate(server, "a", NULL, 0, &credentials, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_rotate_commit(server, "a", NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_rotate_roll_back(server, "a", NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_client_export(server, "a", 0, json, sizeof json, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_registry_revision(server, &revision, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest registry[] = {
      cmocka_unit_test(every_key_but_secrets_is_given_back),
      cmocka_unit_test(updates_are_merge_patches_with_a_revision),
      cmocka_unit_test(a_narrowed_client_is_cut_before_the_call_returns),
      cmocka_unit_test(clients_are_asked_for_in_pages),
      cmocka_unit_test(keys_are_rotated_with_an_overlap),
      cmocka_unit_test(wireguard_credentials_come_with_fixed_addresses),
      cmocka_unit_test(exports_say_whether_the_private_key_is_in_them),
      cmocka_unit_test(before_start_there_is_no_registry),
      cmocka_unit_test(created_client_has_everything_it_needs),
      cmocka_unit_test(client_that_brings_its_key_keeps_its_secret),
      cmocka_unit_test(wrong_descriptions_are_refused_with_a_path),
      cmocka_unit_test(clients_are_listed_switched_and_removed),
  };
  return cmocka_run_group_tests(registry, NULL, NULL);
}
