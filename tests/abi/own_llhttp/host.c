/* A host with a llhttp of its own, of another version and another layout than the library's, whose symbols it exports.
 * It parses a request with it, serves a health check with the library, and parses once more. Each uses its own: the
 * host's counts its calls, and keeps a canary in the middle of its parser. */
#include <arpa/inet.h>
#include <llhttp.h>
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern int host_llhttp_calls; /* put into the host's copy of llhttp by the script that builds this */

static int parse(const char* text) {
  llhttp_settings_t settings;
  llhttp_t parser;
  llhttp_settings_init(&settings);
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.host_canary[0] = parser.host_canary[63] = 0x5a5a;
  if (llhttp_execute(&parser, text, strlen(text)) != HPE_OK) return 0;
  return parser.method == HTTP_GET && parser.host_canary[0] == 0x5a5a && parser.host_canary[63] == 0x5a5a;
}

static smartvpn_server* running_server(void) {
  char key[SMARTVPN_KEY_SIZE], json[512];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  smartvpn_error* err = NULL;
  smartvpn_key_generate(key, sizeof key, NULL, NULL);
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"keys\": {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]},"
           " \"forwarding\": {\"mode\": \"testing\"}}",
           key);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err) < 0 ||
      smartvpn_server_create(config, &server, &err) < 0 || smartvpn_server_start(server, &err) < 0) {
    fprintf(stderr, "%s: %s\n", smartvpn_error_path(err), smartvpn_error_text(err));
    exit(1);
  }
  smartvpn_config_free(config);
  return server;
}

/* What the server answers to a request, which the library's own llhttp has to read. */
static int health(smartvpn_server* server) {
  static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  char endpoint[64], answer[16] = {0};
  struct sockaddr_in to = {.sin_family = AF_INET};
  struct timeval limit = {.tv_sec = 20};
  if (smartvpn_server_endpoint(server, 0, endpoint, sizeof endpoint, NULL, NULL) < 0) return 0;
  to.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr*)&to, sizeof to) != 0 || write(fd, request, sizeof request - 1) < 0) return 0;
  ssize_t got = recv(fd, answer, 12, MSG_WAITALL);
  close(fd);
  return got == 12 ? atoi(answer + 9) : 0;
}

int main(void) {
  smartvpn_server* server = running_server();
  if (!parse("GET / HTTP/1.1\r\n\r\n") || host_llhttp_calls != 1) return fprintf(stderr, "the host's own\n"), 1;
  int status = health(server);
  if (status != 200) return fprintf(stderr, "the server's answer is %d\n", status), 1;
  if (host_llhttp_calls != 1) return fprintf(stderr, "the library has called the host's llhttp\n"), 1;
  if (!parse("GET /again HTTP/1.1\r\n\r\n") || host_llhttp_calls != 2) return fprintf(stderr, "the host's own\n"), 1;
  if (smartvpn_server_free(server) != SMARTVPN_OK) return 1;
  printf("llhttp %d of the host's, smartvpn %s\n", LLHTTP_VERSION_MAJOR, smartvpn_version());
  return 0;
}
