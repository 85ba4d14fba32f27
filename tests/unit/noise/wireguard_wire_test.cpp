// Handshakes wireguard-go really sent: the pattern, the macs and the cookie under them must come out
// byte for byte.
#include <gtest/gtest.h>

#include "crypto/aead_oneshot.hpp"
#include "crypto/blake2s.hpp"
#include "noise/handshake.hpp"
#include "support/scripted_rng.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::noise {
namespace {

using testing::load_vectors;
using testing::unhex;
using testing::unhex_array;
using testing::unhex_secret;

constexpr size_t kInitiationHeader = 8, kInitiationMac1 = 116, kResponseHeader = 12, kResponseMac1 = 60;

crypto::KeyPair pair_of(const nlohmann::json& secret) {
  crypto::KeyPair pair;
  pair.secret = unhex_secret(secret);
  pair.pub = crypto::public_key_of(pair.secret);
  return pair;
}

std::string mac1(const PublicKey& receiver, ByteView message) {
  return to_hex(crypto::blake2s_mac16(crypto::blake2s(as_bytes("mac1----"), receiver), message));
}

struct Session {
  explicit Session(const nlohmann::json& v)
      : initiator_key(pair_of(v["initiator_static_private"])),
        responder_key(pair_of(v["responder_static_private"])),
        psk(v["preshared_key"].is_null() ? SecretKey() : unhex_secret(v["preshared_key"])) {}
  crypto::KeyPair initiator_key, responder_key;
  SecretKey psk;
};

void replay(const nlohmann::json& v, const nlohmann::json& initiation, const nlohmann::json& response) {
  const ByteView prologue = as_bytes("WireGuard v1 zx2c4 Jason@zx2c4.com");
  Session s(v);
  testing::ScriptedRng rng_i(unhex(initiation["ephemeral_private"])), rng_r(unhex(response["ephemeral_private"]));
  Initiator initiator(rng_i, s.initiator_key, s.responder_key.pub, prologue, Pattern::ikpsk2);
  Responder responder(rng_r, s.responder_key, prologue, Pattern::ikpsk2);
  initiator.set_psk(s.psk);

  const Bytes first = unhex(initiation["hex"]), second = unhex(response["hex"]);
  Bytes wire(first.begin(), first.begin() + kInitiationHeader), payload;
  ASSERT_TRUE(initiator.write_message(unhex(initiation["timestamp_tai64n"]), wire));
  EXPECT_EQ(to_hex(wire), to_hex(ByteView(first).first(kInitiationMac1)));
  EXPECT_EQ(mac1(s.responder_key.pub, wire), initiation["mac1"]);
  EXPECT_EQ(responder.read_static(ByteView(wire).subspan(kInitiationHeader)), s.initiator_key.pub);
  responder.set_psk(s.psk);  // known only once the peer is
  ASSERT_TRUE(responder.read_payload(payload));
  EXPECT_EQ(to_hex(payload), initiation["timestamp_tai64n"]);
  EXPECT_EQ(to_hex(responder.handshake_hash()), initiation["hash_after"]);

  wire.assign(second.begin(), second.begin() + kResponseHeader);
  ASSERT_TRUE(responder.write_message({}, wire));
  EXPECT_EQ(to_hex(wire), to_hex(ByteView(second).first(kResponseMac1)));
  EXPECT_EQ(mac1(s.initiator_key.pub, wire), response["mac1"]);
  ASSERT_TRUE(initiator.read_message(ByteView(wire).subspan(kResponseHeader), payload));
  EXPECT_EQ(to_hex(initiator.handshake_hash()), response["hash_after"]);
  auto keys = initiator.split();
  ASSERT_TRUE(keys);
  EXPECT_EQ(to_hex(keys->send.view()), response["initiator_send_key"]);
  EXPECT_EQ(to_hex(keys->recv.view()), response["responder_send_key"]);
}

TEST(WireGuardWire, HandshakesOfWireguardGoComeOutByteForByte) {
  size_t handshakes = 0;
  const auto file = load_vectors("wireguard_wire.json");
  for (const auto& v : file["sessions"]) {
    SCOPED_TRACE(v["id"].get<std::string>());
    const nlohmann::json* initiation = nullptr;
    for (const auto& message : v["messages"]) {
      if (message["type"] == "initiation") initiation = &message;
      if (message["type"] != "response") continue;
      ASSERT_NE(initiation, nullptr);
      replay(v, *initiation, message);
      ++handshakes;
    }
  }
  EXPECT_EQ(handshakes, 3u);
}

TEST(WireGuardWire, TheCookieOpensAndKeysMac2) {
  size_t cookies = 0;
  const auto file = load_vectors("wireguard_wire.json");
  for (const auto& v : file["sessions"]) {
    Bytes cookie;
    for (const auto& message : v["messages"]) {
      const Bytes wire = unhex(message["hex"]);
      if (message["type"] == "cookie_reply") {
        const auto key = crypto::blake2s(as_bytes("cookie--"), unhex_array<32>(v["responder_static_public"]));
        cookie.resize(16);
        ASSERT_TRUE(crypto::xchacha20_poly1305_open(key, unhex_array<24>(message["nonce"]),
                                                    unhex(message["aad_is_mac1_of_initiation"]),
                                                    ByteView(wire).subspan(32), cookie.data()));
        EXPECT_EQ(to_hex(cookie), message["cookie"]);
        ++cookies;
      } else if (message.contains("mac2")) {
        EXPECT_EQ(to_hex(crypto::blake2s_mac16(cookie, ByteView(wire).first(kInitiationMac1 + 16))), message["mac2"]);
      }
    }
  }
  EXPECT_EQ(cookies, 1u);
}

}  // namespace
}  // namespace smartvpn::noise
