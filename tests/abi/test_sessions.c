/* Section 10: a session from its rise to its fall, with a tunnel in the same process at its other end. */
#include "support.h"

static smartvpn_events* open_sessions(smartvpn_server* server) {
  smartvpn_events* events = NULL;
  assert_ok(smartvpn_events_open(
      server, SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_UP) | SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_DOWN), 16,
      &events, &err));
  return events;
}

static uint64_t wait_up(smartvpn_events* events, const char* client_id) {
  uint64_t id = 0;
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_SESSION_UP);
  assert_string_equal(smartvpn_event_text(event, "client_id"), client_id);
  assert_int_equal(smartvpn_event_u64(event, "session_id", &id), SMARTVPN_OK);
  assert_true(id != 0 && id < (uint64_t)1 << 53);
  smartvpn_event_free(event);
  return id;
}

static void wait_down(smartvpn_events* events, const char* reason) {
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_SESSION_DOWN);
  assert_string_equal(smartvpn_event_text(event, "reason"), reason);
  smartvpn_event_free(event);
}

static void session_is_listed_and_described(void** state) {
  (void)state;
  char json[4096], one[2048];
  smartvpn_session_info info;
  smartvpn_server* server = running_server("testing");
  smartvpn_events* events = open_sessions(server);
  assert_ok(smartvpn_session_list(server, json, sizeof json, NULL, &err));
  assert_string_equal(json, "[]");
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  uint64_t id = wait_up(events, "alice");

  assert_ok(smartvpn_session_get(server, id, one, sizeof one, NULL, &err));
  assert_non_null(strstr(one, "\"client_id\":\"alice\""));
  assert_non_null(strstr(one, "\"remote_addr\":\"127.0.0.1:"));
  assert_non_null(strstr(one, "\"addresses\":[\"10.8.0."));
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  assert_ok(smartvpn_session_get_info(server, id, &info, &err));
  assert_int_equal(info.id, id);
  assert_int_equal(info.transport, SMARTVPN_TRANSPORT_WEBSOCKET);
  assert_int_equal(info.loss_ppm, 0xffffffffu);
  assert_true(info.since_ms > 1600000000000ll && info.last_seen_ms >= info.since_ms);

  assert_int_equal(smartvpn_session_get(server, id + 1, one, sizeof one, NULL, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  wait_down(events, "peer_closed");
  assert_int_equal(smartvpn_session_get_info(server, id, &info, NULL), SMARTVPN_NOT_FOUND);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void disconnected_session_ends_and_its_id_stays_dead(void** state) {
  (void)state;
  smartvpn_server* server = running_server("testing");
  smartvpn_events* events = open_sessions(server);
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  uint64_t id = wait_up(events, "alice");
  assert_ok(smartvpn_session_disconnect(server, id, &err));
  wait_down(events, "disconnected");
  assert_int_equal(smartvpn_session_disconnect(server, id, NULL), SMARTVPN_NOT_FOUND);
  assert_true(wait_up(events, "alice") != id); /* it came back by itself */
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void disabled_and_removed_clients_lose_their_sessions(void** state) {
  (void)state;
  smartvpn_server* server = running_server("testing");
  smartvpn_events* events = open_sessions(server);
  smartvpn_tunnel* alice = connected_tunnel(server, "alice");
  wait_up(events, "alice");
  assert_ok(smartvpn_client_disable(server, "alice", &err));
  wait_down(events, "client_disabled");
  smartvpn_tunnel* bob = connected_tunnel(server, "bob");
  wait_up(events, "bob");
  assert_ok(smartvpn_client_remove(server, "bob", &err));
  wait_down(events, "client_removed");
  assert_int_equal(smartvpn_tunnel_free(alice), SMARTVPN_OK);
  assert_int_equal(smartvpn_tunnel_free(bob), SMARTVPN_OK);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void tunnel_knows_what_it_got(void** state) {
  (void)state;
  char json[4096];
  smartvpn_server* server = running_server("testing");
  smartvpn_tunnel* tunnel = new_tunnel(server, "alice");
  assert_int_equal(smartvpn_tunnel_state(tunnel), SMARTVPN_TUNNEL_CREATED);
  assert_int_equal(smartvpn_tunnel_wait_connected(tunnel, 0, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_tunnel_start(tunnel, &err));
  assert_int_equal(smartvpn_tunnel_start(tunnel, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  assert_int_equal(smartvpn_tunnel_state(tunnel), SMARTVPN_TUNNEL_CONNECTED);
  assert_ok(smartvpn_tunnel_info(tunnel, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"state\":\"connected\""));
  assert_non_null(strstr(json, "\"addresses\":[\"10.8.0."));
  assert_non_null(strstr(json, "\"mtu\":1420"));
  assert_ok(smartvpn_tunnel_stop(tunnel, EVER, &err));
  assert_int_equal(smartvpn_tunnel_state(tunnel), SMARTVPN_TUNNEL_STOPPED);
  assert_int_equal(smartvpn_tunnel_wait_connected(tunnel, EVER, NULL), SMARTVPN_CLOSED);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest sessions[] = {
      cmocka_unit_test(session_is_listed_and_described),
      cmocka_unit_test(disconnected_session_ends_and_its_id_stays_dead),
      cmocka_unit_test(disabled_and_removed_clients_lose_their_sessions),
      cmocka_unit_test(tunnel_knows_what_it_got),
  };
  return cmocka_run_group_tests(sessions, NULL, NULL);
}
