/* Fork: what the child may and may not do, and that the parent does not notice. A child reports by its exit status,
 * because an assertion there would belong to nobody. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static int run_in_child(int (*body)(void*), void* argument) {
  int status = 0;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(body(argument));
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

struct inherited {
  smartvpn_config* config;
  smartvpn_server* server;
  smartvpn_events* events;
  smartvpn_event* event;
  smartvpn_tunnel* tunnel;
  int32_t events_fd, packets_fd;
};

/* The number of the first check that fails, 0 if none does. */
#define CHECK(condition) \
  if (!(condition)) return __LINE__ % 256

static int every_handle_is_forked(void* argument) {
  struct inherited* in = argument;
  size_t needed;
  smartvpn_event* event = NULL;
  smartvpn_error* error = NULL;
  CHECK(smartvpn_server_state(in->server) == SMARTVPN_FORKED);
  CHECK(smartvpn_server_stop(in->server, 0, EVER, &error) == SMARTVPN_FORKED);
  CHECK(smartvpn_error_status(error) == SMARTVPN_FORKED);
  CHECK(smartvpn_client_list(in->server, NULL, 0, &needed, NULL) == SMARTVPN_FORKED);
  CHECK(smartvpn_events_next(in->events, EVER, &event, NULL) == SMARTVPN_FORKED);
  CHECK(smartvpn_event_type(in->event) == SMARTVPN_FORKED);
  CHECK(smartvpn_event_text(in->event, "type") == NULL);
  CHECK(smartvpn_config_validate(in->config, NULL) == SMARTVPN_FORKED);
  CHECK(smartvpn_tunnel_state(in->tunnel) == SMARTVPN_FORKED);
  return 0;
}

static int free_only_forgets(void* argument) {
  struct inherited* in = argument;
  CHECK(smartvpn_events_free(in->events) == SMARTVPN_OK);
  CHECK(smartvpn_server_free(in->server) == SMARTVPN_OK);
  CHECK(smartvpn_server_free(in->server) == SMARTVPN_BAD_HANDLE);
  CHECK(smartvpn_tunnel_free(in->tunnel) == SMARTVPN_OK);
  CHECK(smartvpn_config_free(in->config) == SMARTVPN_OK);
  CHECK(smartvpn_event_free(in->event) == SMARTVPN_OK);
  return 0;
}

static int descriptors_are_closed(void* argument) {
  struct inherited* in = argument;
  CHECK(fcntl(in->events_fd, F_GETFD) == -1);
  CHECK(fcntl(in->packets_fd, F_GETFD) == -1);
  return 0;
}

/* No assertion of the framework's here: this is the child. */
static int new_server_runs(void* argument) {
  char* json = argument;
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  CHECK(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, strlen(json), &config, NULL) == SMARTVPN_OK);
  CHECK(smartvpn_server_create(config, &server, NULL) == SMARTVPN_OK);
  CHECK(smartvpn_server_start(server, NULL) == SMARTVPN_OK);
  CHECK(smartvpn_server_state(server) == SMARTVPN_SERVER_RUNNING);
  CHECK(smartvpn_server_free(server) == SMARTVPN_OK);
  CHECK(smartvpn_config_free(config) == SMARTVPN_OK);
  return 0;
}

static void child_is_cut_off_and_parent_goes_on(void** state) {
  (void)state;
  char json[2048];
  size_t needed;
  struct inherited in;
  memset(&in, 0, sizeof in);
  in.config = new_server_config("host");
  assert_ok(smartvpn_config_to_json(in.config, 1, json, sizeof json, NULL, &err));
  assert_ok(smartvpn_server_create(in.config, &in.server, &err));
  assert_ok(smartvpn_events_open(in.server, SMARTVPN_EVENTS_ALL, 16, &in.events, &err));
  assert_ok(smartvpn_server_start(in.server, &err));
  in.event = next_of_type(in.events, SMARTVPN_EVENT_LISTENING);
  in.tunnel = connected_tunnel(in.server, "alice");
  in.events_fd = smartvpn_events_fd(in.events);
  in.packets_fd = smartvpn_packets_fd(in.server);

  assert_int_equal(run_in_child(every_handle_is_forked, &in), 0);
  assert_int_equal(run_in_child(free_only_forgets, &in), 0);
  assert_int_equal(run_in_child(descriptors_are_closed, &in), 0);
  assert_int_equal(run_in_child(new_server_runs, json), 0);

  assert_int_equal(smartvpn_server_state(in.server), SMARTVPN_SERVER_RUNNING);
  assert_int_equal(smartvpn_client_list(in.server, NULL, 0, &needed, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_int_equal(smartvpn_tunnel_state(in.tunnel), SMARTVPN_TUNNEL_CONNECTED);
  assert_int_equal(smartvpn_tunnel_free(in.tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_event_free(in.event), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(in.server), SMARTVPN_OK);
  assert_int_equal(smartvpn_events_free(in.events), SMARTVPN_OK);
  assert_int_equal(smartvpn_config_free(in.config), SMARTVPN_OK);
}

static int exits_normally(void* argument) {
  (void)argument;
  exit(0); /* with the parent's handlers and all */
}

static void child_may_exit_and_so_may_a_process_with_a_running_server(void** state) {
  (void)state;
  smartvpn_server* server = running_server("testing");
  fflush(NULL);
  assert_int_equal(run_in_child(exits_normally, NULL), 0);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest forking[] = {
      cmocka_unit_test(child_is_cut_off_and_parent_goes_on),
      cmocka_unit_test(child_may_exit_and_so_may_a_process_with_a_running_server),
  };
  return cmocka_run_group_tests(forking, NULL, NULL);
}
