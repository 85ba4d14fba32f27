/* A WireGuard listener seen through the header alone: credentials, a live session with a client over loopback, its
 * packets, figures and events, and how the host ends it. */
#include <arpa/inet.h>
#include <unistd.h>

#include "support.h"
#include "wireguard_far_end.h"

enum { kArena = 70000, kPacket = 68 };

static const uint8_t kElsewhere[4] = {192, 0, 2, 9};

static smartvpn_config* wireguard_config(const char* key) {
  char json[500];
  smartvpn_config* config = NULL;
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"wireguard\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"wireguard_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]},"
           " \"forwarding\": {\"mode\": \"host\"}}",
           key);
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err));
  return config;
}

static smartvpn_server* wireguard_server(smartvpn_events** events) {
  char key[SMARTVPN_KEY_SIZE];
  smartvpn_server* server = NULL;
  assert_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  smartvpn_config* config = wireguard_config(key);
  assert_ok(smartvpn_server_create(config, &server, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  assert_ok(smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 64, events, &err));
  assert_ok(smartvpn_server_start(server, &err));
  return server;
}

static smartvpn_credentials* new_client(smartvpn_server* server, const char* id) {
  char json[100];
  smartvpn_credentials* credentials = NULL;
  snprintf(json, sizeof json, "{\"id\": \"%s\"}", id);
  assert_ok(smartvpn_client_create(server, json, SMARTVPN_NUL_TERMINATED, &credentials, &err));
  return credentials;
}

static far_end* end_of(const char* conf) {
  far_end* end = far_end_new(conf);
  assert_non_null(end);
  return end;
}

/* An IPv4 UDP packet without UDP checksum. */
static void build(uint8_t* p, const uint8_t from[4], const uint8_t to[4], uint8_t fill) {
  uint32_t sum = 0;
  memset(p, 0, 28);
  p[0] = 0x45;
  p[3] = kPacket;
  p[8] = 64;
  p[9] = 17;
  memcpy(p + 12, from, 4);
  memcpy(p + 16, to, 4);
  for (int i = 0; i < 20; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  p[10] = (uint8_t)(~sum >> 8);
  p[11] = (uint8_t)~sum;
  p[20] = p[22] = 0x30;
  p[25] = kPacket - 20;
  memset(p + 28, fill, kPacket - 28);
}

/* The client says something to the world, over a session that begins for it: the server's host hears it. The far end
 * has to be turned meanwhile, for its half of the handshake. */
static uint64_t says(far_end* end, smartvpn_server* server, uint8_t fill) {
  static uint8_t arena[kArena];
  uint8_t packet[kPacket], none[1], from[4];
  smartvpn_packet meta;
  size_t count = 0;
  far_end_address(end, from);
  build(packet, from, kElsewhere, fill);
  far_end_send(end, packet, sizeof packet);
  for (int slices = 0; count == 0 && slices < 1000; ++slices) {
    far_end_next(end, none, 0, 20);
    smartvpn_packets_read(server, arena, sizeof arena, &meta, sizeof meta, 1, &count, 0, NULL);
  }
  assert_int_equal(count, 1);
  assert_int_equal(meta.length, kPacket);
  assert_memory_equal(arena + meta.offset, packet, kPacket);
  return meta.session_id;
}

static void hears(far_end* end, smartvpn_server* server, uint8_t fill) {
  uint8_t packet[kPacket], heard[kPacket], to[4];
  smartvpn_packet meta;
  size_t taken = 0;
  far_end_address(end, to);
  build(packet, kElsewhere, to, fill);
  memset(&meta, 0, sizeof meta);
  meta.length = kPacket;
  assert_ok(smartvpn_packets_write(server, packet, sizeof packet, &meta, sizeof meta, 1, &taken, &err));
  assert_int_equal(taken, 1);
  assert_int_equal(far_end_next(end, heard, sizeof heard, LONG_MS), kPacket);
  assert_memory_equal(heard, packet, kPacket);
}

static uint64_t number(smartvpn_server* server, const char* name) {
  smartvpn_stats* stats = NULL;
  uint64_t value = 0;
  assert_ok(smartvpn_server_stats(server, &stats, &err));
  assert_int_equal(smartvpn_stats_u64(stats, name, &value), SMARTVPN_OK);
  assert_int_equal(smartvpn_stats_free(stats), SMARTVPN_OK);
  return value;
}

static void event_says(smartvpn_event* event, const char* key, const char* value) {
  assert_non_null(smartvpn_event_text(event, key));
  assert_string_equal(smartvpn_event_text(event, key), value);
}

static void wait_down(smartvpn_events* events, const char* client, const char* reason) {
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_SESSION_DOWN);
  event_says(event, "client_id", client);
  event_says(event, "transport", "wireguard");
  event_says(event, "reason", reason);
  smartvpn_event_free(event);
}

static void a_listener_needs_its_key_and_tells_where_it_is(void** state) {
  (void)state;
  char json[300], address[64], expected[200];
  smartvpn_config* config = NULL;
  smartvpn_error* failure = NULL;
  smartvpn_events* events = NULL;
  static const char without[] =
      "{\"listen\": [{\"transport\": \"wireguard\", \"address\": \"127.0.0.1\", \"port\": 0}],"
      " \"network\": {\"subnets\": [\"10.8.0.0/24\"]}, \"forwarding\": {\"mode\": \"host\"}}";
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, without, SMARTVPN_NUL_TERMINATED, &config, &err));
  assert_int_equal(smartvpn_config_validate(config, &failure), SMARTVPN_INVALID);
  assert_string_equal(smartvpn_error_path(failure), "/keys/wireguard_private_key");
  smartvpn_error_free(failure);
  smartvpn_config_free(config);

  smartvpn_server* server = wireguard_server(&events);
  assert_ok(smartvpn_server_endpoint(server, 0, address, sizeof address, NULL, &err));
  assert_ok(smartvpn_server_endpoints(server, json, sizeof json, NULL, &err));
  snprintf(expected, sizeof expected, "[{\"listener\":0,\"transport\":\"wireguard\",\"address\":\"%s\"}]", address);
  assert_string_equal(json, expected);
  assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_LISTENING);
  event_says(event, "transport", "wireguard");
  event_says(event, "address", address);
  smartvpn_event_free(event);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void credentials_hold_a_key_and_a_configuration_of_their_own(void** state) {
  (void)state;
  char key[SMARTVPN_KEY_SIZE], own[SMARTVPN_KEY_SIZE], json[300], text[2000], address[64];
  smartvpn_events* events = NULL;
  smartvpn_server* server = wireguard_server(&events);
  smartvpn_credentials* made = new_client(server, "alice");
  assert_ok(smartvpn_key_public(smartvpn_credentials_wireguard_private_key(made), key, sizeof key, NULL, &err));
  assert_non_null(strstr(smartvpn_credentials_client(made), key));
  assert_non_null(
      strstr(smartvpn_credentials_wireguard_config(made), smartvpn_credentials_wireguard_private_key(made)));
  assert_ok(smartvpn_server_endpoint(server, 0, address, sizeof address, NULL, &err));
  assert_non_null(strstr(smartvpn_credentials_wireguard_config(made), address));
  assert_int_equal(smartvpn_credentials_free(made), SMARTVPN_OK);
  assert_int_equal(smartvpn_client_export(server, "alice", SMARTVPN_EXPORT_WIREGUARD, text, sizeof text, NULL, NULL),
                   SMARTVPN_SECRET_NOT_KEPT);
  assert_non_null(strstr(text, "PrivateKey = \n"));

  assert_ok(smartvpn_key_generate(own, sizeof own, NULL, &err));
  assert_ok(smartvpn_key_public(own, key, sizeof key, NULL, &err));
  snprintf(json, sizeof json, "{\"id\": \"bob\", \"wireguard_public_key\": \"%s\"}", key);
  assert_ok(smartvpn_client_create(server, json, SMARTVPN_NUL_TERMINATED, &made, &err));
  assert_string_equal(smartvpn_credentials_wireguard_private_key(made), "");
  const char* conf = smartvpn_credentials_wireguard_config(made);
  const char* place = strstr(conf, "PrivateKey = ");
  assert_non_null(place);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(place + 13 - conf), conf, own, place + 13);
  far_end* bob = end_of(text);
  assert_true(says(bob, server, 1) != 0);
  far_end_free(bob);
  assert_int_equal(smartvpn_credentials_free(made), SMARTVPN_OK);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_session_is_told_described_and_counted(void** state) {
  (void)state;
  static char text[65536];
  uint64_t id = 0;
  smartvpn_events* events = NULL;
  smartvpn_session_info info;
  smartvpn_stats* stats = NULL;
  smartvpn_server* server = wireguard_server(&events);
  smartvpn_credentials* made = new_client(server, "alice");
  far_end* alice = end_of(smartvpn_credentials_wireguard_config(made));
  assert_int_equal(smartvpn_credentials_free(made), SMARTVPN_OK);
  assert_int_equal(number(server, "wireguard.peers"), 1);
  assert_int_equal(number(server, "sessions_now"), 0);
  const uint64_t heard_from = says(alice, server, 7);
  hears(alice, server, 8);

  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_SESSION_UP);
  event_says(event, "client_id", "alice");
  event_says(event, "transport", "wireguard");
  assert_int_equal(smartvpn_event_u64(event, "session_id", &id), SMARTVPN_OK);
  assert_int_equal(id, heard_from);
  snprintf(text, sizeof text, "\"remote_addr\":\"%s\"", smartvpn_event_text(event, "remote_addr"));
  char one[2048];
  assert_ok(smartvpn_session_get(server, id, one, sizeof one, NULL, &err));
  assert_non_null(strstr(one, text));
  assert_non_null(strstr(one, "\"transport\":\"wireguard\""));
  assert_non_null(strstr(one, "\"addresses\":[\"10.8.0."));
  smartvpn_event_free(event);

  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  assert_ok(smartvpn_session_get_info(server, id, &info, &err));
  assert_int_equal(info.id, id);
  assert_int_equal(info.transport, SMARTVPN_TRANSPORT_WIREGUARD);
  assert_int_equal(info.listener, 0);
  assert_int_equal(info.inner_packets_in, 1);
  assert_int_equal(info.inner_bytes_in, kPacket);
  assert_int_equal(info.inner_packets_out, 1);
  assert_int_equal(info.inner_bytes_out, kPacket);
  assert_int_equal(info.packets_dropped, 0);
  /* header, padding and tag of a data message at least */
  assert_true(info.outer_bytes_in >= kPacket + 32 && info.outer_bytes_out >= kPacket + 32);

  assert_ok(smartvpn_client_stats(server, "alice", one, sizeof one, NULL, &err));
  assert_non_null(strstr(one, "\"sessions_now\":1"));
  assert_ok(smartvpn_server_stats(server, &stats, &err));
  assert_ok(smartvpn_stats_json(stats, text, sizeof text, NULL, &err));
  assert_non_null(strstr(text, "\"wireguard\":{\"peers\":1"));
  assert_ok(smartvpn_stats_prometheus(stats, text, sizeof text, NULL, &err));
  assert_non_null(strstr(text, "smartvpn_wireguard_datagrams_dropped_total{reason=\"bad_mac1\"} 0"));
  assert_int_equal(smartvpn_stats_free(stats), SMARTVPN_OK);
  assert_int_equal(number(server, "wireguard.handshakes_in"), 1);
  assert_int_equal(number(server, "wireguard.responses_out"), 1);
  assert_int_equal(number(server, "sessions_now"), 1);

  far_end_free(alice); /* WireGuard knows no farewell: the session outlives its client */
  assert_int_equal(number(server, "sessions_now"), 1);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  wait_down(events, "alice", "server_stopping");
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void the_host_ends_sessions_and_the_client_may_come_back(void** state) {
  (void)state;
  smartvpn_events* events = NULL;
  smartvpn_server* server = wireguard_server(&events);
  smartvpn_credentials* made = new_client(server, "alice");
  const char* conf = smartvpn_credentials_wireguard_config(made);
  far_end* alice = end_of(conf);
  const uint64_t id = says(alice, server, 1);
  assert_ok(smartvpn_session_disconnect(server, id, &err));
  wait_down(events, "alice", "disconnected");
  assert_int_equal(smartvpn_session_disconnect(server, id, NULL), SMARTVPN_NOT_FOUND);
  far_end_free(alice);

  alice = end_of(conf);
  assert_true(says(alice, server, 2) != id);
  assert_ok(smartvpn_client_disable(server, "alice", &err));
  wait_down(events, "alice", "client_disabled");
  far_end_free(alice);
  assert_int_equal(smartvpn_credentials_free(made), SMARTVPN_OK);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void strangers_are_counted_by_name(void** state) {
  (void)state;
  uint8_t initiation[148] = {1};
  char address[64];
  int port = 0;
  struct sockaddr_in to;
  smartvpn_events* events = NULL;
  smartvpn_server* server = wireguard_server(&events);
  assert_ok(smartvpn_server_endpoint(server, 0, address, sizeof address, NULL, &err));
  assert_int_equal(sscanf(address, "127.0.0.1:%d", &port), 1);
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons((uint16_t)port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(sendto(fd, initiation, sizeof initiation, 0, (struct sockaddr*)&to, sizeof to), sizeof initiation);
  assert_int_equal(sendto(fd, initiation, 20, 0, (struct sockaddr*)&to, sizeof to), 20);
  for (int tries = 0; number(server, "wireguard.malformed") == 0 && tries < 200000; ++tries) continue;
  assert_int_equal(number(server, "wireguard.malformed"), 1);
  assert_int_equal(number(server, "wireguard.bad_mac1"), 1);
  assert_int_equal(number(server, "wireguard.responses_out"), 0);
  close(fd);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest wireguard_listener[] = {
      cmocka_unit_test(a_listener_needs_its_key_and_tells_where_it_is),
      cmocka_unit_test(credentials_hold_a_key_and_a_configuration_of_their_own),
      cmocka_unit_test(a_session_is_told_described_and_counted),
      cmocka_unit_test(the_host_ends_sessions_and_the_client_may_come_back),
      cmocka_unit_test(strangers_are_counted_by_name),
  };
  return cmocka_run_group_tests(wireguard_listener, NULL, NULL);
}
