/* Section 8: subscriptions side by side, their descriptors, interrupt, close, and events that outlive the server. */
#include <poll.h>
#include <pthread.h>

#include "support.h"

static smartvpn_events* open_all(smartvpn_server* server) {
  smartvpn_events* events = NULL;
  assert_ok(smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 64, &events, &err));
  return events;
}

static int readable(smartvpn_events* events) {
  struct pollfd poller = {smartvpn_events_fd(events), POLLIN, 0};
  assert_true(poller.fd >= 0);
  return poll(&poller, 1, 0) == 1;
}

static void every_subscription_gets_every_event(void** state) {
  (void)state;
  smartvpn_server* server = new_server("testing");
  smartvpn_events* both[2] = {open_all(server), open_all(server)};
  assert_true(smartvpn_events_fd(both[0]) != smartvpn_events_fd(both[1]));
  assert_ok(smartvpn_server_start(server, &err));
  for (int i = 0; i < 2; ++i) {
    smartvpn_event* event = next_of_type(both[i], SMARTVPN_EVENT_LISTENING);
    assert_string_equal(smartvpn_event_text(event, "type"), "listening");
    assert_int_equal(smartvpn_event_free(event), SMARTVPN_OK);
    assert_int_equal(smartvpn_events_free(both[i]), SMARTVPN_OK);
  }
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void event_tells_texts_numbers_and_json(void** state) {
  (void)state;
  uint64_t number = 77;
  smartvpn_server* server = new_server("testing");
  smartvpn_events* events = open_all(server);
  assert_ok(smartvpn_server_start(server, &err));
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_LISTENING);
  assert_memory_equal(smartvpn_event_text(event, "address"), "127.0.0.1:", 10);
  assert_int_equal(smartvpn_event_u64(event, "listener", &number), SMARTVPN_OK);
  assert_int_equal(number, 0);
  assert_int_equal(smartvpn_event_u64(event, "time", &number), SMARTVPN_OK);
  assert_true(number > 1600000000000ull);
  assert_null(smartvpn_event_text(event, "time"));
  assert_null(smartvpn_event_text(event, "nonsense"));
  assert_null(smartvpn_event_text(event, NULL));
  assert_int_equal(smartvpn_event_u64(event, "address", &number), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_event_u64(event, "nonsense", &number), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_event_u64(event, NULL, &number), SMARTVPN_INVALID);
  const char* json = smartvpn_event_json(event);
  assert_non_null(strstr(json, "\"listening\""));
  assert_null(strchr(json, '\n'));
  assert_ptr_equal(json, smartvpn_event_json(event));
  /* What was handed out outlives both. */
  assert_int_equal(smartvpn_events_free(events), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  assert_string_equal(smartvpn_event_text(event, "type"), "listening");
  assert_int_equal(smartvpn_event_free(event), SMARTVPN_OK);
  assert_int_equal(smartvpn_event_free(event), SMARTVPN_BAD_HANDLE);
}

static void mask_leaves_out_what_is_not_asked_for(void** state) {
  (void)state;
  char json[] = "{\"id\": \"alice\"}";
  smartvpn_credentials* credentials = NULL;
  smartvpn_events* events = NULL;
  smartvpn_event* event = NULL;
  smartvpn_server* server = new_server("testing");
  assert_ok(smartvpn_events_open(server, SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_CLIENT_CHANGED), 16, &events, &err));
  assert_ok(smartvpn_server_start(server, &err));
  assert_ok(smartvpn_client_create(server, json, strlen(json), &credentials, &err));
  assert_ok(smartvpn_events_next(events, LONG_MS, &event, &err));
  assert_int_equal(smartvpn_event_type(event), SMARTVPN_EVENT_CLIENT_CHANGED);
  assert_string_equal(smartvpn_event_text(event, "client_id"), "alice");
  assert_string_equal(smartvpn_event_text(event, "change"), "created");
  smartvpn_event_free(event);
  smartvpn_credentials_free(credentials);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void descriptor_is_readable_while_there_is_something(void** state) {
  (void)state;
  smartvpn_event* event = NULL;
  smartvpn_server* server = new_server("testing");
  smartvpn_events* events = open_all(server);
  const int32_t fd = smartvpn_events_fd(events);
  assert_false(readable(events));
  assert_int_equal(smartvpn_events_next(events, 0, &event, NULL), SMARTVPN_AGAIN);
  assert_int_equal(smartvpn_events_next(events, 1, &event, NULL), SMARTVPN_TIMEOUT);
  assert_null(event);
  assert_ok(smartvpn_server_start(server, &err));
  struct pollfd poller = {fd, POLLIN, 0};
  assert_int_equal(poll(&poller, 1, LONG_MS), 1);
  assert_true(readable(events)); /* level-triggered */
  while (smartvpn_events_next(events, 0, &event, NULL) == SMARTVPN_OK) smartvpn_event_free(event);
  assert_false(readable(events));
  assert_int_equal(smartvpn_events_fd(events), fd);
  assert_int_equal(smartvpn_events_free(events), SMARTVPN_OK);
  assert_int_equal(smartvpn_events_fd(events), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void* wait_for_ever(void* events) {
  smartvpn_event* event = NULL;
  return (void*)(intptr_t)smartvpn_events_next(events, EVER, &event, NULL);
}

static void interrupt_wakes_one_next_now_or_later(void** state) {
  (void)state;
  pthread_t thread;
  void* status = NULL;
  smartvpn_event* event = NULL;
  smartvpn_server* server = new_server("testing");
  smartvpn_events* events = open_all(server);
  assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, events), 0);
  assert_ok(smartvpn_events_interrupt(events, &err));
  pthread_join(thread, &status);
  assert_int_equal((intptr_t)status, SMARTVPN_INTERRUPTED);
  assert_int_equal(smartvpn_events_next(events, 0, &event, NULL), SMARTVPN_AGAIN);
  assert_ok(smartvpn_events_interrupt(events, &err));
  assert_int_equal(smartvpn_events_next(events, EVER, &event, NULL), SMARTVPN_INTERRUPTED);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void after_stop_comes_the_rest_and_then_closed(void** state) {
  (void)state;
  int listening = 0;
  smartvpn_status status;
  smartvpn_event* event = NULL;
  smartvpn_server* server = new_server("testing");
  smartvpn_events *events = open_all(server), *late = NULL;
  assert_ok(smartvpn_server_start(server, &err));
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 4, &late, NULL), SMARTVPN_CLOSED);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  while ((status = smartvpn_events_next(events, EVER, &event, NULL)) == SMARTVPN_OK) {
    listening += smartvpn_event_type(event) == SMARTVPN_EVENT_LISTENING;
    smartvpn_event_free(event);
  }
  assert_int_equal(status, SMARTVPN_CLOSED);
  assert_int_equal(listening, 1);
  assert_true(readable(events));
  assert_int_equal(smartvpn_events_free(events), SMARTVPN_OK);
  assert_int_equal(smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 4, &late, NULL), SMARTVPN_BAD_HANDLE);
}

static void closed_subscription_gives_what_it_has(void** state) {
  (void)state;
  smartvpn_event* event = NULL;
  smartvpn_server* server = new_server("testing");
  smartvpn_events* events = open_all(server);
  assert_ok(smartvpn_server_start(server, &err));
  smartvpn_event_free(next_of_type(events, SMARTVPN_EVENT_LISTENING));
  assert_ok(smartvpn_events_close(events, &err));
  smartvpn_status status;
  while ((status = smartvpn_events_next(events, EVER, &event, NULL)) == SMARTVPN_OK) smartvpn_event_free(event);
  assert_int_equal(status, SMARTVPN_CLOSED);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void full_queue_says_how_much_was_lost(void** state) {
  (void)state;
  uint64_t lost = 0;
  smartvpn_events* events = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_events_open(server, SMARTVPN_EVENT_BIT(SMARTVPN_EVENT_CLIENT_CHANGED), 2, &events, &err));
  for (int i = 0; i < 5; ++i) {
    char json[40];
    smartvpn_credentials* credentials = NULL;
    snprintf(json, sizeof json, "{\"id\": \"client-%d\"}", i);
    assert_ok(smartvpn_client_create(server, json, strlen(json), &credentials, &err));
    smartvpn_credentials_free(credentials);
  }
  smartvpn_event* event = next_of_type(events, SMARTVPN_EVENT_LOST);
  assert_int_equal(smartvpn_event_u64(event, "count", &lost), SMARTVPN_OK);
  assert_int_equal(lost, 3);
  smartvpn_event_free(event);
  smartvpn_events_free(events);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest events[] = {
      cmocka_unit_test(every_subscription_gets_every_event),
      cmocka_unit_test(event_tells_texts_numbers_and_json),
      cmocka_unit_test(mask_leaves_out_what_is_not_asked_for),
      cmocka_unit_test(descriptor_is_readable_while_there_is_something),
      cmocka_unit_test(interrupt_wakes_one_next_now_or_later),
      cmocka_unit_test(after_stop_comes_the_rest_and_then_closed),
      cmocka_unit_test(closed_subscription_gives_what_it_has),
      cmocka_unit_test(full_queue_says_how_much_was_lost),
  };
  return cmocka_run_group_tests(events, NULL, NULL);
}
