// Handshakes through the machines, byte for byte as wireguard-go sent them, in both roles; and message 1 as a stranger,
// a liar or a damaged wire sends it.
#include "transport/wireguard/initiation.hpp"

#include <gtest/gtest.h>

#include "support/vector_files.hpp"
#include "support/wireguard_pair.hpp"

namespace smartvpn::wireguard {
namespace {

using testing::open_data;
using testing::unhex;

const Time kBegin{seconds(5000)};

int64_t unix_ns_of(const nlohmann::json& stamp) {
  const Bytes bytes = unhex(stamp);
  const auto seconds_since = load_be64(bytes.data()) - (uint64_t{1} << 62) - 10;
  return static_cast<int64_t>(seconds_since * 1'000'000'000 + load_be32(bytes.data() + 8));
}

// Both ends of a recorded session. Random numbers are asked for in the order ephemeral key, index, jitter.
struct Recorded {
  explicit Recorded(const nlohmann::json& session)
      : initiator(testing::unhex_secret(session["initiator_static_private"])),
        responder(testing::unhex_secret(session["responder_static_private"])),
        psk(testing::unhex_secret(session["preshared_key"])),
        ours({&initiator, &initiator_indices, &initiator_rng}, responder.key.pub, &psk, Timing{}),
        theirs({&responder, &responder_indices, &responder_rng}, initiator.key.pub, &psk, Timing{}) {}

  void take(const nlohmann::json& m) {
    const Bytes wire = unhex(m["hex"]);
    const auto type = m["type"].get<std::string>();
    if (type == "initiation") {
      const auto sent = write(m);
      ASSERT_TRUE(sent);
      EXPECT_EQ(to_hex(*sent), to_hex(wire));
      first = wire;
    } else if (type == "cookie_reply") {
      EXPECT_TRUE(ours.take_cookie_reply(wire, now));
    } else if (type == "response") {
      respond(m, wire);
    } else {
      data(m, wire);
    }
    now += seconds(type == "cookie_reply" ? 5 : 0);
  }

  std::optional<std::array<uint8_t, kInitiationSize>> write(const nlohmann::json& m) {
    initiator_rng.expect(unhex(m["ephemeral_private"]));
    initiator_rng.expect(unhex(m["sender_index"]));
    initiator_rng.expect(Bytes(8));
    return ours.write_initiation(now, unix_ns_of(m["timestamp_tai64n"]));
  }

  void respond(const nlohmann::json& m, const Bytes& wire) {
    responder_rng.expect(unhex(m["ephemeral_private"]));
    responder_rng.expect(unhex(m["sender_index"]));
    auto opened = OpenedInitiation::open(responder, first, responder_rng);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->peer(), initiator.key.pub);
    const auto stamp = opened->prove(nullptr);
    ASSERT_TRUE(stamp);
    ASSERT_EQ(theirs.accept(std::move(*opened), *stamp, now), Accepted::ok);
    const auto sent = theirs.respond(now);
    ASSERT_TRUE(sent);
    EXPECT_EQ(to_hex(*sent), to_hex(wire));
    Actions actions;
    ASSERT_TRUE(ours.take_response(wire, now, &actions));
    EXPECT_TRUE(actions.keepalive);
    ++handshakes;
  }

  void data(const nlohmann::json& m, const Bytes& wire) {
    const bool forth = m["dir"] == "initiator->responder";
    PeerMachine &from = forth ? ours : theirs, &to = forth ? theirs : ours;
    const Bytes plain = unhex(m["plaintext"]);
    Keypair* sending = from.sending_keys(now);
    Keypair* receiving = to.receiving_keys(receiver_index(wire, MessageType::data), now);
    ASSERT_TRUE(sending && receiving);
    uint64_t counter = 0;
    ASSERT_TRUE(sending->reserve(1, &counter));
    EXPECT_EQ(to_hex(testing::seal_data(*sending, counter, plain)), to_hex(wire));
    EXPECT_EQ(open_data(*receiving, wire), plain);
    EXPECT_EQ(to.on_received(*receiving, !plain.empty(), now).confirmed, forth && counter == 0);
    ++messages;
  }

  testing::ScriptedRng initiator_rng, responder_rng;
  Identity initiator, responder;
  SecretKey psk;
  IndexTable initiator_indices{initiator_rng}, responder_indices{responder_rng};
  PeerMachine ours, theirs;
  Time now = kBegin;
  Bytes first;
  int handshakes = 0, messages = 0;
};

TEST(WireguardChecklist, RecordedSessionsByteExactInBothRoles) {
  const auto file = testing::load_vectors("wireguard_wire.json");
  for (const auto& session : file["sessions"]) {
    SCOPED_TRACE(session["id"].get<std::string>());
    Recorded recorded(session);
    for (const auto& m : session["messages"]) recorded.take(m);
    EXPECT_EQ(recorded.handshakes, 1);
    EXPECT_EQ(recorded.messages, 5);
    EXPECT_TRUE(recorded.initiator_rng.satisfied());
    EXPECT_TRUE(recorded.responder_rng.satisfied());
  }
}

struct Message1 {
  Message1() { message = *pair.a.machine->write_initiation(pair.now, pair.wall()); }
  testing::WireguardPair pair;
  std::array<uint8_t, kInitiationSize> message;
};

TEST(WireguardChecklist, AnInitiationMadeForAnotherKeyOpensToNothing) {
  Message1 m;
  EXPECT_TRUE(OpenedInitiation::open(m.pair.b.own, m.message, m.pair.rng));
  EXPECT_FALSE(OpenedInitiation::open(Identity(testing::seeded_secret(99)), m.message, m.pair.rng));
}

TEST(WireguardChecklist, NoFlippedBitOfAnInitiationIsProven) {
  Message1 m;
  for (size_t i = 8; i < kInitiationSize - kMacs; ++i) {
    auto damaged = m.message;
    damaged[i] ^= i == 39 ? 0x40 : 1;  // the ephemeral's top bit is no part of the number
    auto opened = OpenedInitiation::open(m.pair.b.own, damaged, m.pair.rng);
    EXPECT_EQ(opened.has_value(), i >= 88) << i;
    if (opened) {
      EXPECT_FALSE(opened->prove(nullptr)) << i;
    }
  }
}

TEST(WireguardMessages, ASharedSecretThatIsAtHandProvesAsWell) {
  Message1 m;
  SecretKey shared;
  ASSERT_TRUE(crypto::x25519(shared.span(), m.pair.b.own.key.secret, m.pair.a.own.key.pub));
  auto opened = OpenedInitiation::open(m.pair.b.own, m.message, m.pair.rng);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->prove(&shared));
  auto again = OpenedInitiation::open(m.pair.b.own, m.message, m.pair.rng);
  const SecretKey wrong = testing::seeded_secret(3);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->prove(&wrong));
}

TEST(WireguardChecklist, ExchangesThatGiveZeroAreDropped) {
  // Points of low order (RFC 7748, section 6.1): zero and one.
  for (const uint8_t low : {uint8_t{0}, uint8_t{1}}) {
    Message1 m;
    std::fill(m.message.begin() + 8, m.message.begin() + 40, uint8_t{0});
    m.message[8] = low;
    EXPECT_FALSE(OpenedInitiation::open(m.pair.b.own, m.message, m.pair.rng));
    PublicKey key{};
    key[0] = low;
    m.pair.a.meet(key, nullptr, {});
    EXPECT_FALSE(m.pair.a.machine->write_initiation(m.pair.now, m.pair.wall()));
    EXPECT_EQ(m.pair.a.indices.size(), 0u);
  }
}

}  // namespace
}  // namespace smartvpn::wireguard
