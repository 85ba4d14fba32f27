/* What the ABI tests share: a configuration, a running server, a connected tunnel, and an assertion that prints the
 * error's own words. */
#ifndef ABI_SUPPORT_H
#define ABI_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After the standard headers, which it needs and does not include. */
#include <cmocka.h>

#include "smartvpn.h"

#define EVER (-1)
#define LONG_MS 20000 /* a time that no working call takes */

/* The call takes `&err` as its error argument. */
#define assert_ok(call)                                                                                    \
  do {                                                                                                     \
    smartvpn_error* err = NULL;                                                                            \
    const smartvpn_status assert_ok_status = (call);                                                       \
    if (assert_ok_status != SMARTVPN_OK) {                                                                 \
      char assert_ok_text[400];                                                                            \
      snprintf(assert_ok_text, sizeof assert_ok_text, "%s %s: %s", smartvpn_status_name(assert_ok_status), \
               smartvpn_error_path(err), smartvpn_error_text(err));                                        \
      smartvpn_error_free(err);                                                                            \
      fail_msg("%s gave %s", #call, assert_ok_text);                                                       \
    }                                                                                                      \
    assert_null(err);                                                                                      \
  } while (0)

static inline smartvpn_config* new_server_config(const char* mode) {
  char key[SMARTVPN_KEY_SIZE], json[600];
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\", \"fd00:8::/64\"]},"
           " \"forwarding\": {\"mode\": \"%s\"}}",
           key, mode);
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, strlen(json), &config, &err));
  return config;
}

static inline smartvpn_server* new_server(const char* mode) {
  smartvpn_config* config = new_server_config(mode);
  smartvpn_server* server = NULL;
  assert_ok(smartvpn_server_create(config, &server, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  return server;
}

static inline smartvpn_server* running_server(const char* mode) {
  smartvpn_server* server = new_server(mode);
  assert_ok(smartvpn_server_start(server, &err));
  return server;
}

/* A tunnel of a client of this id, created now, in mode `host`; not started. */
static inline smartvpn_tunnel* new_tunnel(smartvpn_server* server, const char* id) {
  char json[200];
  smartvpn_credentials* credentials = NULL;
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  snprintf(json, sizeof json, "{\"id\": \"%s\"}", id);
  assert_ok(smartvpn_client_create(server, json, strlen(json), &credentials, &err));
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                      SMARTVPN_NUL_TERMINATED, &config, &err));
  assert_int_equal(smartvpn_credentials_free(credentials), SMARTVPN_OK);
  assert_ok(smartvpn_config_set(config, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_tunnel_create(config, &tunnel, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  return tunnel;
}

static inline smartvpn_tunnel* connected_tunnel(smartvpn_server* server, const char* id) {
  smartvpn_tunnel* tunnel = new_tunnel(server, id);
  assert_ok(smartvpn_tunnel_start(tunnel, &err));
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  return tunnel;
}

/* The next event of a type; others are skipped. You free it. */
static inline smartvpn_event* next_of_type(smartvpn_events* events, int32_t type) {
  for (;;) {
    smartvpn_event* event = NULL;
    assert_ok(smartvpn_events_next(events, LONG_MS, &event, &err));
    if (smartvpn_event_type(event) == type) return event;
    smartvpn_event_free(event);
  }
}

#endif
