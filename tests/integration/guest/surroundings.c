/* Hosts that lack what everybody has: standard descriptors, descriptors at all, threads, memory, /proc and /dev. Every
 * one of them is a child, so that the library meets it from its first call on. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

static const struct wishes plain = {0};

static int standard_ones_are_closed(void) {
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) != -1) return 0;
  return 1;
}

static int exits(void* unused) {
  (void)unused;
  exit(0);
}

static int without_standard_descriptors(void* unused) {
  (void)unused;
  struct pair pair;
  for (int fd = 0; fd < 3; ++fd) close(fd);
  open_pair(&pair, &plain);
  if (!standard_ones_are_closed()) return 10;
  for (int i = 0; i < 5; ++i)
    if (!ping(pair.tunnel)) return 11;
  const pid_t child = fork();
  if (child == 0) {
    if (!standard_ones_are_closed()) _exit(12);
    struct pair own;
    open_pair(&own, &plain);
    if (!ping(own.tunnel) || !standard_ones_are_closed()) _exit(13);
    exits(NULL);
  }
  const int code = exit_code_of(child);
  if (code != 0) return code;
  close_pair(&pair);
  if (!standard_ones_are_closed()) return 14;
  exit(0); /* through libuv's own end */
}

/* One thing of the sort the kernel refuses; a number of a system error. */
static int refused(smartvpn_error* error) {
  const smartvpn_status status = smartvpn_error_status(error);
  const int number = smartvpn_error_system_errno(error);
  const int fine = status == SMARTVPN_NO_MEMORY || (status == SMARTVPN_SYSTEM && number != 0);
  if (!fine)
    dprintf(STDERR_FILENO, "%s (errno %d): %s\n", smartvpn_status_name(status), number, smartvpn_error_text(error));
  smartvpn_error_free(error);
  return fine;
}

/* As open_pair, where everything may fail, but only with an error, and everything ends well. 1 if a ping came back. */
static int try_pair(const char* json) {
  smartvpn_config *config = NULL, *dialling = NULL;
  smartvpn_server* server = NULL;
  smartvpn_credentials* credentials = NULL;
  smartvpn_tunnel* tunnel = NULL;
  smartvpn_error* error = NULL;
  int well = 0;
  int ok = smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, &error) == 0 &&
           smartvpn_server_create(config, &server, &error) == 0 && smartvpn_server_start(server, &error) == 0 &&
           smartvpn_client_create(server, "{\"id\": \"alice\"}", SMARTVPN_NUL_TERMINATED, &credentials, &error) == 0 &&
           smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                     SMARTVPN_NUL_TERMINATED, &dialling, &error) == 0 &&
           smartvpn_config_set(dialling, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, &error) == 0 &&
           smartvpn_tunnel_create(dialling, &tunnel, &error) == 0 && smartvpn_tunnel_start(tunnel, &error) == 0;
  if (!ok) need(refused(error));
  /* The server may be too poor to take a connection; then nobody is told but its log. */
  if (ok && smartvpn_tunnel_wait_connected(tunnel, 300, NULL) == SMARTVPN_OK) well = ping(tunnel);
  need(smartvpn_tunnel_free(tunnel) == SMARTVPN_OK);
  need(smartvpn_credentials_free(credentials) == SMARTVPN_OK);
  need(smartvpn_config_free(dialling) == SMARTVPN_OK);
  need(smartvpn_server_free(server) == SMARTVPN_OK);
  need(smartvpn_config_free(config) == SMARTVPN_OK);
  return well;
}

enum { kRefused = 3, kServed = 4 };

static char some_json[600];

static int with_limit(int resource, rlim_t limit) {
  const struct rlimit both = {limit, limit};
  need(setrlimit(resource, &both) == 0);
  alarm(60);
  return try_pair(some_json) ? kServed : kRefused;
}

static int few_descriptors(void* count) { return with_limit(RLIMIT_NOFILE, (rlim_t)(intptr_t)count); }

static int little_memory(void* bytes) {
  long pages = 0;
  FILE* statm = fopen("/proc/self/statm", "r");
  need(statm && fscanf(statm, "%ld", &pages) == 1);
  fclose(statm);
  return with_limit(RLIMIT_AS, (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)(intptr_t)bytes);
}

/* A user who has no other process, so that the limit counts ours alone. */
static int few_threads(void* count) {
  enum { kNobodyElse = 754321 };
  need(setgroups(0, NULL) == 0 && setresgid(kNobodyElse, kNobodyElse, kNobodyElse) == 0);
  const struct rlimit both = {(rlim_t)(intptr_t)count, (rlim_t)(intptr_t)count};
  need(setrlimit(RLIMIT_NPROC, &both) == 0);
  need(setresuid(kNobodyElse, kNobodyElse, kNobodyElse) == 0);
  alarm(60);
  return try_pair(some_json) ? kServed : kRefused;
}

/* From what suffices for nothing to what suffices for all; the sweep ends with the first that serves. */
static void sweep(const char* what, int (*body)(void*), intptr_t from, intptr_t step, int most) {
  int steps = 0, code = kRefused;
  for (; steps < most && code != kServed; ++steps) {
    code = in_child(body, (void*)(from + steps * step));
    need(code == kRefused || code == kServed);
  }
  printf("%s: %d steps\n", what, steps);
  need(steps > 1 && code == kServed);
}

static int in_an_empty_root(void* folder) {
  const struct wishes tun = {.mode = "tun"};
  smartvpn_error* error = NULL;
  struct pair pair;
  need(chroot(folder) == 0 && chdir("/") == 0);
  need(access("/proc", F_OK) != 0 && access("/dev", F_OK) != 0 && access("/etc", F_OK) != 0);
  open_pair(&pair, &plain);
  for (int i = 0; i < 5; ++i) need(ping(pair.tunnel));
  close_pair(&pair);
  smartvpn_server* server = make_server(&tun);
  need(smartvpn_server_start(server, &error) == SMARTVPN_SYSTEM);
  need(smartvpn_error_system_errno(error) == ENOENT && strncmp(smartvpn_error_path(error), "/tun", 4) == 0);
  smartvpn_error_free(error);
  need(smartvpn_server_free(server) == SMARTVPN_OK);
  return 0;
}

static void chroot_folder(void) {
  char folder[] = "/tmp/smartvpn-guest-XXXXXX";
  need(mkdtemp(folder));
  const int code = in_child(in_an_empty_root, folder);
  need(rmdir(folder) == 0);
  need(code == 0);
}

int surroundings(const char* what) {
  char key[SMARTVPN_KEY_SIZE] = "eHl6eHl6eHl6eHl6eHl6eHl6eHl6eHl6eHl6eHl6eHk="; /* the library is not to be woken yet */
  snprintf(some_json, sizeof some_json,
           "{\"listen\": [{\"transport\": \"websocket\", \"address\": \"127.0.0.1\", \"port\": 0}], \"keys\":"
           " {\"noise_private_key\": \"%s\"}, \"network\": {\"subnets\": [\"10.8.0.0/24\"]}, \"forwarding\":"
           " {\"mode\": \"testing\"}}",
           key);
  if (strcmp(what, "standard_descriptors") == 0) return in_child(without_standard_descriptors, NULL);
  if (strcmp(what, "few_descriptors") == 0) return sweep(what, few_descriptors, 3, 1, 60), 0;
  if (strcmp(what, "little_memory") == 0) {
    if (under_sanitizer()) return kSkip; /* its shadow needs all the addresses there are */
    return sweep(what, little_memory, 0, 256 << 10, 200), 0;
  }
  if (geteuid() != 0) return kSkip;
  if (strcmp(what, "few_threads") == 0) return sweep(what, few_threads, 1, 1, 20), 0;
  return chroot_folder(), 0;
}
