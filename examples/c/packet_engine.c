/* packet_engine.c - this program is what stands behind the tunnel (forwarding mode "host"): it takes the packets of
 * clients in batches, answers every ping in both families, whichever address it is for, and counts each client's bytes.
 * Counts are printed every few seconds, and at the end (Ctrl-C, SIGTERM). Needs no privilege.
 *
 *   cc packet_engine.c $(pkg-config --cflags --libs smartvpn) -o packet_engine && ./packet_engine config.json [seconds]
 */
#include <poll.h>
#include <signal.h>
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { ARENA = 1 << 20, BATCH = 64, BUCKETS = 1024, ID_SIZE = 65 };

struct client {
  char id[ID_SIZE];
  uint64_t packets, bytes, answers;
  struct client *next;
};

/* Whose session it is. One that has ended stays until the packets that it left behind are read. */
struct session {
  uint64_t id;
  struct client *client;
  int ended;
  struct session *next;
};

static struct client *clients;
static struct session *sessions[BUCKETS];
static size_t ended;                                          /* of them */
static struct client stranger = {"(unknown)", 0, 0, 0, NULL}; /* when events were lost, or memory is out */

static int failed(const char *what, smartvpn_error *err) {
  fprintf(stderr, "%s: %s %s\n", what, smartvpn_error_path(err), smartvpn_error_text(err));
  smartvpn_error_free(err);
  return EXIT_FAILURE;
}

static struct client *client_named(const char *id) {
  struct client **at = &clients;
  while (*at && strcmp((*at)->id, id) != 0) at = &(*at)->next;
  if (!*at && (*at = calloc(1, sizeof **at))) snprintf((*at)->id, ID_SIZE, "%s", id);
  return *at ? *at : &stranger;
}

static struct session **find_session(uint64_t id) {
  struct session **at = &sessions[id % BUCKETS];
  while (*at && (*at)->id != id) at = &(*at)->next;
  return at;
}

/* Events say which session is whose. Both descriptors are level-triggered: what is left now is there next time. */
static int take_events(smartvpn_events *events) {
  smartvpn_event *event = NULL;
  smartvpn_status status;
  while ((status = smartvpn_events_next(events, 0, &event, NULL)) == SMARTVPN_OK) {
    uint64_t id = 0;
    struct session **at;
    if (smartvpn_event_u64(event, "session_id", &id) == SMARTVPN_OK) { /* a "lost" event has none */
      at = find_session(id);
      if (!*at && (*at = calloc(1, sizeof **at))) {
        (*at)->id = id;
        (*at)->client = client_named(smartvpn_event_text(event, "client_id"));
      }
      if (*at && smartvpn_event_type(event) == SMARTVPN_EVENT_SESSION_DOWN) ended += (size_t)((*at)->ended = 1);
    }
    smartvpn_event_free(event);
  }
  return status != SMARTVPN_CLOSED;
}

static void forget_ended(void) {
  struct session **at, *gone;
  size_t i;
  for (i = 0; ended && i < BUCKETS; ++i)
    for (at = &sessions[i]; *at;) {
      if (!(*at)->ended) {
        at = &(*at)->next;
        continue;
      }
      gone = *at;
      *at = gone->next;
      --ended;
      free(gone);
    }
}

/* A session's packets come after its session_up was queued, but perhaps before we have read that. */
static struct client *owner_of(uint64_t session_id, smartvpn_events *events) {
  struct session *session = *find_session(session_id);
  if (!session) {
    take_events(events);
    session = *find_session(session_id);
  }
  return session ? session->client : &stranger;
}

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

/* Changes 16 bits and the Internet checksum over them (RFC 1624, equation 3). */
static void change16(uint8_t *field, uint32_t to, uint8_t *checksum) {
  uint32_t sum = (~get16(checksum) & 0xffff) + (~get16(field) & 0xffff) + to;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~(sum + (sum >> 16));
  checksum[0] = (uint8_t)(sum >> 8);
  checksum[1] = (uint8_t)sum;
  field[0] = (uint8_t)(to >> 8);
  field[1] = (uint8_t)to;
}

static void swap(uint8_t *a, uint8_t *b, size_t size) {
  uint8_t kept[16];
  memcpy(kept, a, size);
  memcpy(a, b, size);
  memcpy(b, kept, size);
}

/* An echo request in place into its reply: addresses swapped, which no sum notices, a fresh hop limit, the type. A sum
 * that was wrong stays wrong, and the client drops it. Fragments and multicast are not answered. */
static int answer(uint8_t *p, uint32_t length) {
  const size_t header = (size_t)(p[0] & 15) * 4;
  if (length >= 28 && p[0] >> 4 == 4 && p[9] == 1 && length >= header + 8 && p[header] == 8 && p[header + 1] == 0 &&
      (get16(p + 6) & 0x3fff) == 0 && p[16] < 224) {
    swap(p + 12, p + 16, 4);
    change16(p + 8, 64u << 8 | p[9], p + 10);
    change16(p + header, 0, p + header + 2);
    return 1;
  }
  if (length >= 48 && p[0] >> 4 == 6 && p[6] == 58 && p[40] == 128 && p[41] == 0 && p[24] != 0xff) {
    swap(p + 8, p + 24, 16);
    p[7] = 64; /* IPv6 has no sum of its own */
    change16(p + 40, 129u << 8, p + 42);
    return 1;
  }
  return 0; /* a router would forward these */
}

static int take_packets(smartvpn_server *server, smartvpn_events *events, uint8_t *arena) {
  smartvpn_packet packets[BATCH];
  struct client *owners[BATCH];
  size_t count = 0, answers = 0, taken = 0, i;
  smartvpn_status status =
      smartvpn_packets_read(server, arena, ARENA, packets, sizeof *packets, BATCH, &count, 0, NULL);
  if (status != SMARTVPN_OK) return status == SMARTVPN_AGAIN;
  for (i = 0; i < count; ++i) {
    struct client *owner = owner_of(packets[i].session_id, events);
    owner->packets += 1;
    owner->bytes += packets[i].length;
    if (!answer(arena + packets[i].offset, packets[i].length)) continue;
    owners[answers] = owner;
    packets[answers++] = packets[i];
  }
  if (answers) smartvpn_packets_write(server, arena, ARENA, packets, sizeof *packets, answers, &taken, NULL);
  for (i = 0; i < taken; ++i) owners[i]->answers += 1; /* what finds no room is lost, as on any network */
  return 1;
}

static void print_counts(void) {
  const struct client *client;
  for (client = clients; client; client = client->next)
    printf("%s: %llu packets, %llu bytes, %llu answers\n", client->id, (unsigned long long)client->packets,
           (unsigned long long)client->bytes, (unsigned long long)client->answers);
  if (stranger.packets) printf("%s: %llu packets\n", stranger.id, (unsigned long long)stranger.packets);
  fflush(stdout);
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

/* Readable when somebody wants us to end: a signal as a descriptor among the others. The library's threads block all
 * signals, so whoever blocks them here has them all. */
static int signals_fd(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Readable every so many seconds; never for 0. */
static int ticks_fd(long seconds) {
  struct itimerspec every = {{seconds, 0}, {seconds, 0}};
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  timerfd_settime(fd, 0, &every, NULL);
  return fd;
}

int main(int argc, char **argv) {
  static uint8_t arena[ARENA];
  const uint64_t mask = SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_UP) | SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_DOWN);
  smartvpn_config *config = argc > 1 ? read_config(argv[1]) : NULL;
  smartvpn_server *server = NULL;
  smartvpn_events *events = NULL;
  smartvpn_error *err = NULL;
  struct pollfd wait[4] = {{0, POLLIN, 0}, {0, POLLIN, 0}, {0, POLLIN, 0}, {0, POLLIN, 0}};
  char endpoints[512];
  uint64_t ticks;

  if (!config) return EXIT_FAILURE;
  wait[0].fd = signals_fd();
  wait[1].fd = ticks_fd(argc > 2 ? atol(argv[2]) : 0);
  if (smartvpn_server_create(config, &server, &err) < 0 ||
      smartvpn_events_open(server, mask, 4096, &events, &err) < 0 || smartvpn_server_start(server, &err) < 0 ||
      smartvpn_server_endpoints(server, endpoints, sizeof endpoints, NULL, &err) < 0)
    return failed("start", err);
  smartvpn_config_free(config);
  puts(endpoints);
  fflush(stdout);

  wait[2].fd = smartvpn_events_fd(events);
  wait[3].fd = smartvpn_packets_fd(server);
  while (poll(wait, 4, -1) > 0 && !wait[0].revents) {
    if (wait[1].revents && read(wait[1].fd, &ticks, sizeof ticks) > 0) print_counts();
    if (!wait[3].revents) forget_ended();
    if (wait[3].revents && !take_packets(server, events, arena)) break;
    if (wait[2].revents && !take_events(events)) break;
  }
  print_counts();
  smartvpn_events_free(events);
  return smartvpn_server_free(server) == SMARTVPN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
