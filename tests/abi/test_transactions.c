/* Section 9: several changes as one. */
#include "support.h"

/* The call, with `&error` as its error argument, fails with this status and path. */
#define assert_fails(call, wanted, path)                       \
  do {                                                         \
    smartvpn_error* error = NULL;                              \
    const smartvpn_status got = (call);                        \
    assert_int_equal(got, wanted);                             \
    assert_string_equal(smartvpn_error_path(error), path);     \
    assert_int_equal(smartvpn_error_free(error), SMARTVPN_OK); \
  } while (0)

static smartvpn_transaction* begin(smartvpn_server* server) {
  smartvpn_transaction* transaction = NULL;
  assert_ok(smartvpn_transaction_begin(server, &transaction, &err));
  return transaction;
}

static void note_create(smartvpn_transaction* transaction, const char* json) {
  assert_ok(smartvpn_transaction_create(transaction, json, strlen(json), &err));
}

static void all_changes_happen_at_once(void** state) {
  (void)state;
  char json[4096];
  uint64_t revision = 0, now = 0;
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  smartvpn_transaction* transaction = begin(server);
  note_create(transaction, "{\"id\": \"alice\"}");
  note_create(transaction, "{\"id\": \"bob\", \"addresses\": [\"10.8.0.9\"]}");
  assert_ok(
      smartvpn_transaction_update(transaction, "alice", "{\"tags\": [\"staff\"]}", SMARTVPN_NUL_TERMINATED, &err));
  assert_ok(smartvpn_transaction_remove(transaction, "bob", &err));
  assert_ok(smartvpn_client_list(server, json, sizeof json, NULL, &err));
  assert_string_equal(json, "[]");
  assert_int_equal(smartvpn_transaction_credentials(transaction, 0, &credentials, NULL), SMARTVPN_BAD_STATE);

  assert_ok(smartvpn_transaction_commit(transaction, 0, &revision, &err));
  assert_ok(smartvpn_registry_revision(server, &now, &err));
  assert_true(revision == 4 && now == 4);
  assert_ok(smartvpn_client_list(server, json, sizeof json, NULL, &err));
  assert_non_null(strstr(json, "\"staff\""));
  assert_null(strstr(json, "\"bob\""));

  assert_ok(smartvpn_transaction_credentials(transaction, 0, &credentials, &err));
  assert_int_equal(strlen(smartvpn_credentials_private_key(credentials)), SMARTVPN_KEY_SIZE - 1);
  assert_non_null(strstr(smartvpn_credentials_client(credentials), "\"id\":\"alice\""));
  assert_int_equal(smartvpn_credentials_free(credentials), SMARTVPN_OK);
  assert_int_equal(smartvpn_transaction_credentials(transaction, 0, &credentials, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_transaction_credentials(transaction, 2, &credentials, NULL), SMARTVPN_NOT_FOUND);
  assert_int_equal(smartvpn_transaction_credentials(transaction, 99, &credentials, NULL), SMARTVPN_NOT_FOUND);

  assert_int_equal(smartvpn_transaction_remove(transaction, "alice", NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_transaction_commit(transaction, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_transaction_free(transaction), SMARTVPN_OK);
  assert_int_equal(smartvpn_transaction_free(transaction), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_transaction_free(NULL), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void what_is_wrong_in_itself_is_said_when_it_is_noted(void** state) {
  (void)state;
  smartvpn_server* server = running_server("testing");
  smartvpn_transaction* transaction = begin(server);
  const char* wrong = "{\"id\": \"a\", \"max_sessions\": 2, \"subnets\": [\"192.168.7.0/24\"]}";
  assert_fails(smartvpn_transaction_create(transaction, wrong, strlen(wrong), &error), SMARTVPN_INVALID,
               "/max_sessions");
  assert_fails(smartvpn_transaction_create(transaction, "{}", 2, &error), SMARTVPN_INVALID, "/id");
  assert_fails(smartvpn_transaction_update(transaction, "a", "{\"prio\": 1}", 11, &error), SMARTVPN_INVALID, "/prio");
  assert_fails(smartvpn_transaction_update(transaction, "a b", "{}", 2, &error), SMARTVPN_INVALID, "/id");
  assert_fails(smartvpn_transaction_remove(transaction, "", &error), SMARTVPN_INVALID, "/id");
  assert_fails(smartvpn_transaction_remove(transaction, NULL, &error), SMARTVPN_INVALID, "");
  assert_int_equal(smartvpn_transaction_create(transaction, NULL, 0, NULL), SMARTVPN_INVALID);
  assert_ok(smartvpn_transaction_commit(transaction, 0, NULL, &err));
  assert_int_equal(smartvpn_transaction_free(transaction), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_failed_commit_changes_nothing_and_may_be_repeated(void** state) {
  (void)state;
  char json[4096];
  uint64_t revision = 0;
  smartvpn_credentials* credentials = NULL;
  smartvpn_server* server = running_server("testing");
  const char* taken = "{\"id\": \"taken\", \"addresses\": [\"10.8.0.9\"]}";
  smartvpn_transaction* transaction = begin(server);
  assert_ok(smartvpn_client_create(server, taken, strlen(taken), &credentials, &err));
  smartvpn_credentials_free(credentials);
  note_create(transaction, "{\"id\": \"alice\"}");
  note_create(transaction, "{\"id\": \"bob\", \"addresses\": [\"fd00:8::9\", \"10.8.0.9\"]}");
  assert_fails(smartvpn_transaction_commit(transaction, 0, &revision, &error), SMARTVPN_EXISTS, "/1/addresses/1");
  assert_true(revision == 0);
  assert_fails(smartvpn_transaction_commit(transaction, 7, NULL, &error), SMARTVPN_CONFLICT, "");
  assert_ok(smartvpn_client_list(server, json, sizeof json, NULL, &err));
  assert_null(strstr(json, "alice"));
  assert_ok(smartvpn_client_remove(server, "taken", &err));
  assert_ok(smartvpn_transaction_commit(transaction, 2, &revision, &err));
  assert_true(revision == 4);
  assert_int_equal(smartvpn_transaction_free(transaction), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_transaction_is_bounded_and_ten_thousand_clients_fit(void** state) {
  (void)state;
  char json[64];
  uint64_t revision = 0;
  smartvpn_server* server = running_server("testing");
  smartvpn_transaction* transaction = begin(server);
  for (int i = 0; i < 10000; ++i) {
    snprintf(json, sizeof json, "{\"id\": \"c%d\"}", i);
    note_create(transaction, json);
  }
  assert_int_equal(smartvpn_transaction_remove(transaction, "c0", NULL), SMARTVPN_LIMIT);
  assert_ok(smartvpn_transaction_commit(transaction, 0, &revision, &err));
  assert_true(revision == 10000);
  assert_int_equal(smartvpn_transaction_free(transaction), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void a_transaction_without_a_running_server_does_nothing(void** state) {
  (void)state;
  smartvpn_transaction* transaction = NULL;
  smartvpn_server* server = new_server("testing");
  assert_int_equal(smartvpn_transaction_begin(NULL, &transaction, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_transaction_begin(server, NULL, NULL), SMARTVPN_INVALID);
  transaction = begin(server);
  note_create(transaction, "{\"id\": \"alice\"}");
  assert_int_equal(smartvpn_transaction_commit(transaction, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_ok(smartvpn_server_start(server, &err));
  assert_ok(smartvpn_server_stop(server, 0, LONG_MS, &err));
  assert_int_equal(smartvpn_transaction_commit(transaction, 0, NULL, NULL), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  assert_int_equal(smartvpn_transaction_commit(transaction, 0, NULL, NULL), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_transaction_free(transaction), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest transactions[] = {
      cmocka_unit_test(all_changes_happen_at_once),
      cmocka_unit_test(what_is_wrong_in_itself_is_said_when_it_is_noted),
      cmocka_unit_test(a_failed_commit_changes_nothing_and_may_be_repeated),
      cmocka_unit_test(a_transaction_is_bounded_and_ten_thousand_clients_fit),
      cmocka_unit_test(a_transaction_without_a_running_server_does_nothing),
  };
  return cmocka_run_group_tests(transactions, NULL, NULL);
}
