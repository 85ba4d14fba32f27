// Static-static secrets that are computed ahead: nobody learns from them who is registered, and nothing of them
// outlives its client.
#include "server/shared_secrets.hpp"

#include <gtest/gtest.h>

#include "server/client_directory.hpp"

namespace smartvpn::server {
namespace {

std::shared_ptr<const session::StaticKeys> own_keys() {
  auto keys = std::make_shared<session::StaticKeys>();
  keys->current = crypto::generate_key_pair(system_rng());
  return keys;
}

PublicKey somebody() { return crypto::generate_key_pair(system_rng()).pub; }

// What `found` points to is what both keys make together.
bool is_shared(const SecretKey* found, const session::StaticKeys& own, const PublicKey& theirs) {
  SecretKey expected;
  return found && crypto::x25519(expected.span(), own.current.secret, theirs) && expected == *found;
}

class SharedSecretsTest : public ::testing::Test {
 protected:
  std::shared_ptr<const session::StaticKeys> own_ = own_keys();
  const PublicKey& ours_ = own_->current.pub;
};

TEST_F(SharedSecretsTest, NoneIsGivenOutWhileOneIsMissing) {
  SharedSecrets secrets;
  const PublicKey a = somebody(), b = somebody(), stranger = somebody();
  secrets.expect(a);
  secrets.expect(b);
  EXPECT_FALSE(secrets.work(10)) << "there is no key of ours yet";
  EXPECT_EQ(secrets.find(ours_, a, true), nullptr);
  secrets.set_own(own_);
  EXPECT_TRUE(secrets.work(1));
  for (const PublicKey& key : {a, b}) EXPECT_EQ(secrets.find(ours_, key, true), nullptr);
  EXPECT_EQ(secrets.find(ours_, stranger, false), nullptr) << "a stranger has to look like a client";
  EXPECT_FALSE(secrets.work(1));
  for (const PublicKey& key : {a, b}) EXPECT_TRUE(is_shared(secrets.find(ours_, key, true), *own_, key));
}

TEST_F(SharedSecretsTest, AStrangerGetsADecoyThatIsNobodysSecret) {
  SharedSecrets secrets;
  const PublicKey a = somebody(), stranger = somebody();
  secrets.set_own(own_);
  secrets.expect(a);
  secrets.work(10);
  const SecretKey* decoy = secrets.find(ours_, stranger, false);
  ASSERT_NE(decoy, nullptr);
  EXPECT_FALSE(decoy->is_zero());
  EXPECT_FALSE(is_shared(decoy, *own_, stranger));
  EXPECT_EQ(secrets.find(ours_, a, false), decoy) << "its client is gone in the meantime";
}

TEST_F(SharedSecretsTest, OnlyForTheKeyTheyWereMadeWith) {
  SharedSecrets secrets;
  const PublicKey a = somebody();
  secrets.set_own(own_);
  secrets.expect(a);
  secrets.work(10);
  const auto next = own_keys();
  EXPECT_EQ(secrets.find(next->current.pub, a, true), nullptr);
  secrets.set_own(next);
  EXPECT_EQ(secrets.find(ours_, a, true), nullptr);
  EXPECT_EQ(secrets.find(next->current.pub, a, true), nullptr);
  EXPECT_FALSE(secrets.work(10));
  EXPECT_TRUE(is_shared(secrets.find(next->current.pub, a, true), *next, a));
  secrets.set_own(next);
  EXPECT_TRUE(secrets.complete()) << "the same key again is no reason to begin anew";
}

TEST_F(SharedSecretsTest, APointOfSmallOrderHasNone) {
  SharedSecrets secrets;
  secrets.set_own(own_);
  secrets.expect(PublicKey{});
  EXPECT_FALSE(secrets.work(10));
  EXPECT_EQ(secrets.find(ours_, PublicKey{}, true), nullptr);
}

TEST_F(SharedSecretsTest, ForgettingWhatIsNotYetComputedLeavesNothingToDo) {
  SharedSecrets secrets;
  const PublicKey a = somebody();
  secrets.set_own(own_);
  secrets.expect(a);
  secrets.forget(a);
  EXPECT_FALSE(secrets.work(10));
  EXPECT_EQ(secrets.size(), 0u);
}

class DirectorySecrets : public SharedSecretsTest {
 protected:
  DirectorySecrets() : pool_(*registry::AddressPool::create({*inet::Cidr::parse("10.8.0.0/24")})) {
    directory_ = std::move(*ClientDirectory::open(pool_, routes_, {}));
    directory_->set_static_keys(own_);
  }
  void change(registry::Write::Kind kind, registry::ClientPtr before, std::shared_ptr<registry::Client> after) {
    registry::Draft draft;
    draft.base = directory_->registry().revision();
    draft.steps.push_back({kind, std::move(before), std::move(after)});
    ASSERT_TRUE(directory_->prepare(draft));
    directory_->commit(draft, {*compile_client_lists({}, "")});
    directory_->prepare_secrets(10);
  }
  registry::ClientPtr alice() const { return directory_->registry().share("alice"); }
  bool serves(const PublicKey& key) const { return is_shared(directory_->shared_secret(ours_, key), *own_, key); }

  registry::AddressPool pool_;
  RouteLog routes_{1};
  std::unique_ptr<ClientDirectory> directory_;
};

TEST_F(DirectorySecrets, FollowAClientFromItsCreationOverARotationToItsRemoval) {
  const PublicKey first = somebody(), second = somebody();
  auto client = std::make_shared<registry::Client>();
  client->id = "alice";
  client->noise_public_key = first;
  change(registry::Write::Kind::insert, nullptr, client);
  EXPECT_TRUE(serves(first));

  auto rotated = std::make_shared<registry::Client>(*alice());
  rotated->noise_public_key = second;
  rotated->rotation.emplace();
  rotated->rotation->noise_public_key = first;
  rotated->rotation->until_ms = wall_clock_ms() + 3600000;
  change(registry::Write::Kind::replace, alice(), rotated);
  EXPECT_TRUE(serves(first)) << "while they overlap";
  EXPECT_TRUE(serves(second));

  EXPECT_EQ(directory_->expire_rotations(wall_clock_ms() + 7200000).size(), 1u);
  EXPECT_FALSE(serves(first));
  EXPECT_TRUE(serves(second));
  EXPECT_EQ(directory_->secrets(), 1u) << "wiped with the overlap";

  change(registry::Write::Kind::remove, alice(), nullptr);
  EXPECT_FALSE(serves(second));
  EXPECT_EQ(directory_->secrets(), 0u) << "wiped with the client";
}

}  // namespace
}  // namespace smartvpn::server
