/* exit() under traffic, by every way out of a program there is, with and without TLS. The exit code is the program's
 * own, and no signal ends it: OpenSSL takes itself down at exit while our threads run on. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static struct pair guest;
static atomic_int leave_in_callback;

static void* exit_in_thread(void* unused) {
  (void)unused;
  exit(kExitCode);
}

static void on_event(void* user, const smartvpn_event* event) {
  (void)user;
  (void)event;
  if (atomic_load(&leave_in_callback)) exit(kExitCode);
}

static void free_at_exit(void) {
  need(smartvpn_tunnel_free(guest.tunnel) == SMARTVPN_OK);
  need(smartvpn_server_free(guest.server) == SMARTVPN_OK);
}

static void exit_from_callback(void) {
  smartvpn_credentials* credentials = NULL;
  atomic_store(&leave_in_callback, 1);
  smartvpn_client_create(guest.server, "{\"id\": \"bob\"}", SMARTVPN_NUL_TERMINATED, &credentials, NULL);
  for (;;) pause();
}

int leave(const char* how, const char* folder) {
  const smartvpn_callbacks callbacks = {.struct_size = sizeof callbacks, .event = on_event};
  const struct wishes wishes = {.tls = folder, .callbacks = strcmp(how, "callback") == 0 ? &callbacks : NULL};
  pthread_t thread;
  alarm(60);
  open_pair(&guest, &wishes);
  start_traffic(&guest);
  await_traffic(&guest, 20);
  if (strcmp(how, "exit") == 0) exit(kExitCode);
  if (strcmp(how, "quick_exit") == 0) quick_exit(kExitCode);
  if (strcmp(how, "thread") == 0) {
    need(pthread_create(&thread, NULL, exit_in_thread, NULL) == 0);
    for (;;) pause();
  }
  if (strcmp(how, "callback") == 0) exit_from_callback();
  if (strcmp(how, "free_at_exit") == 0) {
    need(atexit(free_at_exit) == 0);
    exit(kExitCode);
  }
  return kExitCode; /* from main */
}

int leaving(const char* folder) {
  static const char* const ways[] = {"exit", "return", "thread", "callback", "quick_exit", "free_at_exit"};
  const int times = rounds(under_sanitizer() ? 24 : 150, 1000);
  for (int i = 0; i < times; ++i) {
    const char* how = ways[i % 6];
    const char* tls = i / 6 % 2 ? folder : NULL;
    const int code = exit_code_of(spawn_self("leave", how, tls));
    if (code != kExitCode) printf("%s %s: exit code %d\n", how, tls ? "with TLS" : "", code);
    need(code == kExitCode);
  }
  printf("left %d times\n", times);
  return 0;
}
