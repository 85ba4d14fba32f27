/* fork() during traffic: the child is cut off and may start a pair of its own; the parent loses no connection. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

static const struct wishes plain = {0};

/* The parent's connections and the library's other descriptors are not the child's. */
static int sockets(void) {
  int count = 0, type;
  socklen_t size;
  for (int fd = 3; fd < 200; ++fd) {
    size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0) ++count;
  }
  return count;
}

static int as_child(void* opaque) {
  struct pair *parents = opaque, own;
  char text[64];
  need(sockets() == 0);
  need(smartvpn_server_state(parents->server) == SMARTVPN_FORKED);
  need(smartvpn_tunnel_state(parents->tunnel) == SMARTVPN_FORKED);
  need(smartvpn_server_endpoint(parents->server, 0, text, sizeof text, NULL, NULL) == SMARTVPN_FORKED);
  need(smartvpn_tunnel_stop(parents->tunnel, -1, NULL) == SMARTVPN_FORKED);
  open_pair(&own, &plain);
  for (int i = 0; i < 5; ++i) need(ping(own.tunnel));
  close_pair(&own);
  need(smartvpn_tunnel_free(parents->tunnel) == SMARTVPN_OK);
  need(smartvpn_server_free(parents->server) == SMARTVPN_OK);
  return 0;
}

static int as_child_that_exits(void* opaque) {
  (void)opaque;
  struct pair own;
  open_pair(&own, &plain);
  exit(ping(own.tunnel) ? 0 : kFailed);
}

int forking(const char* unused) {
  (void)unused;
  struct pair pair;
  smartvpn_events* events = NULL;
  smartvpn_event* event = NULL;
  open_pair(&pair, &plain);
  need_ok(smartvpn_events_open(pair.server, SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_DOWN), 16, &events, &err));
  start_traffic(&pair);
  const int times = rounds(under_sanitizer() ? 10 : 40, 500);
  for (int i = 0; i < times; ++i) {
    await_traffic(&pair, 3);
    need(in_child(i % 2 ? as_child : as_child_that_exits, &pair) == 0);
  }
  await_traffic(&pair, 10);
  need(smartvpn_events_next(events, 0, &event, NULL) == SMARTVPN_AGAIN); /* no session has ended */
  stop_traffic(&pair);
  close_pair(&pair);
  return smartvpn_events_free(events) != SMARTVPN_OK;
}
