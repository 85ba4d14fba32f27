// What the public vectors lack: everything that must fail (Noise specification; conformance list of
// failure cases), and the two halves of message 1.
#include "noise/handshake.hpp"

#include <gtest/gtest.h>

#include "crypto/aead_oneshot.hpp"
#include "support/scripted_rng.hpp"

namespace smartvpn::noise {
namespace {

constexpr size_t kPayloadSize = 11;
const ByteView kPayload = as_bytes("hello there");
const ByteView kHeader = as_bytes("sixteen byte hdr");

class NoiseHandshake : public ::testing::Test {
 protected:
  testing::ScriptedRng rng_;
  crypto::KeyPair client_ = crypto::generate_key_pair(rng_);
  crypto::KeyPair server_ = crypto::generate_key_pair(rng_);

  Initiator initiator() { return Initiator(rng_, client_, server_.pub, as_bytes("prologue")); }
  Responder responder() { return Responder(rng_, server_, as_bytes("prologue")); }

  Bytes message1(Initiator& from) {
    Bytes wire;
    from.mix_hash(kHeader);
    EXPECT_TRUE(from.write_message(kPayload, wire));
    return wire;
  }
  // A responder that has read a good message 1.
  Responder after_message1(const Bytes& wire) {
    Responder side = responder();
    Bytes payload;
    side.mix_hash(kHeader);
    EXPECT_TRUE(side.read_message(wire, payload));
    return side;
  }
  bool reads_message1(ByteView wire, ByteView header = kHeader) {
    Responder side = responder();
    Bytes payload(3);
    side.mix_hash(header);
    const bool ok = side.read_message(wire, payload);
    EXPECT_EQ(as_text(payload), ok ? as_text(kPayload) : "");
    EXPECT_EQ(side.failed(), !ok);
    return ok;
  }
  // A handshake up to message 2, which `spoil` may change on its way.
  template <class Spoil>
  bool reads_message2(Spoil&& spoil) {
    Initiator a(rng_, client_, server_.pub, {});
    Responder b(rng_, server_, {});
    Bytes first, second, payload(3);
    EXPECT_TRUE(a.write_message({}, first));
    EXPECT_TRUE(b.read_message(first, payload));
    EXPECT_TRUE(b.write_message(kPayload, second));
    spoil(second);
    const bool ok = a.read_message(second, payload);
    EXPECT_EQ(as_text(payload), ok ? as_text(kPayload) : "");
    EXPECT_EQ(a.split().has_value(), ok);
    return ok;
  }
};

TEST_F(NoiseHandshake, BothSidesAgreeAndTheHeadersAreBound) {
  Initiator a = initiator();
  const Bytes first = message1(a);
  EXPECT_EQ(first.size(), kMessage1Overhead + kPayloadSize);
  EXPECT_TRUE(reads_message1(first));
  EXPECT_FALSE(reads_message1(first, as_bytes("another header..")));
  EXPECT_FALSE(reads_message1(first, {}));

  Responder b = after_message1(first);
  a.mix_hash(kHeader);
  b.mix_hash(kHeader);
  Bytes second = {1, 2, 3}, payload;
  ASSERT_TRUE(b.write_message({}, second));
  EXPECT_EQ(second.size(), 3 + kMessage2Overhead) << "appends";
  ASSERT_TRUE(a.read_message(ByteView(second).subspan(3), payload));
  EXPECT_TRUE(a.finished() && b.finished());
  EXPECT_EQ(a.handshake_hash(), b.handshake_hash());
  auto ka = a.split(), kb = b.split();
  ASSERT_TRUE(ka && kb);
  EXPECT_TRUE(ka->send == kb->recv);
  EXPECT_TRUE(ka->recv == kb->send);
  EXPECT_FALSE(ka->send == ka->recv);
  EXPECT_FALSE(b.split());
}

TEST_F(NoiseHandshake, AnotherPrologueFails) {
  Initiator a(rng_, client_, server_.pub, as_bytes("prologuE"));
  EXPECT_FALSE(reads_message1(message1(a)));
}

TEST_F(NoiseHandshake, EveryFlippedBitOfMessage1Fails) {
  Initiator a = initiator();
  const Bytes good = message1(a);
  ASSERT_TRUE(reads_message1(good));
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_FALSE(reads_message1(bad)) << "bit " << bit;
  }
}

TEST_F(NoiseHandshake, EveryFlippedBitOfMessage2Fails) {
  for (size_t bit = 0; bit < (kMessage2Overhead + kPayloadSize) * 8; ++bit)
    EXPECT_FALSE(reads_message2([&](Bytes& wire) { wire[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8); })) << bit;
}

TEST_F(NoiseHandshake, TruncatedAndExtendedMessagesFail) {
  Initiator a = initiator();
  const Bytes first = message1(a);
  for (size_t size = 0; size < first.size(); ++size) EXPECT_FALSE(reads_message1(ByteView(first).first(size))) << size;
  Bytes longer = first;
  longer.push_back(0);
  EXPECT_FALSE(reads_message1(longer));

  ASSERT_TRUE(reads_message2([](Bytes&) {}));
  for (size_t size = 0; size < kMessage2Overhead + kPayloadSize; ++size)
    EXPECT_FALSE(reads_message2([&](Bytes& wire) { wire.resize(size); })) << size;
  EXPECT_FALSE(reads_message2([](Bytes& wire) { wire.push_back(0); }));
}

TEST_F(NoiseHandshake, MessagesStopAt65535Bytes) {
  const Bytes largest(kMaxMessage - kMessage1Overhead, 5);
  Bytes too_large = largest;
  too_large.push_back(5);
  {
    Initiator a = initiator();
    Bytes wire;
    EXPECT_FALSE(a.write_message(too_large, wire));
    EXPECT_TRUE(wire.empty());
    EXPECT_TRUE(a.failed());
  }
  Initiator a = initiator();
  Responder b = responder();
  Bytes wire, payload;
  ASSERT_TRUE(a.write_message(largest, wire));
  EXPECT_EQ(wire.size(), kMaxMessage);
  Bytes longer = wire;
  longer.push_back(0);
  Responder other = responder();
  EXPECT_FALSE(other.read_static(longer));
  ASSERT_TRUE(b.read_message(wire, payload));
  EXPECT_EQ(payload, largest);
  wire.clear();
  EXPECT_FALSE(b.write_message(Bytes(kMaxMessage - kMessage2Overhead + 1), wire));
  EXPECT_FALSE(a.read_message(Bytes(kMaxMessage + 1), payload));
}

TEST_F(NoiseHandshake, TheWrongResponderKeyFails) {
  const crypto::KeyPair other = crypto::generate_key_pair(rng_);
  Initiator a = initiator();
  const Bytes first = message1(a);
  Responder b(rng_, other, as_bytes("prologue"));
  b.mix_hash(kHeader);
  EXPECT_FALSE(b.read_static(first));
  // And whoever answers without the key is not believed.
  Initiator c(rng_, client_, server_.pub, {});
  Initiator d(rng_, client_, other.pub, {});
  Responder impostor(rng_, other, {});
  Bytes wire, payload, answer;
  ASSERT_TRUE(c.write_message({}, wire));
  wire.clear();
  ASSERT_TRUE(d.write_message({}, wire));
  ASSERT_TRUE(impostor.read_message(wire, payload));
  ASSERT_TRUE(impostor.write_message({}, answer));
  EXPECT_FALSE(c.read_message(answer, payload));
}

// A client that knows somebody's public key but not the private one passes `s` and fails at `ss`.
TEST_F(NoiseHandshake, ABorrowedPublicKeyIsNotProof) {
  crypto::KeyPair thief = crypto::generate_key_pair(rng_);
  thief.pub = client_.pub;
  Initiator a(rng_, thief, server_.pub, as_bytes("prologue"));
  const Bytes wire = message1(a);
  Responder b = responder();
  b.mix_hash(kHeader);
  EXPECT_EQ(b.read_static(wire), client_.pub);
  Bytes payload;
  EXPECT_FALSE(b.read_payload(payload));
}

// What a server has computed before anybody calls is `ss`, and proves as much.
TEST_F(NoiseHandshake, APreparedSecretStandsForItsExchangeAndNoOther) {
  SecretKey shared, other;
  ASSERT_TRUE(crypto::x25519(shared.span(), server_.secret, client_.pub));
  rng_.fill(other.span());
  for (const SecretKey* prepared : {&shared, &other}) {
    Initiator a = initiator();
    const Bytes wire = message1(a);
    Responder b = responder();
    b.mix_hash(kHeader);
    ASSERT_EQ(b.read_static(wire), client_.pub);
    EXPECT_EQ(b.own_public(), server_.pub);
    Bytes payload, answer;
    ASSERT_EQ(b.read_payload(payload, prepared), prepared == &shared);
    if (prepared != &shared) continue;
    EXPECT_EQ(as_text(payload), as_text(kPayload));
    ASSERT_TRUE(b.write_message({}, answer));
    EXPECT_TRUE(a.read_message(answer, payload));
    EXPECT_EQ(a.handshake_hash(), b.handshake_hash());
  }
  Bytes payload;  // out of order it is no key to anything
  EXPECT_FALSE(responder().read_payload(payload, &shared));
}

TEST_F(NoiseHandshake, ASharedSecretOfZeroFailsEverywhere) {
  const PublicKey zero{};
  Bytes wire, payload;
  Initiator a(rng_, client_, zero, {});  // es
  EXPECT_FALSE(a.write_message({}, wire));
  EXPECT_TRUE(wire.empty());

  Responder b = responder();  // es, from a zero ephemeral
  Bytes forged(kMessage1Overhead);
  EXPECT_FALSE(b.read_static(forged));

  crypto::KeyPair small = crypto::generate_key_pair(rng_);  // ss: a zero static inside a good message
  small.pub = zero;
  Initiator c(rng_, small, server_.pub, as_bytes("prologue"));
  wire = message1(c);
  Responder d = responder();
  d.mix_hash(kHeader);
  EXPECT_EQ(d.read_static(wire), zero);
  EXPECT_FALSE(d.read_payload(payload));

  Initiator e = initiator();  // ee
  wire.clear();
  ASSERT_TRUE(e.write_message({}, wire));
  EXPECT_FALSE(e.read_message(Bytes(kMessage2Overhead), payload));
}

TEST_F(NoiseHandshake, CallsOutOfOrderFailAndStayFailed) {
  Bytes wire, payload;
  Initiator a = initiator();
  EXPECT_FALSE(a.read_message(Bytes(100), payload));
  EXPECT_FALSE(a.write_message({}, wire)) << "failed is final";
  Initiator twice = initiator();
  ASSERT_TRUE(twice.write_message({}, wire));
  EXPECT_FALSE(twice.write_message({}, wire));
  EXPECT_FALSE(twice.split());

  const Bytes first = [&] {
    Initiator good = initiator();
    return message1(good);
  }();
  Responder early = responder();
  EXPECT_FALSE(early.write_message({}, wire));
  Responder skipped = responder();
  EXPECT_FALSE(skipped.read_payload(payload));
  Responder unproven = responder();
  unproven.mix_hash(kHeader);
  ASSERT_TRUE(unproven.read_static(first));
  EXPECT_FALSE(unproven.write_message({}, wire)) << "the payload was never opened";
  Responder replayed = after_message1(first);
  EXPECT_FALSE(replayed.read_static(first));
  Responder done = after_message1(first);
  EXPECT_FALSE(done.split());
  wire.clear();
  ASSERT_TRUE(done.write_message({}, wire));
  ASSERT_TRUE(done.split());
  EXPECT_FALSE(done.read_static(first));
}

TEST_F(NoiseHandshake, Message1TakenForMessage2Fails) {
  Initiator a = initiator();
  const Bytes first = message1(a);
  Bytes payload;
  EXPECT_FALSE(a.read_message(first, payload));
}

TEST_F(NoiseHandshake, PresharedKeysMustBeGivenAndEqual) {
  SecretKey psk, other;
  rng_.fill(psk.span());
  rng_.fill(other.span());
  auto run = [&](const SecretKey* ours, const SecretKey* theirs) {
    Initiator a(rng_, client_, server_.pub, {}, Pattern::ikpsk2);
    Responder b(rng_, server_, {}, Pattern::ikpsk2);
    if (ours) a.set_psk(*ours);
    if (theirs) b.set_psk(*theirs);
    Bytes first, second, payload;
    EXPECT_TRUE(a.write_message({}, first));
    EXPECT_TRUE(b.read_message(first, payload));
    return b.write_message({}, second) && a.read_message(second, payload);
  };
  EXPECT_TRUE(run(&psk, &psk));
  EXPECT_FALSE(run(&psk, &other));
  EXPECT_FALSE(run(nullptr, &psk));
  EXPECT_FALSE(run(&psk, nullptr));
  EXPECT_FALSE(run(nullptr, nullptr)) << "none at all is not one of zeros";
}

TEST_F(NoiseHandshake, APayloadThatDoesNotOpenLeavesNothing) {
  Initiator a = initiator();
  Bytes first = message1(a);
  first.back() ^= 1;
  Responder b = responder();
  b.mix_hash(kHeader);
  ASSERT_TRUE(b.read_static(first));
  Bytes payload(kHeader.begin(), kHeader.end());
  EXPECT_FALSE(b.read_payload(payload));
  EXPECT_TRUE(payload.empty());
}

TEST(NoiseCipherState, RefusesTheLastNonceForBothDirections) {
  SecretKey key;
  key.span()[0] = 1;
  CipherState sender(key.clone()), receiver(key.clone());
  Bytes wire, plain;
  sender.set_nonce(~uint64_t{0} - 1);
  receiver.set_nonce(~uint64_t{0} - 1);
  ASSERT_TRUE(sender.encrypt_with_ad({}, kPayload, wire));
  ASSERT_TRUE(receiver.decrypt_with_ad({}, wire, plain));
  EXPECT_EQ(sender.nonce(), ~uint64_t{0});
  const Bytes before = wire;
  EXPECT_FALSE(sender.encrypt_with_ad({}, kPayload, wire));
  EXPECT_EQ(wire, before);
  // A message that is right but for the nonce, which the protocol keeps back.
  Bytes reserved(crypto::kTagSize);
  crypto::chacha20_poly1305_seal(key.view(), crypto::counter_nonce(~uint64_t{0}), {}, {}, reserved.data());
  EXPECT_FALSE(receiver.decrypt_with_ad({}, reserved, plain));
}

TEST(NoiseCipherState, ABadMessageLeavesTheCounterAlone) {
  SecretKey key;
  key.span()[0] = 1;
  CipherState sender(key.clone()), receiver(key.clone());
  Bytes first, second, plain;
  ASSERT_TRUE(sender.encrypt_with_ad(kHeader, kPayload, first));
  ASSERT_TRUE(sender.encrypt_with_ad(kHeader, kPayload, second));
  EXPECT_FALSE(receiver.decrypt_with_ad(kHeader, second, plain)) << "out of order";
  EXPECT_FALSE(receiver.decrypt_with_ad({}, first, plain));
  EXPECT_FALSE(receiver.decrypt_with_ad(kHeader, ByteView(first).first(15), plain));
  EXPECT_TRUE(plain.empty());
  EXPECT_TRUE(receiver.decrypt_with_ad(kHeader, first, plain));
  EXPECT_FALSE(receiver.decrypt_with_ad(kHeader, first, plain)) << "replayed";
  EXPECT_TRUE(receiver.decrypt_with_ad(kHeader, second, plain));
}

TEST(NoiseCipherState, TransportMessagesStopAt65535Bytes) {
  SecretKey key;
  key.span()[0] = 1;
  CipherState state(key.clone());
  Bytes out;
  EXPECT_FALSE(state.encrypt_with_ad({}, Bytes(kMaxMessage - 15), out));
  EXPECT_TRUE(state.encrypt_with_ad({}, Bytes(kMaxMessage - 16), out));
  EXPECT_EQ(out.size(), kMaxMessage);
  // Longer ones are refused although they would open.
  for (size_t size : {kMaxMessage, kMaxMessage + 1}) {
    Bytes wire(size);
    crypto::chacha20_poly1305_seal(key.view(), crypto::counter_nonce(0), {},
                                   ByteView(wire).first(size - crypto::kTagSize), wire.data());
    CipherState receiver(key.clone());
    EXPECT_EQ(receiver.decrypt_with_ad({}, wire, out), size == kMaxMessage);
  }
}

}  // namespace
}  // namespace smartvpn::noise
