// What shards are joined by, one piece at a time: ids that name their shard, the ring, the log of routes, the index of
// sessions, verdicts under way, and the book of memory.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "server/late_verdicts.hpp"
#include "server/memory_guard.hpp"
#include "server/route_log.hpp"
#include "server/session_index.hpp"
#include "server/session_table.hpp"
#include "server/shard_ring.hpp"

namespace smartvpn::server {
namespace {

inet::Cidr cidr(const char* text) { return *inet::Cidr::parse(text); }
inet::IpAddress address(const char* text) { return *inet::IpAddress::parse(text); }

TEST(ShardIds, NameTheirShardAndStayWhatTheyWereWithOne) {
  for (size_t shards : {1, 2, 3, 64}) {
    std::set<uint64_t> all;
    for (size_t shard = 0; shard < shards; ++shard) {
      const ShardIds ids(shard, shards);
      for (uint64_t slot_id : {uint64_t{1} << 24, (uint64_t{5} << 24) | 7, ((uint64_t{1} << 28) - 1) << 24 | 1000}) {
        const uint64_t id = ids.session_id(slot_id);
        EXPECT_EQ(ids.slot_id(id), slot_id);
        EXPECT_TRUE(ids.is_mine(id));
        EXPECT_EQ(ShardIds(0, shards).shard_of(id), shard);
        EXPECT_LT(id, uint64_t{1} << 53);
        EXPECT_TRUE(all.insert(id).second);
        EXPECT_TRUE(shards > 1 || id == slot_id);
      }
      EXPECT_EQ(ShardIds::shard_of_connection(ids.first_connection()), shard);
      EXPECT_LT(ids.first_connection() + (uint64_t{1} << 40), uint64_t{1} << 53);
    }
  }
  EXPECT_EQ(ShardIds(0, 64).session_id((uint64_t{1} << 24) | (1u << 18)), 0u) << "beyond its share of the slots";
  EXPECT_EQ(ShardIds().session_id(0), 0u);
}

TEST(ShardIds, ATableFindsNobodyElsesSessions) {
  SessionTable here(ShardIds(0, 2)), there(ShardIds(1, 2));
  const uint64_t mine = here.add(std::make_unique<LiveSession>())->id;
  const uint64_t theirs = there.add(std::make_unique<LiveSession>())->id;
  EXPECT_NE(mine, theirs);
  EXPECT_TRUE(here.find(mine));
  EXPECT_FALSE(here.find(theirs));
  EXPECT_FALSE(here.remove(theirs));
  EXPECT_TRUE(here.remove(mine));
  EXPECT_FALSE(here.find(mine));
}

Bytes filled(size_t size, uint8_t with) { return Bytes(size, with); }

TEST(ShardRing, GivesWhatWasPutInInOrderAndInOnePiece) {
  ShardRing ring(size_t{128} << 10);
  ShardRing::Record record;
  ByteView bytes;
  uint8_t next_in = 0, next_out = 0;
  for (int round = 0; round < 300; ++round) {
    for (int i = 0; i < 1 + round % 3; ++i) {
      const Bytes packet = filled(static_cast<size_t>(1 + (round * 977 + i * 131) % 30000), next_in);
      if (!ring.push({static_cast<uint32_t>(packet.size()), 7, 3, 11u + next_in, 5}, packet)) break;
      ++next_in;
    }
    ring.publish();
    while (ring.front(record, bytes)) {
      ASSERT_EQ(record.to, 11u + next_out);
      ASSERT_EQ(bytes.size(), record.length);
      ASSERT_EQ(Bytes(bytes.begin(), bytes.end()), filled(record.length, next_out));
      ring.pop(record);
      ++next_out;
    }
    ring.release();
  }
  EXPECT_EQ(next_in, next_out);
}

TEST(ShardRing, PutsTwoPiecesBehindEachOther) {
  ShardRing ring(size_t{128} << 10);
  ShardRing::Record record;
  ByteView bytes;
  Bytes whole = filled(93, 1);
  append(whole, filled(1500, 2));
  for (int round = 0; round < 500; ++round) {
    ASSERT_TRUE(ring.push({static_cast<uint32_t>(whole.size()), 0, 1, 5, 6}, ByteView(whole).first(93),
                          ByteView(whole).subspan(93)));
    ring.publish();
    ASSERT_TRUE(ring.front(record, bytes));
    ASSERT_EQ(Bytes(bytes.begin(), bytes.end()), whole);
    ring.pop(record);
    ring.release();
  }
}

TEST(ShardRing, IsBoundedAndShowsNothingBeforeItIsPublished) {
  ShardRing ring(size_t{128} << 10);
  const Bytes packet = filled(10000, 1);
  const ShardRing::Record told{10000, 0, 1, 0, 0};
  int fit = 0;
  while (ring.push(told, packet)) ++fit;
  EXPECT_EQ(fit, 13);
  ShardRing::Record record;
  ByteView bytes;
  EXPECT_FALSE(ring.front(record, bytes));
  ring.publish();
  ASSERT_TRUE(ring.front(record, bytes));
  ring.pop(record);
  EXPECT_FALSE(ring.push(told, packet)) << "its bytes may still be looked at";
  ring.release();
  EXPECT_TRUE(ring.push(told, packet));
}

TEST(ShardRing, CarriesBetweenTwoThreads) {
  ShardRing ring(size_t{128} << 10);
  constexpr uint64_t kPackets = 20000;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kPackets;) {
      const Bytes packet = filled(static_cast<size_t>(20 + i % 1500), static_cast<uint8_t>(i));
      if (ring.push({static_cast<uint32_t>(packet.size()), 0, 1, i, 0}, packet)) ++i;
      ring.publish();
    }
  });
  uint64_t bad = 0;
  for (uint64_t i = 0; i < kPackets;) {
    ShardRing::Record record;
    ByteView bytes;
    if (!ring.front(record, bytes)) {
      std::this_thread::yield();
      continue;
    }
    bad += record.to != i || bytes.size() != 20 + i % 1500 || bytes.front() != static_cast<uint8_t>(i) ||
           bytes.back() != static_cast<uint8_t>(i);
    ring.pop(record);
    ring.release();
    ++i;
  }
  writer.join();
  EXPECT_EQ(bad, 0u);
}

std::unique_ptr<RouteChange> change(RouteChange::Kind kind, uint64_t session, const char* prefix) {
  auto out = std::make_unique<RouteChange>(kind, session, 1);
  out->prefixes.push_back(cidr(prefix));
  return out;
}

TEST(RouteLog, EveryReaderComesToTheSameTableInItsOwnTime) {
  RouteLog log(2);
  RouteLog::Reader quick(log, 0), slow(log, 1);
  router::RouteTable first, second;
  log.append(change(RouteChange::Kind::attach, 7, "10.0.0.1/32"));
  EXPECT_TRUE(quick.is_behind());
  quick.catch_up(first);
  EXPECT_FALSE(quick.is_behind());
  EXPECT_EQ(first.session_of(address("10.0.0.1")), 7u);
  log.append(change(RouteChange::Kind::attach, 9, "10.0.0.1/32"));  // it moves
  log.append(change(RouteChange::Kind::detach, 7, "10.0.0.1/32"));  // and the older one says goodbye
  log.append(change(RouteChange::Kind::add_client, 0, "10.1.0.0/16"));
  quick.catch_up(first);
  EXPECT_EQ(second.session_of(address("10.0.0.1")), 0u) << "nobody has told it yet";
  slow.catch_up(second);
  for (auto* table : {&first, &second}) {
    EXPECT_EQ(table->session_of(address("10.0.0.1")), 9u);
    EXPECT_EQ(table->lookup(address("10.1.2.3")).kind, router::RouteKind::client);
  }
}

TEST(RouteLog, TellsWhoAsksWhatEachChangeHasMadeOfItsPrefixes) {
  RouteLog log(2);
  RouteLog::Reader reader(log, 0);
  router::RouteTable table;
  std::vector<std::pair<inet::Cidr, uint64_t>> told;
  reader.on_applied([&](const inet::Cidr& prefix) { told.emplace_back(prefix, table.session_at(prefix)); });
  auto append = [&](RouteChange::Kind kind, uint64_t session, std::vector<inet::Cidr> prefixes) {
    auto change = std::make_unique<RouteChange>(kind, session, 1);
    change->prefixes = std::move(prefixes);
    log.append(std::move(change));
  };
  const inet::Cidr host = cidr("10.8.0.5/32"), subnet = cidr("192.168.7.0/24");
  append(RouteChange::Kind::attach, 41, {host, subnet});
  append(RouteChange::Kind::attach, 42, {host});
  append(RouteChange::Kind::detach, 41, {host, subnet});
  reader.catch_up(table);
  const std::vector<std::pair<inet::Cidr, uint64_t>> expected = {
      {host, 41}, {subnet, 41}, {host, 42}, {host, 42}, {subnet, 0}};
  EXPECT_EQ(told, expected) << "a late detach takes nothing from who has it now";
  EXPECT_EQ(table.session_at(cidr("192.168.0.0/16")), 0u) << "of exactly this prefix";
}

TEST(RouteLog, WhatAllHaveAppliedIsForgotten) {
  RouteLog log(2);
  RouteLog::Reader quick(log, 0), slow(log, 1);
  router::RouteTable first, second;
  for (int i = 0; i < 100; ++i) {
    log.append(change(RouteChange::Kind::attach, 7, "10.0.0.1/32"));
    quick.catch_up(first);
  }
  EXPECT_EQ(log.size(), 101u) << "the slow one needs them";
  slow.catch_up(second);
  log.append(change(RouteChange::Kind::detach, 7, "10.0.0.1/32"));
  EXPECT_EQ(log.size(), 2u);
}

TEST(SessionIndex, CountsByClientAndFindsByLease) {
  SessionIndex index(2);
  index.add("alice", 10, 1, Time{});
  index.add("alice", 11, 2, Time{});
  index.add("bob", 12, 3, Time{});
  EXPECT_EQ(index.size(), 3u);
  EXPECT_EQ(index.count("alice"), 2u);
  EXPECT_EQ(index.find_by_lease(2), 11u);
  EXPECT_EQ(index.clients(), (std::vector<std::string>{"alice", "bob"}));
  index.remove(11);
  index.remove(11);
  EXPECT_EQ(index.find_by_lease(2), 0u);
  EXPECT_EQ(index.of_client("alice").size(), 1u);
}

TEST(SessionIndex, TheCondemnedAreFoundOnceByTheirShardAlone) {
  SessionIndex index(2);
  for (uint64_t session : {10, 11, 13, 15}) index.add("alice", session, session, Time{});
  for (uint64_t session : {11, 13, 15, 13, 99}) index.condemn(session);
  index.remove(15);  // its carrier was quicker
  EXPECT_EQ(index.take_condemned(0), 0u);
  EXPECT_EQ(index.take_condemned(1), 11u);
  EXPECT_EQ(index.take_condemned(1), 13u);
  EXPECT_EQ(index.take_condemned(1), 0u);
  EXPECT_EQ(index.size(), 3u) << "they are there until they are gone";
  for (const auto* seat : index.of_client("alice")) EXPECT_EQ(seat->ending, seat->session != 10);
}

TEST(LateVerdicts, GoToTheShardOfTheirConnectionIfItStillWaits) {
  LateVerdicts verdicts(2);
  const uint64_t here = ShardIds(0, 2).first_connection(), there = ShardIds(1, 2).first_connection();
  for (uint64_t connection : {here, here + 1, there}) verdicts.expect(connection);
  verdicts.forget(here + 1);
  for (uint64_t connection : {here, here + 1, there, there + 1})
    verdicts.settle(connection, Authorizer::Outcome{Reason::authorize_denied, 0, {}, "no"});
  ASSERT_TRUE(verdicts.any(0) && verdicts.any(1));
  auto first = verdicts.take(0);
  EXPECT_EQ(first->connection, here);
  EXPECT_EQ(first->outcome.detail, "no");
  EXPECT_FALSE(first->next);
  EXPECT_EQ(verdicts.take(1)->connection, there);
  EXPECT_FALSE(verdicts.any(1));
}

TEST(MemoryBook, ShardsShareOneCeiling) {
  MemoryBook book(2);
  PacketPool here, there;
  MemoryGuard first(1000000, false, here, &book), second(1000000, false, there, &book);
  EXPECT_EQ(here.room(), 500000u);
  second.set_connections(50);
  first.refresh();
  EXPECT_EQ(here.room(), (1000000 - 50 * MemoryGuard::kConnection) / 2);
  EXPECT_FALSE(first.is_full());
  second.set_connections(140);
  EXPECT_FALSE(first.is_full_for_strangers());
  second.set_strangers(100);
  EXPECT_TRUE(first.is_full_for_strangers());
  second.set_connections(170);
  EXPECT_TRUE(first.is_full()) << "by what the other one has";
  second.set_connections(1);
  second.set_strangers(0);
  EXPECT_FALSE(first.is_full());
  Packet large = there.take(60000);
  second.set_sessions(1);  // what it takes is told
  EXPECT_FALSE(first.is_tight());
  EXPECT_EQ(first.taken() + second.taken(), MemoryGuard::kConnection + MemoryGuard::kSession + there.bytes_held());
}

}  // namespace
}  // namespace smartvpn::server
