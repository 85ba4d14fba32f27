#include "inet/prefix_trie.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

TEST(PrefixTrie, LongestPrefixWinsAndFamiliesAreApart) {
  PrefixTrie<int> trie;
  EXPECT_EQ(trie.longest_match(ip("10.0.0.1")), nullptr);
  EXPECT_TRUE(trie.insert(cidr("0.0.0.0/0"), 1));
  EXPECT_TRUE(trie.insert(cidr("10.0.0.0/8"), 2));
  EXPECT_TRUE(trie.insert(cidr("10.8.0.7/32"), 3));
  EXPECT_TRUE(trie.insert(cidr("::/0"), 4));
  EXPECT_TRUE(trie.insert(cidr("fd00::7/128"), 5));
  EXPECT_EQ(*trie.longest_match(ip("192.0.2.1")), 1);
  EXPECT_EQ(*trie.longest_match(ip("10.8.0.6")), 2);
  EXPECT_EQ(*trie.longest_match(ip("10.8.0.7")), 3);
  EXPECT_EQ(*trie.longest_match(ip("fd00::6")), 4);
  EXPECT_EQ(*trie.longest_match(ip("fd00::7")), 5);
  EXPECT_EQ(trie.size(), 5u);
  EXPECT_EQ(trie.longest_match(IpAddress()), nullptr);
}

TEST(PrefixTrie, InsertReplacesAndEraseForgets) {
  PrefixTrie<int> trie;
  EXPECT_TRUE(trie.insert(cidr("10.0.0.0/8"), 1));
  EXPECT_FALSE(trie.insert(cidr("10.0.0.0/8"), 2));
  EXPECT_EQ(*trie.exact(cidr("10.0.0.0/8")), 2);
  EXPECT_EQ(trie.exact(cidr("10.0.0.0/9")), nullptr);
  EXPECT_FALSE(trie.erase(cidr("10.0.0.0/9")));
  EXPECT_TRUE(trie.erase(cidr("10.0.0.0/8")));
  EXPECT_FALSE(trie.erase(cidr("10.0.0.0/8")));
  EXPECT_TRUE(trie.empty());
}

TEST(PrefixTrie, CopiesAreIndependent) {
  PrefixTrie<int> trie;
  trie.insert(cidr("10.0.0.0/8"), 1);
  const PrefixTrie<int> snapshot = trie;
  trie.erase(cidr("10.0.0.0/8"));
  ASSERT_NE(snapshot.longest_match(ip("10.1.2.3")), nullptr);
  EXPECT_EQ(trie.longest_match(ip("10.1.2.3")), nullptr);
}

TEST(PrefixTrie, All128LevelsOfOneAddress) {
  PrefixTrie<int> trie;
  const IpAddress address = ip("a5a5:a5a5:5a5a:5a5a:ffff:0:1234:8001");
  for (int n = 0; n <= 128; ++n) trie.insert({address.masked(n), static_cast<uint8_t>(n)}, n);
  for (int n = 128; n >= 0; --n) {
    ASSERT_EQ(*trie.longest_match(address), n);
    ASSERT_TRUE(trie.erase({address.masked(n), static_cast<uint8_t>(n)}));
  }
  EXPECT_EQ(trie.longest_match(address), nullptr);
}

// The kernel's allowed-IPs sequences, in wireguard-go's version (see tests/vectors/README.md).
TEST(PrefixTrie, WireguardAllowedIps) {
  std::ifstream file(std::string(SMARTVPN_VECTORS_DIR) + "/wireguard_allowedips.json");
  const auto json = nlohmann::json::parse(file);
  size_t lookups = 0;
  for (const auto& sequence : json["sequences"]) {
    PrefixTrie<std::string> trie;
    for (const auto& step : sequence["steps"]) {
      const auto op = step["op"].get<std::string>();
      const std::string peer =
          step.contains("peer") && step["peer"].is_string() ? step["peer"].get<std::string>() : std::string();
      if (op == "insert") {
        trie.insert(cidr(step["prefix"].get<std::string>()), peer);
      } else if (op == "remove") {
        const Cidr prefix = cidr(step["prefix"].get<std::string>());
        const std::string* owner = trie.exact(prefix);
        if (owner && !peer.empty() && *owner == peer) trie.erase(prefix);
      } else if (op == "remove_peer") {
        std::vector<Cidr> theirs;
        trie.for_each([&](const Cidr& prefix, const std::string& owner) {
          if (owner == peer) theirs.push_back(prefix);
        });
        for (const Cidr& prefix : theirs) EXPECT_TRUE(trie.erase(prefix));
      } else if (op == "expect_empty") {
        EXPECT_TRUE(trie.empty());
      } else {
        ASSERT_EQ(op, "lookup");
        const std::string* got = trie.longest_match(ip(step["addr"].get<std::string>()));
        const std::string owner = got ? *got : "";
        if (step.contains("not_peer")) {
          EXPECT_NE(owner, step["not_peer"].get<std::string>()) << step;
        } else {
          EXPECT_EQ(owner, peer) << step;
        }
        ++lookups;
      }
    }
  }
  EXPECT_GT(lookups, 40u);
}

// Oracle: a list searched from end to end.
class SlowTable {
 public:
  void insert(const Cidr& prefix, int value) { entries_[prefix] = value; }
  bool erase(const Cidr& prefix) { return entries_.erase(prefix) != 0; }
  size_t size() const { return entries_.size(); }
  const int* longest_match(const IpAddress& ip) const {
    const int* best = nullptr;
    int longest = -1;
    for (const auto& [prefix, value] : entries_) {
      if (prefix.prefix <= longest || !prefix.contains(ip)) continue;
      longest = prefix.prefix;
      best = &value;
    }
    return best;
  }

 private:
  std::map<Cidr, int> entries_;
};

TEST(PrefixTrie, AgreesWithASlowTableUnderRandomChanges) {
  std::mt19937 random(5);
  // Few distinct bits, so that prefixes nest, collide and are found.
  auto address = [&](bool v6) {
    uint8_t bytes[16] = {};
    for (size_t i : {0u, 1u, 3u, 15u}) bytes[i] = static_cast<uint8_t>(random() & 0x83);
    return v6 ? IpAddress::v6_verbatim(bytes) : IpAddress::v4(std::span<const uint8_t, 4>(bytes, 4));
  };
  PrefixTrie<int> trie;
  SlowTable slow;
  for (int step = 0; step < 8000; ++step) {
    const bool v6 = random() % 2;
    const IpAddress where = address(v6);
    const auto length = static_cast<uint8_t>(random() % (v6 ? 129 : 33));
    const Cidr prefix{where.masked(length), length};
    if (random() % 5 < 2) {
      trie.insert(prefix, step);
      slow.insert(prefix, step);
    } else if (random() % 2) {
      ASSERT_EQ(trie.erase(prefix), slow.erase(prefix));
    }
    ASSERT_EQ(trie.size(), slow.size());
    const IpAddress probe = address(v6);
    const int *got = trie.longest_match(probe), *want = slow.longest_match(probe);
    ASSERT_EQ(got == nullptr, want == nullptr) << probe.text();
    if (got) {
      ASSERT_EQ(*got, *want) << probe.text();
    }
  }
  size_t seen = 0;
  trie.for_each([&](const Cidr&, int) { ++seen; });
  EXPECT_EQ(seen, trie.size());
}

}  // namespace
}  // namespace smartvpn::inet
