/* The relay through the header alone: life, bytes through it, figures, events, change, and the way into a VPN server of
 * the same process. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

static int listening_socket(int* port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr*)&at, sizeof at), 0);
  assert_int_equal(listen(fd, 16), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr*)&at, &size), 0);
  *port = ntohs(at.sin_port);
  return fd;
}

static int connected_socket(int port) {
  struct sockaddr_in at = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr*)&at, sizeof at), 0);
  return fd;
}

static int accepted_socket(int listening) {
  struct pollfd ready = {listening, POLLIN, 0};
  assert_int_equal(poll(&ready, 1, LONG_MS), 1);
  return accept(listening, NULL, NULL);
}

/* What comes, up to `size` bytes, and the end as an empty text. */
static const char* received(int fd, size_t size) {
  static char text[200];
  size_t have = 0;
  while (have < size) {
    struct pollfd ready = {fd, POLLIN, 0};
    if (poll(&ready, 1, LONG_MS) != 1) break;
    const ssize_t n = recv(fd, text + have, size - have, 0);
    if (n <= 0) break;
    have += (size_t)n;
  }
  text[have] = 0;
  return text;
}

static smartvpn_config* relay_config(int target, const char* more) {
  char json[400];
  smartvpn_config* config = NULL;
  snprintf(json, sizeof json,
           "{\"listen\": [{\"address\": \"127.0.0.1\", \"port\": 0}], \"routes\": [{\"name\": \"web\", \"action\":"
           " {\"targets\": [{\"host\": \"127.0.0.1\", \"port\": %d}]%s}}]}",
           target, more);
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_RELAY, json, SMARTVPN_NUL_TERMINATED, &config, &err));
  return config;
}

static smartvpn_relay* relay_of(smartvpn_config* config, smartvpn_events** events) {
  smartvpn_relay* relay = NULL;
  assert_ok(smartvpn_relay_create(config, &relay, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  if (events) assert_ok(smartvpn_relay_events_open(relay, SMARTVPN_EVENTS_ALL, 64, events, &err));
  assert_ok(smartvpn_relay_start(relay, &err));
  return relay;
}

static int port_of(smartvpn_relay* relay, int index) {
  char text[500];
  assert_ok(smartvpn_relay_endpoints(relay, text, sizeof text, NULL, &err));
  const char* at = text;
  for (int i = 0; i <= index; ++i) {
    at = strstr(at, "127.0.0.1:");
    assert_non_null(at);
    at += strlen("127.0.0.1:");
  }
  return atoi(at);
}

static uint64_t number_of(smartvpn_relay* relay, const char* name) {
  smartvpn_stats* stats = NULL;
  uint64_t value = 0;
  assert_ok(smartvpn_relay_stats(relay, &stats, &err));
  assert_int_equal(smartvpn_stats_u64(stats, name, &value), SMARTVPN_OK);
  assert_int_equal(smartvpn_stats_free(stats), SMARTVPN_OK);
  return value;
}

static void bytes_pass_and_are_counted_and_told(void** state) {
  int port;
  char json[4000];
  smartvpn_events* events = NULL;
  (void)state;
  const int listening = listening_socket(&port);
  smartvpn_relay* relay = relay_of(relay_config(port, ", \"send_proxy_protocol\": \"v1\""), &events);
  assert_int_equal(smartvpn_relay_state(relay), SMARTVPN_RELAY_RUNNING);
  const int client = connected_socket(port_of(relay, 0));
  assert_int_equal(send(client, "hello", 5, 0), 5);
  const int target = accepted_socket(listening);
  assert_int_equal(strncmp(received(target, 28), "PROXY TCP4 127.0.0.1 127.0.0.1", 28), 0);
  assert_ok(smartvpn_relay_connections(relay, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"route\":\"web\""));
  assert_non_null(strstr(json, "\"stage\":\"relaying\""));
  close(target);
  assert_string_equal(received(client, 1), "");
  close(client);
  smartvpn_event* closed = next_of_type(events, SMARTVPN_EVENT_CONNECTION_CLOSED);
  assert_string_equal(smartvpn_event_text(closed, "route"), "web");
  smartvpn_event_free(closed);
  assert_int_equal(number_of(relay, "connections_total"), 1);
  assert_int_equal(number_of(relay, "bytes_in"), 5);
  assert_int_equal(number_of(relay, "connections_open"), 0);
  assert_int_equal(number_of(relay, "rejections"), 0);
  assert_int_equal(number_of(relay, "rejections.no_route"), 0);
  smartvpn_stats* stats = NULL;
  assert_ok(smartvpn_relay_stats(relay, &stats, &err));
  uint64_t value;
  assert_int_equal(smartvpn_stats_u64(stats, "sessions_now", &value), SMARTVPN_NOT_FOUND);
  static char text[20000];
  assert_ok(smartvpn_stats_json(stats, text, sizeof text, NULL, &err));
  assert_non_null(strstr(text, "\"route\":\"web\""));
  assert_ok(smartvpn_stats_prometheus(stats, text, sizeof text, NULL, &err));
  assert_non_null(strstr(text, "smartvpn_relay_bytes_in_total 5\n"));
  assert_int_equal(smartvpn_stats_free(stats), SMARTVPN_OK);
  assert_int_equal(smartvpn_relay_free(relay), SMARTVPN_OK);
  assert_int_equal(smartvpn_events_free(events), SMARTVPN_OK);
  close(listening);
}

static void listeners_and_routes_change_while_it_runs(void** state) {
  int port;
  smartvpn_changes* changes = NULL;
  (void)state;
  const int listening = listening_socket(&port);
  smartvpn_relay* relay = relay_of(relay_config(port, ""), NULL);
  const int first = port_of(relay, 0);
  const int client = connected_socket(first);
  const int target = accepted_socket(listening);
  smartvpn_config* config = relay_config(port, "");
  assert_ok(smartvpn_config_set(config, "/listen/-", "{\"address\": \"127.0.0.1\", \"port\": 0}",
                                SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_relay_reconfigure(relay, config, SMARTVPN_RECONFIGURE_DRY_RUN, &changes, &err));
  assert_string_equal(smartvpn_changes_json(changes), "[{\"path\":\"/listen\",\"result\":\"applied\"}]");
  assert_int_equal(smartvpn_changes_free(changes), SMARTVPN_OK);
  assert_ok(smartvpn_relay_reconfigure(relay, config, 0, NULL, &err));
  assert_int_equal(port_of(relay, 0), first);
  const int second = connected_socket(port_of(relay, 1));
  const int other = accepted_socket(listening);
  assert_int_equal(send(client, "still", 5, 0), 5);
  assert_string_equal(received(target, 5), "still");
  /* What needs a restart is told, and nothing of it happens. */
  assert_ok(smartvpn_config_set(config, "/limits/threads", "2", SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_relay_reconfigure(relay, config, 0, &changes, &err));
  assert_non_null(strstr(smartvpn_changes_json(changes), "needs_server_restart"));
  assert_int_equal(smartvpn_changes_free(changes), SMARTVPN_OK);
  assert_ok(smartvpn_relay_reload_certificates(relay, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  assert_int_equal(smartvpn_relay_free(relay), SMARTVPN_OK);
  close(client), close(target), close(second), close(other), close(listening);
}

static void a_connection_is_ended_by_its_id(void** state) {
  int port;
  char json[2000];
  (void)state;
  const int listening = listening_socket(&port);
  smartvpn_relay* relay = relay_of(relay_config(port, ""), NULL);
  const int client = connected_socket(port_of(relay, 0));
  const int target = accepted_socket(listening);
  assert_int_equal(send(client, "x", 1, 0), 1);
  assert_string_equal(received(target, 1), "x");
  assert_ok(smartvpn_relay_connections(relay, json, sizeof json, NULL, &err));
  const uint64_t id = strtoull(strstr(json, "\"id\":") + 5, NULL, 10);
  assert_int_equal(smartvpn_relay_disconnect(relay, id + 1, NULL), SMARTVPN_NOT_FOUND);
  assert_ok(smartvpn_relay_disconnect(relay, id, &err));
  assert_string_equal(received(client, 1), "");
  assert_string_equal(received(target, 1), "");
  assert_int_equal(number_of(relay, "ended.disconnected"), 1);
  assert_int_equal(smartvpn_relay_free(relay), SMARTVPN_OK);
  close(client), close(target), close(listening);
}

static void what_is_wrong_is_told_with_its_path(void** state) {
  smartvpn_config *config = NULL, *other = NULL;
  smartvpn_relay* relay = NULL;
  smartvpn_error* wrong = NULL;
  (void)state;
  config = relay_config(1, "");
  assert_ok(
      smartvpn_config_set(config, "/routes/0/match", "{\"domains\": [\"a.*.b\"]}", SMARTVPN_NUL_TERMINATED, &err));
  assert_int_equal(smartvpn_relay_create(config, &relay, &wrong), SMARTVPN_INVALID);
  assert_string_equal(smartvpn_error_path(wrong), "/routes/0/match/domains/0");
  smartvpn_error_free(wrong);
  assert_int_equal(smartvpn_server_create(config, NULL, NULL), SMARTVPN_INVALID);
  smartvpn_config_free(config);
  other = new_server_config("testing");
  assert_int_equal(smartvpn_relay_create(other, &relay, NULL), SMARTVPN_BAD_STATE);
  smartvpn_config_free(other);
  assert_int_equal(smartvpn_relay_start(NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_relay_state(NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_relay_free(NULL), SMARTVPN_OK);
}

static void a_relay_that_never_ran_and_one_that_has_stopped_say_so(void** state) {
  smartvpn_config* config = relay_config(1, "");
  smartvpn_relay* relay = NULL;
  smartvpn_stats* stats = NULL;
  char text[100];
  (void)state;
  assert_ok(smartvpn_relay_create(config, &relay, &err));
  assert_int_equal(smartvpn_relay_stats(relay, &stats, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_relay_reconfigure(relay, config, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_relay_endpoints(relay, text, sizeof text, NULL, &err));
  assert_string_equal(text, "[]");
  assert_ok(smartvpn_relay_start(relay, &err));
  assert_int_equal(smartvpn_relay_start(relay, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_relay_stop(relay, 0, EVER, &err));
  assert_int_equal(smartvpn_relay_state(relay), SMARTVPN_RELAY_STOPPED);
  assert_ok(smartvpn_relay_stop(relay, 0, 0, &err));
  assert_int_equal(smartvpn_relay_stats(relay, &stats, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_relay_free(relay), SMARTVPN_OK);
  smartvpn_config_free(config);
}

/* A relay in front of a server of the same process: no socket between them, and the server knows the client. */
static void a_route_leads_into_the_server_of_this_process(void** state) {
  char json[4000], url[100];
  smartvpn_config *config = NULL, *dialling = NULL;
  smartvpn_relay* relay = NULL;
  smartvpn_credentials* credentials = NULL;
  smartvpn_tunnel* tunnel = NULL;
  (void)state;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_config_from_json(
      SMARTVPN_CONFIG_RELAY,
      "{\"listen\": [{\"address\": \"127.0.0.1\", \"port\": 0, \"accept_proxy_protocol\": \"any\","
      " \"trusted_proxies\": [\"127.0.0.1\"]}], \"routes\": [{\"action\": {\"type\": \"vpn\"}}]}",
      SMARTVPN_NUL_TERMINATED, &config, &err));
  relay = relay_of(config, NULL);
  assert_ok(smartvpn_client_create(server, "{\"id\": \"alice\"}", SMARTVPN_NUL_TERMINATED, &credentials, &err));
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                      SMARTVPN_NUL_TERMINATED, &dialling, &err));
  snprintf(url, sizeof url, "\"ws://127.0.0.1:%d/tunnel\"", port_of(relay, 0));
  assert_ok(smartvpn_config_set(dialling, "/server", url, SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_config_set(dialling, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_config_set(dialling, "/reconnect/initial_ms", "50", SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_config_set(dialling, "/proxy_protocol",
                                "{\"send\": \"v2\", \"source\": \"198.51.100.7:4711\","
                                " \"destination\": \"203.0.113.9:443\"}",
                                SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_tunnel_create(dialling, &tunnel, &err));
  assert_ok(smartvpn_tunnel_start(tunnel, &err));
  while (number_of(relay, "rejections.target_unreachable") == 0) usleep(1000); /* no server yet */
  assert_ok(smartvpn_relay_set_server(relay, server, &err));
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  assert_ok(smartvpn_session_list(server, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"remote_addr\":\"198.51.100.7:4711\""));
  assert_int_equal(number_of(relay, "ended.handed_to_vpn"), 1);
  assert_int_equal(number_of(relay, "connections_open"), 0);
  assert_int_equal(smartvpn_relay_free(relay), SMARTVPN_OK);
  assert_int_equal(smartvpn_tunnel_state(tunnel), SMARTVPN_TUNNEL_CONNECTED); /* it needs no relay any more */
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_credentials_free(credentials), SMARTVPN_OK);
  assert_int_equal(smartvpn_config_free(dialling), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_server_may_go_before_the_relay_that_leads_into_it(void** state) {
  smartvpn_config* config = NULL;
  (void)state;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_RELAY,
                                      "{\"listen\": [{\"address\": \"127.0.0.1\", \"port\": 0}],"
                                      " \"routes\": [{\"action\": {\"type\": \"vpn\"}}]}",
                                      SMARTVPN_NUL_TERMINATED, &config, &err));
  smartvpn_relay* relay = relay_of(config, NULL);
  assert_ok(smartvpn_relay_set_server(relay, server, &err));
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  const int client = connected_socket(port_of(relay, 0));
  assert_string_equal(received(client, 1), "");
  assert_int_equal(number_of(relay, "rejections.target_unreachable"), 1);
  assert_int_equal(smartvpn_relay_set_server(relay, server, NULL), SMARTVPN_BAD_HANDLE);
  assert_ok(smartvpn_relay_set_server(relay, NULL, &err));
  assert_int_equal(smartvpn_relay_free(relay), SMARTVPN_OK);
  close(client);
}

int main(void) {
  const struct CMUnitTest relay[] = {
      cmocka_unit_test(bytes_pass_and_are_counted_and_told),
      cmocka_unit_test(listeners_and_routes_change_while_it_runs),
      cmocka_unit_test(a_connection_is_ended_by_its_id),
      cmocka_unit_test(what_is_wrong_is_told_with_its_path),
      cmocka_unit_test(a_relay_that_never_ran_and_one_that_has_stopped_say_so),
      cmocka_unit_test(a_route_leads_into_the_server_of_this_process),
      cmocka_unit_test(a_server_may_go_before_the_relay_that_leads_into_it),
  };
  return cmocka_run_group_tests(relay, NULL, NULL);
}
