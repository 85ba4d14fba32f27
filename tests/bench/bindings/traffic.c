/* traffic.c - the other end of the bindings' benchmarks: tunnels in mode "host" that send packets as fast as they can,
 * the same whatever language the server's program is in. run.py starts it, on a processor of its own.
 *
 *   traffic keys N          prints N lines "PRIVATE PUBLIC"
 *   traffic run CONFIG...   connects a tunnel for each configuration, prints "ready" and takes lines:
 *                           "go SIZE"         sends UDP packets of SIZE bytes from now on
 *                           "go SIZE PACE"    so many a millisecond, in bursts, and no more
 *                           "stop"            sends no more, and answers "stopped"
 * The inner addresses of tunnel i are 10.8.1.i+1; standard input's end ends it.
 */
#include <poll.h>
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, LARGEST = 1400, TUNNELS = 16 };

static uint8_t arenas[TUNNELS][BATCH * LARGEST];

static int failed(const char* what, smartvpn_error* err) {
  fprintf(stderr, "traffic: %s: %s %s\n", what, smartvpn_error_path(err), smartvpn_error_text(err));
  return EXIT_FAILURE;
}

static int print_keys(int count) {
  char key[SMARTVPN_KEY_SIZE], public_key[SMARTVPN_KEY_SIZE];
  while (count-- > 0) {
    smartvpn_key_generate(key, sizeof key, NULL, NULL);
    smartvpn_key_public(key, public_key, sizeof public_key, NULL, NULL);
    printf("%s %s\n", key, public_key);
  }
  return EXIT_SUCCESS;
}

/* An IPv4 UDP packet without a sum of its own, from tunnel `index` to the documentation's network. `port` makes flows.
 */
static void build(uint8_t* p, size_t index, uint32_t size, uint32_t port) {
  static const uint8_t head[] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 8, 1, 0, 192, 0, 2, 9};
  uint32_t sum = 0;
  size_t i;
  memset(p, 0, size);
  memcpy(p, head, sizeof head);
  p[2] = (uint8_t)(size >> 8);
  p[3] = (uint8_t)size;
  p[15] = (uint8_t)(index + 1);
  for (i = 0; i < 20; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
  sum = (sum & 0xffff) + (sum >> 16);
  p[10] = (uint8_t)(~sum >> 8);
  p[11] = (uint8_t)~sum;
  p[20] = 0x30;
  p[21] = (uint8_t)port;
  p[22] = 0x31;
  p[24] = (uint8_t)((size - 20) >> 8);
  p[25] = (uint8_t)(size - 20);
}

static void prepare(size_t tunnels, smartvpn_packet* packets, uint32_t size) {
  size_t t, i;
  memset(packets, 0, BATCH * sizeof *packets);
  for (i = 0; i < BATCH; ++i) {
    packets[i].offset = i * LARGEST;
    packets[i].length = size;
    for (t = 0; t < tunnels; ++t) build(arenas[t] + i * LARGEST, t, size, (uint32_t)(i % 8));
  }
}

/* A line that waits, or nothing when there is none. Waits for one if `patient`. False at the end. */
static int hear(char* line, int size, int patient) {
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  line[0] = 0;
  if (poll(&input, 1, patient ? -1 : 0) <= 0) return 1;
  return fgets(line, size, stdin) != NULL;
}

static void say(const char* word) {
  puts(word);
  fflush(stdout);
}

/* What is sent, and how far the sender got. */
struct order {
  smartvpn_packet packets[BATCH];
  int sending;
  double pace; /* packets a millisecond; 0: as fast as can be */
  double begun, sent;
};

static double milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void obey(struct order* order, const char* line, size_t tunnels) {
  int size = 0, pace = 0;
  if (sscanf(line, "go %d %d", &size, &pace) > 0) {
    prepare(tunnels, order->packets, (uint32_t)size);
    order->sending = 1;
    order->pace = pace;
    order->begun = milliseconds();
    order->sent = 0;
  } else if (strcmp(line, "stop\n") == 0) {
    say("stopped");
    order->sending = 0;
  }
}

/* A batch to each tunnel. False when no ring has room, or all of this millisecond went out. */
static int send_some(struct order* order, smartvpn_tunnel** tunnels, size_t count) {
  size_t t, all = 0;
  if (order->pace > 0 && order->sent >= (milliseconds() - order->begun) * order->pace) return 0;
  for (t = 0; t < count; ++t) {
    size_t taken = 0;
    smartvpn_tunnel_packets_write(tunnels[t], arenas[t], sizeof arenas[t], order->packets, sizeof *order->packets,
                                  BATCH, &taken, NULL);
    all += taken;
  }
  order->sent += (double)all;
  return all > 0;
}

static void send_until_told(smartvpn_tunnel** tunnels, size_t count) {
  static struct order order;
  const struct timespec moment = {0, 100000};
  char line[64];
  while (hear(line, sizeof line, !order.sending)) {
    obey(&order, line, count);
    if (order.sending && !send_some(&order, tunnels, count)) nanosleep(&moment, NULL);
  }
}

static smartvpn_tunnel* dial(const char* path) {
  char json[4096];
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  smartvpn_error* err = NULL;
  FILE* file = fopen(path, "r");
  const size_t size = file ? fread(json, 1, sizeof json, file) : 0;
  if (file) fclose(file);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, json, size, &config, &err) < 0 ||
      smartvpn_tunnel_create(config, &tunnel, &err) < 0 || smartvpn_tunnel_start(tunnel, &err) < 0 ||
      smartvpn_tunnel_wait_connected(tunnel, 30000, &err) < 0)
    failed(path, err), tunnel = NULL;
  smartvpn_config_free(config);
  return tunnel;
}

int main(int argc, char** argv) {
  smartvpn_tunnel* tunnels[TUNNELS];
  size_t count = 0;
  int i;
  if (argc == 3 && strcmp(argv[1], "keys") == 0) return print_keys(atoi(argv[2]));
  if (argc < 3 || argc > 2 + TUNNELS || strcmp(argv[1], "run") != 0) return fprintf(stderr, "traffic keys|run\n"), 2;
  setvbuf(stdin, NULL, _IONBF, 0); /* what poll does not see must not be in a buffer */
  for (i = 2; i < argc; ++i)
    if (!(tunnels[count++] = dial(argv[i]))) return EXIT_FAILURE;
  say("ready");
  send_until_told(tunnels, count);
  while (count > 0) smartvpn_tunnel_free(tunnels[--count]);
  return EXIT_SUCCESS;
}
