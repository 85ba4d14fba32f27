#include "registry/client_changes.hpp"

#include <gtest/gtest.h>

#include "crypto/x25519.hpp"
#include "support/scripted_rng.hpp"

namespace smartvpn::registry {
namespace {

constexpr int64_t kNow = 1'000'000;
constexpr KeyRules kPlain{}, kWireguard{.wireguard = true}, kKept{.wireguard = true, .keep_private = true};

class ClientChanges : public ::testing::Test {
 protected:
  testing::ScriptedRng rng_;
  PublicKey fresh_key() { return crypto::generate_key_pair(rng_).pub; }
  static ClientSpec spec() {
    ClientSpec out;
    out.id = "alice";
    return out;
  }
  static ClientSpec spec_of(const Client& client) {
    ClientSpec out;
    static_cast<ClientSettings&>(out) = client;
    out.id = client.id;
    out.noise_public_key = client.noise_public_key;
    out.wireguard_public_key = client.wireguard_public_key;
    out.wireguard_preshared_key = client.wireguard_preshared_key;
    return out;
  }
};

TEST_F(ClientChanges, MakesAKeyPairAndGivesThePrivateKeyOnce) {
  auto made = new_client(spec(), kPlain, rng_);
  ASSERT_TRUE(made);
  EXPECT_EQ(crypto::public_key_of(made->noise_private_key), made->client.noise_public_key);
  EXPECT_FALSE(made->client.noise_private_key);
  EXPECT_FALSE(made->client.wireguard_public_key);
  EXPECT_TRUE(made->wireguard_private_key.is_zero());
}

TEST_F(ClientChanges, ABroughtKeyHasNoPrivateKey) {
  ClientSpec mine = spec();
  mine.noise_public_key = fresh_key();
  mine.wireguard_public_key = fresh_key();
  auto made = new_client(mine, kKept, rng_);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->noise_private_key.is_zero() && made->wireguard_private_key.is_zero());
  EXPECT_FALSE(made->client.noise_private_key || made->client.wireguard_private_key);
  EXPECT_EQ(made->client.noise_public_key, *mine.noise_public_key);
  EXPECT_EQ(made->client.wireguard_public_key, mine.wireguard_public_key);
  mine.noise_public_key = PublicKey{};
  EXPECT_EQ(new_client(mine, kPlain, rng_).error().path, "/noise_public_key");
  mine.noise_public_key = fresh_key();
  mine.wireguard_public_key = PublicKey{};
  EXPECT_EQ(new_client(mine, kPlain, rng_).error().path, "/wireguard_public_key");
}

TEST_F(ClientChanges, AWireguardServerMakesThatKeyTooWhereItCanBeUsed) {
  auto made = new_client(spec(), kWireguard, rng_);
  EXPECT_EQ(crypto::public_key_of(made->wireguard_private_key), made->client.wireguard_public_key);
  EXPECT_NE(made->client.wireguard_public_key, made->client.noise_public_key);
  EXPECT_FALSE(made->client.wireguard_private_key);
  ClientSpec several = spec();
  several.max_sessions = 3;
  EXPECT_FALSE(new_client(several, kWireguard, rng_)->client.wireguard_public_key);
  ClientSpec other = spec();
  other.transports = 1;
  EXPECT_FALSE(new_client(other, kWireguard, rng_)->client.wireguard_public_key);
}

TEST_F(ClientChanges, PrivateKeysAreKeptOnlyOnRequest) {
  auto made = new_client(spec(), kKept, rng_);
  ASSERT_TRUE(made->client.noise_private_key && made->client.wireguard_private_key);
  EXPECT_EQ(*made->client.noise_private_key, made->noise_private_key);
  EXPECT_EQ(*made->client.wireguard_private_key, made->wireguard_private_key);
}

TEST_F(ClientChanges, AnUpdateKeepsWhatItMayAndDropsWhatNoLongerFits) {
  Client client = new_client(spec(), kKept, rng_)->client;
  ClientSpec wanted = spec_of(client);
  wanted.description = "x";
  auto updated = updated_client(client, wanted);
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->description, "x");
  EXPECT_TRUE(updated->noise_private_key && updated->wireguard_private_key);

  Client rotated = rotated_client(client, {}, kKept, kNow, rng_)->client;
  wanted = spec_of(rotated);
  wanted.tags = {"t"};
  EXPECT_TRUE(updated_client(rotated, wanted)->rotation) << "goes on";
  wanted.noise_public_key = fresh_key();
  updated = updated_client(rotated, wanted);
  EXPECT_FALSE(updated->rotation) << "this key, and no other";
  EXPECT_FALSE(updated->noise_private_key);
  EXPECT_TRUE(updated->wireguard_private_key);
  wanted.wireguard_public_key.reset();
  EXPECT_FALSE(updated_client(rotated, wanted)->wireguard_private_key);
}

TEST_F(ClientChanges, AnUpdateThatCannotBeNamesTheKey) {
  Client client = new_client(spec(), kPlain, rng_)->client;
  ClientSpec wanted = spec_of(client);
  wanted.id = "bob";
  EXPECT_EQ(updated_client(client, wanted).error().path, "/id");
  wanted = spec_of(client);
  wanted.noise_public_key.reset();
  EXPECT_EQ(updated_client(client, wanted).error().path, "/noise_public_key");
  wanted = spec_of(client);
  wanted.max_sessions = 2;
  wanted.subnets = {*inet::Cidr::parse("192.168.7.0/24")};
  EXPECT_EQ(updated_client(client, wanted).error().path, "/max_sessions");
}

TEST_F(ClientChanges, ARotationKeepsTheOldKeysBesideTheNewOnes) {
  Client client = new_client(spec(), kKept, rng_)->client;
  RotateOptions options;
  options.overlap_seconds = 60;
  auto rotated = rotated_client(client, options, kKept, kNow, rng_);
  ASSERT_TRUE(rotated);
  const Client& now = rotated->client;
  EXPECT_EQ(crypto::public_key_of(rotated->noise_private_key), now.noise_public_key);
  EXPECT_EQ(crypto::public_key_of(rotated->wireguard_private_key), now.wireguard_public_key);
  ASSERT_TRUE(now.rotation);
  EXPECT_EQ(now.rotation->noise_public_key, client.noise_public_key);
  EXPECT_EQ(now.rotation->wireguard_public_key, client.wireguard_public_key);
  EXPECT_EQ(now.rotation->until_ms, kNow + 60000);
  EXPECT_TRUE(now.has_noise_key(client.noise_public_key, kNow) && now.has_noise_key(now.noise_public_key, kNow));
  EXPECT_FALSE(now.has_noise_key(client.noise_public_key, kNow + 60000));
  EXPECT_EQ(rotated_client(now, options, kKept, kNow + 59999, rng_).error().status, Status::BAD_STATE);
  EXPECT_TRUE(rotated_client(now, options, kKept, kNow + 60000, rng_)) << "the earlier one is over";
  EXPECT_EQ(*rolled_back_client(now, kNow), client);
  Client committed = *committed_client(now, kNow);
  EXPECT_FALSE(committed.rotation);
  EXPECT_EQ(committed.noise_public_key, now.noise_public_key);
  for (const Client& without : {client, committed}) {
    EXPECT_EQ(committed_client(without, kNow).error().status, Status::BAD_STATE);
    EXPECT_EQ(rolled_back_client(without, kNow).error().status, Status::BAD_STATE);
  }
  EXPECT_EQ(rolled_back_client(now, kNow + 60000).error().status, Status::BAD_STATE);
}

TEST_F(ClientChanges, BroughtKeysAreRotatedToAndNoOverlapMeansAtOnce) {
  Client client = new_client(spec(), kPlain, rng_)->client;
  RotateOptions options;
  options.noise_public_key = fresh_key();
  options.overlap_seconds = 0;
  auto rotated = rotated_client(client, options, kPlain, kNow, rng_);
  ASSERT_TRUE(rotated);
  EXPECT_TRUE(rotated->noise_private_key.is_zero());
  EXPECT_EQ(rotated->client.noise_public_key, *options.noise_public_key);
  EXPECT_FALSE(rotated->client.rotation);
  EXPECT_FALSE(rotated->client.wireguard_public_key) << "it had none";
  options.noise_public_key = client.noise_public_key;
  EXPECT_EQ(rotated_client(client, options, kPlain, kNow, rng_).error().path, "/noise_public_key");
  options.noise_public_key = PublicKey{};
  EXPECT_EQ(rotated_client(client, options, kPlain, kNow, rng_).error().path, "/noise_public_key");
}

}  // namespace
}  // namespace smartvpn::registry
