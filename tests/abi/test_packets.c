/* Section 11 and the packets of section 12: the host behind a server and the host behind a tunnel talk to each other.
 */
#include <arpa/inet.h>
#include <poll.h>

#include "support.h"

enum { kArena = 70000, kPayload = 40, kLength = 28 + kPayload };

/* An IPv4 UDP packet without UDP checksum. */
static void build(uint8_t* p, const char* from, const char* to, uint8_t fill) {
  uint32_t sum = 0;
  struct in_addr address;
  memset(p, 0, kLength);
  p[0] = 0x45;
  p[3] = kLength;
  p[8] = 64;
  p[9] = 17;
  assert_int_equal(inet_pton(AF_INET, from, &address), 1);
  memcpy(p + 12, &address, 4);
  assert_int_equal(inet_pton(AF_INET, to, &address), 1);
  memcpy(p + 16, &address, 4);
  for (int i = 0; i < 20; i += 2) sum += (uint32_t)p[i] << 8 | p[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  p[10] = (uint8_t)(~sum >> 8);
  p[11] = (uint8_t)~sum;
  p[20] = p[22] = 0x30;
  p[25] = 8 + kPayload;
  memset(p + 28, fill, kPayload);
}

static void own_address(smartvpn_tunnel* tunnel, char address[64]) {
  char json[4096];
  assert_ok(smartvpn_tunnel_info(tunnel, json, sizeof json, NULL, &err));
  const char* start = strstr(json, "\"addresses\":[\"");
  assert_non_null(start);
  assert_int_equal(sscanf(start + 14, "%63[0-9.]", address), 1);
}

static void packets_go_both_ways(void** state) {
  (void)state;
  static uint8_t arena[kArena];
  char address[64];
  smartvpn_packet packets[4];
  size_t count = 0, taken = 0;
  smartvpn_server* server = running_server("host");
  smartvpn_tunnel* tunnel = connected_tunnel(server, "alice");
  own_address(tunnel, address);

  memset(packets, 0, sizeof packets);
  build(arena, address, "192.0.2.9", 0xa1);
  build(arena + 1000, address, "192.0.2.9", 0xa2);
  packets[0].length = packets[1].length = kLength;
  packets[1].offset = 1000;
  assert_ok(smartvpn_tunnel_packets_write(tunnel, arena, 2000, packets, sizeof *packets, 2, &taken, &err));
  assert_int_equal(taken, 2);

  for (size_t seen = 0; seen < 2; seen += count) {
    struct pollfd poller = {smartvpn_packets_fd(server), POLLIN, 0};
    assert_int_equal(poll(&poller, 1, LONG_MS), 1);
    memset(packets, 0xee, sizeof packets);
    assert_ok(smartvpn_packets_read(server, arena, kArena, packets, sizeof *packets, 4, &count, LONG_MS, &err));
    assert_in_range(count, 1, 2 - seen);
    for (size_t i = 0; i < count; ++i) {
      assert_int_equal(packets[i].length, kLength);
      assert_int_equal(packets[i].segment_size, 0);
      assert_int_equal(packets[i].flags, 0);
      assert_true(packets[i].session_id != 0);
      assert_int_equal(arena[packets[i].offset + 28], 0xa1 + seen + i);
    }
  }

  memset(packets, 0, sizeof packets);
  build(arena, "192.0.2.9", address, 0xb1);
  packets[0].length = kLength;
  assert_ok(smartvpn_packets_write(server, arena, kLength, packets, sizeof *packets, 1, &taken, &err));
  assert_int_equal(taken, 1);
  assert_ok(smartvpn_tunnel_packets_read(tunnel, arena, kArena, packets, sizeof *packets, 4, &count, LONG_MS, &err));
  assert_int_equal(count, 1);
  assert_int_equal(arena[packets[0].offset + 28], 0xb1);
  assert_int_equal(smartvpn_tunnel_free(tunnel), SMARTVPN_OK);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void nothing_waiting_is_again_or_a_timeout(void** state) {
  (void)state;
  static uint8_t arena[kArena];
  smartvpn_packet packet;
  size_t count = 99;
  smartvpn_server* server = running_server("host");
  struct pollfd poller = {smartvpn_packets_fd(server), POLLIN, 0};
  assert_true(poller.fd >= 0);
  assert_int_equal(poll(&poller, 1, 0), 0);
  assert_int_equal(smartvpn_packets_read(server, arena, kArena, &packet, sizeof packet, 1, &count, 0, NULL),
                   SMARTVPN_AGAIN);
  assert_int_equal(smartvpn_packets_read(server, arena, kArena, &packet, sizeof packet, 1, &count, 1, NULL),
                   SMARTVPN_TIMEOUT);
  assert_int_equal(count, 99);
  assert_ok(smartvpn_server_stop(server, 0, EVER, &err));
  assert_int_equal(smartvpn_packets_read(server, arena, kArena, &packet, sizeof packet, 1, &count, EVER, NULL),
                   SMARTVPN_CLOSED);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void senseless_batches_are_refused_whole(void** state) {
  (void)state;
  static uint8_t arena[2000];
  struct {
    smartvpn_packet known;
    uint64_t later;
  } newer[2];
  size_t taken = 99, count = 0;
  const size_t stride = sizeof *newer;
  smartvpn_server* server = running_server("host");
  memset(newer, 0, sizeof newer);
  newer[0].known.length = 100;
  newer[1].known.length = 100;
  newer[1].known.offset = sizeof arena - 99;
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, &newer->known, stride, 2, &taken, NULL),
                   SMARTVPN_INVALID);
  assert_int_equal(taken, 0);
  newer[1].known.offset = UINT64_MAX - 10;
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, &newer->known, stride, 2, &taken, NULL),
                   SMARTVPN_INVALID);
  newer[1].known.offset = 0;
  newer[1].known.length = 0;
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, &newer->known, stride, 2, &taken, NULL),
                   SMARTVPN_INVALID);
  newer[1].known.length = 65536;
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, &newer->known, stride, 2, &taken, NULL),
                   SMARTVPN_INVALID);
  newer[1].known.length = 100;
  newer[1].later = 1;
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, &newer->known, stride, 2, &taken, NULL),
                   SMARTVPN_UNSUPPORTED);
  newer[1].later = 0;
  newer[1].known.flags = 1;
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, &newer->known, stride, 2, &taken, NULL),
                   SMARTVPN_UNSUPPORTED);
  const size_t without_the_last = offsetof(smartvpn_packet, flags);
  assert_int_equal(
      smartvpn_packets_write(server, arena, sizeof arena, &newer->known, without_the_last, 1, &taken, NULL),
      SMARTVPN_INVALID);
  assert_int_equal(smartvpn_packets_write(server, NULL, 10, &newer->known, stride, 1, &taken, NULL), SMARTVPN_INVALID);
  assert_int_equal(smartvpn_packets_write(server, arena, sizeof arena, NULL, stride, 1, &taken, NULL),
                   SMARTVPN_INVALID);
  assert_int_equal(smartvpn_packets_read(server, arena, sizeof arena, &newer->known, stride, 0, &count, 0, NULL),
                   SMARTVPN_INVALID);
  assert_int_equal(smartvpn_packets_read(server, arena, sizeof arena, &newer->known, stride, 2, NULL, 0, NULL),
                   SMARTVPN_INVALID);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

static void other_engines_have_no_packets(void** state) {
  (void)state;
  uint8_t arena[100];
  smartvpn_packet packet;
  size_t count;
  smartvpn_server* server = running_server("testing");
  assert_int_equal(smartvpn_packets_fd(server), SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_packets_read(server, arena, sizeof arena, &packet, sizeof packet, 1, &count, 0, NULL),
                   SMARTVPN_BAD_STATE);
  assert_int_equal(smartvpn_server_free(server), SMARTVPN_OK);
}

int main(void) {
  const struct CMUnitTest packets[] = {
      cmocka_unit_test(packets_go_both_ways),
      cmocka_unit_test(nothing_waiting_is_again_or_a_timeout),
      cmocka_unit_test(senseless_batches_are_refused_whole),
      cmocka_unit_test(other_engines_have_no_packets),
  };
  return cmocka_run_group_tests(packets, NULL, NULL);
}
