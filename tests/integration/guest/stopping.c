/* stop and free where it hurts: in every kind of callback, and from many threads at once, with traffic. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

enum { kAuthorize = 100 };

static struct {
  struct pair pair;
  int32_t wanted; /* event type, or kAuthorize */
  atomic_int seen;
  sem_t done;
} scene;

/* Everything that ends something, from inside the library's own thread. */
static void end_all(void) {
  if (atomic_exchange(&scene.seen, 1)) return;
  need(smartvpn_server_free(scene.pair.server) == SMARTVPN_BAD_STATE);
  need(smartvpn_server_stop(scene.pair.server, 0, -1, NULL) == SMARTVPN_PENDING);
  if (scene.pair.tunnel) {
    need(smartvpn_tunnel_stop(scene.pair.tunnel, -1, NULL) == SMARTVPN_OK);
    need(smartvpn_tunnel_free(scene.pair.tunnel) == SMARTVPN_OK);
  }
  need(smartvpn_server_free(scene.pair.server) == SMARTVPN_BAD_STATE);
  sem_post(&scene.done);
}

static void on_event(void* user, const smartvpn_event* event) {
  (void)user;
  if (smartvpn_event_type(event) == scene.wanted) end_all();
}

static void on_authorize(void* user, const smartvpn_request* request) {
  (void)user;
  if (scene.wanted == kAuthorize)
    end_all();
  else
    need_ok(smartvpn_authorize_answer(scene.pair.server, smartvpn_request_token(request), "{\"allow\": true}",
                                      SMARTVPN_NUL_TERMINATED, &err));
}

static void reconfigure(void) {
  char key[SMARTVPN_KEY_SIZE], json[700];
  smartvpn_config* config = NULL;
  need_ok(smartvpn_key_generate(key, sizeof key, NULL, &err));
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}],"
           " \"security\": {\"authorize\": \"required\"}, \"keys\": {\"noise_private_key\": \"%s\"},"
           " \"network\": {\"subnets\": [\"10.8.0.0/24\", \"fd00:8::/64\"], \"dns\": [\"10.8.0.1\"]},"
           " \"forwarding\": {\"mode\": \"testing\"}}",
           key);
  need_ok(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &err));
  need_ok(smartvpn_server_reconfigure(scene.pair.server, config, 0, NULL, &err));
  need(smartvpn_config_free(config) == SMARTVPN_OK);
}

static void provoke(int32_t wanted) {
  smartvpn_credentials* credentials = NULL;
  if (wanted == SMARTVPN_EVENT_CLIENT_CHANGED)
    smartvpn_client_create(scene.pair.server, "{\"id\": \"bob\"}", SMARTVPN_NUL_TERMINATED, &credentials, NULL);
  if (wanted == SMARTVPN_EVENT_SESSION_DOWN) smartvpn_client_disable(scene.pair.server, "alice", NULL);
  if (wanted == SMARTVPN_EVENT_RECONFIGURED) reconfigure();
  smartvpn_credentials_free(credentials);
}

static void play(int32_t wanted) {
  const smartvpn_callbacks callbacks = {.struct_size = sizeof callbacks, .event = on_event, .authorize = on_authorize};
  const struct wishes wishes = {.callbacks = &callbacks, .extra = ", \"security\": {\"authorize\": \"required\"}"};
  const int before_traffic = wanted == SMARTVPN_EVENT_LISTENING || wanted == SMARTVPN_EVENT_CONNECTION_ACCEPTED ||
                             wanted == SMARTVPN_EVENT_SESSION_UP || wanted == kAuthorize;
  memset(&scene, 0, sizeof scene);
  need(sem_init(&scene.done, 0, 0) == 0);
  scene.wanted = before_traffic ? wanted : -1;
  scene.pair.server = make_server(&wishes);
  need_ok(smartvpn_server_start(scene.pair.server, &err));
  if (wanted != SMARTVPN_EVENT_LISTENING) {
    scene.pair.tunnel = make_tunnel(scene.pair.server, "alice", &wishes);
    need_ok(smartvpn_tunnel_start(scene.pair.tunnel, &err));
    if (!before_traffic) need_ok(smartvpn_tunnel_wait_connected(scene.pair.tunnel, kLongMs, &err));
  }
  if (!before_traffic) {
    start_traffic(&scene.pair);
    await_traffic(&scene.pair, 10);
    scene.wanted = wanted;
    provoke(wanted);
  }
  sem_wait(&scene.done);
  if (!before_traffic) stop_traffic(&scene.pair);
  need(smartvpn_server_stop(scene.pair.server, 0, kLongMs, NULL) == SMARTVPN_OK);
  need(smartvpn_server_state(scene.pair.server) == SMARTVPN_SERVER_STOPPED);
  need(smartvpn_server_free(scene.pair.server) == SMARTVPN_OK);
  sem_destroy(&scene.done);
}

static int in_callbacks(void) {
  static const int32_t types[] = {SMARTVPN_EVENT_LISTENING,
                                  SMARTVPN_EVENT_CONNECTION_ACCEPTED,
                                  SMARTVPN_EVENT_SESSION_UP,
                                  SMARTVPN_EVENT_SESSION_DOWN,
                                  SMARTVPN_EVENT_CLIENT_CHANGED,
                                  SMARTVPN_EVENT_RECONFIGURED,
                                  kAuthorize};
  const int times = rounds(5, 50);
  for (int i = 0; i < times; ++i)
    for (size_t k = 0; k < sizeof types / sizeof *types; ++k) play(types[k]);
  return 0;
}

struct crowd {
  struct pair* pair;
  pthread_barrier_t* start;
  int role;
  smartvpn_status freed_server, freed_tunnel;
};

static int is_one_of(smartvpn_status status, smartvpn_status a, smartvpn_status b, smartvpn_status c) {
  return status == a || status == b || status == c;
}

static void* one_of_many(void* opaque) {
  struct crowd* me = opaque;
  smartvpn_server* server = me->pair->server;
  smartvpn_tunnel* tunnel = me->pair->tunnel;
  uint8_t arena[2000];
  smartvpn_packet meta = {0};
  size_t count;
  pthread_barrier_wait(me->start);
  if (me->role % 2 == 0)
    need(is_one_of(smartvpn_tunnel_stop(tunnel, -1, NULL), SMARTVPN_OK, SMARTVPN_BAD_HANDLE, SMARTVPN_CLOSED));
  if (me->role % 3 == 0)
    need(
        is_one_of(smartvpn_server_stop(server, me->role, -1, NULL), SMARTVPN_OK, SMARTVPN_BAD_HANDLE, SMARTVPN_CLOSED));
  if (me->role % 3 == 1)
    need(is_one_of(smartvpn_server_stop(server, 0, 0, NULL), SMARTVPN_OK, SMARTVPN_BAD_HANDLE, SMARTVPN_AGAIN));
  smartvpn_tunnel_packets_read(tunnel, arena, sizeof arena, &meta, sizeof meta, 1, &count, 50, NULL);
  me->freed_server = smartvpn_server_free(server);
  me->freed_tunnel = smartvpn_tunnel_free(tunnel);
  return NULL;
}

static int by_many(void) {
  enum { kThreads = 8 };
  const int times = rounds(under_sanitizer() ? 15 : 40, 1000);
  const struct wishes wishes = {0};
  for (int i = 0; i < times; ++i) {
    struct pair pair;
    pthread_barrier_t start;
    pthread_t ids[kThreads];
    struct crowd crowd[kThreads];
    int servers = 0, tunnels = 0;
    open_pair(&pair, &wishes);
    start_traffic(&pair);
    await_traffic(&pair, 5);
    need(pthread_barrier_init(&start, NULL, kThreads) == 0);
    for (int k = 0; k < kThreads; ++k) {
      crowd[k] = (struct crowd){&pair, &start, k + i, SMARTVPN_OK, SMARTVPN_OK};
      need(pthread_create(&ids[k], NULL, one_of_many, &crowd[k]) == 0);
    }
    for (int k = 0; k < kThreads; ++k) {
      need(pthread_join(ids[k], NULL) == 0);
      servers += crowd[k].freed_server == SMARTVPN_OK;
      tunnels += crowd[k].freed_tunnel == SMARTVPN_OK;
    }
    need(servers == 1 && tunnels == 1);
    stop_traffic(&pair);
    pthread_barrier_destroy(&start);
  }
  return 0;
}

int stopping(const char* what) { return strcmp(what, "callbacks") == 0 ? in_callbacks() : by_many(); }
