/* Section 10: a snapshot is of one moment, and outlives the server. */
#include "support.h"

static uint64_t number(const smartvpn_stats* stats, const char* name) {
  uint64_t value = 0;
  assert_int_equal(smartvpn_stats_u64(stats, name, &value), SMARTVPN_OK);
  return value;
}

static void snapshot_counts_and_does_not_change(void** state) {
  (void)state;
  smartvpn_stats *before = NULL, *after = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_server_stats(server, &before, &err));
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  do {
    smartvpn_stats_free(after);
    assert_ok(smartvpn_server_stats(server, &after, &err));
  } while (number(after, "sessions_now") == 0);
  assert_int_equal(number(before, "sessions_now"), 0);
  assert_int_equal(number(before, "clients"), 0);
  assert_int_equal(number(after, "clients"), 1);
  assert_int_equal(number(after, "sessions_total"), 1);
  assert_int_equal(number(after, "handshakes_completed"), 1);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  assert_int_equal(number(after, "sessions_now"), 1);
  assert_int_equal(smartvpn_stats_free(before), SMARTVPN_OK);
  assert_int_equal(smartvpn_stats_free(after), SMARTVPN_OK);
  assert_int_equal(smartvpn_stats_free(after), SMARTVPN_BAD_HANDLE);
}

static void numbers_go_by_name(void** state) {
  (void)state;
  uint64_t value = 7;
  smartvpn_stats* stats = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_server_stats(server, &stats, &err));
  static const char* const names[] = {"sessions_now",           "inner_bytes_in", "drops",
                                      "drops.spoofed_source",   "rejections",     "rejections.ip_block_list",
                                      "sessions_ended.replaced"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) assert_int_equal(number(stats, names[i]), 0);
  assert_true(number(stats, "started") > 1600000000000ull);
  static const char* const wrong[] = {"",           "nonsense",       "drops.",
                                      "drops.none", "drops.nonsense", "rejections.spoofed_source"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
    assert_int_equal(smartvpn_stats_u64(stats, wrong[i], &value), SMARTVPN_NOT_FOUND);
  assert_int_equal(value, 7);
  assert_int_equal(smartvpn_stats_u64(stats, NULL, &value), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_stats_u64(stats, "clients", NULL), SMARTVPN_INVALID);
  smartvpn_stats_free(stats);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void both_texts_are_there(void** state) {
  (void)state;
  static char text[65536];
  smartvpn_stats* stats = NULL;
  smartvpn_server* server = running_server("testing");
  assert_ok(smartvpn_server_stats(server, &stats, &err));
  assert_ok(smartvpn_stats_json(stats, text, sizeof text, NULL, &err));
  assert_int_equal(text[0], '{');
  assert_non_null(strstr(text, "\"sessions_now\":0"));
  assert_ok(smartvpn_stats_prometheus(stats, text, sizeof text, NULL, &err));
  assert_non_null(strstr(text, "\nsmartvpn_sessions"));
  smartvpn_stats_free(stats);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void counters_of_a_client_outlive_its_sessions(void** state) {
  (void)state;
  static char text[8192];
  smartvpn_error* error = NULL;
  size_t needed = 0;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(smartvpn_client_stats(server, "alice", text, sizeof text, NULL, &error), SMARTVPN_NOT_FOUND);
  smartvpn_error_free(error);
  assert_int_equal(smartvpn_client_stats(server, NULL, text, sizeof text, NULL, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_client_stats(NULL, "alice", text, sizeof text, NULL, NULL), SMARTVPN_BAD_HANDLE);
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  do {
    assert_ok(smartvpn_client_stats(server, "alice", text, sizeof text, &needed, &err));
  } while (!strstr(text, "\"sessions_now\":1"));
  assert_int_equal(needed, strlen(text) + 1);
  assert_int_equal(smartvpn_client_stats(server, "alice", text, 10, NULL, NULL), SMARTVPN_BUFFER_TOO_SMALL);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  do {
    assert_ok(smartvpn_client_stats(server, "alice", text, sizeof text, NULL, &err));
  } while (!strstr(text, "\"sessions_now\":0"));
  assert_non_null(strstr(text, "{\"client_id\":\"alice\","));
  assert_non_null(strstr(text, "\"sessions_total\":1,\"last_seen\":"));
  assert_non_null(strstr(text, "\"drops\":{"));
  assert_ok(smartvpn_client_remove(server, "alice", &err));
  assert_int_equal(smartvpn_client_stats(server, "alice", text, sizeof text, NULL, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest stats[] = {
      cmocka_unit_test(snapshot_counts_and_does_not_change),
      cmocka_unit_test(numbers_go_by_name),
      cmocka_unit_test(both_texts_are_there),
      cmocka_unit_test(counters_of_a_client_outlive_its_sessions),
  };
  return cmocka_run_group_tests(stats, NULL, NULL);
}
