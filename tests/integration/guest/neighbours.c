/* Two servers and two tunnels in one process: what happens to one is not the other's. */
#include <errno.h>
#include <string.h>

#include "guest.h"

static void port_in_use(smartvpn_server* other) {
  char listener[200];
  struct wishes wishes = {.listener = listener};
  smartvpn_error* error = NULL;
  snprintf(listener, sizeof listener, "{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": %d}",
           endpoint_port(other));
  smartvpn_server* server = make_server(&wishes);
  need(smartvpn_server_start(server, &error) == SMARTVPN_SYSTEM);
  need(smartvpn_error_system_errno(error) == EADDRINUSE);
  need(strcmp(smartvpn_error_path(error), "/listen/0") == 0);
  need(smartvpn_server_state(server) == SMARTVPN_SERVER_STOPPED);
  need(smartvpn_error_free(error) == SMARTVPN_OK);
  need(smartvpn_server_free(server) == SMARTVPN_OK);
}

int neighbours(const char* unused) {
  (void)unused;
  const struct wishes wishes = {0};
  struct pair stays, goes;
  smartvpn_events* events = NULL;
  smartvpn_event* event = NULL;
  open_pair(&stays, &wishes);
  port_in_use(stays.server);
  need_ok(smartvpn_events_open(stays.server, SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_SESSION_DOWN), 16, &events, &err));
  start_traffic(&stays);
  const int times = rounds(20, 200);
  for (int i = 0; i < times; ++i) {
    open_pair(&goes, &wishes);
    start_traffic(&goes);
    await_traffic(&goes, 10);
    if (i % 2 == 0) need(smartvpn_server_free(goes.server) == SMARTVPN_OK); /* its tunnel is left alone with it */
    need(smartvpn_tunnel_free(goes.tunnel) == SMARTVPN_OK);
    if (i % 2 != 0) need(smartvpn_server_free(goes.server) == SMARTVPN_OK);
    stop_traffic(&goes);
    await_traffic(&stays, 10);
  }
  need(smartvpn_events_next(events, 0, &event, NULL) == SMARTVPN_AGAIN); /* no session of the other's has ended */
  need(smartvpn_tunnel_state(stays.tunnel) == SMARTVPN_TUNNEL_CONNECTED);
  stop_traffic(&stays);
  close_pair(&stays);
  return smartvpn_events_free(events) != SMARTVPN_OK;
}
