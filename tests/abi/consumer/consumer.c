/* A stranger's program: a server that starts, and a symbol of llhttp's name that stays the program's own. */
#include <smartvpn.h>
#include <stdio.h>
#include <string.h>

int llhttp_execute(void);
int llhttp_execute(void) { return 42; }

int main(void) {
  char key[SMARTVPN_KEY_SIZE], json[512];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  smartvpn_error* err = NULL;
  if (smartvpn_key_generate(key, sizeof key, NULL, &err) != SMARTVPN_OK) return 1;
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]},"
           " \"forwarding\": {\"mode\": \"testing\"}}",
           key);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, strlen(json), &config, &err) != SMARTVPN_OK ||
      smartvpn_server_create(config, &server, &err) != SMARTVPN_OK ||
      smartvpn_server_start(server, &err) != SMARTVPN_OK) {
    fprintf(stderr, "%s: %s\n", smartvpn_error_path(err), smartvpn_error_text(err));
    return 1;
  }
  if (smartvpn_server_state(server) != SMARTVPN_SERVER_RUNNING || llhttp_execute() != 42) return 1;
  if (smartvpn_server_free(server) != SMARTVPN_OK || smartvpn_config_free(config) != SMARTVPN_OK) return 1;
  puts(smartvpn_version());
  return 0;
}
