/* Handles: stale, freed twice, of the wrong kind, NULL, made up, and all that from several threads at once. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "support.h"

static void null_is_a_bad_handle_everywhere(void** state) {
  (void)state;
  size_t needed = 0, count = 0;
  uint64_t value = 0;
  smartvpn_event* event = NULL;
  smartvpn_stats* stats = NULL;
  uint8_t arena[1];
  smartvpn_packet packet;
  memset(&packet, 0, sizeof packet);
  assert_int_equal(smartvpn_config_set(NULL, "/a", "1", 1, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_config_validate(NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_config_to_json(NULL, 0, NULL, 0, &needed, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_start(NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_stop(NULL, 0, 0, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_state(NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_endpoints(NULL, NULL, 0, &needed, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_reload_certificates(NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_stats(NULL, &stats, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_events_next(NULL, 0, &event, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_events_fd(NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_event_type(NULL), SMARTVPN_BAD_HANDLE);
  assert_null(smartvpn_event_text(NULL, "type"));
  assert_null(smartvpn_event_json(NULL));
  assert_int_equal(smartvpn_event_u64(NULL, "time", &value), SMARTVPN_BAD_HANDLE);
  assert_null(smartvpn_credentials_private_key(NULL));
  assert_int_equal(smartvpn_client_get(NULL, "a", NULL, 0, &needed, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_session_list(NULL, NULL, 0, &needed, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_stats_u64(NULL, "clients", &value), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_packets_read(NULL, arena, 1, &packet, sizeof packet, 1, &count, 0, NULL),
                   SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_tunnel_start(NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_tunnel_info(NULL, NULL, 0, &needed, NULL), SMARTVPN_BAD_HANDLE);
}

static void freeing_null_is_fine(void** state) {
  (void)state;
  assert_int_equal(smartvpn_error_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_config_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_events_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_event_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_credentials_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_stats_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_tunnel_free(NULL), SMARTVPN_OK);
}

static void freed_handle_stays_dead_though_others_come(void** state) {
  (void)state;
  smartvpn_config* dead = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &dead, &err));
  assert_int_equal(smartvpn_config_free(dead), SMARTVPN_OK);
  for (int i = 0; i < 5000; ++i) {
    smartvpn_config* other = NULL;
    assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &other, &err));
    assert_true(other != dead);
    assert_int_equal(smartvpn_config_validate(dead, NULL), SMARTVPN_BAD_HANDLE);
    assert_int_equal(smartvpn_config_free(dead), SMARTVPN_BAD_HANDLE);
    assert_int_equal(smartvpn_config_free(other), SMARTVPN_OK);
  }
}

static void wrong_kind_is_refused_and_unharmed(void** state) {
  (void)state;
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_TUNNEL, &config, &err));
  assert_int_equal(smartvpn_server_start((smartvpn_server*)config, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_server_free((smartvpn_server*)config), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_events_free((smartvpn_events*)config), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_error_free((smartvpn_error*)config), SMARTVPN_BAD_HANDLE);
  assert_ok(smartvpn_config_set(config, "/mtu", "1400", 4, &err));
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void pointers_that_never_were_handles_are_not_read(void** state) {
  (void)state;
  int something = 0;
  const uintptr_t made_up[] = {1, 2, 3, 4096, (uintptr_t)&something, UINTPTR_MAX, UINTPTR_MAX / 2, (uintptr_t)1 << 30};
  for (size_t i = 0; i < sizeof made_up / sizeof *made_up; ++i) {
    assert_int_equal(smartvpn_server_state((smartvpn_server*)made_up[i]), SMARTVPN_BAD_HANDLE);
    assert_int_equal(smartvpn_server_free((smartvpn_server*)made_up[i]), SMARTVPN_BAD_HANDLE);
  }
}

static void neighbours_of_a_handle_value_are_not_handles(void** state) {
  (void)state;
  smartvpn_config* config = NULL;
  assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &err));
  for (unsigned bit = 0; bit < sizeof(uintptr_t) * 8; ++bit) {
    smartvpn_config* neighbour = (smartvpn_config*)((uintptr_t)config ^ ((uintptr_t)1 << bit));
    assert_int_equal(smartvpn_config_free(neighbour), SMARTVPN_BAD_HANDLE);
  }
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

/* ---- from several threads ---- */

enum { kThreads = 8, kRounds = 400 };

struct contest {
  smartvpn_config* configs[kRounds];
  atomic_int freed, bad, other;
};

static void* free_all(void* argument) {
  struct contest* contest = argument;
  for (int i = 0; i < kRounds; ++i) {
    smartvpn_status status = smartvpn_config_free(contest->configs[i]);
    atomic_fetch_add(status == SMARTVPN_OK           ? &contest->freed
                     : status == SMARTVPN_BAD_HANDLE ? &contest->bad
                                                     : &contest->other,
                     1);
  }
  return NULL;
}

static void exactly_one_thread_frees(void** state) {
  (void)state;
  static struct contest contest;
  pthread_t threads[kThreads];
  memset(&contest, 0, sizeof contest);
  for (int i = 0; i < kRounds; ++i) assert_ok(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &contest.configs[i], &err));
  for (int i = 0; i < kThreads; ++i) assert_int_equal(pthread_create(&threads[i], NULL, free_all, &contest), 0);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  assert_int_equal(contest.freed, kRounds);
  assert_int_equal(contest.bad, kRounds * (kThreads - 1));
  assert_int_equal(contest.other, 0);
}

struct waiter {
  smartvpn_events* events;
  atomic_int waiting;
  smartvpn_status status;
};

static void* wait_for_event(void* argument) {
  struct waiter* waiter = argument;
  smartvpn_event* event = NULL;
  atomic_store(&waiter->waiting, 1);
  waiter->status = smartvpn_events_next(waiter->events, EVER, &event, NULL);
  return NULL;
}

/* Whether the waiter is inside the call or just before it: CLOSED in the first case, BAD_HANDLE in the second. */
static void free_wakes_who_waits(void** state) {
  (void)state;
  smartvpn_server* server = new_server("testing");
  for (int i = 0; i < 50; ++i) {
    struct waiter waiter;
    pthread_t thread;
    memset(&waiter, 0, sizeof waiter);
    assert_ok(smartvpn_events_open(server, SMARTVPN_EVENTS_ALL, 16, &waiter.events, &err));
    assert_int_equal(pthread_create(&thread, NULL, wait_for_event, &waiter), 0);
    while (!atomic_load(&waiter.waiting)) sched_yield();
    assert_int_equal(smartvpn_events_free(waiter.events), SMARTVPN_OK);
    pthread_join(thread, NULL);
    assert_true(waiter.status == SMARTVPN_CLOSED || waiter.status == SMARTVPN_BAD_HANDLE);
  }
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void* ask_until_bad(void* argument) {
  smartvpn_server* server = argument;
  size_t needed;
  intptr_t unexpected = 0;
  for (;;) {
    smartvpn_status status = smartvpn_client_list(server, NULL, 0, &needed, NULL);
    if (status == SMARTVPN_BAD_HANDLE) return (void*)unexpected;
    if (status != SMARTVPN_BUFFER_TOO_SMALL && status != SMARTVPN_BAD_STATE) ++unexpected;
  }
}

static void server_may_be_freed_while_others_call_it(void** state) {
  (void)state;
  for (int i = 0; i < 5; ++i) {
    pthread_t threads[4];
    smartvpn_server* server = running_server("testing");
    for (int t = 0; t < 4; ++t) assert_int_equal(pthread_create(&threads[t], NULL, ask_until_bad, server), 0);
    size_t needed;
    for (int n = 0; n < 20; ++n) smartvpn_client_list(server, NULL, 0, &needed, NULL);
    assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
    for (int t = 0; t < 4; ++t) {
      void* unexpected = NULL;
      pthread_join(threads[t], &unexpected);
      assert_null(unexpected);
    }
  }
}

int main(void) {
  const struct CMUnitTest handles[] = {
      cmocka_unit_test(null_is_a_bad_handle_everywhere),
      cmocka_unit_test(freeing_null_is_fine),
      cmocka_unit_test(freed_handle_stays_dead_though_others_come),
      cmocka_unit_test(wrong_kind_is_refused_and_unharmed),
      cmocka_unit_test(pointers_that_never_were_handles_are_not_read),
      cmocka_unit_test(neighbours_of_a_handle_value_are_not_handles),
      cmocka_unit_test(exactly_one_thread_frees),
      cmocka_unit_test(free_wakes_who_waits),
      cmocka_unit_test(server_may_be_freed_while_others_call_it),
  };
  return cmocka_run_group_tests(handles, NULL, NULL);
}
