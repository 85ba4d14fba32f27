// Live sessions with somebody else's Noise (python3-dissononce), in both roles. The program and its
// library are part of the test setup: when they are missing these tests fail.
#include <gtest/gtest.h>

#include "noise/handshake.hpp"
#include "support/line_process.hpp"

namespace smartvpn::noise {
namespace {

using testing::LineProcess;

const char* const kInterpreter = "/usr/bin/python3";
const std::string kScript = std::string(SMARTVPN_TESTS_DIR) + "/support/noise_peer.py";
const ByteView kPrologue = as_bytes("smartvpn/1 \x01 a prologue both must know");

class ForeignNoisePeer : public ::testing::Test {
 protected:
  Rng& rng_ = system_rng();
  crypto::KeyPair ours_ = crypto::generate_key_pair(rng_), theirs_ = crypto::generate_key_pair(rng_);

  // What follows `word` on the peer's next line, or the line itself for an empty word.
  static Bytes hear(LineProcess& peer, const std::string& word = {}) {
    auto line = peer.read_line();
    if (!line) {
      ADD_FAILURE() << "the peer said nothing; is python3-dissononce installed?";
      return {};
    }
    const std::string start = word.empty() ? "" : word + " ";
    auto bytes = line->rfind(start, 0) == 0 ? from_hex(line->substr(start.size())) : std::nullopt;
    if (!bytes) ADD_FAILURE() << "expected '" << start << "<hex>', heard '" << *line << "'";
    return bytes.value_or(Bytes{});
  }

  void exchange(LineProcess& peer, TransportKeys keys) {
    CipherState send(std::move(keys.send)), receive(std::move(keys.recv));
    for (const Bytes& payload : {Bytes{1, 2, 3}, Bytes{}, Bytes(5000, 0x5a)}) {
      Bytes wire, answer;
      ASSERT_TRUE(send.encrypt_with_ad({}, payload, wire));
      Bytes spoilt = wire;
      spoilt.back() ^= 1;
      ASSERT_TRUE(peer.write_line(to_hex(spoilt)));
      ASSERT_EQ(peer.read_line(), "refused");
      ASSERT_TRUE(peer.write_line(to_hex(wire)));
      ASSERT_EQ(hear(peer, "payload"), payload);
      ASSERT_TRUE(receive.decrypt_with_ad({}, hear(peer), answer));
      ASSERT_EQ(answer, Bytes(payload.rbegin(), payload.rend()));
    }
  }
};

TEST_F(ForeignNoisePeer, AnswersOurInitiator) {
  LineProcess peer({kInterpreter, kScript, "responder", to_hex(kPrologue), to_hex(theirs_.secret.view())});
  ASSERT_TRUE(peer.started());
  Initiator initiator(rng_, ours_, theirs_.pub, kPrologue);
  Bytes wire, payload;
  ASSERT_TRUE(initiator.write_message(as_bytes("from smartvpn"), wire));
  ASSERT_TRUE(peer.write_line(to_hex(wire)));
  EXPECT_EQ(as_text(hear(peer, "payload")), "from smartvpn");
  EXPECT_EQ(to_hex(hear(peer, "static")), to_hex(ours_.pub));
  ASSERT_TRUE(initiator.read_message(hear(peer), payload));
  EXPECT_EQ(as_text(payload), "from dissononce");
  EXPECT_EQ(to_hex(hear(peer, "hash")), to_hex(initiator.handshake_hash()));
  exchange(peer, *initiator.split());
}

TEST_F(ForeignNoisePeer, IsAnsweredByOurResponder) {
  LineProcess peer(
      {kInterpreter, kScript, "initiator", to_hex(kPrologue), to_hex(theirs_.secret.view()), to_hex(ours_.pub)});
  ASSERT_TRUE(peer.started());
  Responder responder(rng_, ours_, kPrologue);
  Bytes wire, payload;
  EXPECT_EQ(responder.read_static(hear(peer)), theirs_.pub);
  ASSERT_TRUE(responder.read_payload(payload));
  EXPECT_EQ(as_text(payload), "from dissononce");
  ASSERT_TRUE(responder.write_message(as_bytes("from smartvpn"), wire));
  ASSERT_TRUE(peer.write_line(to_hex(wire)));
  EXPECT_EQ(as_text(hear(peer, "payload")), "from smartvpn");
  EXPECT_EQ(to_hex(hear(peer, "hash")), to_hex(responder.handshake_hash()));
  exchange(peer, *responder.split());
}

TEST_F(ForeignNoisePeer, WithAnotherPrologueIsNotUnderstood) {
  LineProcess peer({kInterpreter, kScript, "initiator", "00", to_hex(theirs_.secret.view()), to_hex(ours_.pub)});
  ASSERT_TRUE(peer.started());
  Responder responder(rng_, ours_, kPrologue);
  EXPECT_FALSE(responder.read_static(hear(peer)));
}

}  // namespace
}  // namespace smartvpn::noise
