#include "registry/address_pool.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace smartvpn::registry {
namespace {

using inet::Cidr;
using inet::IpAddress;
using Addresses = std::vector<IpAddress>;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

AddressPool pool_of(const std::vector<std::string>& subnets) {
  std::vector<Cidr> cidrs;
  for (const auto& text : subnets) cidrs.push_back(*Cidr::parse(text));
  return *AddressPool::create(cidrs);
}

LeaseRequest request(const std::string& client, uint32_t max_sessions = 1, Addresses wanted = {}) {
  return {client, {}, std::move(wanted), max_sessions};
}

TEST(AddressPool, OneAddressOfEachFamilyAndTheGatewaysAreKept) {
  AddressPool pool = pool_of({"fd00:8::/64", "10.8.0.0/24"});
  EXPECT_EQ(pool.gateways(), (Addresses{ip("fd00:8::1"), ip("10.8.0.1")}));
  const Offer offer = pool.offer(request("alice"));
  EXPECT_EQ(offer.reason, Reason::none);
  EXPECT_EQ(offer.addresses, (Addresses{ip("10.8.0.2"), ip("fd00:8::2")}));
  EXPECT_EQ(pool.offer(request("bob")).addresses, (Addresses{ip("10.8.0.3"), ip("fd00:8::3")}));
}

TEST(AddressPool, OverlappingSubnetsAreNamedByTheirPath) {
  auto pool = AddressPool::create({*Cidr::parse("10.8.0.0/16"), *Cidr::parse("10.8.3.0/24")});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().path, "/network/subnets/1");
  auto bad = AddressPool::create({*Cidr::parse("10.8.0.0/16"), *Cidr::parse("10.9.0.0/31")});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().path, "/network/subnets/1");
}

TEST(AddressPool, ASecondSubnetOfTheFamilyFollowsTheFirst) {
  AddressPool pool = pool_of({"10.8.0.0/30", "10.9.0.0/30"});
  EXPECT_EQ(pool.offer(request("a")).addresses, Addresses{ip("10.8.0.2")});
  EXPECT_EQ(pool.offer(request("b")).addresses, Addresses{ip("10.9.0.2")});
  const Offer none = pool.offer(request("c"));
  EXPECT_EQ(none.reason, Reason::no_address_left);
  EXPECT_EQ(none.lease, 0u);
}

TEST(AddressPool, ExhaustionOfOneFamilyHoldsNothingOfTheOther) {
  AddressPool pool = pool_of({"10.8.0.0/24", "fd00:8::/126"});
  const Offer a = pool.offer(request("a"));
  pool.offer(request("b"));
  EXPECT_EQ(pool.offer(request("c")).reason, Reason::no_address_left);
  pool.release(a.lease);
  const Offer d = pool.offer(request("d"));
  EXPECT_EQ(d.addresses, (Addresses{ip("10.8.0.4"), ip("fd00:8::2")})) << "a's IPv4 address is still remembered";
}

TEST(AddressPool, WithoutSubnetsSessionsHaveNoAddresses) {
  AddressPool pool = pool_of({});
  const Offer offer = pool.offer(request("a"));
  EXPECT_EQ(offer.reason, Reason::none);
  EXPECT_TRUE(offer.addresses.empty());
  EXPECT_TRUE(pool.commit(offer.lease).ok);
  EXPECT_EQ(pool.commit(pool.offer(request("a")).lease).displaced, offer.lease);
}

TEST(AddressPool, AClientFindsItsAddressAgain) {
  AddressPool pool = pool_of({"10.8.0.0/24", "fd00:8::/64"});
  const Offer first = pool.offer(request("alice"));
  pool.commit(first.lease);
  pool.release(first.lease);
  pool.offer(request("bob"));
  EXPECT_EQ(pool.offer(request("alice")).addresses, first.addresses);
}

TEST(AddressPool, AForgottenClientsAddressIsAnybodys) {
  AddressPool pool = pool_of({"10.8.0.0/24"});
  const Offer first = pool.offer(request("alice"));
  pool.forget("alice");  // while it is connected
  pool.release(first.lease);
  EXPECT_EQ(pool.offer(request("bob")).addresses, first.addresses);
}

TEST(AddressPool, WishesAreGrantedOnlyForWhatIsFree) {
  AddressPool pool = pool_of({"10.8.0.0/24", "fd00:8::/64"});
  ASSERT_TRUE(pool.reserve({ip("10.8.0.50")}));
  EXPECT_EQ(pool.offer(request("a", 1, {ip("10.8.0.77"), ip("fd00:8::dead:beef")})).addresses,
            (Addresses{ip("10.8.0.77"), ip("fd00:8::dead:beef")}));
  for (const char* refused : {"10.8.0.77", "10.8.0.50", "10.8.0.1", "10.8.0.0", "10.8.0.255", "192.0.2.1"}) {
    const Offer offer = pool.offer(request(std::string("b") + refused, 1, {ip(refused)}));
    EXPECT_EQ(offer.reason, Reason::none);
    EXPECT_NE(offer.addresses[0], ip(refused));
  }
  Addresses many(8, ip("192.0.2.1"));
  many.push_back(ip("10.8.0.99"));
  EXPECT_NE(pool.offer(request("c", 1, many)).addresses[0], ip("10.8.0.99")) << "only the first wishes are read";
}

TEST(AddressPool, AnAddressMovesAtCommitAndNotBefore) {
  AddressPool pool = pool_of({"10.8.0.0/24"});
  const Offer old = pool.offer(request("alice"));
  EXPECT_EQ(pool.owner_of(old.addresses[0]), 0u) << "tentative";
  EXPECT_TRUE(pool.commit(old.lease).ok);
  EXPECT_EQ(pool.owner_of(old.addresses[0]), old.lease);

  const Offer newer = pool.offer(request("alice"));
  EXPECT_EQ(newer.addresses, old.addresses);
  EXPECT_EQ(pool.owner_of(old.addresses[0]), old.lease);
  const Commit commit = pool.commit(newer.lease);
  EXPECT_TRUE(commit.ok);
  EXPECT_EQ(commit.displaced, old.lease);
  EXPECT_EQ(pool.owner_of(old.addresses[0]), newer.lease);
  EXPECT_TRUE(pool.commit(newer.lease).ok) << "committing twice";
  EXPECT_EQ(pool.commit(newer.lease).displaced, 0u);
  EXPECT_FALSE(pool.commit(old.lease).ok);
  pool.release(old.lease);
  EXPECT_EQ(pool.owner_of(old.addresses[0]), newer.lease);
  pool.release(newer.lease);
  EXPECT_EQ(pool.owner_of(old.addresses[0]), 0u);
  EXPECT_FALSE(pool.commit(newer.lease).ok);
}

TEST(AddressPool, AnOlderConnectionThatConfirmsLateTakesNothing) {
  AddressPool pool = pool_of({"10.8.0.0/24"});
  const Offer slow = pool.offer(request("alice"));
  const Offer quick = pool.offer(request("alice"));
  EXPECT_TRUE(pool.commit(quick.lease).ok);
  EXPECT_FALSE(pool.commit(slow.lease).ok);
  EXPECT_EQ(pool.owner_of(quick.addresses[0]), quick.lease);
  pool.release(quick.lease);
  EXPECT_TRUE(pool.commit(slow.lease).ok) << "the newer session ended meanwhile";
}

TEST(AddressPool, HalfOpenConnectionsOfOneClientCannotEmptyThePool) {
  AddressPool pool = pool_of({"10.8.0.0/29"});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pool.offer(request("greedy", 2)).reason, Reason::none);
  EXPECT_EQ(pool.offer(request("other")).reason, Reason::none);
}

TEST(AddressPool, SeveralSessionsHaveAnAddressEachAndTheOldestIsReplaced) {
  AddressPool pool = pool_of({"10.8.0.0/24"});
  const Offer a = pool.offer(request("alice", 2)), b = pool.offer(request("alice", 2));
  EXPECT_NE(a.addresses, b.addresses);
  EXPECT_EQ(pool.commit(b.lease).displaced, 0u);
  const Offer half_open = pool.offer(request("alice", 2));
  EXPECT_EQ(half_open.addresses, a.addresses) << "a's is not confirmed yet";
  pool.release(half_open.lease);
  EXPECT_EQ(pool.commit(a.lease).displaced, 0u);
  const Offer c = pool.offer(request("alice", 2));
  EXPECT_EQ(pool.commit(c.lease).displaced, a.lease) << "the oldest";
}

TEST(AddressPool, FixedAddressesAreNeverLeasedAndTheOtherFamilyIs) {
  AddressPool pool = pool_of({"10.8.0.0/30", "fd00:8::/64"});
  ASSERT_TRUE(pool.reserve({ip("10.8.0.2")}));
  EXPECT_EQ(pool.offer(request("stranger")).reason, Reason::no_address_left);
  LeaseRequest mine = request("alice");
  mine.fixed = {ip("10.8.0.2")};
  mine.wanted = {ip("10.8.0.1"), ip("fd00:8::9")};
  const Offer offer = pool.offer(mine);
  EXPECT_EQ(offer.addresses, (Addresses{ip("10.8.0.2"), ip("fd00:8::9")}));
  EXPECT_EQ(pool.offer(mine).addresses, offer.addresses) << "a reconnection while the first is half open";
}

TEST(AddressPool, FixedAddressesOutsideTheSubnetsAreNotGiven) {
  AddressPool pool = pool_of({"10.8.0.0/24"});
  LeaseRequest mine = request("alice");
  mine.fixed = {ip("fd00::5")};
  EXPECT_EQ(pool.offer(mine).reason, Reason::no_address_left);
  EXPECT_EQ(pool.leases(), 0u);
}

TEST(AddressPool, AChangedFixedAddressDoesNotShareTheOldSet) {
  AddressPool pool = pool_of({"10.8.0.0/24"});
  const Offer before = pool.offer(request("alice"));
  ASSERT_TRUE(pool.reserve({ip("10.8.0.9")}));
  LeaseRequest mine = request("alice");
  mine.fixed = {ip("10.8.0.9")};
  EXPECT_EQ(pool.offer(mine).addresses, Addresses{ip("10.8.0.9")});
  EXPECT_TRUE(pool.commit(before.lease).ok);
}

TEST(AddressPool, ReservingNamesWhatIsWrongAndDoesAllOrNothing) {
  AddressPool pool = pool_of({"10.8.0.0/24", "fd00:8::/64"});
  const Offer live = pool.offer(request("alice"));
  ASSERT_TRUE(pool.reserve({ip("10.8.0.9")}));
  struct {
    Addresses addresses;
    Status status;
    const char* path;
  } cases[] = {
      {{ip("10.8.0.1")}, Status::INVALID, "/addresses/0"},
      {{ip("10.8.0.255")}, Status::INVALID, "/addresses/0"},
      {{ip("10.8.0.7"), ip("fd00:9::7")}, Status::INVALID, "/addresses/1"},
      {{ip("10.8.0.7"), ip("10.8.0.9")}, Status::EXISTS, "/addresses/1"},
      {{ip("10.8.0.7"), ip("10.8.0.7")}, Status::EXISTS, "/addresses/1"},
      {{live.addresses[0]}, Status::EXISTS, "/addresses/0"},
  };
  for (const auto& c : cases) {
    auto result = pool.reserve(c.addresses);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().status, c.status);
    EXPECT_EQ(result.error().path, c.path);
  }
  EXPECT_TRUE(pool.reserve({ip("10.8.0.7")})) << "nothing of the failures stayed";
}

// Random life against a model that knows only leases: who was promised what, who owns what.
class Model {
 public:
  struct Entry {
    std::string client;
    uint64_t sequence;
    Addresses addresses;
    bool displaced = false;
  };
  std::map<LeaseId, Entry> leases;
  std::map<IpAddress, LeaseId> owner;
  uint64_t sequence = 0;

  std::set<IpAddress> in_use() const {
    std::set<IpAddress> out;
    for (const auto& [id, e] : leases) out.insert(e.addresses.begin(), e.addresses.end());
    return out;
  }
  std::set<Addresses> sets_of(const std::string& client) const {
    std::set<Addresses> out;
    for (const auto& [id, e] : leases)
      if (e.client == client) out.insert(e.addresses);
    return out;
  }
  void release(LeaseId id) {
    for (auto& [a, o] : owner)
      if (o == id) o = 0;
    leases.erase(id);
  }
};

TEST(AddressPool, RandomLivesKeepEveryPromise) {
  constexpr size_t kV4 = 13;  // addresses of the /28
  std::mt19937 random(42);
  AddressPool pool = pool_of({"10.8.0.0/28", "fd00:8::/64"});
  Model model;
  size_t refused = 0, moved = 0;
  for (int step = 0; step < 30000; ++step) {
    SCOPED_TRACE(step);
    const unsigned number = random() % 9;
    const std::string client = "c" + std::to_string(number);
    const uint32_t max_sessions = 1 + number % 3;
    auto any = model.leases.begin();
    if (!model.leases.empty()) std::advance(any, random() % model.leases.size());
    const unsigned what = random() % 8;
    if (what < 3 && model.leases.size() < 40) {
      const Offer offer =
          pool.offer(request(client, max_sessions, {Cidr::parse("10.8.0.0/28")->base.plus(random() % 16)}));
      ++model.sequence;
      if (offer.reason != Reason::none) {
        ++refused;
        ASSERT_EQ(offer.reason, Reason::no_address_left);
        size_t v4 = 0;
        for (const auto& a : model.in_use()) v4 += a.is_v4();
        ASSERT_EQ(v4, kV4) << "refused while something was free";
        ASSERT_LT(model.sets_of(client).size(), max_sessions) << "could have shared";
        continue;
      }
      ASSERT_EQ(offer.addresses.size(), 2u);
      for (const auto& [id, e] : model.leases)
        for (const auto& a : offer.addresses)
          ASSERT_TRUE(e.client == client || std::count(e.addresses.begin(), e.addresses.end(), a) == 0);
      model.leases[offer.lease] = {client, model.sequence, offer.addresses};
      ASSERT_LE(model.sets_of(client).size(), max_sessions);
    } else if (what < 6 && !model.leases.empty()) {
      auto& [id, e] = *any;
      const LeaseId now = model.owner[e.addresses[0]];
      const bool newer_there = now != 0 && now != id && model.leases[now].sequence > e.sequence;
      const Commit commit = pool.commit(id);
      ASSERT_EQ(commit.ok, !e.displaced && !newer_there);
      ASSERT_EQ(commit.displaced, commit.ok && now != id ? now : 0);
      if (commit.displaced) {
        ++moved;
        ASSERT_EQ(model.leases[now].client, e.client);
        model.leases[now].displaced = true;
      }
      if (commit.ok)
        for (const auto& a : e.addresses) model.owner[a] = id;
    } else if (!model.leases.empty()) {
      pool.release(any->first);
      model.release(any->first);
    }
    for (const auto& [a, o] : model.owner) ASSERT_EQ(pool.owner_of(a), o);
    ASSERT_EQ(pool.leases(), model.leases.size());
  }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(moved, 100u);
}

}  // namespace
}  // namespace smartvpn::registry
