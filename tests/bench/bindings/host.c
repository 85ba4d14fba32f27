/* host.c - the bindings' benchmark in C, what the others are measured against: a server in mode "host" whose program
 * does one job after the other, as run.py tells it on standard input. The programs in Python and Go do the same, line
 * by line and packet by packet.
 *
 *   host CONFIG TUNNELS     starts the server, prints "ready ADDRESS"; the inner addresses of its clients are 10.8.1.i
 *     read BATCH MS           packets as they come, for MS milliseconds
 *     echo BATCH MS           the same, each sent back with its addresses swapped
 *     write SIZE BATCH MS     packets to the clients, each copied to where it goes out from
 *     fill COUNT              waits until COUNT more packets came in, reads none of them, and says "full"
 *     drain BATCH COUNT       reads so many of those that wait
 *     clear                   reads what else waits, until no more comes, and says "clear"
 *     burst SIZE BATCH COUNT  writes COUNT packets into the empty queue
 *     clients COUNT           creates clients in one transaction, and says "created"
 *     events COUNT            changes them in one transaction, and reads its events
 *     sessions COUNT          waits until there are so many, and describes them all
 * A job is answered by a line "COUNT SECONDS CPU_SECONDS SUM": packets, events or sessions; the time of them, by the
 * clock and of the processor, the whole process's (of drain and burst, in which the server has no part, the
 * thread's); and what it saw in them (lengths and first bytes; lengths of names), so that all do all.
 */
#include <smartvpn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARENA = 1 << 20, MOST = 256, MTU = 1400, POLL_MS = 50 };

struct result {
  uint64_t count, sum;
  double seconds, cpu;
};

static smartvpn_server* server;
static uint8_t arena[ARENA];
static smartvpn_packet packets[MOST];

static void must(smartvpn_status status, const char* what, smartvpn_error* err) {
  if (status >= 0) return;
  fprintf(stderr, "host: %s: %s %s %s\n", what, smartvpn_status_name(status), smartvpn_error_path(err),
          smartvpn_error_text(err));
  exit(EXIT_FAILURE);
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* `cpu` is the process's clock, or the thread's for what is of the interface alone. */
static void begin(struct result* r, clockid_t cpu) {
  memset(r, 0, sizeof *r);
  r->seconds = -now(CLOCK_MONOTONIC);
  r->cpu = -now(cpu);
}

static void end(struct result* r, clockid_t cpu) {
  r->cpu += now(cpu);
  r->seconds += now(CLOCK_MONOTONIC);
}

static void rest_us(long us) {
  const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&pause, NULL);
}

static uint64_t figure(const char* name) {
  smartvpn_stats* stats = NULL;
  uint64_t value = 0;
  must(smartvpn_server_stats(server, &stats, NULL), "stats", NULL);
  must(smartvpn_stats_u64(stats, name, &value), name, NULL);
  smartvpn_stats_free(stats);
  return value;
}

/* One batch read and looked at; 0 when there was none in time. */
static size_t take(struct result* r, size_t batch, int32_t timeout_ms) {
  size_t count = 0, i;
  smartvpn_status status =
      smartvpn_packets_read(server, arena, ARENA, packets, sizeof *packets, batch, &count, timeout_ms, NULL);
  if (status == SMARTVPN_AGAIN || status == SMARTVPN_TIMEOUT) return 0;
  must(status, "read", NULL);
  for (i = 0; i < count; ++i) r->sum += packets[i].length + arena[packets[i].offset];
  r->count += count;
  return count;
}

static struct result read_for(size_t batch, double seconds) {
  struct result r;
  for (begin(&r, CLOCK_PROCESS_CPUTIME_ID); r.seconds + now(CLOCK_MONOTONIC) < seconds;) take(&r, batch, POLL_MS);
  end(&r, CLOCK_PROCESS_CPUTIME_ID);
  return r;
}

static struct result echo_for(size_t batch, double seconds) {
  struct result r;
  size_t count, i;
  for (begin(&r, CLOCK_PROCESS_CPUTIME_ID); r.seconds + now(CLOCK_MONOTONIC) < seconds;) {
    if ((count = take(&r, batch, POLL_MS)) == 0) continue;
    for (i = 0; i < count; ++i) {
      uint8_t *p = arena + packets[i].offset, from[4];
      memcpy(from, p + 12, 4);
      memcpy(p + 12, p + 16, 4);
      memcpy(p + 16, from, 4);
    }
    smartvpn_packets_write(server, arena, ARENA, packets, sizeof *packets, count, NULL, NULL);
  }
  end(&r, CLOCK_PROCESS_CPUTIME_ID);
  return r;
}

/* What a program has to send: `count` packets of its own. An IPv4 header with an unset sum would be refused. */
static void build(uint8_t (*made)[MTU], size_t count, uint32_t size, size_t tunnels) {
  static const uint8_t head[] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 10, 8, 1, 0};
  size_t i, k;
  for (k = 0; k < count; ++k) {
    uint8_t* p = made[k];
    uint32_t sum = 0;
    memset(p, 0, size);
    memcpy(p, head, sizeof head);
    p[2] = (uint8_t)(size >> 8), p[3] = (uint8_t)size;
    p[19] = (uint8_t)(k % tunnels + 1);
    for (i = 0; i < 20; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    p[10] = (uint8_t)(~sum >> 8), p[11] = (uint8_t)~sum;
    p[24] = (uint8_t)((size - 20) >> 8), p[25] = (uint8_t)(size - 20);
  }
}

static struct result write_for(uint32_t size, size_t batch, double seconds, uint64_t at_most, clockid_t cpu,
                               size_t tunnels) {
  static uint8_t made[MOST][MTU];
  struct result r;
  build(made, batch, size, tunnels);
  memset(packets, 0, sizeof packets);
  memset(arena, 0, batch * size); /* its pages are there, as the others' after a first batch */
  begin(&r, cpu);
  while (r.count < at_most && r.seconds + now(CLOCK_MONOTONIC) < seconds) {
    size_t taken = 0, i;
    for (i = 0; i < batch; ++i) {
      memcpy(arena + i * size, made[i], size);
      packets[i].offset = i * size;
      packets[i].length = size;
    }
    smartvpn_status status =
        smartvpn_packets_write(server, arena, ARENA, packets, sizeof *packets, batch, &taken, NULL);
    if (status == SMARTVPN_AGAIN) {
      rest_us(50);
      continue;
    }
    must(status, "write", NULL);
    r.count += taken;
    r.sum += taken * size;
  }
  end(&r, cpu);
  return r;
}

static void fill(uint64_t count) {
  const uint64_t goal = figure("inner_packets_in") + count;
  while (figure("inner_packets_in") < goal) rest_us(2000);
  puts("full");
}

static struct result drain(size_t batch, uint64_t count) {
  struct result r;
  begin(&r, CLOCK_THREAD_CPUTIME_ID);
  while (r.count < count && take(&r, batch, 0) != 0) continue;
  end(&r, CLOCK_THREAD_CPUTIME_ID);
  return r;
}

static void clear(void) {
  struct result r;
  begin(&r, CLOCK_PROCESS_CPUTIME_ID);
  while (take(&r, MOST, POLL_MS) != 0) continue;
  puts("clear");
}

static void change_clients(int count, int create) {
  static int round;
  smartvpn_transaction* transaction = NULL;
  smartvpn_error* err = NULL;
  char id[32], json[200];
  int i;
  ++round;
  must(smartvpn_transaction_begin(server, &transaction, &err), "begin", err);
  for (i = 0; i < count; ++i) {
    snprintf(id, sizeof id, "client-%d", i);
    if (create)
      snprintf(json, sizeof json, "{\"id\": \"%s\", \"noise_public_key\": \"%042dA=\"}", id, i + 1);
    else
      snprintf(json, sizeof json, "{\"description\": \"round %d\"}", round);
    must(create ? smartvpn_transaction_create(transaction, json, SMARTVPN_NUL_TERMINATED, &err)
                : smartvpn_transaction_update(transaction, id, json, SMARTVPN_NUL_TERMINATED, &err),
         id, err);
  }
  must(smartvpn_transaction_commit(transaction, 0, NULL, &err), "commit", err);
  smartvpn_transaction_free(transaction);
}

static struct result read_events(int count) {
  struct result r;
  smartvpn_events* events = NULL;
  smartvpn_event* event = NULL;
  const char* id;
  must(smartvpn_events_open(server, SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_CLIENT_CHANGED), 32768, &events, NULL), "events",
       NULL);
  change_clients(count, 0);
  begin(&r, CLOCK_PROCESS_CPUTIME_ID);
  while (r.count < (uint64_t)count && smartvpn_events_next(events, 0, &event, NULL) == SMARTVPN_OK) {
    if (smartvpn_event_type(event) == SMARTVPN_EVENT_CLIENT_CHANGED && (id = smartvpn_event_text(event, "client_id")))
      r.sum += strlen(id);
    ++r.count;
    smartvpn_event_free(event);
  }
  end(&r, CLOCK_PROCESS_CPUTIME_ID);
  smartvpn_events_free(events);
  return r;
}

/* C has no objects to make of it: the text, and how many `{"id":` are in it. */
static struct result describe_sessions(uint64_t count) {
  static char text[64 << 20];
  struct result r;
  size_t size = 0;
  const char* at;
  while (figure("sessions_now") < count) rest_us(20000);
  begin(&r, CLOCK_PROCESS_CPUTIME_ID);
  must(smartvpn_session_list(server, text, sizeof text, &size, NULL), "sessions", NULL);
  end(&r, CLOCK_PROCESS_CPUTIME_ID);
  for (at = text; (at = strstr(at, "{\"id\":")); ++at) ++r.count;
  return r;
}

static void start(const char* path) {
  static char json[8 << 20];
  smartvpn_config* config = NULL;
  smartvpn_error* err = NULL;
  FILE* file = fopen(path, "r");
  const size_t size = file ? fread(json, 1, sizeof json, file) : 0;
  if (file) fclose(file);
  must(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, size, &config, &err), path, err);
  must(smartvpn_server_create(config, &server, &err), "create", err);
  must(smartvpn_server_start(server, &err), "start", err);
  smartvpn_config_free(config);
  must(smartvpn_server_endpoint(server, 0, json, sizeof json, NULL, &err), "endpoint", err);
  printf("ready %s\n", json);
}

/* Jobs that answer with a word. */
static int prepare(const char* job, long a) {
  if (strcmp(job, "fill") == 0)
    fill((uint64_t)a);
  else if (strcmp(job, "clear") == 0)
    clear();
  else if (strcmp(job, "clients") == 0)
    change_clients((int)a, 1), puts("created");
  else
    return 0;
  return 1;
}

static int measure(const char* job, long a, long b, long c, size_t tunnels, struct result* r) {
  if (strcmp(job, "read") == 0)
    *r = read_for((size_t)a, (double)b / 1e3);
  else if (strcmp(job, "echo") == 0)
    *r = echo_for((size_t)a, (double)b / 1e3);
  else if (strcmp(job, "write") == 0)
    *r = write_for((uint32_t)a, (size_t)b, (double)c / 1e3, UINT64_MAX, CLOCK_PROCESS_CPUTIME_ID, tunnels);
  else if (strcmp(job, "burst") == 0)
    *r = write_for((uint32_t)a, (size_t)b, 60, (uint64_t)c, CLOCK_THREAD_CPUTIME_ID, tunnels);
  else if (strcmp(job, "drain") == 0)
    *r = drain((size_t)a, (uint64_t)b);
  else if (strcmp(job, "events") == 0)
    *r = read_events((int)a);
  else if (strcmp(job, "sessions") == 0)
    *r = describe_sessions((uint64_t)a);
  else
    return 0;
  return 1;
}

int main(int argc, char** argv) {
  char line[100], job[20];
  struct result r;
  if (argc != 3) return fprintf(stderr, "host CONFIG TUNNELS\n"), 2;
  start(argv[1]);
  while (fflush(stdout), fgets(line, sizeof line, stdin)) {
    long a = 0, b = 0, c = 0;
    sscanf(line, "%19s %ld %ld %ld", job, &a, &b, &c);
    if (prepare(job, a)) continue;
    if (!measure(job, a, b, c, (size_t)atoi(argv[2]), &r)) return fprintf(stderr, "host: what is %s", line), 2;
    printf("%llu %.9f %.9f %llu\n", (unsigned long long)r.count, r.seconds, r.cpu, (unsigned long long)r.sum);
  }
  return smartvpn_server_free(server) == SMARTVPN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
