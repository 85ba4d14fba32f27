/* Section 7: what may be done in a callback, and what may not. */
#include <semaphore.h>

#include "support.h"

struct seen {
  smartvpn_server* server;
  const smartvpn_event* event;
  sem_t called;
  smartvpn_status stop, free_, list;
  int32_t type;
  int done;
};

static void start_seen(struct seen* seen) {
  memset(seen, 0, sizeof *seen);
  assert_int_equal(sem_init(&seen->called, 0, 0), 0);
}

static void on_event(void* user, const smartvpn_event* event) {
  struct seen* seen = user;
  size_t needed = 0;
  if (smartvpn_event_type(event) != SMARTVPN_EVENT_LISTENING || seen->done) return;
  seen->done = 1;
  seen->event = event;
  seen->type = smartvpn_event_type(event);
  seen->free_ = smartvpn_server_free(seen->server);
  seen->list = smartvpn_client_list(seen->server, NULL, 0, &needed, NULL);
  seen->stop = smartvpn_server_stop(seen->server, 0, EVER, NULL);
  sem_post(&seen->called);
}

static smartvpn_server* server_with_callback(struct seen* seen, smartvpn_event_fn fn) {
  smartvpn_callbacks callbacks;
  seen->server = new_server("testing");
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.struct_size = sizeof callbacks;
  callbacks.user = seen;
  callbacks.event = fn;
  assert_ok(smartvpn_server_set_callbacks(seen->server, &callbacks, &err));
  return seen->server;
}

static void in_a_callback_stop_is_pending_and_free_a_bad_state(void** state) {
  (void)state;
  static struct seen seen;
  start_seen(&seen);
  smartvpn_server* server = server_with_callback(&seen, on_event);
  assert_ok(smartvpn_server_start(server, &err));
  sem_wait(&seen.called);
  assert_int_equal(seen.type, SMARTVPN_EVENT_LISTENING);
  assert_int_equal(seen.free_, SMARTVPN_BAD_STATE);
  assert_true(seen.list == SMARTVPN_BUFFER_TOO_SMALL || seen.list == SMARTVPN_BAD_STATE); /* start may not be over */
  assert_int_equal(seen.stop, SMARTVPN_PENDING);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_STOPPED);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  /* A lent event is gone once its callback has returned. */
  assert_int_equal(smartvpn_event_type(seen.event), SMARTVPN_BAD_HANDLE);
  sem_destroy(&seen.called);
}

static void command_in_callback(void* user, const smartvpn_event* event) {
  struct seen* seen = user;
  size_t needed = 0;
  if (smartvpn_event_type(event) != SMARTVPN_EVENT_CLIENT_CHANGED) return;
  seen->list = smartvpn_client_get(seen->server, smartvpn_event_text(event, "client_id"), NULL, 0, &needed, NULL);
  sem_post(&seen->called);
}

static void commands_work_in_a_callback(void** state) {
  (void)state;
  static struct seen seen;
  smartvpn_credentials* credentials = NULL;
  start_seen(&seen);
  smartvpn_server* server = server_with_callback(&seen, command_in_callback);
  assert_ok(smartvpn_server_start(server, &err));
  assert_ok(smartvpn_client_create(server, "{\"id\": \"bob\"}", SMARTVPN_NUL_TERMINATED, &credentials, &err));
  sem_wait(&seen.called);
  assert_int_equal(seen.list, SMARTVPN_BUFFER_TOO_SMALL); /* found; only measured */
  smartvpn_credentials_free(credentials);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  sem_destroy(&seen.called);
}

static void callbacks_are_set_before_start(void** state) {
  (void)state;
  smartvpn_callbacks callbacks;
  smartvpn_server* server = running_server("testing");
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.struct_size = sizeof callbacks;
  assert_int_equal(smartvpn_server_set_callbacks(server, &callbacks, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest callbacks[] = {
      cmocka_unit_test(in_a_callback_stop_is_pending_and_free_a_bad_state),
      cmocka_unit_test(commands_work_in_a_callback),
      cmocka_unit_test(callbacks_are_set_before_start),
  };
  return cmocka_run_group_tests(callbacks, NULL, NULL);
}
