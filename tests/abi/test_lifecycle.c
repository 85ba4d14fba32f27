/* Section 6: created, running, draining, stopped, from one thread and from several. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

static int connects(smartvpn_server* server) {
  char text[64];
  struct sockaddr_in address = {0};
  int fd, result;
  assert_ok(smartvpn_server_endpoint(server, 0, text, sizeof text, NULL, &err));
  assert_memory_equal(text, "127.0.0.1:", 10);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)atoi(text + 10));
  fd = socket(AF_INET, SOCK_STREAM, 0);
  result = connect(fd, (struct sockaddr*)&address, sizeof address);
  close(fd);
  return result == 0;
}

static void server_goes_through_its_states_once(void** state) {
  (void)state;
  char text[64];
  smartvpn_server* server = new_server("testing");
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_CREATED);
  assert_int_equal(smartvpn_server_endpoint(server, 0, text, sizeof text, NULL, NULL), SMARTVPN_NOT_FOUND);
  assert_ok(smartvpn_server_start(server, &err));
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_RUNNING);
  assert_true(connects(server));
  assert_int_equal(smartvpn_server_start(server, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_STOPPED);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_server_start(server, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void port_0_is_told_by_the_endpoints(void** state) {
  (void)state;
  char json[256], text[64];
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_server_endpoint(server, 0, text, sizeof text, NULL, &err));
  assert_string_not_equal(text, "127.0.0.1:0");
  assert_ok(smartvpn_server_endpoints(server, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, text));
  assert_non_null(strstr(json, "\"websocket\""));
  assert_int_equal(smartvpn_server_endpoint(server, 1, text, sizeof text, NULL, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void server_that_never_ran_can_be_stopped(void** state) {
  (void)state;
  smartvpn_server* server = new_server("testing");
  assert_ok(smartvpn_server_stop(server, 0, 0, &err));
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_STOPPED);
  assert_int_equal(smartvpn_server_start(server, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void running_server_may_just_be_freed(void** state) {
  (void)state;
  for (int i = 0; i < 10; ++i) assert_int_equal(smartvpn_server_free(running_server("testing")), SMARTVPN_OK);
}

static void several_servers_live_in_one_process(void** state) {
  (void)state;
  smartvpn_server* servers[5];
  for (int i = 0; i < 5; ++i) servers[i] = running_server("testing");
  for (int i = 0; i < 5; ++i) assert_true(connects(servers[i]));
  for (int i = 0; i < 5; ++i) assert_int_equal(smartvpn_server_free(servers[i]), SMARTVPN_OK);
}

static void* stop(void* server) { return (void*)(intptr_t)smartvpn_server_stop(server, 0, EVER, NULL); }

static void all_who_stop_wait_for_the_same_end(void** state) {
  (void)state;
  pthread_t threads[8];
  smartvpn_server* server = running_server("testing");
  for (int i = 0; i < 8; ++i) assert_int_equal(pthread_create(&threads[i], NULL, stop, server), 0);
  for (int i = 0; i < 8; ++i) {
    void* status = NULL;
    pthread_join(threads[i], &status);
    assert_int_equal((intptr_t)status, SMARTVPN_OK);
  }
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_STOPPED);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void stop_that_times_out_goes_on_in_the_background(void** state) {
  (void)state;
  smartvpn_server* server = running_server("host");
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  smartvpn_status status = smartvpn_server_stop(server, 60000, 0, NULL);
  assert_int_equal(status, SMARTVPN_AGAIN); /* the answer to a timeout of 0 */
  assert_in_range(smartvpn_server_state(server), SMARTVPN_SERVER_DRAINING, SMARTVPN_SERVER_STOPPED);
  /* Free does not wait out the minute of draining. */
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
}

static void commands_before_and_after_running_are_bad_state(void** state) {
  (void)state;
  size_t needed;
  smartvpn_server* server = new_server("testing");
  assert_int_equal(smartvpn_client_list(server, NULL, 0, &needed, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_session_list(server, NULL, 0, &needed, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_server_start(server, &err));
  assert_int_equal(smartvpn_client_list(server, NULL, 0, &needed, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_ok(smartvpn_server_reload_certificates(server, &err));
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_client_list(server, NULL, 0, &needed, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest lifecycle[] = {
      cmocka_unit_test(server_goes_through_its_states_once),
      cmocka_unit_test(port_0_is_told_by_the_endpoints),
      cmocka_unit_test(server_that_never_ran_can_be_stopped),
      cmocka_unit_test(running_server_may_just_be_freed),
      cmocka_unit_test(several_servers_live_in_one_process),
      cmocka_unit_test(all_who_stop_wait_for_the_same_end),
      cmocka_unit_test(stop_that_times_out_goes_on_in_the_background),
      cmocka_unit_test(commands_before_and_after_running_are_bad_state),
  };
  return cmocka_run_group_tests(lifecycle, NULL, NULL);
}
