/* embed.c - a VPN server inside this program, without privilege: creates a client, prints the configuration with which
 * that client connects, then every event as a line of JSON.
 *
 *   cc embed.c $(pkg-config --cflags --libs smartvpn) -o embed && ./embed [seconds]
 */
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(const char *what, smartvpn_error *err) {
  fprintf(stderr, "%s: %s %s\n", what, smartvpn_error_path(err), smartvpn_error_text(err));
  smartvpn_error_free(err);
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  const int32_t patience_ms = argc > 1 ? atoi(argv[1]) * 1000 : -1; /* how long to wait for an event */
  char key[SMARTVPN_KEY_SIZE], json[1024];
  smartvpn_config *config = NULL;
  smartvpn_server *server = NULL;
  smartvpn_events *events = NULL;
  smartvpn_credentials *alice = NULL;
  smartvpn_event *event = NULL;
  smartvpn_error *err = NULL;

  smartvpn_key_generate(key, sizeof key, NULL, NULL); /* a real server keeps its key */
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"},"
           " \"network\": {\"subnets\": [\"10.8.0.0/24\", \"fd00:8::/64\"]},"
           " \"forwarding\": {\"mode\": \"testing\"}}",
           key);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err) < 0 ||
      smartvpn_server_create(config, &server, &err) < 0)
    return failed("configuration", err);
  smartvpn_config_free(config);
  if (smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 1024, &events, &err) < 0 ||
      smartvpn_server_start(server, &err) < 0)
    return failed("start", err);

  if (smartvpn_client_create(server, "{\"id\": \"alice\"}", SMARTVPN_NUL_TERMINATED, &alice, &err) < 0)
    return failed("client", err);
  printf("%s", smartvpn_credentials_config(alice));
  smartvpn_credentials_free(alice);

  while (smartvpn_events_next(events, patience_ms, &event, NULL) == SMARTVPN_OK) {
    puts(smartvpn_event_json(event));
    fflush(stdout);
    smartvpn_event_free(event);
  }
  smartvpn_events_free(events);
  return smartvpn_server_free(server) == SMARTVPN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
