#include "registry/registry.hpp"

#include <gtest/gtest.h>

#include "crypto/x25519.hpp"
#include "support/scripted_rng.hpp"

namespace smartvpn::registry {
namespace {

inet::IpAddress ip(const std::string& text) { return *inet::IpAddress::parse(text); }

// A store on which every write fails, as a full disk would make it.
class BrokenStore final : public Store {
 public:
  Result<std::vector<Client>> load() override { return std::vector<Client>{}; }
  Result<Client> get(const std::string&) override { return broken(); }
  Result<uint64_t> insert(Client) override { return broken(); }
  Result<uint64_t> replace(Client) override { return broken(); }
  Result<uint64_t> remove(const std::string&, uint64_t) override { return broken(); }
  Result<uint64_t> revision() override { return uint64_t{0}; }
  Result<ChangeFeed> changes_since(uint64_t) override { return broken(); }

 private:
  static Error broken() { return make_error(Status::SYSTEM, "no space left"); }
};

class RegistryTest : public ::testing::Test {
 protected:
  testing::ScriptedRng rng_;
  AddressPool pool_ = *AddressPool::create({*inet::Cidr::parse("10.8.0.0/24"), *inet::Cidr::parse("fd00:8::/64")});
  MemoryStore* store_ = new MemoryStore;
  Registry registry_ = *Registry::open(std::unique_ptr<Store>(store_), pool_, rng_);

  static ClientSpec spec(const std::string& id) {
    ClientSpec out;
    out.id = id;
    return out;
  }
  PublicKey fresh_key() { return crypto::generate_key_pair(rng_).pub; }
  void expect_error(const ClientSpec& bad, Status status, const std::string& path) {
    const uint64_t before = registry_.revision();
    auto result = registry_.create(bad);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().status, status) << result.error().text;
    EXPECT_EQ(result.error().path, path) << result.error().text;
    EXPECT_EQ(registry_.revision(), before);
  }
};

TEST_F(RegistryTest, MakesAKeyPairAndGivesThePrivateKeyOnce) {
  auto made = registry_.create(spec("alice"));
  ASSERT_TRUE(made);
  EXPECT_EQ(crypto::public_key_of(made->noise_private_key), made->client.noise_public_key);
  const Client* found = registry_.find_by_key(made->client.noise_public_key);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, made->client);
  EXPECT_EQ(*registry_.get("alice"), made->client);
  EXPECT_EQ(*store_->get("alice"), made->client);
}

TEST_F(RegistryTest, KeepsEverythingTheHostSaid) {
  ClientSpec all = spec("bob");
  all.noise_public_key = fresh_key();
  all.enabled = false;
  all.expires_at_ms = 1234567;
  all.addresses = {ip("10.8.0.9"), ip("fd00:8::9")};
  all.description = "Bob's phone";
  all.tags = {"phone", "sales"};
  all.security = {{"198.51.100.0/24"}, {"203.0.113.7"}};
  auto made = registry_.create(all);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->noise_private_key.is_zero());
  const Client& c = *registry_.find("bob");
  EXPECT_EQ(c.noise_public_key, *all.noise_public_key);
  EXPECT_FALSE(c.enabled);
  EXPECT_EQ(c.expires_at_ms, all.expires_at_ms);
  EXPECT_EQ(c.addresses, all.addresses);
  EXPECT_EQ(c.max_sessions, 1u);
  EXPECT_EQ(c.description, all.description);
  EXPECT_EQ(c.tags, all.tags);
  EXPECT_EQ(c.security, all.security);
}

TEST_F(RegistryTest, DuplicatesAreRefusedByName) {
  ClientSpec first = spec("alice");
  first.noise_public_key = fresh_key();
  first.addresses = {ip("10.8.0.9")};
  ASSERT_TRUE(registry_.create(first));
  expect_error(spec("alice"), Status::EXISTS, "/id");
  ClientSpec other = spec("bob");
  other.noise_public_key = first.noise_public_key;
  expect_error(other, Status::EXISTS, "/noise_public_key");
  other = spec("bob");
  other.addresses = {ip("fd00:8::9"), ip("10.8.0.9")};
  expect_error(other, Status::EXISTS, "/addresses/1");
  other.addresses = {ip("fd00:8::9"), ip("10.8.0.10")};
  EXPECT_TRUE(registry_.create(other)) << "the failures left nothing behind";
}

TEST_F(RegistryTest, WhatCannotWorkIsRefusedByName) {
  expect_error(spec("not an id"), Status::INVALID, "/id");
  ClientSpec bad = spec("bob");
  bad.noise_public_key = PublicKey{};
  expect_error(bad, Status::INVALID, "/noise_public_key");
  bad = spec("bob");
  bad.addresses = {ip("10.8.0.1")};
  expect_error(bad, Status::INVALID, "/addresses/0");
  bad.addresses = {ip("192.0.2.9")};
  expect_error(bad, Status::INVALID, "/addresses/0");
  bad.addresses = {ip("10.8.0.9")};
  bad.max_sessions = 2;
  expect_error(bad, Status::INVALID, "/max_sessions");
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(RegistryTest, EnablingIsAChangeOnlyWhenItChanges) {
  ASSERT_TRUE(registry_.create(spec("alice")));
  auto off = registry_.set_enabled("alice", false);
  ASSERT_TRUE(off);
  EXPECT_FALSE(off->enabled);
  EXPECT_FALSE(registry_.find("alice")->enabled);
  EXPECT_EQ(off->revision, 2u);
  EXPECT_EQ(registry_.revision(), 2u);
  ASSERT_TRUE(registry_.set_enabled("alice", false));
  EXPECT_EQ(registry_.revision(), 2u);
  EXPECT_EQ(registry_.set_enabled("bob", true).error().status, Status::NOT_FOUND);
}

TEST_F(RegistryTest, RemovalFreesIdKeyAndAddresses) {
  ClientSpec s = spec("alice");
  s.noise_public_key = fresh_key();
  s.addresses = {ip("10.8.0.9")};
  ASSERT_TRUE(registry_.create(s));
  auto gone = registry_.remove("alice");
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->addresses, s.addresses);
  EXPECT_EQ(registry_.find_by_key(*s.noise_public_key), nullptr);
  EXPECT_EQ(registry_.get("alice").error().status, Status::NOT_FOUND);
  EXPECT_EQ(registry_.remove("alice").error().status, Status::NOT_FOUND);
  EXPECT_TRUE(registry_.create(s));
}

TEST_F(RegistryTest, ListsInOrderOfId) {
  for (const char* id : {"carol", "alice", "bob"}) ASSERT_TRUE(registry_.create(spec(id)));
  std::string ids;
  for (const Client& client : registry_.list()) ids += client.id + " ";
  EXPECT_EQ(ids, "alice bob carol ");
}

TEST_F(RegistryTest, SomebodyElsesChangeIsAConflict) {
  ASSERT_TRUE(registry_.create(spec("alice")));
  ASSERT_TRUE(store_->replace(*store_->get("alice")));
  EXPECT_EQ(registry_.set_enabled("alice", false).error().status, Status::CONFLICT);
  EXPECT_EQ(registry_.remove("alice").error().status, Status::CONFLICT);
  EXPECT_TRUE(registry_.find("alice")->enabled);
}

TEST_F(RegistryTest, AFailingStoreLeavesNothingBehind) {
  Registry registry = *Registry::open(std::make_unique<BrokenStore>(), pool_, rng_);
  ClientSpec s = spec("alice");
  s.addresses = {ip("10.8.0.9")};
  EXPECT_EQ(registry.create(s).error().status, Status::SYSTEM);
  EXPECT_EQ(registry.size(), 0u);
  EXPECT_TRUE(pool_.reserve({ip("10.8.0.9")}));
}

TEST_F(RegistryTest, OpeningLoadsAndReservesWhatTheStoreHas) {
  auto store = std::make_unique<MemoryStore>();
  Client client;
  client.id = "alice";
  client.noise_public_key = fresh_key();
  client.addresses = {ip("10.8.0.9")};
  ASSERT_TRUE(store->insert(client));
  AddressPool pool = *AddressPool::create({*inet::Cidr::parse("10.8.0.0/24")});
  auto registry = Registry::open(std::move(store), pool, rng_);
  ASSERT_TRUE(registry);
  EXPECT_EQ(registry->revision(), 1u);
  EXPECT_NE(registry->find_by_key(client.noise_public_key), nullptr);
  EXPECT_FALSE(pool.reserve({ip("10.8.0.9")}));
}

TEST_F(RegistryTest, OpeningNamesTheClientThatDoesNotFit) {
  auto store = std::make_unique<MemoryStore>();
  for (const char* address : {"10.8.0.9", "10.99.0.9"}) {
    Client client;
    client.id = std::string("at-") + address;
    client.noise_public_key = fresh_key();
    client.addresses = {ip(address)};
    ASSERT_TRUE(store->insert(client));
  }
  AddressPool pool = *AddressPool::create({*inet::Cidr::parse("10.8.0.0/24")});
  auto registry = Registry::open(std::move(store), pool, rng_);
  ASSERT_FALSE(registry);
  EXPECT_NE(registry.error().text.find("at-10.99.0.9"), std::string::npos);
  EXPECT_TRUE(pool.reserve({ip("10.8.0.9")})) << "what was reserved before the failure is free again";
}

TEST_F(RegistryTest, TenThousandClientsAreFoundByKey) {
  std::vector<PublicKey> keys;
  auto store = std::make_unique<MemoryStore>();
  for (int i = 0; i < 10000; ++i) {
    Client client;
    client.id = "c" + std::to_string(i);
    rng_.fill(client.noise_public_key);
    keys.push_back(client.noise_public_key);
    ASSERT_TRUE(store->insert(client));
  }
  Registry registry = *Registry::open(std::move(store), pool_, rng_);
  for (size_t i = 0; i < keys.size(); ++i) {
    const Client* found = registry.find_by_key(keys[i]);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->id, "c" + std::to_string(i));
  }
  EXPECT_EQ(registry.find_by_key(fresh_key()), nullptr);
}

}  // namespace
}  // namespace smartvpn::registry
