/* Section 3: what an error object says, and when there is one. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

static void error_is_null_after_success_whatever_was_there(void** state) {
  (void)state;
  smartvpn_error* error = (smartvpn_error*)(uintptr_t)0x1234;
  smartvpn_config* config = NULL;
  assert_int_equal(smartvpn_config_new(SMARTVPN_CONFIG_SERVER, &config, &error), SMARTVPN_OK);
  assert_null(error);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
}

static void error_says_status_path_and_text(void** state) {
  (void)state;
  smartvpn_error* error = NULL;
  smartvpn_config* config = NULL;
  assert_int_equal(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, "{\"limits\": {\"threads\": \"many\"}}",
                                             SMARTVPN_NUL_TERMINATED, &config, &error),
                   SMARTVPN_INVALID);
  assert_null(config);
  assert_non_null(error);
  assert_int_equal(smartvpn_error_status(error), SMARTVPN_INVALID);
  assert_string_equal(smartvpn_error_path(error), "/limits/threads");
  assert_string_not_equal(smartvpn_error_text(error), "");
  assert_int_equal(smartvpn_error_system_errno(error), 0);
  assert_int_equal(smartvpn_error_free(error), SMARTVPN_OK);
}

static void error_is_not_needed(void** state) {
  (void)state;
  smartvpn_config* config = NULL;
  assert_int_equal(smartvpn_config_new(77, &config, NULL), SMARTVPN_INVALID);
  assert_null(config);
}

static void freed_error_is_a_bad_handle_with_harmless_texts(void** state) {
  (void)state;
  smartvpn_error* error = NULL;
  smartvpn_config* config = NULL;
  assert_int_equal(smartvpn_config_new(77, &config, &error), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_error_free(error), SMARTVPN_OK);
  assert_int_equal(smartvpn_error_free(error), SMARTVPN_BAD_HANDLE);
  assert_int_equal(smartvpn_error_status(error), SMARTVPN_BAD_HANDLE);
  assert_string_equal(smartvpn_error_text(error), "");
  assert_string_equal(smartvpn_error_path(error), "");
  assert_string_equal(smartvpn_error_text(NULL), "");
  assert_string_equal(smartvpn_error_path(NULL), "");
  assert_int_equal(smartvpn_error_free(NULL), SMARTVPN_OK);
}

static void system_error_has_errno_and_path(void** state) {
  (void)state;
  struct sockaddr_in address = {0};
  socklen_t size = sizeof address;
  int taken = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(taken, (struct sockaddr*)&address, size), 0);
  assert_int_equal(listen(taken, 1), 0);
  assert_int_equal(getsockname(taken, (struct sockaddr*)&address, &size), 0);

  char port[16];
  smartvpn_error* error = NULL;
  smartvpn_server* server = NULL;
  smartvpn_config* config = new_server_config("testing");
  snprintf(port, sizeof port, "%d", ntohs(address.sin_port));
  assert_ok(smartvpn_config_set(config, "/listen/0/port", port, strlen(port), &err));
  assert_ok(smartvpn_server_create(config, &server, &err));
  assert_int_equal(smartvpn_server_start(server, &error), SMARTVPN_SYSTEM);
  assert_int_equal(smartvpn_error_system_errno(error), EADDRINUSE);
  assert_memory_equal(smartvpn_error_path(error), "/listen/0", 9);
  smartvpn_error_free(error);
  assert_int_equal(smartvpn_server_state(server), SMARTVPN_SERVER_STOPPED);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
  assert_int_equal(smartvpn_config_free(config), SMARTVPN_OK);
  close(taken);
}

int main(void) {
  const struct CMUnitTest errors[] = {
      cmocka_unit_test(error_is_null_after_success_whatever_was_there),
      cmocka_unit_test(error_says_status_path_and_text),
      cmocka_unit_test(error_is_not_needed),
      cmocka_unit_test(freed_error_is_a_bad_handle_with_harmless_texts),
      cmocka_unit_test(system_error_has_errno_and_path),
  };
  return cmocka_run_group_tests(errors, NULL, NULL);
}
