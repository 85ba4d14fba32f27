#include "relay/udp_flow_table.hpp"

#include <gtest/gtest.h>

#include <set>

namespace smartvpn::relay {
namespace {

using Member = UdpFlowTable::Member;

FlowKey flow_key(const char* peer, const char* real, uint64_t socket = 1) {
  return {socket, *inet::Endpoint::parse(peer), inet::Endpoint::parse(real).value_or(inet::Endpoint{})};
}
FlowKey numbered_key(uint32_t n) {
  const inet::Endpoint at{inet::IpAddress::v4(0x0a000000 + n), static_cast<uint16_t>(n)};
  return {1, at, at};
}

struct Counted : Member {
  Counted(const FlowKey& key, int& there) : Member(key), there_(there) { ++there_; }
  ~Counted() override { --there_; }
  int& there_;
};

TEST(UdpFlowTable, AFlowIsASocketAPeerAndAClient) {
  UdpFlowTable table(100, 7);
  const std::vector<FlowKey> keys = {
      flow_key("192.0.2.1:1", "192.0.2.1:1"),        flow_key("192.0.2.1:2", "192.0.2.1:2"),
      flow_key("192.0.2.2:1", "192.0.2.2:1"),        flow_key("192.0.2.1:1", "192.0.2.1:1", 2),
      flow_key("192.0.2.1:1", "198.51.100.7:1"),     flow_key("192.0.2.1:1", "198.51.100.7:2"),
      flow_key("192.0.2.1:1", "[2001:db8::7]:2"),    flow_key("192.0.2.1:1", ""),
      flow_key("[2001:db8::1]:1", "[2001:db8::1]:1")};
  std::set<const Member*> members;
  for (const FlowKey& key : keys) members.insert(table.add(std::make_unique<Member>(key)));
  EXPECT_EQ(members.size(), keys.size());
  EXPECT_EQ(members.count(nullptr), 0u);
  for (const FlowKey& key : keys) {
    ASSERT_NE(table.find(key), nullptr);
    EXPECT_EQ(table.find(key)->key(), key);
  }
  EXPECT_EQ(table.find(flow_key("192.0.2.1:3", "192.0.2.1:3")), nullptr);
  EXPECT_EQ(table.add(std::make_unique<Member>(keys[4])), nullptr) << "there is one already";
  EXPECT_EQ(table.size(), keys.size());
}

TEST(UdpFlowTable, OwnsWhatItHasUntilItIsTaken) {
  int there = 0;
  {
    UdpFlowTable table(10, 7);
    Member* one = table.add(std::make_unique<Counted>(numbered_key(1), there));
    table.add(std::make_unique<Counted>(numbered_key(2), there));
    EXPECT_EQ(table.add(std::make_unique<Counted>(numbered_key(2), there)), nullptr);
    EXPECT_EQ(there, 2);
    auto taken = table.take(*one);
    EXPECT_EQ(taken.get(), one);
    EXPECT_EQ(table.find(numbered_key(1)), nullptr);
    EXPECT_EQ(table.take(*one), nullptr) << "it is not here any more";
    EXPECT_EQ(table.size(), 1u);
    Member* again = table.add(std::make_unique<Counted>(numbered_key(1), there));
    EXPECT_EQ(table.take(*one), nullptr) << "nor is the other with its key";
    EXPECT_EQ(table.find(numbered_key(1)), again);
    EXPECT_EQ(there, 3);
  }
  EXPECT_EQ(there, 0);
}

TEST(UdpFlowTable, IsFullAtItsNumberAndThatMayChange) {
  UdpFlowTable table(3, 7);
  for (uint32_t n = 0; n < 3; ++n) {
    EXPECT_FALSE(table.full());
    table.add(std::make_unique<Member>(numbered_key(n)));
  }
  EXPECT_TRUE(table.full());
  table.set_most(4);
  EXPECT_FALSE(table.full());
  table.set_most(1);
  EXPECT_TRUE(table.full());
  EXPECT_EQ(table.size(), 3u) << "those that are there stay";
  table.take(*table.find(numbered_key(0)));
  EXPECT_TRUE(table.full());
}

TEST(UdpFlowTable, WhoWaitsLongestForAnAnswerGoesFirst) {
  UdpFlowTable table(10, 7);
  EXPECT_EQ(table.longest_unanswered(), nullptr);
  std::vector<Member*> members;
  for (uint32_t n = 0; n < 5; ++n) members.push_back(table.add(std::make_unique<Member>(numbered_key(n))));
  EXPECT_EQ(table.longest_unanswered(), members[0]);
  table.answered(*members[0]);
  table.answered(*members[0]);
  EXPECT_EQ(table.longest_unanswered(), members[1]);
  table.answered(*members[2]);
  table.take(*members[1]);
  EXPECT_EQ(table.longest_unanswered(), members[3]);
  table.take(*members[0]);  // an answered one
  table.take(*members[3]);
  EXPECT_EQ(table.longest_unanswered(), members[4]);
  table.answered(*members[4]);
  EXPECT_EQ(table.longest_unanswered(), nullptr);
  EXPECT_EQ(table.size(), 2u);
}

TEST(UdpFlowTable, GoesThroughAllAndEmptiesOneByOne) {
  UdpFlowTable table(1000, 7);
  for (uint32_t n = 0; n < 1000; ++n) table.add(std::make_unique<Member>(numbered_key(n)));
  std::set<const Member*> seen;
  table.for_each([&](Member& member) { seen.insert(&member); });
  EXPECT_EQ(seen.size(), 1000u);
  size_t emptied = 0;
  while (Member* first = table.first()) {
    table.take(*first);
    ++emptied;
  }
  EXPECT_EQ(emptied, 1000u);
  EXPECT_EQ(table.longest_unanswered(), nullptr);
}

}  // namespace
}  // namespace smartvpn::relay
