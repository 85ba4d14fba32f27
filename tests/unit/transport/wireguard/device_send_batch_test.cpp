// The batch on its own: how segments become messages, what a full socket leaves, and what is forgotten in time.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "support/wireguard_devices.hpp"
#include "transport/wireguard/send_batch.hpp"

namespace smartvpn::testing {
namespace {

using wireguard::Keypair;
using wireguard::Path;
using wireguard::SendBatch;

// The kernel takes so many messages more, then its buffer is full; -1: as many as come.
int full_after = -1;
int send_some(int fd, mmsghdr* messages, unsigned count, int flags) {
  if (full_after < 0) return ::sendmmsg(fd, messages, count, flags);
  const unsigned room = std::min(count, static_cast<unsigned>(full_after));
  full_after -= static_cast<int>(room);
  if (room > 0) return ::sendmmsg(fd, messages, room, flags);
  errno = EAGAIN;
  return -1;
}

class SendBatchTest : public ::testing::Test, public SendBatch::Outlet, public net::UdpHandler {
 protected:
  SendBatchTest() {
    full_after = -1;
    for (int i = 0; i < 2; ++i) {
      net::UdpOptions options;
      options.address.ip = test::ip("127.0.0.1");
      options.gro = false;
      options.send_call = &send_some;
      auto opened = net::UdpSocket::open(*loop, options, *this);
      EXPECT_TRUE(opened.ok());
      (i == 0 ? from : to) = std::move(*opened);
    }
    path.peer = to->local();
    keys.send = crypto::AeadKey(secret_of(1));
  }
  SendBatch::Target target_of(SendBatch::Part&) override {
    ++asked;
    return {has_keys ? &keys : nullptr, &path, from.get()};
  }
  void on_sealed(SendBatch::Part&, Keypair&, size_t segments, size_t) override { sealed += segments; }
  void on_unsent(SendBatch::Part&, size_t segments) override { unsent += segments; }
  void on_source_gone(SendBatch::Part&) override { ++sources_gone; }
  void on_datagrams(std::span<net::Datagram> batch) override {
    for (const auto& datagram : batch) received.emplace_back(datagram.bytes.begin(), datagram.bytes.end());
  }
  void on_udp_writable() override { batch.resume(); }
  void on_udp_error(const Error& error) override { ADD_FAILURE() << error.text; }

  void add(SendBatch::Part& part, size_t size) {
    ASSERT_TRUE(batch.has_room());
    EXPECT_EQ(batch.add(part, pool.copy_of(DevicePair::packet(1, size - 28)), 1420), Drop::none);
  }
  bool receives(size_t count) {
    return run_until(*loop, [&] { return received.size() >= count; });
  }

  std::unique_ptr<net::Loop> loop = make_loop();
  std::unique_ptr<net::UdpSocket> from, to;
  PacketPool pool;
  crypto::AeadEngine aead;
  SendBatch batch{aead};
  Path path;
  Keypair keys;
  SendBatch::Part one, other;
  bool has_keys = true;
  size_t asked = 0, sealed = 0, unsent = 0, sources_gone = 0;
  std::vector<Bytes> received;
};

TEST_F(SendBatchTest, EqualSegmentsLeaveAsOneMessageAndAShorterOneEndsIt) {
  for (size_t size : {1000, 1000, 1000, 500, 1000, 1000}) add(one, size);
  batch.flush(*this);
  ASSERT_TRUE(receives(6));
  EXPECT_EQ(from->counters().messages_out, from->has_gso() ? 2u : 6u);
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(sealed, 6u);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(wireguard::data_counter(received[i]), i);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_F(SendBatchTest, WhatComesMixedIsGatheredByPeer) {
  for (int i = 0; i < 20; ++i) add(i % 2 == 0 ? one : other, 1000);
  batch.flush(*this);
  ASSERT_TRUE(receives(20));
  EXPECT_EQ(asked, 2u);
  EXPECT_EQ(from->counters().messages_out, from->has_gso() ? 2u : 20u);
}

TEST_F(SendBatchTest, AMessageHasAtMost64SegmentsAndItsBytesFit) {
  for (int i = 0; i < 100; ++i) add(one, 100);
  batch.flush(*this);
  for (int i = 0; i < 100; ++i) add(one, 1400);
  batch.flush(*this);
  ASSERT_TRUE(receives(200));
  EXPECT_EQ(from->counters().failed, 0u);
  for (size_t i = 0; i < 200; ++i) EXPECT_EQ(wireguard::data_counter(received[i]), i);
}

TEST_F(SendBatchTest, AnotherCongestionMarkBeginsAnotherMessage) {
  for (uint8_t mark : {0, 0, 2, 2}) {
    Bytes packet = DevicePair::packet(1);
    packet[1] = mark;
    EXPECT_EQ(batch.add(one, pool.copy_of(packet), 1420), Drop::none);
  }
  batch.flush(*this);
  ASSERT_TRUE(receives(4));
  EXPECT_EQ(from->counters().messages_out, from->has_gso() ? 2u : 4u);
}

TEST_F(SendBatchTest, WithoutKeysNothingIsSealedAndItIsSaid) {
  has_keys = false;
  add(one, 100);
  add(one, 100);
  batch.flush(*this);
  EXPECT_EQ(unsent, 2u);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_F(SendBatchTest, APartThatIsForgottenIsNotAskedAbout) {
  add(one, 100);
  add(other, 200);
  EXPECT_EQ(batch.forget(one), 1u);
  batch.flush(*this);
  ASSERT_TRUE(receives(1));
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(received[0].size(), 208u + 32u);
}

TEST_F(SendBatchTest, WithoutRoomAroundAPacketItIsCopied) {
  Packet tight = pool.copy_of(Bytes(2000, 0x45));
  std::copy_n(DevicePair::packet(1).begin(), 128, tight.block());
  tight.set_range(0, 128);
  EXPECT_EQ(batch.add(one, std::move(tight), 1420), Drop::none);
  batch.flush(*this);
  ASSERT_TRUE(receives(1));
  EXPECT_EQ(received[0].size(), 160u);
}

TEST_F(SendBatchTest, ItTakesASuperPacketMoreAfterItIsReady) {
  while (!batch.ready()) add(one, 1400);
  EXPECT_TRUE(batch.has_room());
  inet::TcpHeader header;
  Bytes super = test::tcp_packet("10.0.0.1", "10.0.0.2", header, test::pattern(60000));
  Packet packet = pool.copy_of(super);
  packet.segment_size = 500;
  EXPECT_EQ(batch.add(one, std::move(packet), 1420), Drop::none);
  EXPECT_FALSE(batch.has_room());
  batch.flush(*this);
  ASSERT_TRUE(receives(SendBatch::kReady + 120));
  EXPECT_TRUE(batch.has_room());
}

TEST_F(SendBatchTest, WhatAFullSocketDoesNotTakeIsKeptAndSentInOrder) {
  full_after = 5;
  for (int i = 0; i < 100; ++i) add(one, 1000 + static_cast<size_t>(i) * 4);  // each a message of its own
  batch.flush(*this);
  EXPECT_TRUE(batch.blocked());
  EXPECT_FALSE(batch.has_room());
  EXPECT_EQ(sealed, 100u);
  EXPECT_GT(pool.bytes_in_use(), 0u);
  full_after = -1;
  ASSERT_TRUE(receives(100));  // resume() is called when there is room again
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(wireguard::data_counter(received[i]), i);
  EXPECT_FALSE(batch.blocked());
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_F(SendBatchTest, ASocketThatGoesTakesWhatWaitsForItAlong) {
  full_after = 0;
  add(one, 1000);
  batch.flush(*this);
  ASSERT_TRUE(batch.blocked());
  batch.forget(*from);
  batch.resume();
  EXPECT_FALSE(batch.blocked());
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

}  // namespace
}  // namespace smartvpn::testing
