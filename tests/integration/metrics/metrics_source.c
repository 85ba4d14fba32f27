/* A server with one client, for tests of its metrics: for every line on standard input it prints the text of
 * smartvpn_stats_prometheus and a line "# end". Begins when every kind of series that a client can cause is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "smartvpn.h"

#define PATIENCE_S 30

static char text[1 << 20];

static void check(int ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "metrics_source: %s\n", what);
  exit(1);
}

static void take_snapshot(smartvpn_server* server) {
  smartvpn_stats* stats = NULL;
  check(smartvpn_server_stats(server, &stats, NULL) == SMARTVPN_OK, "stats");
  check(smartvpn_stats_prometheus(stats, text, sizeof text, NULL, NULL) == SMARTVPN_OK, "text");
  smartvpn_stats_free(stats);
}

static smartvpn_server* start_server(void) {
  char key[SMARTVPN_KEY_SIZE], json[600];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  check(smartvpn_key_generate(key, sizeof key, NULL, NULL) == SMARTVPN_OK, "key");
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]},"
           " \"session\": {\"keepalive_interval_ms\": 1000}, \"limits\": {\"memory_bytes\": 100000000},"
           " \"telemetry\": {\"client_label\": true}, \"forwarding\": {\"mode\": \"testing\"}}",
           key);
  check(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, strlen(json), &config, NULL) == SMARTVPN_OK, "config");
  check(smartvpn_server_create(config, &server, NULL) == SMARTVPN_OK, "create");
  check(smartvpn_server_start(server, NULL) == SMARTVPN_OK, "start");
  smartvpn_config_free(config);
  return server;
}

static smartvpn_tunnel* connect_client(smartvpn_server* server) {
  smartvpn_credentials* credentials = NULL;
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  const char* client = "{\"id\": \"alice\"}";
  check(smartvpn_client_create(server, client, strlen(client), &credentials, NULL) == SMARTVPN_OK, "client");
  const char* json = smartvpn_credentials_config(credentials);
  check(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, json, strlen(json), &config, NULL) == SMARTVPN_OK, "tunnel");
  const char* mode = "{\"mode\": \"host\"}";
  check(smartvpn_config_set(config, "/forwarding", mode, strlen(mode), NULL) == SMARTVPN_OK, "mode");
  check(smartvpn_tunnel_create(config, &tunnel, NULL) == SMARTVPN_OK, "tunnel");
  check(smartvpn_tunnel_start(tunnel, NULL) == SMARTVPN_OK, "tunnel");
  check(smartvpn_tunnel_wait_connected(tunnel, PATIENCE_S * 1000, NULL) == SMARTVPN_OK, "connected");
  smartvpn_config_free(config);
  smartvpn_credentials_free(credentials);
  return tunnel;
}

int main(void) {
  /* From an address that is not the client's: dropped, and so counted by reason. */
  static const uint8_t spoofed[20] = {0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0x66, 0x3c, 10, 8, 0, 99, 10, 8, 0, 1};
  smartvpn_packet meta;
  char line[16];
  smartvpn_server* server = start_server();
  smartvpn_tunnel* tunnel = connect_client(server);
  memset(&meta, 0, sizeof meta);
  meta.length = sizeof spoofed;
  const time_t until = time(NULL) + PATIENCE_S;
  do {
    smartvpn_tunnel_packets_write(tunnel, spoofed, sizeof spoofed, &meta, sizeof meta, 1, NULL, NULL);
    take_snapshot(server);
    check(time(NULL) < until, "no round trip was measured, or no packet dropped");
    nanosleep(&(struct timespec){0, 50000000}, NULL);
  } while (!strstr(text, "smartvpn_client_rtt_seconds{") || !strstr(text, "smartvpn_client_packets_dropped_total{"));
  while (fgets(line, sizeof line, stdin)) {
    take_snapshot(server);
    printf("%s# end\n", text);
    fflush(stdout);
  }
  smartvpn_tunnel_free(tunnel);
  smartvpn_server_free(server);
  return 0;
}
