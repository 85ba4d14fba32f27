/* What a build switch takes away answers UNSUPPORTED at its key, and never "unknown key"; what is left works as ever.
 * The build says in SWITCH_* what it was asked for. Runs in every configuration of scripts/matrix.sh. */
#include "support.h"

#define DIALS (SWITCH_TUNNEL && SWITCH_WEBSOCKET) /* the only transport to dial */

/* The failure's path goes to `path`; its text has to be about the build. */
static smartvpn_status finish(smartvpn_status status, smartvpn_error* err, char* path) {
  snprintf(path, 100, "%s", smartvpn_error_path(err));
  if (status == SMARTVPN_UNSUPPORTED) {
    assert_int_equal(smartvpn_error_status(err), SMARTVPN_UNSUPPORTED);
    assert_null(strstr(smartvpn_error_text(err), "unknown"));
    assert_non_null(strstr(smartvpn_error_text(err), "this build"));
  }
  smartvpn_error_free(err);
  return status;
}

static smartvpn_status set_in_new(smartvpn_config_kind kind, const char* key, const char* json, char* path) {
  smartvpn_config* config = NULL;
  smartvpn_error* failure = NULL;
  smartvpn_status status;
  assert_ok(smartvpn_config_new(kind, &config, &err));
  status = smartvpn_config_set(config, key, json, SMARTVPN_NUL_TERMINATED, &failure);
  smartvpn_config_free(config);
  return finish(status, failure, path);
}

static void has_says_what_the_build_was_asked_for(void** state) {
  static const struct {
    const char* name;
    int32_t present;
  } features[] = {{"tls", SWITCH_TLS},
                  {"websocket", SWITCH_WEBSOCKET},
                  {"wireguard", SWITCH_WIREGUARD},
                  {"vector_aead", SWITCH_VECTOR_AEAD},
                  {"tunnel", SWITCH_TUNNEL},
                  {"relay", SWITCH_RELAY},
                  {"tun", SWITCH_TUN},
                  {"masquerade", SWITCH_TUN},
                  {"sqlite_store", SWITCH_SQLITE},
                  {"qr", SWITCH_QR},
                  {"host", 1},
                  {"testing", 1},
                  {"memory_store", 1},
                  {"authorize", 1},
                  {"export", 1}};
  (void)state;
  for (size_t i = 0; i < sizeof features / sizeof *features; ++i)
    if (smartvpn_has(features[i].name) != features[i].present)
      fail_msg("%s: %d", features[i].name, (int)smartvpn_has(features[i].name));
}

static void keys_of_what_is_absent_are_unsupported_and_never_unknown(void** state) {
  static const struct {
    smartvpn_config_kind kind;
    const char *key, *json, *path;
    int present;
  } keys[] = {
      {SMARTVPN_CONFIG_SERVER, "/listen/-/transport", "\"websocket\"", "/listen/0/transport", SWITCH_WEBSOCKET},
      {SMARTVPN_CONFIG_SERVER, "/listen/-/transport", "\"wireguard\"", "/listen/0/transport", SWITCH_WIREGUARD},
      {SMARTVPN_CONFIG_SERVER, "/performance/aead", "\"avx2\"", "/performance/aead", SWITCH_VECTOR_AEAD},
      {SMARTVPN_CONFIG_SERVER, "/performance/aead", "\"openssl\"", "", 1},
      {SMARTVPN_CONFIG_SERVER, "/listen/-/tls/certificate", "\"/c.pem\"", "/listen/0/tls", SWITCH_TLS},
      {SMARTVPN_CONFIG_SERVER, "/listen/-/tls", "{\"key\": \"/k.pem\"}", "/listen/0/tls", SWITCH_TLS},
      {SMARTVPN_CONFIG_SERVER, "/forwarding/mode", "\"tun\"", "/forwarding/mode", SWITCH_TUN},
      {SMARTVPN_CONFIG_SERVER, "/registry/store", "\"sqlite\"", "/registry/store", SWITCH_SQLITE},
      {SMARTVPN_CONFIG_SERVER, "/registry/store", "\"memory\"", "", 1},
      {SMARTVPN_CONFIG_SERVER, "/forwarding/mode", "\"host\"", "", 1},
      {SMARTVPN_CONFIG_TUNNEL, "/tls/verify", "true", "/tls", SWITCH_TLS},
      {SMARTVPN_CONFIG_TUNNEL, "/forwarding/mode", "\"tun\"", "/forwarding/mode", SWITCH_TUN},
  };
  (void)state;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
    char path[100];
    const smartvpn_status status = set_in_new(keys[i].kind, keys[i].key, keys[i].json, path);
    const smartvpn_status expected = keys[i].present ? SMARTVPN_OK : SMARTVPN_UNSUPPORTED;
    if (status != expected || strcmp(path, keys[i].present ? "" : keys[i].path) != 0)
      fail_msg("%s: %s at '%s'", keys[i].key, smartvpn_status_name(status), path);
  }
}

/* Complete but for the forwarding's mode, which is "tun" by default. */
static smartvpn_status create_server(const char* forwarding, char* path) {
  char key[SMARTVPN_KEY_SIZE], json[400];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  smartvpn_error* failure = NULL;
  smartvpn_status status;
  assert_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"}, \"forwarding\": {%s}}",
           key, forwarding);
  status = smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &failure);
  if (status == SMARTVPN_OK) status = smartvpn_server_create(config, &server, &failure);
  if (status == SMARTVPN_OK && forwarding[0] != '\0') assert_ok(smartvpn_server_start(server, &err));
  smartvpn_config_free(config);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  return finish(status, failure, path);
}

static void servers_run_where_they_have_something_to_listen_on(void** state) {
  char path[100];
  (void)state;
  assert_int_equal(create_server("\"mode\": \"testing\"", path), SWITCH_WEBSOCKET ? SMARTVPN_OK : SMARTVPN_UNSUPPORTED);
  assert_string_equal(path, SWITCH_WEBSOCKET ? "" : "/listen/0/transport");
}

static void a_default_that_is_absent_is_no_exception(void** state) {
  const int present = SWITCH_WEBSOCKET && SWITCH_TUN;
  char path[100];
  (void)state;
  assert_int_equal(create_server("", path), present ? SMARTVPN_OK : SMARTVPN_UNSUPPORTED);
  assert_string_equal(path, present ? "" : SWITCH_WEBSOCKET ? "/forwarding/mode" : "/listen/0/transport");
}

static smartvpn_status create_tunnel(const char* url, char* path) {
  char key[SMARTVPN_KEY_SIZE], peer[SMARTVPN_KEY_SIZE], json[400];
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  smartvpn_error* failure = NULL;
  smartvpn_status status;
  assert_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  assert_ok(smartvpn_key_public(key, peer, sizeof peer, NULL, &err));
  snprintf(json, sizeof json,
           "{\"server\": \"%s\", \"keys\": {\"noise_private_key\": \"%s\", \"server_public_key\": \"%s\"},"
           " \"forwarding\": {\"mode\": \"host\"}}",
           url, key, peer);
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, json, SMARTVPN_NUL_TERMINATED, &config, &err));
  status = smartvpn_tunnel_create(config, &tunnel, &failure);
  assert_int_equal(tunnel == NULL, status != SMARTVPN_OK);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  smartvpn_config_free(config);
  return finish(status, failure, path);
}

static void tunnels_exist_with_the_dialling_end_and_a_transport(void** state) {
  char path[100];
  (void)state;
  assert_int_equal(create_tunnel("ws://127.0.0.1:9/tunnel", path), DIALS ? SMARTVPN_OK : SMARTVPN_UNSUPPORTED);
  assert_string_equal(path, "");
  if (DIALS && !SWITCH_TLS) {
    assert_int_equal(create_tunnel("wss://127.0.0.1:9/tunnel", path), SMARTVPN_UNSUPPORTED);
    assert_string_equal(path, "/server");
  }
}

static void qr_codes_exist_with_their_library(void** state) {
  char code[600];
  char path[100];
  smartvpn_error* failure = NULL;
  const smartvpn_status status =
      smartvpn_qr_encode("vpn", SMARTVPN_NUL_TERMINATED, SMARTVPN_QR_MATRIX, code, sizeof code, NULL, &failure);
  (void)state;
  assert_int_equal(finish(status, failure, path), SWITCH_QR ? SMARTVPN_OK : SMARTVPN_UNSUPPORTED);
}

int main(void) {
  const struct CMUnitTest switches[] = {
      cmocka_unit_test(has_says_what_the_build_was_asked_for),
      cmocka_unit_test(keys_of_what_is_absent_are_unsupported_and_never_unknown),
      cmocka_unit_test(servers_run_where_they_have_something_to_listen_on),
      cmocka_unit_test(a_default_that_is_absent_is_no_exception),
      cmocka_unit_test(tunnels_exist_with_the_dialling_end_and_a_transport),
      cmocka_unit_test(qr_codes_exist_with_their_library),
  };
  return cmocka_run_group_tests(switches, NULL, NULL);
}
