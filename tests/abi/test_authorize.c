/* Section 14: the host has the last word on sessions. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#include "support.h"

static smartvpn_server* asking_server(const char* timeout_ms) {
  smartvpn_config* config = new_server_config("testing");
  smartvpn_server* server = NULL;
  assert_ok(smartvpn_config_set(config, "/security/authorize", "\"required\"", SMARTVPN_NUL_TERMINATED, &err));
  if (timeout_ms)
    assert_ok(smartvpn_config_set(config, "/security/authorize_timeout_ms", timeout_ms, SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_server_create(config, &server, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  return server;
}

static smartvpn_server* running_asking_server(const char* timeout_ms) {
  smartvpn_server* server = asking_server(timeout_ms);
  assert_ok(smartvpn_server_start(server, &err));
  return server;
}

static smartvpn_tunnel* started_tunnel(smartvpn_server* server, const char* id) {
  smartvpn_tunnel* tunnel = new_tunnel(server, id);
  assert_ok(smartvpn_tunnel_start(tunnel, &err));
  return tunnel;
}

static uint64_t next_token(smartvpn_server* server) {
  smartvpn_request* request = NULL;
  assert_ok(smartvpn_authorize_next(server, LONG_MS, &request, &err));
  const uint64_t token = smartvpn_request_token(request);
  assert_int_equal(smartvpn_request_free(request), SMARTVPN_OK);
  return token;
}

static smartvpn_status answer(smartvpn_server* server, uint64_t token, const char* json) {
  return smartvpn_authorize_answer(server, token, json, SMARTVPN_NUL_TERMINATED, NULL);
}

static int readable(int fd) {
  struct pollfd entry = {fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

static void end(smartvpn_server* server, smartvpn_tunnel* tunnel) {
  if (tunnel) assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_request_says_who_asks_and_an_allow_lets_in(void** state) {
  (void)state;
  smartvpn_server* server = running_asking_server(NULL);
  smartvpn_request* request = NULL;
  const int fd = smartvpn_authorize_fd(server);
  assert_true(fd >= 0);
  assert_false(readable(fd));
  assert_int_equal(smartvpn_authorize_next(server, 0, &request, NULL), SMARTVPN_AGAIN);
  assert_int_equal(smartvpn_authorize_next(server, 10, &request, NULL), SMARTVPN_TIMEOUT);
  assert_null(request);
  smartvpn_tunnel* tunnel = started_tunnel(server, "alice");
  struct pollfd entry = {fd, POLLIN, 0};
  assert_int_equal(poll(&entry, 1, LONG_MS), 1);
  assert_ok(smartvpn_authorize_next(server, 0, &request, &err));
  assert_false(readable(fd));
  const char* json = smartvpn_request_json(request);
  assert_non_null(strstr(json, "\"client_id\":\"alice\""));
  assert_non_null(strstr(json, "\"transport\":\"websocket\""));
  assert_non_null(strstr(json, "\"remote_addr\":\"127.0.0.1:"));
  assert_non_null(strstr(json, "\"deadline\":"));
  const uint64_t token = smartvpn_request_token(request);
  assert_true(token != 0 && token < (uint64_t)1 << 53);
  assert_int_equal(answer(server, token, "{\"allow\": true}"), SMARTVPN_OK);
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  end(server, tunnel);
  assert_ptr_equal(smartvpn_request_json(request), json); /* outlives its server */
  assert_int_equal(smartvpn_request_free(request), SMARTVPN_OK);
  assert_int_equal(smartvpn_request_free(request), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_request_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_request_token(request), 0);
  assert_null(smartvpn_request_json(request));
}

static void a_deny_is_final_and_its_detail_is_told(void** state) {
  (void)state;
  smartvpn_server* server = running_asking_server(NULL);
  smartvpn_events* events = NULL;
  assert_ok(smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 1024, &events, &err));
  smartvpn_tunnel* tunnel = started_tunnel(server, "alice");
  const uint64_t token = next_token(server);
  assert_int_equal(answer(server, token, "{\"allow\": false, \"detail\": \"unpaid\"}"), SMARTVPN_OK);
  assert_int_equal(answer(server, token, "{\"allow\": true}"), SMARTVPN_NOT_FOUND);
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_CONNECTION_REJECTED);
  assert_string_equal(smartvpn_event_text(event, "reason"), "authorize_denied");
  assert_string_equal(smartvpn_event_text(event, "detail"), "unpaid");
  smartvpn_event_free(event);
  smartvpn_events_free(events);
  end(server, tunnel);
}

static void wrong_answers_change_nothing(void** state) {
  (void)state;
  smartvpn_server* server = running_asking_server(NULL);
  smartvpn_tunnel* tunnel = started_tunnel(server, "alice");
  smartvpn_error* error = NULL;
  const uint64_t token = next_token(server);
  assert_int_equal(answer(server, token, "{}"), SMARTVPN_INVALID);
  assert_int_equal(answer(server, token, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_authorize_answer(server, token, "{\"allow\": true, \"session_seconds\": 0}",
                                             SMARTVPN_NUL_TERMINATED, &error),
                   SMARTVPN_INVALID);
  assert_string_equal(smartvpn_error_path(error), "/session_seconds");
  smartvpn_error_free(error);
  assert_int_equal(answer(server, 0, "{\"allow\": true}"), SMARTVPN_NOT_FOUND);
  assert_int_equal(answer(server, UINT64_MAX, "{\"allow\": true}"), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_authorize_next(server, 0, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(answer(server, token,
                          "{\"allow\": true, \"valid_ms\": 1000, \"session_seconds\": 60,"
                          " \"rate_limit\": {\"to_client_bytes_per_second\": 1000000}}"),
                   SMARTVPN_OK);
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  end(server, tunnel);
}

static void where_nobody_is_asked_it_is_a_bad_state(void** state) {
  (void)state;
  smartvpn_request* request = NULL;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(smartvpn_authorize_next(server, 0, &request, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_authorize_fd(server), SMARTVPN_BAD_STATE);
  assert_int_equal(answer(server, 1, "{\"allow\": true}"), SMARTVPN_BAD_STATE);
  end(server, NULL);
  assert_int_equal(smartvpn_authorize_next(server, 0, &request, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_authorize_fd(NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(answer(NULL, 1, "{\"allow\": true}"), SMARTVPN_BAD_HANDLE);
}

struct waiter {
  smartvpn_server* server;
  smartvpn_status status;
};

static void* wait_for_a_request(void* argument) {
  struct waiter* waiter = argument;
  smartvpn_request* request = NULL;
  waiter->status = smartvpn_authorize_next(waiter->server, EVER, &request, NULL);
  return NULL;
}

static void stop_and_free_wake_whoever_waits(void** state) {
  (void)state;
  for (int frees = 0; frees < 2; ++frees) {
    pthread_t thread;
    struct waiter waiter = {running_asking_server(NULL), SMARTVPN_OK};
    smartvpn_tunnel* tunnel = started_tunnel(waiter.server, "alice");
    const uint64_t token = next_token(waiter.server);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_request, &waiter), 0);
    if (frees) {
      assert_int_equal(smartvpn_server_free(waiter.server), SMARTVPN_OK);
    } else {
      assert_ok(smartvpn_server_stop(waiter.server, 0, EVER, &err));
      assert_int_equal(answer(waiter.server, token, "{\"allow\": true}"), SMARTVPN_NOT_FOUND);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(waiter.status == SMARTVPN_CLOSED || (frees && waiter.status == SMARTVPN_BAD_HANDLE));
    assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
    if (!frees) assert_int_equal(smartvpn_server_free(waiter.server), SMARTVPN_OK);
  }
}

static void a_server_that_never_ran_is_closed_by_its_stop(void** state) {
  (void)state;
  smartvpn_request* request = NULL;
  smartvpn_server* server = asking_server(NULL);
  assert_int_equal(smartvpn_authorize_next(server, 0, &request, NULL), SMARTVPN_AGAIN);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_authorize_next(server, EVER, &request, NULL), SMARTVPN_CLOSED);
  end(server, NULL);
}

struct host {
  smartvpn_server* server;
  const smartvpn_request* request;
  uint64_t token;
  const char* says; /* NULL: nothing */
  smartvpn_status first, second, freed;
  char json[600];
  sem_t called;
};

static void on_request(void* user, const smartvpn_request* request) {
  struct host* host = user;
  host->request = request;
  host->token = smartvpn_request_token(request);
  snprintf(host->json, sizeof host->json, "%s", smartvpn_request_json(request));
  host->freed = smartvpn_server_free(host->server);
  if (host->says) {
    host->first = answer(host->server, host->token, host->says);
    host->second = answer(host->server, host->token, host->says);
  }
  sem_post(&host->called);
}

static void start_host(struct host* host, const char* says, const char* timeout_ms) {
  smartvpn_callbacks callbacks;
  memset(host, 0, sizeof *host);
  host->says = says;
  host->server = asking_server(timeout_ms);
  assert_int_equal(sem_init(&host->called, 0, 0), 0);
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.struct_size = sizeof callbacks;
  callbacks.user = host;
  callbacks.authorize = on_request;
  assert_ok(smartvpn_server_set_callbacks(host->server, &callbacks, &err));
  assert_ok(smartvpn_server_start(host->server, &err));
}

static void a_callback_answers_once_and_may_not_free_its_server(void** state) {
  (void)state;
  static struct host host;
  start_host(&host, "{\"allow\": true}", NULL);
  smartvpn_tunnel* tunnel = started_tunnel(host.server, "alice");
  sem_wait(&host.called);
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  assert_int_equal(host.first, SMARTVPN_OK);
  assert_int_equal(host.second, SMARTVPN_NOT_FOUND);
  assert_int_equal(host.freed, SMARTVPN_BAD_STATE);
  assert_non_null(strstr(host.json, "\"client_id\":\"alice\""));
  end(host.server, tunnel);
  assert_int_equal(smartvpn_request_token(host.request), 0); /* lent, and gone with its callback */
  sem_destroy(&host.called);
}

static void a_callback_may_leave_the_answer_for_later(void** state) {
  (void)state;
  static struct host host;
  start_host(&host, NULL, "60000");
  smartvpn_tunnel* tunnel = started_tunnel(host.server, "alice");
  sem_wait(&host.called);
  assert_int_equal(smartvpn_tunnel_wait_connected(tunnel, 50, NULL), SMARTVPN_TIMEOUT);
  assert_int_equal(answer(host.server, host.token, "{\"allow\": true}"), SMARTVPN_OK);
  assert_ok(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, &err));
  end(host.server, tunnel);
  sem_destroy(&host.called);
}

static void a_callback_that_never_answers_denies(void** state) {
  (void)state;
  static struct host host;
  smartvpn_events* events = NULL;
  start_host(&host, NULL, "200");
  assert_ok(smartvpn_events_open(host.server, SMARTVPN_EVENTS_ALL, 1024, &events, &err));
  smartvpn_tunnel* tunnel = started_tunnel(host.server, "alice");
  sem_wait(&host.called);
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_CONNECTION_REJECTED);
  assert_string_equal(smartvpn_event_text(event, "reason"), "authorize_timeout");
  smartvpn_event_free(event);
  assert_int_equal(answer(host.server, host.token, "{\"allow\": true}"), SMARTVPN_NOT_FOUND);
  smartvpn_events_free(events);
  end(host.server, tunnel);
  sem_destroy(&host.called);
}

int main(void) {
  const struct CMUnitTest authorize[] = {
      cmocka_unit_test(a_request_says_who_asks_and_an_allow_lets_in),
      cmocka_unit_test(a_deny_is_final_and_its_detail_is_told),
      cmocka_unit_test(wrong_answers_change_nothing),
      cmocka_unit_test(where_nobody_is_asked_it_is_a_bad_state),
      cmocka_unit_test(stop_and_free_wake_whoever_waits),
      cmocka_unit_test(a_server_that_never_ran_is_closed_by_its_stop),
      cmocka_unit_test(a_callback_answers_once_and_may_not_free_its_server),
      cmocka_unit_test(a_callback_may_leave_the_answer_for_later),
      cmocka_unit_test(a_callback_that_never_answers_denies),
  };
  return cmocka_run_group_tests(authorize, NULL, NULL);
}
