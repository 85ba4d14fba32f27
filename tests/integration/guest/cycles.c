/* Started and stopped a thousand times, nothing of it stays: no descriptor, no thread, no byte. */
#include <malloc.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

struct held {
  int descriptors, threads;
  size_t heap;
};

static struct held held_now(void) {
  /* A joined thread leaves /proc a moment later. */
  for (int i = 0; i < 1000 && threads() > 1; ++i) usleep(1000);
  const struct held held = {open_descriptors(), threads(), heap_bytes()};
  return held;
}

static void server_alone(const struct wishes* wishes) {
  smartvpn_server* server = make_server(wishes);
  need_ok(smartvpn_server_start(server, &err));
  need_ok(smartvpn_server_stop(server, 0, -1, &err));
  need(smartvpn_server_free(server) == SMARTVPN_OK);
}

/* In mode host the packet is read by the server's side, which is us. */
static void one_packet_to_the_host(struct pair* pair) {
  static uint8_t arena[65535], packet[84];
  smartvpn_packet meta = {0};
  size_t count = 0;
  need(make_ping(pair->tunnel, packet));
  meta.length = sizeof packet;
  need_ok(smartvpn_tunnel_packets_write(pair->tunnel, packet, sizeof packet, &meta, sizeof meta, 1, NULL, &err));
  need_ok(smartvpn_packets_read(pair->server, arena, sizeof arena, &meta, sizeof meta, 1, &count, kLongMs, &err));
  need(count == 1 && meta.length == sizeof packet && memcmp(arena + meta.offset, packet, sizeof packet) == 0);
}

static void with_a_tunnel(const struct wishes* wishes) {
  struct pair pair;
  open_pair(&pair, wishes);
  if (strcmp(wishes->mode, "host") == 0) one_packet_to_the_host(&pair);
  if (strcmp(wishes->mode, "testing") == 0)
    for (int i = 0; i < 5; ++i) need(ping(pair.tunnel));
  close_pair(&pair);
}

static void repeat(void (*once)(const struct wishes*), const struct wishes* wishes, int times) {
  enum { kWarmUp = 30 };
  for (int i = 0; i < kWarmUp; ++i) once(wishes);
  const struct held before = held_now();
  for (int i = 0; i < times; ++i) once(wishes);
  const struct held after = held_now();
  printf("%s: %d cycles: descriptors %d -> %d, threads %d -> %d, heap %zu -> %zu\n", wishes->mode, times,
         before.descriptors, after.descriptors, before.threads, after.threads, before.heap, after.heap);
  need(after.descriptors == before.descriptors);
  need(after.threads == before.threads);
  need(under_sanitizer() || after.heap <= before.heap); /* a sanitizer's allocator does not tell */
}

/* A namespace of our own, with its loopback device up. */
static int alone_in_the_net(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  if (access("/dev/net/tun", R_OK | W_OK) != 0 || unshare(CLONE_NEWNET) != 0) return 0;
  const int any = socket(AF_INET, SOCK_DGRAM, 0);
  need(any >= 0 && ioctl(any, SIOCSIFFLAGS, &request) == 0 && close(any) == 0);
  return 1;
}

int cycles(const char* mode) {
  struct wishes wishes = {.mode = mode};
  mallopt(M_ARENA_MAX, 1);
  if (strcmp(mode, "tun") == 0 && !alone_in_the_net()) return kSkip;
  const int few = under_sanitizer() ? 50 : 300;
  repeat(server_alone, &wishes, rounds(strcmp(mode, "tun") == 0 ? few / 3 : few, 1000));
  if (strcmp(mode, "tun") != 0) repeat(with_a_tunnel, &wishes, rounds(few / 2, 1000));
  return 0;
}
