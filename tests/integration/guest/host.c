/* What the scenarios share; see guest.h. */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

void fail_at(const char* file, int line, const char* what) {
  dprintf(STDERR_FILENO, "%s:%d: %s (errno %s)\n", file, line, what, strerror(errno));
  _exit(kFailed);
}

void fail_with(const char* file, int line, const char* what, smartvpn_error* err) {
  dprintf(STDERR_FILENO, "%s:%d: %s: %s %s: %s\n", file, line, what, smartvpn_status_name(smartvpn_error_status(err)),
          smartvpn_error_path(err), smartvpn_error_text(err));
  _exit(kFailed);
}

int rounds(int few, int many) {
  const char* siege = getenv("SMARTVPN_SIEGE");
  return siege && strcmp(siege, "1") == 0 ? many : few;
}

int under_sanitizer(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 1;
#elif defined(__has_feature)
  return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
  return 0;
#endif
}

smartvpn_server* make_server(const struct wishes* wishes) {
  char key[SMARTVPN_KEY_SIZE], tls[600] = "", listener[900], json[3000];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  need_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  if (wishes->tls)
    snprintf(tls, sizeof tls, ", \"tls\": {\"certificate\": \"%s/cert.pem\", \"key\": \"%s/key.pem\"}", wishes->tls,
             wishes->tls);
  snprintf(listener, sizeof listener, "{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0%s}", tls);
  snprintf(json, sizeof json,
           "{\"listen\": [%s], \"keys\": {\"noise_private_key\": \"%s\"},"
           " \"network\": {\"subnets\": [\"10.8.0.0/24\", \"fd00:8::/64\"]}, \"forwarding\": {\"mode\": \"%s\"}%s}",
           wishes->listener ? wishes->listener : listener, key, wishes->mode ? wishes->mode : "testing",
           wishes->extra ? wishes->extra : "");
  need_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err));
  need_ok(smartvpn_server_create(config, &server, &err));
  need(smartvpn_config_free(config) == SMARTVPN_OK);
  if (wishes->callbacks) need_ok(smartvpn_server_set_callbacks(server, wishes->callbacks, &err));
  return server;
}

smartvpn_tunnel* make_tunnel(smartvpn_server* server, const char* id, const struct wishes* wishes) {
  char json[700];
  smartvpn_credentials* credentials = NULL;
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  snprintf(json, sizeof json, "{\"id\": \"%s\"}", id);
  need_ok(smartvpn_client_create(server, json, SMARTVPN_NUL_TERMINATED, &credentials, &err));
  need_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                    SMARTVPN_NUL_TERMINATED, &config, &err));
  need(smartvpn_credentials_free(credentials) == SMARTVPN_OK);
  need_ok(smartvpn_config_set(config, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, &err));
  if (wishes->tls) {
    snprintf(json, sizeof json, "{\"ca\": \"%s/cert.pem\"}", wishes->tls);
    need_ok(smartvpn_config_set(config, "/tls", json, SMARTVPN_NUL_TERMINATED, &err));
  }
  need_ok(smartvpn_tunnel_create(config, &tunnel, &err));
  need(smartvpn_config_free(config) == SMARTVPN_OK);
  return tunnel;
}

void open_pair(struct pair* pair, const struct wishes* wishes) {
  memset(pair, 0, sizeof *pair);
  pair->server = make_server(wishes);
  need_ok(smartvpn_server_start(pair->server, &err));
  pair->tunnel = make_tunnel(pair->server, "alice", wishes);
  need_ok(smartvpn_tunnel_start(pair->tunnel, &err));
  need_ok(smartvpn_tunnel_wait_connected(pair->tunnel, kLongMs, &err));
}

int make_ping(smartvpn_tunnel* tunnel, uint8_t packet[84]) {
  char info[4096];
  unsigned a, b, c, d, sum = 0;
  if (smartvpn_tunnel_info(tunnel, info, sizeof info, NULL, NULL) != SMARTVPN_OK) return 0;
  const char* at = strstr(info, "\"addresses\":[\"");
  if (!at || sscanf(at + 14, "%u.%u.%u.%u", &a, &b, &c, &d) != 4) return 0;
  memset(packet, 0, 84);
  const uint8_t head[20] = {0x45, 0, 0,          84,         0,          0,          0,  0, 64, 1,
                            0,    0, (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d, 10, 8, 0,  1};
  memcpy(packet, head, 20);
  for (int i = 0; i < 20; i += 2) sum += (unsigned)packet[i] << 8 | packet[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  packet[10] = (uint8_t)(sum >> 8);
  packet[11] = (uint8_t)sum;
  packet[20] = 8;
  packet[22] = 0xf7; /* the checksum of type 8 and zeroes */
  packet[23] = 0xff;
  return 1;
}

static int exchange(smartvpn_tunnel* tunnel, const uint8_t packet[84], uint8_t* arena, int32_t timeout_ms) {
  smartvpn_packet meta = {0};
  size_t count = 0;
  meta.struct_size = sizeof meta;
  meta.length = 84;
  if (smartvpn_tunnel_packets_write(tunnel, packet, 84, &meta, sizeof meta, 1, NULL, NULL) != SMARTVPN_OK) return 0;
  return smartvpn_tunnel_packets_read(tunnel, arena, 65535, &meta, sizeof meta, 1, &count, timeout_ms, NULL) ==
             SMARTVPN_OK &&
         count == 1 && meta.length == 84 && arena[meta.offset + 20] == 0;
}

int ping(smartvpn_tunnel* tunnel) {
  static uint8_t packet[84], arena[65535]; /* memory may be short, and this is for one thread */
  return make_ping(tunnel, packet) && exchange(tunnel, packet, arena, kLongMs);
}

static void* pump(void* opaque) {
  struct pair* pair = opaque;
  uint8_t packet[84], *arena = malloc(65535);
  need(arena);
  const int ready = make_ping(pair->tunnel, packet);
  while (ready && !atomic_load(&pair->stopping)) {
    if (exchange(pair->tunnel, packet, arena, 100)) {
      atomic_fetch_add(&pair->echoed, 1);
    } else if (smartvpn_tunnel_state(pair->tunnel) < 0) {
      break; /* freed */
    }
  }
  free(arena);
  return NULL;
}

void start_traffic(struct pair* pair) {
  atomic_store(&pair->stopping, 0);
  need(pthread_create(&pair->pump, NULL, pump, pair) == 0);
}

void await_traffic(struct pair* pair, unsigned long more) {
  const unsigned long until = atomic_load(&pair->echoed) + more;
  for (int i = 0; i < kLongMs && atomic_load(&pair->echoed) < until; ++i) usleep(1000);
  need(atomic_load(&pair->echoed) >= until);
}

void stop_traffic(struct pair* pair) {
  atomic_store(&pair->stopping, 1);
  need(pthread_join(pair->pump, NULL) == 0);
}

void close_pair(struct pair* pair) {
  need(smartvpn_tunnel_free(pair->tunnel) == SMARTVPN_OK);
  need(smartvpn_server_free(pair->server) == SMARTVPN_OK);
}

int endpoint_port(smartvpn_server* server) {
  char text[80];
  need_ok(smartvpn_server_endpoint(server, 0, text, sizeof text, NULL, &err));
  return atoi(strrchr(text, ':') + 1);
}

pid_t spawn_self(const char* a, const char* b, const char* c) {
  const pid_t child = fork();
  need(child >= 0);
  if (child != 0) return child;
  execl("/proc/self/exe", "guest", a, b, c, (char*)NULL);
  _exit(kFailed);
}

int exit_code_of(pid_t child) {
  int status = 0;
  for (int i = 0; i < 60000; ++i) {
    const pid_t got = waitpid(child, &status, WNOHANG);
    need(got == 0 || got == child);
    if (got == child) {
      if (WIFSIGNALED(status)) dprintf(STDERR_FILENO, "the child ended by signal %d\n", WTERMSIG(status));
      need(WIFEXITED(status));
      return WEXITSTATUS(status);
    }
    usleep(1000);
  }
  kill(child, SIGKILL);
  fail_at(__FILE__, __LINE__, "the child hangs");
}

int in_child(int (*body)(void*), void* argument) {
  fflush(NULL);
  const pid_t child = fork();
  need(child >= 0);
  if (child == 0) _exit(body(argument));
  return exit_code_of(child);
}

int count_folder(const char* path) {
  DIR* folder = opendir(path);
  int count = 0;
  if (!folder) return -1;
  while (readdir(folder)) ++count;
  closedir(folder);
  return count - 2;
}

int open_descriptors(void) { return count_folder("/proc/self/fd") - 1; }
int threads(void) { return count_folder("/proc/self/task"); }

size_t heap_bytes(void) {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}
