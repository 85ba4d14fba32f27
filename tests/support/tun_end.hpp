// A tun device with a recorder behind it, for tests in a namespace of their own.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "forward/tun/tun_device.hpp"
#include "inet/checksum.hpp"
#include "inet/icmp.hpp"
#include "inet/inner_packet.hpp"
#include "net/sockaddr.hpp"
#include "support/loop_runner.hpp"
#include "support/network_namespace.hpp"

#define IN_NEW_NAMESPACE(...)                                                         \
  if (int refused = ::smartvpn::testing::in_new_namespace(__VA_ARGS__); refused != 0) \
  GTEST_SKIP() << "no network namespace or tun device permitted here: " << strerror(refused)

namespace smartvpn::testing {

struct TunRecorder : forward::TunHandler {
  std::vector<Packet> packets;
  std::map<Drop, uint64_t> drops;
  std::vector<Error> failures;
  std::vector<std::string> notices;
  std::function<void(std::span<Packet>)> on_packets;
  void on_tun_packets(std::span<Packet> batch) override {
    if (on_packets) return on_packets(batch);
    for (Packet& packet : batch) packets.push_back(std::move(packet));
  }
  void on_tun_drop(Drop drop, uint64_t count) override { drops[drop] += count; }
  void on_tun_failed(const Error& error) override { failures.push_back(error); }
  void on_tun_notice(const std::string& text) override { notices.push_back(text); }
};

struct TunEnd {
  PacketPool pool;
  TunRecorder recorder;
  std::unique_ptr<forward::TunDevice> device;

  void open(net::Loop& loop, const forward::TunOptions& options = {}) {
    auto made = forward::TunDevice::open(loop, options, pool, recorder);
    ASSERT_TRUE(made.ok()) << made.error().text;
    device = std::move(*made);
  }
  // Answers every ping that the kernel sends into the device.
  void answer_pings() {
    recorder.on_packets = [this](std::span<Packet> batch) {
      for (Packet& packet : batch) {
        inet::InnerPacket info;
        if (inet::classify(packet.bytes(), info) == Drop::none && inet::echo_reply_in_place(packet.bytes(), info))
          write(packet.bytes());
      }
    };
  }
  void write(ByteView packet, uint16_t segment_size = 0) {
    PacketView view{packet, segment_size, 1};
    device->write({&view, 1});
  }
};

inline forward::TunOptions several_queues() {
  forward::TunOptions options;
  options.multi_queue = true;
  return options;
}

inline forward::InterfaceAddress address(const char* ip, uint8_t prefix) {
  return {*inet::IpAddress::parse(ip), prefix};
}
inline std::vector<inet::Cidr> cidrs(std::initializer_list<const char*> texts) {
  std::vector<inet::Cidr> out;
  for (auto text : texts) out.push_back(*inet::Cidr::parse(text));
  return out;
}

inline forward::TunSettings inner(const char* v4 = "10.8.0.1", const char* v6 = "fd00:8::1") {
  forward::TunSettings out;
  out.addresses = {address(v4, 24), address(v6, 64)};
  return out;
}

// A raw socket's ping through the kernel, answered by whoever reads the device.
inline void ping_once(net::Loop& loop, const inet::Endpoint& to, uint8_t reply_type) {
  bool v6 = to.ip.is_v6();
  net::Fd raw(socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                     v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
  ASSERT_TRUE(raw);
  uint8_t request[16] = {static_cast<uint8_t>(v6 ? 128 : 8), 0, 0, 0, 1, 2, 3, 4};
  if (!v6) store_be16(request + 2, inet::checksum_of(request));
  auto address = net::to_socket_address(to);
  // The kernel makes a new IPv6 address its own a moment after it was set, so the first reply may get lost.
  net::Timer again(loop, [&] {
    EXPECT_EQ(sendto(raw.get(), request, sizeof request, 0, address.get(), address.size), 16);
    again.start_in(milliseconds(20));
  });
  again.start_in(Duration(0));
  uint8_t reply[200] = {};
  size_t header = v6 ? 0 : 20;
  EXPECT_TRUE(run_until(
      loop,
      [&] {
        ssize_t n = recv(raw.get(), reply, sizeof reply, 0);
        return n == static_cast<ssize_t>(header + 16) && reply[header] == reply_type;
      },
      seconds(5)));
}

}  // namespace smartvpn::testing
