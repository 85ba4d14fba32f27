/* own_loop.c - the library under a program's own poll() loop. The program is also what stands behind the tunnel: with
 * forwarding mode "host" it reads the packets of clients, and answers every ping of any IPv4 address itself.
 *
 *   cc own_loop.c $(pkg-config --cflags --libs smartvpn) -o own_loop && ./own_loop config.json [seconds]
 */
#include <poll.h>
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA = 1 << 20, BATCH = 64 };

static int failed(const char *what, smartvpn_error *err) {
  fprintf(stderr, "%s: %s %s\n", what, smartvpn_error_path(err), smartvpn_error_text(err));
  smartvpn_error_free(err);
  return EXIT_FAILURE;
}

/* Both descriptors are level-triggered: take until nothing is left, or a while, and poll again. */
static int take_events(smartvpn_events *events) {
  smartvpn_event *event = NULL;
  smartvpn_status status;
  while ((status = smartvpn_events_next(events, 0, &event, NULL)) == SMARTVPN_OK) {
    puts(smartvpn_event_json(event));
    smartvpn_event_free(event);
  }
  fflush(stdout);
  return status != SMARTVPN_CLOSED;
}

/* An ICMP echo request becomes its reply: addresses swapped, type 8 made 0, checksums follow by RFC 1624. */
static int answer(uint8_t *p, uint32_t length) {
  const size_t header = (size_t)(p[0] & 15) * 4;
  uint8_t source[4];
  uint32_t sum;
  if (p[0] >> 4 != 4 || p[9] != 1 || length < header + 8 || p[header] != 8) return 0;
  memcpy(source, p + 12, 4);
  memcpy(p + 12, p + 16, 4);
  memcpy(p + 16, source, 4);
  p[header] = 0;
  sum = ((uint32_t)p[header + 2] << 8 | p[header + 3]) + 0x0800;
  sum = (sum & 0xffff) + (sum >> 16);
  p[header + 2] = (uint8_t)(sum >> 8);
  p[header + 3] = (uint8_t)sum;
  return 1;
}

static int take_packets(smartvpn_server *server, uint8_t *arena) {
  smartvpn_packet packets[BATCH];
  size_t count = 0, answers = 0, i;
  smartvpn_status status =
      smartvpn_packets_read(server, arena, ARENA, packets, sizeof *packets, BATCH, &count, 0, NULL);
  if (status != SMARTVPN_OK) return status == SMARTVPN_AGAIN;
  for (i = 0; i < count; ++i)
    if (answer(arena + packets[i].offset, packets[i].length)) packets[answers++] = packets[i];
  if (answers) smartvpn_packets_write(server, arena, ARENA, packets, sizeof *packets, answers, NULL, NULL);
  return 1; /* packets that find no room are lost, as on any network */
}

static smartvpn_config *read_config(const char *path) {
  static char json[1 << 16];
  smartvpn_config *config = NULL;
  smartvpn_error *err = NULL;
  FILE *file = fopen(path, "r");
  size_t size = file ? fread(json, 1, sizeof json, file) : 0;
  if (file) fclose(file);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, size, &config, &err) < 0 ||
      smartvpn_config_set(config, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, &err) < 0)
    failed(path, err);
  return config;
}

int main(int argc, char **argv) {
  static uint8_t arena[ARENA];
  const int patience_ms = argc > 2 ? atoi(argv[2]) * 1000 : -1; /* how long to wait for anything */
  smartvpn_config *config = argc > 1 ? read_config(argv[1]) : NULL;
  smartvpn_server *server = NULL;
  smartvpn_events *events = NULL;
  smartvpn_error *err = NULL;
  struct pollfd wait[2];

  if (!config) return EXIT_FAILURE;
  if (smartvpn_server_create(config, &server, &err) < 0 ||
      smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 1024, &events, &err) < 0 ||
      smartvpn_server_start(server, &err) < 0)
    return failed("start", err);
  smartvpn_config_free(config);

  wait[0].fd = smartvpn_events_fd(events); /* the program's own descriptors would stand beside these */
  wait[1].fd = smartvpn_packets_fd(server);
  wait[0].events = wait[1].events = POLLIN;
  while (poll(wait, 2, patience_ms) > 0) {
    if (wait[0].revents && !take_events(events)) break;
    if (wait[1].revents && !take_packets(server, arena)) break;
  }
  smartvpn_events_free(events);
  return smartvpn_server_free(server) == SMARTVPN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
