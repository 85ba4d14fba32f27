// What a client makes of a server that holds the right key and says odd things: the mirror of RawClient.
#include <gtest/gtest.h>

#include "crypto/aead_oneshot.hpp"
#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

constexpr uint32_t kIndex = 0x55667788;

class RawServer {
 public:
  RawServer() {
    pair.client.emplace(pair.client_config, pair.client_handler, engine_, pair.pool, rng_);
    pair.client->start(pair.now);
  }
  // Hello and message 1; false when the client said none.
  bool greet() {
    Bytes hello(48, 7);
    std::fill_n(hello.begin(), 16, uint8_t{0});
    hello[0] = 3;
    pair.client->receive(hello, pair.now);
    Packet message = pair.client->pull(pair.now);
    if (!message) return false;
    Bytes prologue = {'s', 'm', 'a', 'r', 't', 'v', 'p', 'n', '/', '1', 1};
    append(prologue, ByteView(hello).subspan(16));
    noise_.emplace(rng_, pair.server_key, prologue);
    noise_->mix_hash(message.bytes().first(16));
    client_index_ = load_le32(message.bytes().data() + 4);
    Bytes payload;
    return noise_->read_message(message.bytes().subspan(16), payload);
  }
  // Message 2 with this payload; `index` is what its header says of the server's.
  void answer(ByteView payload, uint64_t index = kIndex) {
    Bytes message(16);
    message[0] = 2;
    store_le32(message.data() + 4, client_index_);
    store_le64(message.data() + 8, index);
    noise_->mix_hash(message);
    ASSERT_TRUE(noise_->write_message(payload, message));
    keys_ = noise_->split();
    pair.client->receive(message, pair.now);
  }
  void say(ByteView records) {
    Bytes message(16 + records.size() + 16);
    message[0] = 4;
    store_le32(message.data() + 4, client_index_);
    store_le64(message.data() + 8, counter_);
    crypto::chacha20_poly1305_seal(keys_->send.view(), crypto::counter_nonce(counter_++), ByteView(message).first(16),
                                   records, message.data() + 16);
    pair.client->receive(message, pair.now);
  }
  static Bytes record(uint8_t kind, ByteView body) {
    Bytes out(4);
    store_le32(out.data(), static_cast<uint32_t>(body.size()) << 8 | kind);
    append(out, body);
    return out;
  }

  SessionPair pair;

 private:
  crypto::AeadEngine engine_;
  SeededRng rng_{5};
  std::optional<noise::Responder> noise_;
  std::optional<noise::TransportKeys> keys_;
  uint32_t client_index_ = 0;
  uint64_t counter_ = 0;
};

TEST(RawServer, IsTakenAtItsWordWhenTheWordIsRight) {
  RawServer s;
  ASSERT_TRUE(s.greet());
  s.answer(Bytes{0, 1});
  EXPECT_TRUE(s.pair.client->established());
  s.say(RawServer::record(1, Bytes(20, 0x45)));
  EXPECT_EQ(s.pair.client_handler.packets_seen, 1u);
  EXPECT_EQ(s.pair.client_handler.confirmations, 1);
}

TEST(RawServer, AnIndexOfZeroOrOver32BitsEndsTheHandshake) {
  for (uint64_t index : {uint64_t{0}, uint64_t{1} << 32, uint64_t{kIndex} | uint64_t{1} << 63}) {
    RawServer s;
    ASSERT_TRUE(s.greet());
    s.answer(Bytes{0, 1}, index);
    EXPECT_FALSE(s.pair.client->established()) << index;
    EXPECT_TRUE(s.pair.client->closed());
    EXPECT_EQ(s.pair.client_handler.closed.reason, Reason::handshake_failed);
  }
}

TEST(RawServer, APayloadThatCannotBeRightEndsTheHandshake) {
  const Bytes bad[] = {{},                                    // no status
                       {0},                                   // no version
                       {0, 0},                                // version 0
                       {0, 2},                                // a version that we did not offer
                       {0, 1, 2, 2, 0, 0, 0},                 // MTU 0
                       {0, 1, 2, 2, 0, 1},                    // cut
                       {0, 1, 2, 2, 0, 0, 5, 2, 2, 0, 0, 5},  // twice
                       {0, 1, 7, 4, 0, 0, 0, 0, 0}};          // keepalive 0
  for (const Bytes& payload : bad) {
    RawServer s;
    ASSERT_TRUE(s.greet());
    s.answer(payload);
    EXPECT_FALSE(s.pair.client->established()) << to_hex(payload);
    EXPECT_TRUE(s.pair.client->closed()) << to_hex(payload);
    EXPECT_TRUE(s.pair.client_handler.configured.empty());
  }
}

TEST(RawServer, NothingLongerThanAnAnswerIsReadBeforeItIsProven) {
  for (size_t size : {kMaxResponse, kMaxResponse + 1}) {
    RawServer s;
    ASSERT_TRUE(s.greet());
    EXPECT_EQ(s.pair.client->max_incoming(), kMaxResponse);
    Bytes payload = {0, 1};
    payload.resize(2 + 3, 200);  // an unknown field fills the message up
    payload.resize(size - kHeaderSize - noise::kMessage2Overhead);
    store_le16(&payload[3], static_cast<uint16_t>(payload.size() - 5));
    s.answer(payload);
    EXPECT_EQ(s.pair.client->established(), size == kMaxResponse);
  }
}

TEST(RawServer, AConfigurationActsOnceAMessageOrNotAtAll) {
  const Bytes mtu = {2, 2, 0, 0x14, 0x05};  // 1300
  const Bytes good = RawServer::record(5, mtu);
  auto twice = good;
  append(twice, good);
  auto broken = RawServer::record(1, Bytes(20, 0x45));
  append(broken, RawServer::record(5, Bytes{2, 2, 0, 0, 0}));
  for (const Bytes& records : {twice, broken, RawServer::record(5, Bytes{2, 3, 0, 1, 1, 1})}) {
    RawServer s;
    ASSERT_TRUE(s.greet());
    s.answer(Bytes{0, 1});
    s.say(records);
    EXPECT_TRUE(s.pair.client_handler.reconfigured.empty());
    EXPECT_EQ(s.pair.client_handler.packets_seen, 0u) << "voided as a whole";
    EXPECT_EQ(s.pair.client_handler.dropped(Drop::malformed_record), 1u);
    s.say(good);
    ASSERT_EQ(s.pair.client_handler.reconfigured.size(), 1u);
    EXPECT_EQ(s.pair.client->mtu(), 1300);
  }
}

}  // namespace
}  // namespace smartvpn::testing
