#include "registry/registry.hpp"

#include <gtest/gtest.h>

#include "crypto/x25519.hpp"
#include "registry/client_changes.hpp"
#include "support/scripted_rng.hpp"

namespace smartvpn::registry {
namespace {

constexpr int64_t kToday = 1'000'000;

inet::IpAddress address(const std::string& text) { return *inet::IpAddress::parse(text); }
inet::Cidr cidr(const std::string& text) { return *inet::Cidr::parse(text); }

AddressPool both_families() { return *AddressPool::create({cidr("10.8.0.0/24"), cidr("fd00:8::/64")}); }

ClientSpec spec(const std::string& id) {
  ClientSpec out;
  out.id = id;
  return out;
}

// "STATUS path", or "OK".
std::string outcome(const Result<void>& result) {
  if (result) return "OK";
  return std::string(status_name(static_cast<int32_t>(result.error().status))) + " " + result.error().path;
}

// A registry with its store, and the way of a change through both as a server makes it.
class RegistryTest : public ::testing::Test {
 protected:
  testing::ScriptedRng rng_;
  AddressPool pool_ = both_families();
  MemoryStore store_;
  Registry registry_ = *Registry::open({}, 0, pool_, rng_);

  PublicKey fresh_key() { return crypto::generate_key_pair(rng_).pub; }
  static Draft::Step step(Write::Kind kind, ClientPtr before, std::optional<Client> after) {
    return {kind, std::move(before), after ? std::make_shared<Client>(std::move(*after)) : nullptr};
  }
  Draft::Step creation(const ClientSpec& spec) {
    return step(Write::Kind::insert, nullptr, new_client(spec, {}, rng_)->client);
  }
  template <class Fn>
  Draft::Step change(const std::string& id, Fn&& fn) {
    Client after = *registry_.find(id);
    fn(after);
    return step(Write::Kind::replace, registry_.share(id), std::move(after));
  }
  Draft::Step removal(const std::string& id) { return step(Write::Kind::remove, registry_.share(id), {}); }

  Result<void> apply(std::vector<Draft::Step> steps) {
    Draft draft;
    draft.base = registry_.revision();
    draft.steps = std::move(steps);
    if (auto ok = registry_.prepare(draft); !ok) return ok;
    auto written = store_.apply(draft.writes(), draft.base);
    if (!written) {
      registry_.roll_back(draft);
      return written.error();
    }
    registry_.commit(draft);
    EXPECT_EQ(registry_.revision(), *written);
    return {};
  }
  Result<void> create(const ClientSpec& spec) { return apply({creation(spec)}); }
  // The copy is what the store has.
  void expect_in_step() {
    auto stored = *store_.load();
    ASSERT_EQ(stored.size(), registry_.size());
    for (const Client& client : stored) EXPECT_EQ(*registry_.find(client.id), client) << client.id;
  }
};

TEST_F(RegistryTest, WhatWasCreatedIsFoundByIdAndByKey) {
  ASSERT_TRUE(create(spec("alice")));
  const Client* alice = registry_.find("alice");
  ASSERT_NE(alice, nullptr);
  EXPECT_EQ(registry_.find_by_key(alice->noise_public_key, kToday), alice);
  EXPECT_EQ(*registry_.get("alice"), *alice);
  EXPECT_EQ(alice->revision, 1u);
  EXPECT_EQ(registry_.get("bob").error().status, Status::NOT_FOUND);
  EXPECT_EQ(registry_.find_by_key(fresh_key(), kToday), nullptr);
  expect_in_step();
}

TEST_F(RegistryTest, KeepsEverythingTheHostSaid) {
  ClientSpec all = spec("bob");
  all.noise_public_key = fresh_key();
  all.enabled = false;
  all.expires_at_ms = 1234567;
  all.addresses = {address("10.8.0.9"), address("fd00:8::9")};
  all.subnets = {cidr("192.168.7.0/24"), cidr("fd77::/48")};
  all.transports = 5;
  all.session_policy = SessionPolicy::refuse_new;
  all.priority = 7;
  all.description = "Bob's phone";
  all.tags = {"phone", "sales"};
  all.security = {{"198.51.100.0/24"}, {"203.0.113.7"}, {"192.0.2.0/24"}, {"192.0.2.9"}, {1, 2, 3, 4}};
  ASSERT_TRUE(create(all));
  EXPECT_EQ(static_cast<const ClientSettings&>(*registry_.find("bob")), static_cast<const ClientSettings&>(all));
  EXPECT_EQ(registry_.find("bob")->noise_public_key, *all.noise_public_key);
}

TEST_F(RegistryTest, AddressesAreRefusedByName) {
  ClientSpec first = spec("alice");
  first.addresses = {address("10.8.0.9")};
  ASSERT_TRUE(create(first));
  ClientSpec other = spec("bob");
  other.addresses = {address("fd00:8::9"), address("10.8.0.9")};
  EXPECT_EQ(outcome(create(other)), "EXISTS /0/addresses/1");
  other.addresses = {address("10.8.0.1")};
  EXPECT_EQ(outcome(create(other)), "INVALID /0/addresses/0") << "the gateway's";
  other.addresses = {address("192.0.2.9")};
  EXPECT_EQ(outcome(create(other)), "INVALID /0/addresses/0");
  other.addresses = {address("fd00:8::9"), address("10.8.0.10")};
  EXPECT_EQ(outcome(create(other)), "OK") << "the failures left nothing behind";
  expect_in_step();
}

TEST_F(RegistryTest, SubnetsAreApartUnlessOverlapsAreMeant) {
  ClientSpec site = spec("site");
  site.subnets = {cidr("192.168.0.0/16"), cidr("fd77::/48")};
  ASSERT_TRUE(create(site));
  auto with = [&](const char* subnet, bool allow_overlap) {
    ClientSpec other = spec("other");
    other.subnets = {cidr("172.16.0.0/24"), cidr(subnet)};
    other.allow_overlap = allow_overlap;
    std::string out = outcome(create(other));
    if (out == "OK") {
      EXPECT_TRUE(apply({removal("other")}));
    }
    return out;
  };
  const std::string exists = "EXISTS /0/subnets/1", invalid = "INVALID /0/subnets/1";
  for (const char* subnet : {"192.168.0.0/16", "fd77::/48"}) {
    EXPECT_EQ(with(subnet, false), exists) << subnet;
    EXPECT_EQ(with(subnet, true), exists) << "a double is never meant: " << subnet;
  }
  for (const char* subnet : {"192.168.7.0/24", "192.0.0.0/8", "192.168.7.7/32", "fd77:0:0:7::/64", "fd00::/9"}) {
    const bool of_pool = std::string(subnet) == "fd00::/9";
    EXPECT_EQ(with(subnet, false), of_pool ? invalid : exists) << subnet;
    EXPECT_EQ(with(subnet, true), "OK") << subnet;
  }
  for (const char* subnet : {"10.8.0.128/25", "10.0.0.0/8", "fd00:8::/80", "0.0.0.0/0", "::/0"}) {
    EXPECT_EQ(with(subnet, false), invalid) << subnet;
    EXPECT_EQ(with(subnet, true), "OK") << subnet;
  }
  for (const char* subnet : {"10.8.0.0/24", "10.8.0.7/32", "fd00:8::7/128", "127.0.0.0/8", "224.1.0.0/16", "fe80::/64"})
    EXPECT_EQ(with(subnet, true), invalid) << subnet;
  EXPECT_EQ(with("198.51.100.0/24", false), "OK");
}

TEST_F(RegistryTest, AnOverlapThatOneMeantIsNoReasonAgainstTheOthersChanges) {
  ClientSpec wide = spec("wide"), narrow = spec("narrow");
  wide.subnets = {cidr("192.168.0.0/16")};
  narrow.subnets = {cidr("192.168.7.0/24")};
  narrow.allow_overlap = true;
  ASSERT_TRUE(create(wide));
  ASSERT_TRUE(create(narrow));
  EXPECT_EQ(outcome(apply({change("wide", [](Client& c) { c.description = "x"; })})), "OK");
  EXPECT_EQ(outcome(apply({change("narrow", [](Client& c) { c.allow_overlap = false; })})), "EXISTS /0/subnets/0");
  AddressPool pool = both_families();
  EXPECT_TRUE(Registry::open(*store_.load(), 3, pool, rng_)) << "and so it is loaded again";
}

TEST_F(RegistryTest, ARemovalFreesEverything) {
  ClientSpec s = spec("alice");
  s.noise_public_key = fresh_key();
  s.addresses = {address("10.8.0.9")};
  s.subnets = {cidr("192.168.7.0/24")};
  ASSERT_TRUE(create(s));
  ASSERT_TRUE(apply({removal("alice")}));
  EXPECT_EQ(registry_.find_by_key(*s.noise_public_key, kToday), nullptr);
  EXPECT_EQ(registry_.size(), 0u);
  s.id = "bob";
  EXPECT_EQ(outcome(create(s)), "OK");
}

TEST_F(RegistryTest, ListsInOrderOfId) {
  for (const char* id : {"carol", "alice", "bob"}) ASSERT_TRUE(create(spec(id)));
  std::string ids;
  for (const auto& client : registry_.list()) ids += client->id + " ";
  EXPECT_EQ(ids, "alice bob carol ");
}

TEST_F(RegistryTest, ATransactionHandsAddressesAndSubnetsOverWithinItself) {
  ClientSpec alice = spec("alice"), bob = spec("bob");
  alice.addresses = {address("10.8.0.9")};
  alice.subnets = {cidr("192.168.7.0/24")};
  ASSERT_TRUE(create(alice));
  ASSERT_TRUE(create(bob));
  auto take = [](Client& c) {
    c.addresses = {address("10.8.0.9")};
    c.subnets = {cidr("192.168.7.0/24")};
  };
  auto give = [](Client& c) { c.addresses.clear(), c.subnets.clear(); };
  EXPECT_EQ(outcome(apply({change("bob", take), change("alice", give)})), "EXISTS /0/addresses/0") << "in this order";
  EXPECT_EQ(outcome(apply({change("alice", give), change("bob", take)})), "OK");
  EXPECT_EQ(registry_.find("bob")->addresses, alice.addresses);
  EXPECT_FALSE(pool_.reserve({address("10.8.0.9")}));
  expect_in_step();
}

TEST_F(RegistryTest, AFailedTransactionLeavesNothingBehind) {
  ClientSpec alice = spec("alice");
  alice.addresses = {address("10.8.0.9")};
  alice.subnets = {cidr("192.168.7.0/24")};
  ASSERT_TRUE(create(alice));
  ClientSpec fresh = spec("fresh"), wrong = spec("wrong");
  fresh.addresses = {address("10.8.0.10")};
  fresh.subnets = {cidr("192.168.8.0/24")};
  wrong.subnets = {cidr("192.168.8.128/25")};
  auto give = [](Client& c) { c.addresses = {address("10.8.0.11")}, c.subnets.clear(); };
  EXPECT_EQ(outcome(apply({creation(fresh), change("alice", give), creation(wrong)})), "EXISTS /2/subnets/0");
  // Here the store says no, after everything was prepared.
  ClientSpec same_key = spec("same-key");
  same_key.noise_public_key = registry_.find("alice")->noise_public_key;
  EXPECT_EQ(outcome(apply({creation(fresh), creation(same_key)})), "EXISTS /1/noise_public_key");
  EXPECT_EQ(registry_.size(), 1u);
  EXPECT_EQ(registry_.revision(), 1u);
  expect_in_step();
  EXPECT_TRUE(pool_.reserve({address("10.8.0.10"), address("10.8.0.11")}));
  EXPECT_FALSE(pool_.reserve({address("10.8.0.9")}));
  wrong.subnets = {cidr("192.168.7.0/25")};
  EXPECT_EQ(outcome(create(wrong)), "EXISTS /0/subnets/0") << "alice has it still";
  wrong.subnets = {cidr("192.168.8.0/24")};
  EXPECT_EQ(outcome(create(wrong)), "OK");
}

TEST_F(RegistryTest, ADraftOfAnEarlierRevisionIsAConflict) {
  Draft draft;
  draft.steps = {creation(spec("alice"))};
  ASSERT_TRUE(create(spec("bob")));
  EXPECT_EQ(registry_.prepare(draft).error().status, Status::CONFLICT);
}

TEST_F(RegistryTest, ASessionsOwnAddressMayBecomeItsClientsForGood) {
  ASSERT_TRUE(create(spec("alice")));
  ASSERT_TRUE(create(spec("bob")));
  auto offer = pool_.offer({"alice", {}, {address("10.8.0.77")}, 1});
  auto fix = [](Client& c) { c.addresses = {address("10.8.0.77")}; };
  EXPECT_EQ(outcome(apply({change("bob", fix)})), "EXISTS /0/addresses/0");
  EXPECT_EQ(outcome(apply({change("alice", fix)})), "OK");
  pool_.release(offer.lease);
  EXPECT_EQ(pool_.offer({"bob", {}, {address("10.8.0.77")}, 1}).addresses.at(0), address("10.8.0.2"))
      << "not for others";
}

TEST_F(RegistryTest, WireguardClientsGetFixedAddressesAndKeepThem) {
  pool_ = *AddressPool::create({cidr("10.8.0.0/30"), cidr("fd00:8::/64")});
  registry_ = *Registry::open({}, 0, pool_, rng_, {.wireguard_addresses = true});
  ClientSpec with_key = spec("phone");
  with_key.wireguard_public_key = fresh_key();
  ASSERT_TRUE(create(with_key));
  const std::vector<inet::IpAddress> given = {address("10.8.0.2"), address("fd00:8::2")};
  EXPECT_EQ(registry_.find("phone")->addresses, given);
  ASSERT_TRUE(apply({change("phone", [](Client& c) { c.addresses.clear(); })}));
  EXPECT_EQ(registry_.find("phone")->addresses, given) << "WireGuard needs them";
  ASSERT_TRUE(create(spec("plain"))) << "needs none, so none is left is no matter";
  with_key.id = "second";
  with_key.wireguard_public_key = fresh_key();
  EXPECT_EQ(outcome(create(with_key)), "LIMIT /0/addresses");
  EXPECT_TRUE(pool_.reserve({address("fd00:8::3")})) << "nothing of the failed one is reserved";
  auto drop_key = [](Client& c) { c.wireguard_public_key.reset(), c.addresses.clear(); };
  ASSERT_TRUE(apply({change("phone", drop_key)}));
  EXPECT_TRUE(registry_.find("phone")->addresses.empty());
  EXPECT_EQ(outcome(create(with_key)), "OK");
  expect_in_step();
}

class Rotations : public RegistryTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(create(spec("alice")));
    old_key = registry_.find("alice")->noise_public_key;
    RotateOptions options;
    options.overlap_seconds = 10;
    auto rotated = rotated_client(*registry_.find("alice"), options, {}, kToday, rng_);
    ASSERT_TRUE(rotated);
    new_key = rotated->client.noise_public_key;
    ASSERT_TRUE(apply({step(Write::Kind::replace, registry_.share("alice"), rotated->client)}));
  }
  std::string by(const PublicKey& key, int64_t now) {
    const Client* found = registry_.find_by_key(key, now);
    return found ? found->id : "";
  }
  PublicKey old_key{}, new_key{};
};

TEST_F(Rotations, BothKeysFindTheClientDuringTheOverlapAndTheOldOneNoLonger) {
  EXPECT_NE(old_key, new_key);
  EXPECT_EQ(by(old_key, kToday), "alice");
  EXPECT_EQ(by(new_key, kToday), "alice");
  EXPECT_EQ(by(old_key, kToday + 9999), "alice");
  EXPECT_EQ(by(old_key, kToday + 10000), "") << "over is over, ticked or not";
  EXPECT_EQ(by(new_key, kToday + 10000), "alice");
}

TEST_F(Rotations, ExpiryIsToldOnce) {
  EXPECT_TRUE(registry_.expire_rotations(kToday + 9999).empty());
  EXPECT_EQ(registry_.expire_rotations(kToday + 10000), std::vector<std::string>{"alice"});
  EXPECT_TRUE(registry_.expire_rotations(kToday + 20000).empty());
  EXPECT_FALSE(registry_.find("alice")->rotation);
  EXPECT_EQ(by(old_key, kToday), "");
  ASSERT_TRUE(apply({change("alice", [](Client& c) { c.description = "x"; })})) << "the store takes the end of it";
  EXPECT_FALSE(store_.get("alice")->rotation);
}

TEST_F(Rotations, TheNewKeyIsSeenOnceAndThatOutlivesAChangeOnItsWay) {
  Draft draft;
  draft.base = registry_.revision();
  draft.steps = {change("alice", [](Client& c) { c.description = "x"; })};
  ASSERT_TRUE(registry_.prepare(draft));
  EXPECT_TRUE(registry_.note_new_key("alice"));
  EXPECT_FALSE(registry_.note_new_key("alice"));
  EXPECT_FALSE(registry_.note_new_key("bob"));
  registry_.commit(draft);
  EXPECT_TRUE(registry_.find("alice")->rotation->seen);
  EXPECT_EQ(registry_.find("alice")->description, "x");
}

TEST_F(Rotations, AnOverlapThatEndsWhileAChangeIsOnItsWayStaysOver) {
  Draft draft;
  draft.base = registry_.revision();
  draft.steps = {change("alice", [](Client& c) { c.description = "x"; })};
  ASSERT_TRUE(registry_.prepare(draft));
  EXPECT_EQ(registry_.expire_rotations(kToday + 10000).size(), 1u);
  registry_.commit(draft);
  EXPECT_FALSE(registry_.find("alice")->rotation);
  EXPECT_TRUE(registry_.expire_rotations(kToday + 10000).empty());
}

TEST_F(Rotations, CommitAndRollBackLeaveOneKey) {
  Client rolled = *rolled_back_client(*registry_.find("alice"), kToday);
  ASSERT_TRUE(apply({step(Write::Kind::replace, registry_.share("alice"), rolled)}));
  EXPECT_EQ(by(old_key, kToday), "alice");
  EXPECT_EQ(by(new_key, kToday), "");
  expect_in_step();
  Client rotated = rotated_client(*registry_.find("alice"), {}, {}, kToday, rng_)->client;
  ASSERT_TRUE(apply({step(Write::Kind::replace, registry_.share("alice"), rotated)}));
  ASSERT_TRUE(apply(
      {step(Write::Kind::replace, registry_.share("alice"), *committed_client(*registry_.find("alice"), kToday))}));
  EXPECT_EQ(by(old_key, kToday), "");
  EXPECT_EQ(by(rotated.noise_public_key, kToday), "alice");
  expect_in_step();
}

TEST_F(RegistryTest, OpeningReservesWhatTheStoreHas) {
  ClientSpec s = spec("alice");
  s.addresses = {address("10.8.0.9")};
  s.subnets = {cidr("192.168.7.0/24")};
  ASSERT_TRUE(create(s));
  AddressPool pool = both_families();
  auto registry = Registry::open(*store_.load(), 1, pool, rng_);
  ASSERT_TRUE(registry);
  EXPECT_EQ(registry->revision(), 1u);
  EXPECT_NE(registry->find_by_key(registry_.find("alice")->noise_public_key, kToday), nullptr);
  EXPECT_FALSE(pool.reserve({address("10.8.0.9")}));
  Draft draft;
  draft.base = 1;
  s.id = "bob";
  s.addresses.clear();
  draft.steps = {creation(s)};
  EXPECT_EQ(outcome(registry->prepare(draft)), "EXISTS /0/subnets/0");
}

TEST_F(RegistryTest, OpeningNamesTheClientThatDoesNotFit) {
  std::vector<Client> clients(2);
  for (size_t i = 0; i < 2; ++i) {
    clients[i].id = "c" + std::to_string(i);
    clients[i].noise_public_key = fresh_key();
  }
  clients[0].addresses = {address("10.8.0.9")};
  clients[1].addresses = {address("10.99.0.9")};
  AddressPool pool = both_families();
  auto registry = Registry::open(clients, 2, pool, rng_);
  ASSERT_FALSE(registry);
  EXPECT_NE(registry.error().text.find("c1"), std::string::npos);
  EXPECT_TRUE(pool.reserve({address("10.8.0.9")})) << "what was reserved before the failure is free again";
  clients[1].addresses.clear();
  clients[1].subnets = {cidr("10.8.0.0/16")};
  pool = both_families();
  EXPECT_FALSE(Registry::open(clients, 2, pool, rng_)) << "overlaps what is now the pool";
}

TEST_F(RegistryTest, TenThousandClientsAreFoundByKey) {
  std::vector<Client> clients(10000);
  for (size_t i = 0; i < clients.size(); ++i) {
    clients[i].id = "c" + std::to_string(i);
    rng_.fill(clients[i].noise_public_key);
  }
  Registry registry = *Registry::open(clients, 10000, pool_, rng_);
  for (const Client& client : clients) {
    const Client* found = registry.find_by_key(client.noise_public_key, kToday);
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->id, client.id);
  }
  EXPECT_EQ(registry.find_by_key(fresh_key(), kToday), nullptr);
}

}  // namespace
}  // namespace smartvpn::registry
