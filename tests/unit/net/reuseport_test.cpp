// Three sockets on one port: who gets which of WireGuard's messages.
#include "net/reuseport.hpp"

#include <set>

#include "support/udp_end.hpp"

namespace smartvpn::net {
namespace {

using testing::make_loop;
using testing::run_until;
using testing::UdpEnd;
using testing::UdpText;

class Steering : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    UdpOptions options;
    options.address = {*inet::IpAddress::parse(GetParam()), 0};
    options.reuse_port = true;
    for (UdpEnd& shard : shards) {
      shard.open(*loop, options);
      if (HasFatalFailure()) return;
      options.address = shard.socket->local();
    }
    client.open(*loop, GetParam());
    auto steered = steer_by_receiver(shards[1].socket->fd(), 3);
    ASSERT_TRUE(steered.ok()) << steered.error().text;
  }
  size_t arrived() const { return shards[0].got.size() + shards[1].got.size() + shards[2].got.size(); }
  // A message of that type for the session that the receiver knows by `index`; its sender's index says otherwise.
  static std::string message(char type, uint8_t index, size_t size) {
    std::string out(size, '\xee');
    out.replace(0, 4, std::string{type, 0, 0, 0});
    out[type == 2 ? 8 : 4] = static_cast<char>(index);
    if (type == 2) out[4] = static_cast<char>(index + 1);
    return out;
  }
  uint8_t index_of(const std::string& text) const { return static_cast<uint8_t>(text[text[0] == 2 ? 8 : 4]); }
  inet::Endpoint port() const { return shards[0].socket->local(); }

  std::unique_ptr<Loop> loop = make_loop();
  std::array<UdpEnd, 3> shards;
  UdpEnd client;
};

TEST_P(Steering, ResponsesCookiesAndDataGoToTheShardTheirIndexNames) {
  for (int index = 0; index < 256; ++index) {
    UdpText(message(2, static_cast<uint8_t>(index), 92), port()).send_by(*client.socket);
    UdpText(message(3, static_cast<uint8_t>(index), 64), port()).send_by(*client.socket);
    UdpText(message(4, static_cast<uint8_t>(index), 32), port()).send_by(*client.socket);
  }
  ASSERT_TRUE(run_until(*loop, [&] { return arrived() == 768; }));
  for (size_t shard = 0; shard < 3; ++shard)
    for (const auto& got : shards[shard].got) EXPECT_EQ(index_of(got.text) % 3, shard);
}

TEST_P(Steering, SuperDatagramsGoWhereEachOfThemWould) {
  std::set<size_t> used;
  for (uint8_t index : {7, 8, 9}) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += message(4, index, 1452);
    UdpText(text, port(), 1452).send_by(*client.socket);
    const size_t home = index % 3u;
    ASSERT_TRUE(run_until(*loop, [&] { return shards[home].got.size() == 40; }));
    EXPECT_LT(shards[home].counters().messages_in, 40u);
    used.insert(home);
  }
  EXPECT_EQ(used.size(), 3u);
  EXPECT_EQ(arrived(), 120u);
}

TEST_P(Steering, InitiationsSpreadBySourceAndOneSourceStaysWhereItIs) {
  std::vector<std::unique_ptr<UdpEnd>> many;
  for (int i = 0; i < 64; ++i) {
    many.push_back(std::make_unique<UdpEnd>());
    many.back()->open(*loop, GetParam());
    for (int again = 0; again < 2; ++again)
      UdpText(message(1, static_cast<uint8_t>(again), 148), port()).send_by(*many.back()->socket);
  }
  ASSERT_TRUE(run_until(*loop, [&] { return arrived() == 128; }));
  std::set<inet::Endpoint> seen;
  for (const UdpEnd& shard : shards) {
    EXPECT_FALSE(shard.got.empty());
    std::set<inet::Endpoint> here;
    for (const auto& got : shard.got) here.insert(got.from);
    for (const auto& from : here) EXPECT_TRUE(seen.insert(from).second) << "two shards heard of " << from.text();
  }
}

TEST_P(Steering, WhatIsNoMessageArrivesSomewhere) {
  for (const char* text : {"", "x", "\x02", "\x04\x01", "PROXY"}) UdpText(text, port()).send_by(*client.socket);
  EXPECT_TRUE(run_until(*loop, [&] { return arrived() == 5; }));
}

INSTANTIATE_TEST_SUITE_P(Families, Steering, ::testing::Values("127.0.0.1", "::1"));

TEST(SteeringErrors, NumbersOutOfRangeAndSocketsThatShareNothingAreRefused) {
  auto loop = make_loop();
  UdpEnd alone;
  alone.open(*loop, "127.0.0.1");
  EXPECT_EQ(steer_by_receiver(alone.socket->fd(), 0).error().status, Status::INVALID);
  EXPECT_EQ(steer_by_receiver(alone.socket->fd(), kMaxSteered + 1).error().status, Status::INVALID);
  EXPECT_EQ(steer_by_receiver(alone.socket->fd(), 2).error().status, Status::SYSTEM);
}

}  // namespace
}  // namespace smartvpn::net
