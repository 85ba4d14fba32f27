// The way of a change between caller, shard and store, with a store that does what the test says.
#include "server/registry_hub.hpp"

#include "server/plan.hpp"
#include "server/shard.hpp"
#include "support/vpn_pair.hpp"

namespace smartvpn::server {
namespace {

using Kind = ClientChange::Kind;

// Refuses as a full disk does, and says when it writes.
class ScriptedStore final : public registry::Store {
 public:
  Result<std::vector<registry::Client>> load() override { return memory.load(); }
  Result<registry::Client> get(const std::string& id) override { return memory.get(id); }
  Result<uint64_t> apply(const std::vector<registry::Write>& writes, std::optional<uint64_t> expected) override {
    if (full) return system_error(ENOSPC, "registry", "/registry/path");
    if (during_write) during_write();
    return memory.apply(writes, expected);
  }
  Result<uint64_t> revision() override { return memory.revision(); }
  Result<void> save_stamps(const std::vector<registry::HandshakeStamp>& stamps) override {
    return memory.save_stamps(stamps);
  }
  Result<std::vector<registry::HandshakeStamp>> load_stamps(int64_t forget_before_ms) override {
    return memory.load_stamps(forget_before_ms);
  }
  Result<registry::ChangeFeed> changes_since(uint64_t revision) override { return memory.changes_since(revision); }

  registry::MemoryStore memory;
  bool full = false;
  std::function<void()> during_write;
};

class RegistryHubTest : public ::testing::Test {
 protected:
  RegistryHubTest() {
    auto plan =
        std::make_shared<const Plan>(*make_plan(*config::parse_server_config(testing_support::ServerSetup().json())));
    control_ = *Control::create(*plan, 1);
    shard_ = *Shard::create(plan, {events_, *control_});
    auto store = std::make_unique<ScriptedStore>();
    store_ = store.get();
    MutexLock hold(hub_.changing());
    EXPECT_TRUE(hub_.start(std::move(store), *shard_, {}));
  }
  Result<void> on_shard(const RegistryHub::Command& command) {
    ++commands_;
    if (refusals_ > 0) {
      --refusals_;
      return make_error(refusal_, "not now");
    }
    in_command_ = true;
    auto result = command(*shard_);
    in_command_ = false;
    return result;
  }
  static ClientChange creation(const std::string& id) {
    ClientChange change(Kind::create);
    change.spec.id = id;
    change.spec.addresses = {*inet::IpAddress::parse("10.8.0.9")};
    change.spec.subnets = {*inet::Cidr::parse("192.168.7.0/24")};
    return change;
  }

  // No other thread is there.
  NO_THREAD_SAFETY_ANALYSIS const ClientDirectory& clients() const { return *control_->clients; }

  telemetry::EventHub events_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<Shard> shard_;
  ScriptedStore* store_ = nullptr;
  int commands_ = 0, refusals_ = 0;
  Status refusal_ = Status::LIMIT;
  bool in_command_ = false;
  RegistryHub hub_{[this](size_t, const RegistryHub::Command& command) { return on_shard(command); }, {}};
};

TEST_F(RegistryHubTest, AStoreThatCannotWriteChangesNothingAndIsAskedAgainNextTime) {
  store_->full = true;
  auto refused = hub_.apply_one(creation("alice"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, Status::SYSTEM);
  EXPECT_EQ(refused.error().system_errno, ENOSPC);
  EXPECT_EQ(refused.error().path, "/registry/path");
  EXPECT_EQ(clients().size(), 0u);
  EXPECT_EQ(clients().registry().revision(), 0u);
  store_->full = false;
  auto bob = hub_.apply_one(creation("bob"));
  ASSERT_TRUE(bob) << "address and subnet were free again: " << bob.error().text;
  EXPECT_EQ(bob->revision, 1u);
}

TEST_F(RegistryHubTest, TheShardIsFreeWhileTheStoreWritesAndShowsNothingBefore) {
  bool written = false;
  store_->during_write = [&] {
    written = true;
    EXPECT_FALSE(in_command_);
    EXPECT_EQ(clients().size(), 0u) << "nothing holds before it is stored";
  };
  ASSERT_TRUE(hub_.apply_one(creation("alice")));
  EXPECT_TRUE(written);
  EXPECT_EQ(clients().size(), 1u);
  EXPECT_EQ(commands_, 3) << "looked, prepared, committed";
}

TEST_F(RegistryHubTest, WhatIsStoredReachesTheCopyEvenIfTheShardCannotBeAskedForAWhile) {
  store_->during_write = [&] { refusals_ = 3; };
  ASSERT_TRUE(hub_.apply_one(creation("alice")));
  EXPECT_EQ(clients().size(), 1u);
  EXPECT_EQ(clients().registry().revision(), 1u);
}

TEST_F(RegistryHubTest, WhatIsStoredIsAcknowledgedEvenIfTheServerStopsMeanwhile) {
  refusal_ = Status::BAD_STATE;
  store_->during_write = [&] { refusals_ = 1; };
  EXPECT_TRUE(hub_.apply_one(creation("alice")));
  EXPECT_TRUE(store_->memory.get("alice"));
}

TEST_F(RegistryHubTest, AChangeOfTheStoreByAnotherServerIsAConflict) {
  registry::Client other;
  other.id = "other";
  other.noise_public_key = PublicKey{7};
  ASSERT_TRUE(store_->memory.apply({{registry::Write::Kind::insert, other}}, {}));
  EXPECT_EQ(hub_.apply_one(creation("alice")).error().status, Status::CONFLICT);
  EXPECT_EQ(clients().size(), 0u);
}

TEST_F(RegistryHubTest, PathsNameTheChangeThatFailed) {
  ASSERT_TRUE(hub_.apply_one(creation("alice")));
  ClientChange nothing(Kind::enable, "alice"), taken = creation("carol");  // the first makes no step of the draft
  EXPECT_EQ(hub_.apply({nothing, taken}, std::nullopt).error().path, "/1/addresses/0");
  taken.spec.addresses.clear();
  EXPECT_EQ(hub_.apply({nothing, taken}, std::nullopt).error().path, "/1/subnets/0");
  taken.spec.subnets.clear();
  taken.spec.noise_public_key = clients().registry().find("alice")->noise_public_key;
  EXPECT_EQ(hub_.apply({nothing, taken}, std::nullopt).error().path, "/1/noise_public_key");
  EXPECT_EQ(hub_.apply_one(taken).error().path, "/noise_public_key");
}

TEST_F(RegistryHubTest, WithoutAStoreThereIsNoRegistry) {
  hub_.stop();
  EXPECT_EQ(hub_.apply_one(creation("alice")).error().status, Status::BAD_STATE);
}

// What a reconfiguration creates and what it changes stay together.
TEST_F(RegistryHubTest, WhatComesWithDeclaredClientsIsInsistedUpon) {
  std::vector<config::ClientConfig> declared(1);
  declared[0].id = "carol";
  declared[0].noise_public_key = crypto::generate_key_pair(system_rng()).pub;
  int ran = 0;
  auto done = hub_.declare(declared, [&](Shard&) -> Result<void> {
    EXPECT_TRUE(clients().find("carol").client);
    if (++ran == 1) refusals_ = 2;  // of the shard's queue, when it comes again
    return ran == 1 ? Result<void>(make_error(Status::NO_MEMORY, "")) : Result<void>();
  });
  EXPECT_TRUE(done) << done.error().text;
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(refusals_, 0);
  store_->full = true;
  declared[0].id = "dave";
  EXPECT_FALSE(hub_.declare(declared, [&](Shard&) -> Result<void> {
    ADD_FAILURE() << "dave could not be created";
    return {};
  }));
}

}  // namespace
}  // namespace smartvpn::server
