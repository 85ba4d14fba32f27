// Traffic through the kernel device: pings, checksums, and the kernel's own TCP and UDP between two devices.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "forward/tun/tun_device.hpp"
#include "inet/ip_header.hpp"
#include "inet/super_packet.hpp"
#include "net/tcp_connector.hpp"
#include "net/tcp_listener.hpp"
#include "support/tun_end.hpp"
#include "support/udp_end.hpp"

namespace smartvpn::forward {
namespace {

using testing::inner;
using testing::make_loop;
using testing::ping_once;
using testing::run_until;
using testing::TunEnd;

TEST(TunTraffic, CarriesAPingOfTheKernelAndItsAnswer) {
  for (bool offload : {true, false})
    IN_NEW_NAMESPACE([offload] {
      auto loop = make_loop();
      TunEnd end;
      TunOptions options;
      options.offload = offload;
      end.open(*loop, options);
      EXPECT_EQ(end.device->has_offload(), offload);
      ASSERT_TRUE(end.device->apply(inner()).ok());
      end.answer_pings();
      ping_once(*loop, {*inet::IpAddress::parse("10.8.0.77"), 0}, 0);
      ping_once(*loop, {*inet::IpAddress::parse("fd00:8::77"), 0}, 129);
    });
}

TEST(TunTraffic, CompletesTheChecksumsTheKernelLeavesToTheDevice) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    end.open(*loop);
    ASSERT_TRUE(end.device->apply(inner()).ok());
    for (const char* to : {"10.8.0.5", "fd00:8::5"}) {
      inet::Endpoint at{*inet::IpAddress::parse(to), 53};
      net::Fd udp(socket(at.ip.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      auto address = net::to_socket_address(at);
      ASSERT_EQ(sendto(udp.get(), "question", 8, 0, address.get(), address.size), 8);
    }
    auto udp_count = [&] {
      size_t count = 0;
      for (const Packet& packet : end.recorder.packets) {
        inet::InnerPacket info;
        if (inet::classify(packet.bytes(), info) != Drop::none || info.protocol != inet::ip_protocol::kUdp) continue;
        EXPECT_TRUE(inet::transport_checksum_ok(packet.bytes(), info.transport_offset, info.protocol));
        EXPECT_EQ(packet.headroom(), PacketPool::kHeadroom);
        EXPECT_LT(packet.capacity(), 4096u) << "a small packet must not hold a large block";
        ++count;
      }
      return count;
    };
    EXPECT_TRUE(run_until(*loop, [&] { return udp_count() >= 2; }));
  });
}

// Two devices in two namespaces, back to back, and the kernel's own TCP and UDP at both ends.
struct BackToBack {
  std::unique_ptr<net::Loop> loop = make_loop();
  TunEnd left, right;
  net::Fd left_namespace = testing::current_namespace();
  net::Fd right_namespace;
  size_t super_packets = 0, largest = 0, longest_to_right = 0;
  bool left_udp = true, right_udp = true;  // whether UDP super-packets are among the offloads

  // Leaves the thread in the right-hand namespace.
  void build(bool left_offload, bool right_offload) {
    TunOptions options;
    options.offload = left_offload;
    options.udp_offload = left_udp;
    left.open(*loop, options);
    ASSERT_TRUE(left.device->apply(inner("10.8.0.1", "fd00:8::1")).ok());
    ASSERT_TRUE(testing::enter_new_namespace());
    right_namespace = testing::current_namespace();
    options.offload = right_offload;
    options.udp_offload = right_udp;
    right.open(*loop, options);
    ASSERT_TRUE(right.device->apply(inner("10.8.0.2", "fd00:8::2")).ok());
    left.recorder.on_packets = [this](std::span<Packet> batch) { forward(batch, right); };
    right.recorder.on_packets = [this](std::span<Packet> batch) { forward(batch, left); };
  }
  void forward(std::span<Packet> batch, TunEnd& to) {
    std::vector<PacketView> views;
    for (Packet& packet : batch) {
      inet::InnerPacket info;
      if (inet::classify(packet.bytes(), info) != Drop::none) continue;
      if (packet.segment_size != 0) {
        ++super_packets;
        largest = std::max(largest, packet.size());
        inet::SuperInfo super;
        EXPECT_EQ(inet::inspect(packet.bytes(), packet.segment_size, 1420, super), Drop::none);
        EXPECT_EQ(super.segments, packet.segments);
      }
      views.push_back({packet.bytes(), packet.segment_size, 1});
    }
    to.device->write(views);
  }
};

struct Sink : net::TcpStream::Handler {
  size_t count = 0;
  bool wrong = false, ended = false;
  void on_stream_bytes(ByteSpan bytes) override {
    for (uint8_t b : bytes) wrong |= b != static_cast<uint8_t>(count++ % 251);
  }
  void on_stream_writable() override {}
  void on_stream_end(int) override { ended = true; }
};

void bulk_transfer(bool left_offload, bool right_offload, const char* listen_address, size_t& super_packets,
                   size_t& largest) {
  constexpr size_t kTotal = size_t{8} << 20;
  BackToBack net;
  net.build(left_offload, right_offload);
  if (::testing::Test::HasFatalFailure()) return;
  // The listener belongs to the left namespace, the dialling socket to the right one.
  ASSERT_TRUE(testing::enter_namespace(net.left_namespace));
  std::unique_ptr<net::TcpStream> receiver, sender;
  net::ListenOptions listen;
  listen.address = listen_address;
  auto listener = net::TcpListener::listen(*net.loop, listen, [&](auto stream) { receiver = std::move(stream); });
  ASSERT_TRUE(listener.ok()) << listener.error().text;
  ASSERT_TRUE(testing::enter_namespace(net.right_namespace));
  net::ConnectOptions options;
  options.addresses = {(*listener)->local()};
  net::TcpConnector connector(*net.loop, options, [&](auto result) {
    ASSERT_TRUE(result.ok()) << result.error().text;
    sender = std::move(*result);
  });
  ASSERT_TRUE(run_until(*net.loop, [&] { return sender && receiver; }));
  Sink sink, quiet;
  receiver->start(sink);
  sender->start(quiet);
  Bytes block(65536 + 251);
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<uint8_t>(i % 251);
  size_t sent = 0;
  EXPECT_TRUE(run_until(
      *net.loop,
      [&] {
        while (sent < kTotal) {
          size_t wanted = std::min(size_t{65536}, kTotal - sent);
          size_t taken = sender->try_write(ByteView(block).subspan(sent % 251, wanted));
          sent += taken;
          if (taken < wanted) break;
        }
        return sink.count == kTotal;
      },
      seconds(60)));
  EXPECT_EQ(sink.count, kTotal);
  EXPECT_FALSE(sink.wrong);
  super_packets = net.super_packets;
  largest = net.largest;
  EXPECT_EQ(net.left.recorder.drops.count(Drop::engine_failed), 0u);
  EXPECT_EQ(net.right.recorder.drops.count(Drop::engine_failed), 0u);
}

TEST(TunTraffic, BulkTcpTravelsInSuperPackets) {
  for (const char* to : {"10.8.0.1", "fd00:8::1"})
    IN_NEW_NAMESPACE([to] {
      size_t super_packets = 0, largest = 0;
      bulk_transfer(true, true, to, super_packets, largest);
      EXPECT_GT(super_packets, 20u);
      EXPECT_GT(largest, 20000u);
    });
}

TEST(TunTraffic, SuperPacketsAreCutForADeviceWithoutOffload) {
  IN_NEW_NAMESPACE([] {
    size_t super_packets = 0, largest = 0;
    bulk_transfer(false, true, "10.8.0.1", super_packets, largest);
    EXPECT_GT(super_packets, 20u);
  });
}

TEST(TunTraffic, WorksWithoutAnyOffload) {
  IN_NEW_NAMESPACE([] {
    size_t super_packets = 0, largest = 0;
    bulk_transfer(false, false, "fd00:8::1", super_packets, largest);
    EXPECT_EQ(super_packets, 0u);
  });
}

// Single packets of one batch become a super-packet of ours on the way into the kernel.
TEST(TunTraffic, CoalescesSinglePacketsTowardsTheKernel) {
  IN_NEW_NAMESPACE([] {
    size_t super_packets = 0, largest = 0;
    bulk_transfer(true, false, "10.8.0.1", super_packets, largest);
    EXPECT_EQ(super_packets, 0u) << "the sender's kernel had to cut";
  });
}

// Segments that a program at the right end sends as one message, to a program at the left end that may get several as
// one. Gives what arrived, datagram by datagram, in `got`.
void udp_transfer(BackToBack& net, const char* to, const std::string& data, uint16_t segment_size, bool gro,
                  std::vector<std::string>& got, size_t& messages) {
  ASSERT_TRUE(testing::enter_namespace(net.left_namespace));
  testing::UdpEnd receiver;
  net::UdpOptions options;
  options.address = {*inet::IpAddress::parse(to), 0};
  options.gro = gro;
  receiver.open(*net.loop, options);
  if (::testing::Test::HasFatalFailure()) return;
  ASSERT_TRUE(testing::enter_namespace(net.right_namespace));
  testing::UdpEnd sender;
  sender.open(*net.loop, receiver.socket->local().ip.is_v4() ? "10.8.0.2" : "fd00:8::2");
  testing::UdpText probe("probe", receiver.socket->local()), text(data, receiver.socket->local(), segment_size);
  ASSERT_TRUE(testing::reach(*net.loop, probe, *sender.socket, receiver));
  ASSERT_EQ(text.send_by(*sender.socket), 1u);
  EXPECT_EQ(sender.counters().gso_refused, 0u);
  // Probes that were late come before it.
  const size_t wanted = testing::cut_text(data, segment_size).size();
  auto arrived = [&] { return std::ranges::count_if(receiver.got, [](auto& one) { return one.text != "probe"; }); };
  EXPECT_TRUE(run_until(*net.loop, [&] { return arrived() == static_cast<ptrdiff_t>(wanted); }));
  for (const auto& one : receiver.got)
    if (one.text != "probe") got.push_back(one.text);
  messages = receiver.counters().messages_in - (receiver.got.size() - got.size());
}

TEST(TunTraffic, UdpSegmentsTravelAsOneSuperPacketWhereBothKernelsCan) {
  for (const char* to : {"10.8.0.1", "fd00:8::1"})
    for (bool gro : {true, false})
      IN_NEW_NAMESPACE([to, gro] {
        BackToBack net;
        net.build(true, true);
        if (::testing::Test::HasFatalFailure()) return;
        if (!net.right.device->has_udp_offload()) return;  // a kernel before 6.2
        const std::string data = testing::numbered_text(12'345);
        std::vector<std::string> got;
        size_t messages = 0;
        udp_transfer(net, to, data, 1300, gro, got, messages);
        EXPECT_EQ(got, testing::cut_text(data, 1300));
        EXPECT_EQ(net.super_packets, 1u);
        EXPECT_GT(net.largest, 12'345u);
        EXPECT_EQ(messages, gro ? 1u : 10u) << "the receiving program gets what it asked for";
      });
}

TEST(TunTraffic, UdpSuperPacketsAreCutWhereAKernelDoesNotTakeThem) {
  for (const char* to : {"10.8.0.1", "fd00:8::1"})
    for (bool left : {true, false})
      IN_NEW_NAMESPACE([to, left] {
        BackToBack net;
        net.left_udp = left;
        net.right_udp = !left;
        net.build(true, true);
        if (::testing::Test::HasFatalFailure()) return;
        EXPECT_TRUE(net.left.device->has_offload() && net.right.device->has_offload());
        EXPECT_FALSE(net.left.device->has_udp_offload() && net.right.device->has_udp_offload());
        const std::string data = testing::numbered_text(12'345);
        std::vector<std::string> got;
        size_t messages = 0;
        udp_transfer(net, to, data, 1300, true, got, messages);
        EXPECT_EQ(got, testing::cut_text(data, 1300));
        // The one that the left device takes was cut by the right one's kernel already.
        EXPECT_EQ(net.super_packets, left ? 0u : 1u);
        if (!left) {
          EXPECT_EQ(messages, 10u) << "given to the left kernel whole";
        }
        EXPECT_TRUE(net.left.recorder.drops.empty() && net.right.recorder.drops.empty());
      });
}

TEST(TunTraffic, BadSuperPacketIsDroppedByName) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    end.open(*loop);
    ASSERT_TRUE(end.device->apply(inner()).ok());
    end.write(Bytes(3000, 0x45), 1200);
    EXPECT_EQ(end.recorder.drops[Drop::bad_super_packet], 1u);
  });
}

}  // namespace
}  // namespace smartvpn::forward
