/* cc minimal.c $(pkg-config --cflags --libs smartvpn) -o minimal && ./minimal */
#include <smartvpn.h>
#include <stdio.h>

int main(void) {
  char key[SMARTVPN_KEY_SIZE], json[512];
  smartvpn_config *config = NULL;
  smartvpn_server *server = NULL;
  smartvpn_events *events = NULL;
  smartvpn_credentials *alice = NULL;
  smartvpn_event *event = NULL;
  smartvpn_error *err = NULL;

  smartvpn_key_generate(key, sizeof key, NULL, NULL); /* a real server keeps its key */
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"}, \"forwarding\": {\"mode\": \"testing\"}}",
           key);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err) < 0 ||
      smartvpn_server_create(config, &server, &err) < 0 ||
      smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 1024, &events, &err) < 0 ||
      smartvpn_server_start(server, &err) < 0 ||
      smartvpn_client_create(server, "{\"id\": \"alice\"}", SMARTVPN_NUL_TERMINATED, &alice, &err) < 0)
    return fprintf(stderr, "%s %s\n", smartvpn_error_path(err), smartvpn_error_text(err)), 1;
  puts(smartvpn_credentials_config(alice)); /* what alice connects with */
  while (fflush(stdout), smartvpn_events_next(events, -1, &event, NULL) == SMARTVPN_OK) {
    puts(smartvpn_event_json(event)); /* who came, from which real address, why somebody did not */
    smartvpn_event_free(event);
  }
  return smartvpn_server_free(server) != SMARTVPN_OK;
}
