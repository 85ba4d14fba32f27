/* Descriptors of the host's: a listening socket and a tun device, opened while there was privilege for it. Each test
 * runs in a thread of its own, because network namespaces and, to the kernel, user ids belong to threads: what the
 * library starts there inherits both. A thread reports by the number of the line that failed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support.h"

enum { kSkip = -1, kNobody = 65534, kPrivilegedPort = 443 };

#define CHECK(condition) \
  if (!(condition)) return __LINE__

static int in_namespace(int (*body)(int), int argument) {
  if (access("/dev/net/tun", R_OK | W_OK) != 0 || unshare(CLONE_NEWNET) != 0) return kSkip;
  return body(argument);
}

struct job {
  int (*body)(int);
  int argument, result;
};

static void* run_job(void* opaque) {
  struct job* job = opaque;
  job->result = in_namespace(job->body, job->argument);
  return NULL;
}

static void run_in_thread(int (*body)(int), int argument) {
  struct job job = {body, argument, 0};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, run_job, &job), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  if (job.result == kSkip) skip();
  if (job.result != 0) fail_msg("failed in line %d", job.result);
}

/* A device with these IFF_* flags, or -1. */
static int open_tun(int flags) {
  struct ifreq request = {.ifr_name = "svhost"};
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  request.ifr_flags = (short)flags;
  if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

static int interface_up(const char* name, const char* address) {
  struct ifreq request;
  struct sockaddr_in in = {.sin_family = AF_INET};
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  inet_pton(AF_INET, address, &in.sin_addr);
  memcpy(&request.ifr_addr, &in, sizeof in);
  CHECK(ioctl(any, SIOCSIFADDR, &request) == 0);
  inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
  memcpy(&request.ifr_netmask, &in, sizeof in);
  CHECK(ioctl(any, SIOCSIFNETMASK, &request) == 0);
  request.ifr_flags = IFF_UP;
  CHECK(ioctl(any, SIOCSIFFLAGS, &request) == 0);
  CHECK(close(any) == 0);
  return 0;
}

static int is_up(const char* name) {
  struct ifreq request;
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  int up = ioctl(any, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP);
  close(any);
  return up;
}

static int bind_listener(void) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(kPrivilegedPort)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr*)&in, sizeof in) == 0 && listen(fd, 16) == 0) return fd;
  close(fd);
  return -1;
}

/* This thread's alone: by way of libc it would be the whole process's. */
static int drop_root(void) {
  return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, kNobody, kNobody, kNobody) == 0 &&
         syscall(SYS_setresuid, kNobody, kNobody, kNobody) == 0;
}

static smartvpn_server* server_on(int listener, int tun, const char* more, smartvpn_error** error) {
  char key[SMARTVPN_KEY_SIZE], json[600];
  smartvpn_config* config = NULL;
  smartvpn_server* server = NULL;
  smartvpn_key_generate(key, sizeof key, NULL, NULL);
  snprintf(json, sizeof json,
           "{\"listen\": [{\"transport\": \"websocket\", \"fd\": %d}], \"keys\": {\"noise_private_key\": \"%s\"},"
           " \"network\": {\"subnets\": [\"10.8.0.0/24\"]}, \"tun\": {\"fd\": %d%s}}",
           listener, key, tun, more);
  if (smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json, SMARTVPN_NUL_TERMINATED, &config, error) == SMARTVPN_OK)
    smartvpn_server_create(config, &server, error);
  smartvpn_config_free(config);
  return server;
}

static smartvpn_tunnel* tunnel_of(smartvpn_server* server) {
  smartvpn_credentials* credentials = NULL;
  smartvpn_config* config = NULL;
  smartvpn_tunnel* tunnel = NULL;
  smartvpn_client_create(server, "{\"id\": \"alice\"}", SMARTVPN_NUL_TERMINATED, &credentials, NULL);
  smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials), SMARTVPN_NUL_TERMINATED,
                            &config, NULL);
  smartvpn_credentials_free(credentials);
  smartvpn_config_set(config, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, NULL);
  smartvpn_tunnel_create(config, &tunnel, NULL);
  smartvpn_config_free(config);
  return tunnel;
}

static void set_checksum(uint8_t* at, const uint8_t* from, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i < size; i += 2) sum += (uint32_t)from[i] << 8 | from[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  at[0] = (uint8_t)(~sum >> 8);
  at[1] = (uint8_t)~sum;
}

/* 10.8.0.2, in the tunnel, pings 10.8.0.1, which is the kernel's behind the device. */
static int ping_kernel(smartvpn_tunnel* tunnel) {
  static uint8_t arena[70000];
  const uint8_t request[28] = {0x45, 0, 0,  28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 8,
                               0,    2, 10, 8,  0, 1, 8, 0, 0,  0, 0, 7, 0,  1};
  smartvpn_packet packet;
  size_t count = 0;
  memset(&packet, 0, sizeof packet);
  memcpy(arena, request, sizeof request);
  set_checksum(arena + 10, arena, 20);
  set_checksum(arena + 22, arena + 20, 8);
  packet.length = sizeof request;
  CHECK(smartvpn_tunnel_packets_write(tunnel, arena, sizeof request, &packet, sizeof packet, 1, &count, NULL) == 0);
  CHECK(smartvpn_tunnel_packets_read(tunnel, arena, sizeof arena, &packet, sizeof packet, 1, &count, LONG_MS, NULL) ==
        0);
  CHECK(arena[packet.offset + 9] == 1 && arena[packet.offset + 20] == 0); /* ICMP, echo reply */
  return 0;
}

static int serve_as_nobody(int vnet_header) {
  smartvpn_error* error = NULL;
  int tun = open_tun(IFF_TUN | IFF_NO_PI | (vnet_header ? IFF_VNET_HDR : 0));
  CHECK(tun >= 0);
  CHECK(interface_up("lo", "127.0.0.1") == 0 && interface_up("svhost", "10.8.0.1") == 0);
  int listener = bind_listener();
  CHECK(listener >= 0);
  CHECK(drop_root());
  CHECK(open_tun(IFF_TUN | IFF_NO_PI) < 0 && bind_listener() < 0); /* indeed */

  smartvpn_server* server = server_on(listener, tun, "", &error);
  CHECK(server != NULL);
  CHECK(smartvpn_server_start(server, &error) == SMARTVPN_OK);
  char endpoint[64];
  CHECK(smartvpn_server_endpoint(server, 0, endpoint, sizeof endpoint, NULL, NULL) == SMARTVPN_OK);
  CHECK(strcmp(endpoint, "127.0.0.1:443") == 0);
  smartvpn_tunnel* tunnel = tunnel_of(server);
  CHECK(smartvpn_tunnel_start(tunnel, NULL) == SMARTVPN_OK);
  CHECK(smartvpn_tunnel_wait_connected(tunnel, LONG_MS, NULL) == SMARTVPN_OK);
  int failed = ping_kernel(tunnel);
  if (failed) return failed;
  CHECK(smartvpn_tunnel_free(tunnel) == SMARTVPN_OK);
  CHECK(smartvpn_server_free(server) == SMARTVPN_OK);

  /* The host's own go on, and another server may have them. */
  CHECK(is_up("svhost"));
  CHECK(fcntl(tun, F_GETFD) == FD_CLOEXEC && fcntl(listener, F_GETFD) == FD_CLOEXEC);
  server = server_on(listener, tun, "", &error);
  CHECK(server != NULL && smartvpn_server_start(server, &error) == SMARTVPN_OK);
  CHECK(smartvpn_server_free(server) == SMARTVPN_OK);
  CHECK(close(tun) == 0 && close(listener) == 0);
  CHECK(!is_up("svhost"));
  return 0;
}

static void host_without_privilege_serves_on_what_it_had_opened(void** state) {
  (void)state;
  run_in_thread(serve_as_nobody, 0);
}

static void device_with_a_virtio_header_is_taken_too(void** state) {
  (void)state;
  run_in_thread(serve_as_nobody, 1);
}

static int is_refused(int listener, int tun, smartvpn_status status, int system_errno, const char* more,
                      const char* path) {
  smartvpn_error* error = NULL;
  smartvpn_server* server = server_on(listener, tun, more, &error);
  CHECK(server != NULL);
  CHECK(smartvpn_server_start(server, &error) == status);
  CHECK(strcmp(smartvpn_error_path(error), path) == 0);
  CHECK(smartvpn_error_system_errno(error) == system_errno);
  CHECK(smartvpn_error_free(error) == SMARTVPN_OK);
  CHECK(smartvpn_server_state(server) == SMARTVPN_SERVER_STOPPED);
  CHECK(smartvpn_server_free(server) == SMARTVPN_OK);
  return 0;
}

static int refuse_wrong_ones(int ignored) {
  (void)ignored;
  CHECK(interface_up("lo", "127.0.0.1") == 0);
  int listener = bind_listener(), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  CHECK(is_refused(listener, null, SMARTVPN_SYSTEM, ENOTTY, "", "/tun/fd") == 0);
  CHECK(is_refused(listener, 1000000, SMARTVPN_SYSTEM, EBADF, "", "/tun/fd") == 0);
  int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* attached to no device */
  CHECK(is_refused(listener, tun, SMARTVPN_SYSTEM, EBADFD, "", "/tun/fd") == 0);
  close(tun);
  tun = open_tun(IFF_TAP | IFF_NO_PI);
  CHECK(tun >= 0 && is_refused(listener, tun, SMARTVPN_INVALID, 0, "", "/tun/fd") == 0);
  close(tun);
  tun = open_tun(IFF_TUN);
  CHECK(tun >= 0 && is_refused(listener, tun, SMARTVPN_INVALID, 0, "", "/tun/fd") == 0);
  close(tun);
  tun = open_tun(IFF_TUN | IFF_NO_PI);
  CHECK(tun >= 0 && is_refused(null, tun, SMARTVPN_SYSTEM, ENOTSOCK, "", "/listen/0/fd") == 0);
  CHECK(fcntl(tun, F_GETFD) == FD_CLOEXEC);
  close(null);
  close(tun);
  close(listener);
  return 0;
}

static void what_is_no_such_descriptor_is_refused_with_its_path(void** state) {
  (void)state;
  run_in_thread(refuse_wrong_ones, 0);
}

static int masquerade_as_nobody(int ignored) {
  (void)ignored;
  int tun = open_tun(IFF_TUN | IFF_NO_PI);
  CHECK(tun >= 0);
  CHECK(interface_up("lo", "127.0.0.1") == 0 && interface_up("svhost", "10.8.0.1") == 0);
  int listener = bind_listener();
  CHECK(drop_root());
  int failed = is_refused(listener, tun, SMARTVPN_SYSTEM, EPERM, ", \"masquerade\": true", "/tun/masquerade");
  close(tun);
  close(listener);
  return failed;
}

static void masquerading_without_privilege_fails_with_its_path(void** state) {
  (void)state;
  assert_int_equal(smartvpn_has("masquerade"), 1);
  run_in_thread(masquerade_as_nobody, 0);
}

int main(void) {
  const struct CMUnitTest descriptors[] = {
      cmocka_unit_test(host_without_privilege_serves_on_what_it_had_opened),
      cmocka_unit_test(device_with_a_virtio_header_is_taken_too),
      cmocka_unit_test(what_is_no_such_descriptor_is_refused_with_its_path),
      cmocka_unit_test(masquerading_without_privilege_fails_with_its_path),
  };
  return cmocka_run_group_tests(descriptors, NULL, NULL);
}
