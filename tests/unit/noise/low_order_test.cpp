// X25519 points of low order in every place where a peer may put a public key: the shared secret would
// be zero whatever our key is, so whoever takes one has agreed on nothing (Noise specification, section 12).
#include <gtest/gtest.h>

#include "noise/handshake.hpp"
#include "support/scripted_rng.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::noise {
namespace {

// 0, 1, the two points of order 8, p-1, p and p+1; each twice, since X25519 ignores the last byte's top bit.
std::vector<PublicKey> low_order_points() {
  const char* points[] = {"0000000000000000000000000000000000000000000000000000000000000000",
                          "0100000000000000000000000000000000000000000000000000000000000000",
                          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
  std::vector<PublicKey> out;
  for (const char* hex : points) {
    out.push_back(testing::unhex_array<32>(hex));
    out.push_back(out.back());
    out.back()[31] |= 0x80;
  }
  return out;
}

class LowOrder : public ::testing::Test {
 protected:
  testing::ScriptedRng rng_;
  crypto::KeyPair client_ = crypto::generate_key_pair(rng_);
  crypto::KeyPair server_ = crypto::generate_key_pair(rng_);
};

TEST_F(LowOrder, AsTheEphemeralOfMessage1) {
  Initiator a(rng_, client_, server_.pub, {});
  Bytes good;
  ASSERT_TRUE(a.write_message({}, good));
  for (const PublicKey& point : low_order_points()) {
    Bytes bad = good;
    std::copy(point.begin(), point.end(), bad.begin());
    Responder b(rng_, server_, {});
    EXPECT_FALSE(b.read_static(bad)) << to_hex(point);
    EXPECT_TRUE(b.failed());
  }
}

TEST_F(LowOrder, AsTheStaticKeyInsideMessage1) {
  for (const PublicKey& point : low_order_points()) {
    crypto::KeyPair claimed = crypto::generate_key_pair(rng_);
    claimed.pub = point;
    Initiator a(rng_, claimed, server_.pub, {});
    Bytes wire, payload;
    ASSERT_TRUE(a.write_message(as_bytes("payload"), wire));
    Responder b(rng_, server_, {});
    ASSERT_EQ(b.read_static(wire), point);
    EXPECT_FALSE(b.read_payload(payload)) << to_hex(point);
    EXPECT_TRUE(payload.empty());
    EXPECT_TRUE(b.failed());
  }
}

TEST_F(LowOrder, AsTheServersStaticKey) {
  for (const PublicKey& point : low_order_points()) {
    Initiator a(rng_, client_, point, {});
    Bytes wire;
    EXPECT_FALSE(a.write_message({}, wire)) << to_hex(point);
    EXPECT_TRUE(wire.empty());
  }
}

// Whoever sits between cannot take the server's part out of the keys: not even one who knows what a
// secret of zero would make of message 2 (`ee` alone fails; `se` would not save it).
TEST_F(LowOrder, AsTheEphemeralOfMessage2) {
  for (const PublicKey& point : low_order_points()) {
    Initiator a(rng_, client_, server_.pub, {});
    Responder b(rng_, server_, {});
    Bytes first, second, payload;
    ASSERT_TRUE(a.write_message({}, first) && b.read_message(first, payload) && b.write_message({}, second));
    std::copy(point.begin(), point.end(), second.begin());
    EXPECT_FALSE(a.read_message(second, payload)) << to_hex(point);
    EXPECT_FALSE(a.split());
  }
}

// What only the check itself can tell: messages whose tags were made under the secret of zero that comes
// out of such a point.
class Forger {
 public:
  Forger(const crypto::KeyPair& ephemeral, const PublicKey& server)
      : wire_(ephemeral.pub.begin(), ephemeral.pub.end()) {
    state_.mix_hash({});
    state_.mix_hash(server);
    state_.mix_hash(ephemeral.pub);
  }
  Bytes message1(const SecretKey& es, const PublicKey& claimed) {
    state_.mix_key(es.view());
    EXPECT_TRUE(state_.encrypt_and_hash(claimed, wire_));
    state_.mix_key(SecretKey().view());  // ss
    EXPECT_TRUE(state_.encrypt_and_hash({}, wire_));
    return wire_;
  }

 private:
  SymmetricState state_{protocol_name(Pattern::ik)};
  Bytes wire_;
};

TEST_F(LowOrder, AMessageSealedUnderTheZeroSecretIsNotBelieved) {
  for (const PublicKey& point : low_order_points()) {
    crypto::KeyPair ephemeral = crypto::generate_key_pair(rng_);
    SecretKey es;
    ASSERT_TRUE(crypto::x25519(es.span(), ephemeral.secret, server_.pub));
    Responder b(rng_, server_, {});
    ASSERT_EQ(b.read_static(Forger(ephemeral, server_.pub).message1(es, point)), point);
    Bytes payload;
    EXPECT_FALSE(b.read_payload(payload)) << "ss " << to_hex(point);

    ephemeral.pub = point;
    Responder c(rng_, server_, {});
    EXPECT_FALSE(c.read_static(Forger(ephemeral, server_.pub).message1(SecretKey(), client_.pub)))
        << "es " << to_hex(point);
  }
}

}  // namespace
}  // namespace smartvpn::noise
