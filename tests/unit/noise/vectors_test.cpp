// Every third-party session, played from both ends and compared byte for byte.
#include <gtest/gtest.h>

#include "noise/handshake.hpp"
#include "support/scripted_rng.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::noise {
namespace {

using testing::load_vectors;
using testing::unhex;
using testing::unhex_array;
using testing::unhex_secret;

crypto::KeyPair key_pair(const nlohmann::json& secret) {
  crypto::KeyPair pair;
  pair.secret = unhex_secret(secret);
  pair.pub = crypto::public_key_of(pair.secret);
  return pair;
}

void check_hash(const nlohmann::json& v, const Handshake& side) {
  const char* key = v.contains("handshake_hash") ? "handshake_hash" : "handshake_hash_computed";
  EXPECT_EQ(to_hex(side.handshake_hash()), v.at(key));
}

void check_transport(const nlohmann::json& v, Initiator& initiator, Responder& responder) {
  auto a = initiator.split(), b = responder.split();
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(initiator.split());
  CipherState a_send(std::move(a->send)), a_recv(std::move(a->recv));
  CipherState b_send(std::move(b->send)), b_recv(std::move(b->recv));
  for (size_t i = 2; i < v["messages"].size(); ++i) {
    const bool from_a = v["transport_sender"][i - 2] == "initiator";
    const Bytes payload = unhex(v["messages"][i]["payload"]);
    Bytes sent, received;
    ASSERT_TRUE((from_a ? a_send : b_send).encrypt_with_ad({}, payload, sent));
    EXPECT_EQ(to_hex(sent), v["messages"][i]["ciphertext"]) << i;
    ASSERT_TRUE((from_a ? b_recv : a_recv).decrypt_with_ad({}, sent, received));
    EXPECT_EQ(received, payload);
  }
}

// The ephemeral keys come through the generator; clamping them changes no public key.
void play(const nlohmann::json& v, Pattern pattern) {
  SCOPED_TRACE(v["id"].get<std::string>());
  ASSERT_EQ(v["protocol_name"], protocol_name(pattern));
  testing::ScriptedRng init_rng(unhex(v["init_ephemeral"])), resp_rng(unhex(v["resp_ephemeral"]));
  const auto init_key = key_pair(v["init_static"]), resp_key = key_pair(v["resp_static"]);
  ASSERT_EQ(to_hex(resp_key.pub), v["init_remote_static"]);
  Initiator initiator(init_rng, init_key, resp_key.pub, unhex(v["init_prologue"]), pattern);
  Responder responder(resp_rng, resp_key, unhex(v["resp_prologue"]), pattern);
  if (pattern == Pattern::ikpsk2) {
    initiator.set_psk(unhex_secret(v["init_psks"][0]));
    responder.set_psk(unhex_secret(v["resp_psks"][0]));
  }

  const auto& messages = v["messages"];
  Bytes wire, payload;
  ASSERT_TRUE(initiator.write_message(unhex(messages[0]["payload"]), wire));
  EXPECT_EQ(to_hex(wire), messages[0]["ciphertext"]);
  EXPECT_EQ(responder.read_static(wire), init_key.pub);
  ASSERT_TRUE(responder.read_payload(payload));
  EXPECT_EQ(payload, unhex(messages[0]["payload"]));

  wire.clear();
  ASSERT_TRUE(responder.write_message(unhex(messages[1]["payload"]), wire));
  EXPECT_EQ(to_hex(wire), messages[1]["ciphertext"]);
  ASSERT_TRUE(initiator.read_message(wire, payload));
  EXPECT_EQ(payload, unhex(messages[1]["payload"]));
  check_hash(v, initiator);
  check_hash(v, responder);
  check_transport(v, initiator, responder);
}

TEST(NoiseVectors, AllIkSessionsFromBothSides) {
  const auto file = load_vectors("noise_ik_25519_chachapoly_blake2s.json");
  EXPECT_EQ(file["vectors"].size(), 7u);
  for (const auto& v : file["vectors"]) play(v, Pattern::ik);
}

TEST(NoiseVectors, AllIkPsk2SessionsFromBothSides) {
  const auto file = load_vectors("noise_ikpsk2_25519_chachapoly_blake2s.json");
  EXPECT_EQ(file["vectors"].size(), 5u);
  for (const auto& v : file["vectors"]) play(v, Pattern::ikpsk2);
}

}  // namespace
}  // namespace smartvpn::noise
