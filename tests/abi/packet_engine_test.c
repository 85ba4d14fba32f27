/* examples/c/packet_engine.c as a process of its own, with two clients that ping through it: the answers in both
 * families, and what it says of each client in the end.
 *   packet_engine_test PACKET_ENGINE
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

enum { kArena = 70000 };

extern char** environ;
static const char* program;
static pid_t running; /* 0: none */

struct peer {
  char private_key[SMARTVPN_KEY_SIZE], public_key[SMARTVPN_KEY_SIZE];
};

static void make_keys(struct peer* peer) {
  assert_ok(smartvpn_key_generate(peer->private_key, sizeof peer->private_key, NULL, &err));
  assert_ok(smartvpn_key_public(peer->private_key, peer->public_key, sizeof peer->public_key, NULL, &err));
}

struct engine {
  struct peer server, alice, bob;
  pid_t pid;
  FILE* output;
  char address[64];
};

static void write_config(const struct engine* engine, const char* path) {
  FILE* file = fopen(path, "w");
  assert_non_null(file);
  fprintf(
      file,
      "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
      " \"keys\": {\"noise_private_key\": \"%s\"},"
      " \"network\": {\"subnets\": [\"10.8.0.0/24\", \"fd00:8::/64\"]},"
      " \"clients\": [{\"id\": \"alice\", \"noise_public_key\": \"%s\", \"addresses\": [\"10.8.0.2\", \"fd00:8::2\"]},"
      "               {\"id\": \"bob\", \"noise_public_key\": \"%s\", \"addresses\": [\"10.8.0.3\", \"fd00:8::3\"]}]}",
      engine->server.private_key, engine->alice.public_key, engine->bob.public_key);
  assert_int_equal(fclose(file), 0);
}

/* Its first line says where it listens. */
static void start(struct engine* engine, char* seconds) {
  char path[] = "/tmp/packet_engine_XXXXXX", line[512];
  int ends[2], config = mkstemp(path);
  char* words[] = {"packet_engine", path, seconds, NULL};
  posix_spawn_file_actions_t actions;
  assert_true(config >= 0);
  close(config);
  make_keys(&engine->server);
  make_keys(&engine->alice);
  make_keys(&engine->bob);
  write_config(engine, path);
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  assert_int_equal(posix_spawn(&engine->pid, program, &actions, NULL, words, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  running = engine->pid;
  close(ends[1]);
  engine->output = fdopen(ends[0], "r");
  assert_non_null(fgets(line, sizeof line, engine->output));
  assert_int_equal(unlink(path), 0);
  const char* address = strstr(line, "\"address\":\"");
  assert_non_null(address);
  assert_int_equal(sscanf(address + 11, "%63[0-9.:]", engine->address), 1);
}

static void assert_ends_well(struct engine* engine) {
  int status = -1;
  assert_int_equal(waitpid(engine->pid, &status, 0), engine->pid);
  running = 0;
  assert_int_equal(status, 0);
  fclose(engine->output);
}

static smartvpn_tunnel* dial(const struct engine* engine, const struct peer* who) {
  char json[600];
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  snprintf(json, sizeof json,
           "{\"server\": \"ws://%s/tunnel\", \"keys\": {\"noise_private_key\": \"%s\", \"server_public_key\": \"%s\"},"
           " \"forwarding\": {\"mode\": \"host\"}}",
           engine->address, who->private_key, engine->server.public_key);
  assert_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, json, strlen(json), &config, &err));
  assert_ok(smartvpn_tunnel_create(config, &tunnel, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  assert_ok(smartvpn_tunnel_start(tunnel, &err));
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  return tunnel;
}

/* The plain way: all sixteen-bit words, an odd last byte padded. */
static uint32_t sum(uint32_t so_far, const uint8_t* p, size_t size) {
  for (size_t i = 0; i < size; ++i) so_far += i % 2 ? p[i] : (uint32_t)p[i] << 8;
  while (so_far >> 16) so_far = (so_far & 0xffff) + (so_far >> 16);
  return so_far;
}

static void store16(uint8_t* p, uint32_t value) {
  p[0] = (uint8_t)(value >> 8);
  p[1] = (uint8_t)value;
}

static uint32_t icmp_sum(const uint8_t* p, size_t size) {
  if (p[0] >> 4 == 4) return sum(0, p + 20, size - 20);
  const uint8_t rest[] = {0, 0, (uint8_t)((size - 40) >> 8), (uint8_t)(size - 40), 0, 0, 0, 58};
  return sum(sum(sum(0, p + 8, 32), rest, sizeof rest), p + 40, size - 40);
}

/* An echo request whose `payload` bytes are all `fill`. */
static size_t build(uint8_t* p, const char* from, const char* to, size_t payload, uint8_t fill) {
  const int v6 = strchr(from, ':') != NULL;
  const size_t header = v6 ? 40 : 20, size = header + 8 + payload;
  memset(p, 0, size);
  p[0] = v6 ? 0x60 : 0x45;
  store16(p + (v6 ? 4 : 2), (uint32_t)(v6 ? size - 40 : size));
  p[v6 ? 7 : 8] = 3; /* come far */
  p[v6 ? 6 : 9] = v6 ? 58 : 1;
  assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, from, p + (v6 ? 8 : 12)), 1);
  assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, to, p + (v6 ? 24 : 16)), 1);
  if (!v6) store16(p + 10, ~sum(0, p, 20));
  p[header] = v6 ? 128 : 8;
  p[header + 7] = fill;
  memset(p + header + 8, fill, payload);
  store16(p + header + 2, ~icmp_sum(p, size));
  return size;
}

static void send_packet(smartvpn_tunnel* tunnel, const uint8_t* p, size_t size) {
  smartvpn_packet packet;
  memset(&packet, 0, sizeof packet);
  packet.length = (uint32_t)size;
  assert_ok(smartvpn_tunnel_packets_write(tunnel, p, size, &packet, sizeof packet, 1, NULL, &err));
}

/* Sends it and compares the next packet that comes with the reply, worked out here. */
static void ping(smartvpn_tunnel* tunnel, const char* from, const char* to, size_t payload, uint8_t fill) {
  static uint8_t arena[kArena], request[2000];
  const size_t size = build(request, from, to, payload, fill), header = strchr(from, ':') ? 40 : 20;
  smartvpn_packet packet;
  size_t count = 0;
  send_packet(tunnel, request, size);
  assert_ok(smartvpn_tunnel_packets_read(tunnel, arena, kArena, &packet, sizeof packet, 1, &count, LONG_MS, &err));
  const uint8_t* reply = arena + packet.offset;
  assert_int_equal(packet.length, size);
  build(request, to, from, payload, fill);
  assert_memory_equal(reply + (header == 40 ? 8 : 12), request + (header == 40 ? 8 : 12), header == 40 ? 32 : 8);
  assert_int_equal(reply[header], header == 40 ? 129 : 0);
  assert_int_equal(icmp_sum(reply, size), 0xffff);
  if (header == 20) assert_int_equal(sum(0, reply, 20), 0xffff);
  assert_int_equal(reply[header == 40 ? 7 : 8], 64);
  assert_memory_equal(reply + header + 4, request + header + 4, size - header - 4);
}

/* Until a line says this; lines about others are passed over. */
static void hear(struct engine* engine, const char* wanted) {
  char line[512];
  do assert_non_null(fgets(line, sizeof line, engine->output));
  while (strstr(line, wanted) != line);
}

static void answers_pings_of_both_families_and_counts_them_by_client(void** state) {
  (void)state;
  struct engine engine;
  uint8_t other[100];
  start(&engine, "0");
  smartvpn_tunnel* alice = dial(&engine, &engine.alice);
  smartvpn_tunnel* bob = dial(&engine, &engine.bob);
  ping(alice, "10.8.0.2", "192.0.2.9", 56, 0xa1);
  ping(alice, "fd00:8::2", "2001:db8::9", 57, 0xa2);
  ping(bob, "fd00:8::3", "2001:db8::9", 1301, 0xb1);
  /* A request that is already a reply, and half a request, are nothing to answer: the next answer is the next ping's.
   */
  size_t size = build(other, "10.8.0.2", "192.0.2.9", 8, 0xa3);
  other[20] = 0;
  send_packet(alice, other, size);
  size = build(other, "10.8.0.2", "192.0.2.9", 8, 0xa4);
  other[6] = 0x20;
  store16(other + 10, 0);
  store16(other + 10, ~sum(0, other, 20));
  send_packet(alice, other, size);
  ping(alice, "10.8.0.2", "192.0.2.9", 1, 0xa5);

  assert_int_equal(kill(engine.pid, SIGINT), 0);
  hear(&engine, "alice: 5 packets, 290 bytes, 3 answers\n"); /* 84 + 105 + 36 + 36 + 29 */
  hear(&engine, "bob: 1 packets, 1349 bytes, 1 answers\n");
  assert_ends_well(&engine);
  assert_int_equal(smartvpn_tunnel_free(alice), SMARTVPN_OK);
  assert_int_equal(smartvpn_tunnel_free(bob), SMARTVPN_OK);
}

static void says_its_counts_every_few_seconds_and_keeps_them_over_sessions(void** state) {
  (void)state;
  struct engine engine;
  start(&engine, "1");
  for (uint8_t round = 1; round <= 2; ++round) {
    smartvpn_tunnel* bob = dial(&engine, &engine.bob);
    ping(bob, "10.8.0.3", "192.0.2.9", 0, round);
    hear(&engine, round == 1 ? "bob: 1 packets, 28 bytes, 1 answers\n" : "bob: 2 packets, 56 bytes, 2 answers\n");
    assert_int_equal(smartvpn_tunnel_free(bob), SMARTVPN_OK);
  }
  assert_int_equal(kill(engine.pid, SIGTERM), 0);
  hear(&engine, "bob: 2 packets, 56 bytes, 2 answers\n");
  assert_ends_well(&engine);
}

/* What a failed test has left. */
static int end_engine(void** state) {
  (void)state;
  if (running > 0 && kill(running, SIGKILL) == 0) waitpid(running, NULL, 0);
  running = 0;
  return 0;
}

int main(int argc, char** argv) {
  const struct CMUnitTest engine[] = {
      cmocka_unit_test_teardown(answers_pings_of_both_families_and_counts_them_by_client, end_engine),
      cmocka_unit_test_teardown(says_its_counts_every_few_seconds_and_keeps_them_over_sessions, end_engine),
  };
  if (argc != 2) return fprintf(stderr, "packet_engine_test PACKET_ENGINE\n"), 2;
  program = argv[1];
  return cmocka_run_group_tests(engine, NULL, NULL);
}
