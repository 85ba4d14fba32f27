/* A program replaces itself by a new version: it executes the new one, hands it the listening socket, drains and ends.
 * Strangers who connect meanwhile are never refused, and the tunnel finds the new server. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

static struct {
  int port;
  atomic_int over;
  atomic_ulong well, unwell; /* answers 200 and 503 */
} visitors;

static int listening_socket(int* port) {
  struct sockaddr_in in = {.sin_family = AF_INET};
  socklen_t size = sizeof in;
  const int fd = socket(AF_INET, SOCK_STREAM, 0); /* not close-on-exec: it is to be inherited */
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  need(fd >= 0 && bind(fd, (struct sockaddr*)&in, sizeof in) == 0 && listen(fd, 1024) == 0);
  need(getsockname(fd, (struct sockaddr*)&in, &size) == 0);
  *port = ntohs(in.sin_port);
  return fd;
}

/* The status of GET /healthz; a connection that is refused, cut or silent ends the test. */
static int health(int port) {
  static const char request[] = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  const struct timeval limit = {20, 0};
  char answer[512];
  size_t length = 0;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  need(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  need(connect(fd, (struct sockaddr*)&in, sizeof in) == 0);
  need(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1);
  while (length < 12) {
    const ssize_t got = recv(fd, answer + length, sizeof answer - length, 0);
    need(got > 0);
    length += (size_t)got;
  }
  close(fd);
  return atoi(answer + 9);
}

static void* visit(void* unused) {
  (void)unused;
  while (!atomic_load(&visitors.over)) {
    const int status = health(visitors.port);
    need(status == 200 || status == 503);
    atomic_fetch_add(status == 200 ? &visitors.well : &visitors.unwell, 1);
  }
  return NULL;
}

static smartvpn_server* server_of(const char* json, int fd) {
  char listener[100];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  need_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err));
  snprintf(listener, sizeof listener, "[{\"transport\": \"websocket\", \"fd\": %d}]", fd);
  need_ok(smartvpn_config_set(config, "/listen", listener, SMARTVPN_NUL_TERMINATED, &err));
  need_ok(smartvpn_server_create(config, &server, &err));
  need_ok(smartvpn_server_start(server, &err));
  smartvpn_config_free(config);
  return server;
}

/* The new version. Standard output tells the old one that it serves; standard input ends with the old one. */
int take_over(const char* fd, const char* json) {
  char byte;
  alarm(60);
  smartvpn_server* server = server_of(json, atoi(fd));
  need(write(STDOUT_FILENO, "r", 1) == 1);
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return smartvpn_server_free(server) == SMARTVPN_OK ? 0 : kFailed;
}

struct successor {
  pid_t child;
  int keep, ready; /* pipes: closing the first ends it, the second says that it serves */
};

static struct successor start_successor(int fd, const char* json) {
  struct successor out;
  int to[2], from[2];
  char number[16], byte;
  snprintf(number, sizeof number, "%d", fd);
  need(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
  out.child = fork();
  need(out.child >= 0);
  if (out.child == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    execl("/proc/self/exe", "guest", "take_over", number, json, (char*)NULL);
    _exit(kFailed);
  }
  close(to[0]);
  close(from[1]);
  out.keep = to[1];
  out.ready = from[0];
  need(read(out.ready, &byte, 1) == 1);
  return out;
}

int handover(const char* unused) {
  (void)unused;
  char key[SMARTVPN_KEY_SIZE], client[SMARTVPN_KEY_SIZE], pub[SMARTVPN_KEY_SIZE], server_pub[SMARTVPN_KEY_SIZE];
  char json[1500], tunnel_json[900];
  struct pair pair = {0};
  smartvpn_config* config = NULL;
  pthread_t threads_[3];
  need_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  need_ok(smartvpn_key_public(key, server_pub, sizeof server_pub, NULL, &err));
  need_ok(smartvpn_key_generate(client, sizeof client, NULL, &err));
  need_ok(smartvpn_key_public(client, pub, sizeof pub, NULL, &err));
  snprintf(json, sizeof json,
           "{\"listen\": [], \"keys\": {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]},"
           " \"security\": {\"new_connections_per_ip_per_minute\": 1000000}, \"forwarding\": {\"mode\": \"testing\"},"
           " \"clients\": [{\"id\": \"alice\", \"noise_public_key\": \"%s\"}]}",
           key, pub);
  const int fd = listening_socket(&visitors.port);
  pair.server = server_of(json, fd);
  snprintf(
      tunnel_json, sizeof tunnel_json,
      "{\"server\": \"ws://127.0.0.1:%d\", \"keys\": {\"noise_private_key\": \"%s\", \"server_public_key\": \"%s\"},"
      " \"forwarding\": {\"mode\": \"host\"}, \"reconnect\": {\"initial_ms\": 100, \"max_ms\": 500}}",
      visitors.port, client, server_pub);
  need_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, tunnel_json, SMARTVPN_NUL_TERMINATED, &config, &err));
  need_ok(smartvpn_tunnel_create(config, &pair.tunnel, &err));
  need_ok(smartvpn_tunnel_start(pair.tunnel, &err));
  need_ok(smartvpn_tunnel_wait_connected(pair.tunnel, kLongMs, &err));
  smartvpn_config_free(config);
  start_traffic(&pair);
  await_traffic(&pair, 10);
  for (int i = 0; i < 3; ++i) need(pthread_create(&threads_[i], NULL, visit, NULL) == 0);

  struct successor next = start_successor(fd, json);
  const unsigned long before = atomic_load(&visitors.well);
  need(smartvpn_server_stop(pair.server, 500, 10, NULL) == SMARTVPN_TIMEOUT); /* it drains: the tunnel is still there */
  await_traffic(&pair, 10);                                                   /* and served */
  need_ok(smartvpn_server_stop(pair.server, 500, -1, &err));
  await_traffic(&pair, 10); /* by the new one */
  const unsigned long after = atomic_load(&visitors.well);
  need(smartvpn_server_free(pair.server) == SMARTVPN_OK);
  atomic_store(&visitors.over, 1);
  for (int i = 0; i < 3; ++i) need(pthread_join(threads_[i], NULL) == 0);
  printf("answers 200: %lu (%lu since the old one drains), 503: %lu\n", atomic_load(&visitors.well), after - before,
         atomic_load(&visitors.unwell));
  need(after > before + 20);
  need(atomic_load(&visitors.unwell) <= 3); /* one each: accepted just before the old one drained */
  stop_traffic(&pair);
  need(smartvpn_tunnel_free(pair.tunnel) == SMARTVPN_OK);
  close(next.keep);
  need(exit_code_of(next.child) == 0);
  return close(fd) + close(next.ready);
}
