#include "inet/fragment_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

const Time kStart = Time{} + seconds(1000);

InnerPacket piece(uint16_t offset, uint16_t size, bool more, uint32_t id = 1, const char* src = "10.8.0.2") {
  InnerPacket out;
  out.version = src[0] == 'f' ? 6 : 4;
  out.protocol = ip_protocol::kUdp;
  out.fragment = true;
  out.more_fragments = more;
  out.fragment_offset = offset;
  out.fragment_data_offset = 20;
  out.total_length = 20u + size;
  out.fragment_id = id;
  out.src = ip(src);
  out.dst = out.version == 4 ? ip("192.0.2.9") : ip("2001:db8::9");
  return out;
}

TEST(FragmentTable, LaterFragmentsFollowTheVerdictOnTheFirst) {
  for (const char* src : {"10.8.0.2", "fd00::2"}) {
    for (Drop verdict : {Drop::none, Drop::host_service}) {
      FragmentTable table;
      EXPECT_FALSE(table.note(1, piece(0, 800, true, 1, src), kStart).first_known);
      table.set_verdict(1, piece(0, 800, true, 1, src), verdict, kStart);
      const auto answer = table.note(1, piece(800, 800, true, 1, src), kStart);
      EXPECT_TRUE(answer.first_known);
      EXPECT_EQ(answer.drop, verdict);
    }
  }
}

TEST(FragmentTable, WithoutAFirstNothingIsKnown) {
  FragmentTable table;
  EXPECT_FALSE(table.note(1, piece(800, 800, true), kStart).first_known);
  table.note(1, piece(0, 800, true), kStart);
  table.set_verdict(1, piece(0, 800, true), Drop::none, kStart);
  EXPECT_FALSE(table.note(2, piece(1600, 8, true), kStart).first_known) << "another session";
  EXPECT_FALSE(table.note(1, piece(1600, 8, true, 2), kStart).first_known) << "another identification";
  EXPECT_FALSE(table.note(1, piece(1600, 8, true, 1, "10.8.0.3"), kStart).first_known) << "another source";
  EXPECT_TRUE(table.note(1, piece(1600, 8, true), kStart).first_known);
}

TEST(FragmentTable, AVerdictLives15Seconds) {
  FragmentTable table;
  table.note(1, piece(0, 800, true), kStart);
  table.set_verdict(1, piece(0, 800, true), Drop::none, kStart);
  EXPECT_TRUE(table.note(1, piece(800, 8, true), kStart + seconds(15) - milliseconds(1)).first_known);
  EXPECT_EQ(table.live(kStart + seconds(15) - milliseconds(1)), 1u);
  EXPECT_EQ(table.live(kStart + seconds(15)), 0u);
  EXPECT_FALSE(table.note(1, piece(808, 8, true), kStart + seconds(15)).first_known);
}

TEST(FragmentTable, AnOverlapPoisonsTheWholeDatagram) {
  const std::pair<uint16_t, uint16_t> second[] = {{0, 800}, {0, 8}, {792, 16}, {400, 8}, {0, 1600}};
  for (auto [offset, size] : second) {
    FragmentTable table;
    table.note(1, piece(0, 800, true), kStart);
    table.set_verdict(1, piece(0, 800, true), Drop::none, kStart);
    EXPECT_EQ(table.note(1, piece(offset, size, true), kStart).drop, Drop::bad_fragment);
    EXPECT_EQ(table.note(1, piece(4000, 8, true), kStart).drop, Drop::bad_fragment);
    table.set_verdict(1, piece(0, 800, true), Drop::none, kStart);  // cannot be talked back
    EXPECT_EQ(table.note(1, piece(5000, 8, true), kStart).drop, Drop::bad_fragment);
  }
}

TEST(FragmentTable, PiecesBeyondTheEndAndTwoEndsAreContradictions) {
  FragmentTable table;
  EXPECT_EQ(table.note(1, piece(800, 100, false), kStart).drop, Drop::none);
  EXPECT_EQ(table.note(1, piece(904, 8, true), kStart).drop, Drop::bad_fragment);
  EXPECT_EQ(table.note(1, piece(800, 100, false, 2), kStart).drop, Drop::none);
  EXPECT_EQ(table.note(1, piece(160, 8, false, 2), kStart).drop, Drop::bad_fragment);
  EXPECT_EQ(table.note(1, piece(800, 8, true, 3), kStart).drop, Drop::none);
  EXPECT_EQ(table.note(1, piece(80, 8, false, 3), kStart).drop, Drop::bad_fragment);
}

TEST(FragmentTable, ACompleteDatagramIsForgottenSoThatItsIdentificationMayComeAgain) {
  FragmentTable table;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(table.note(1, piece(0, 800, true), kStart).drop, Drop::none);
    EXPECT_EQ(table.note(1, piece(1600, 5, false), kStart).drop, Drop::none);
    EXPECT_EQ(table.note(1, piece(800, 800, true), kStart).drop, Drop::none);
    EXPECT_EQ(table.live(kStart), 0u);
  }
}

TEST(FragmentTable, StaysBoundedAndForgetsTheOldest) {
  FragmentTable table(64, 12345);
  for (uint32_t id = 0; id < 10000; ++id) table.note(1, piece(0, 800, true, id), kStart + milliseconds(id));
  EXPECT_LE(table.live(kStart), 64u);
  table.note(1, piece(0, 800, true, 70000), kStart + milliseconds(10001));
  table.set_verdict(1, piece(0, 800, true, 70000), Drop::none, kStart + milliseconds(10001));
  EXPECT_TRUE(table.note(1, piece(800, 8, true, 70000), kStart + milliseconds(10002)).first_known);
}

// Oracle: a byte map. Random pieces, in any order; the table may give up early on many holes, but
// never lets an overlap pass.
TEST(FragmentTable, NeverMissesAnOverlap) {
  std::mt19937 random(3);
  for (uint32_t round = 0; round < 2000; ++round) {
    FragmentTable table(8);
    std::vector<bool> seen(64);
    for (int i = 0; i < 12; ++i) {
      const size_t begin = random() % 60, size = 1 + random() % 4;
      const bool overlap = std::any_of(seen.begin() + static_cast<long>(begin),
                                       seen.begin() + static_cast<long>(begin + size), [](bool b) { return b; });
      const auto packet = piece(static_cast<uint16_t>(begin * 8), static_cast<uint16_t>(size * 8), true, round);
      const bool refused = table.note(1, packet, kStart).drop == Drop::bad_fragment;
      ASSERT_EQ(refused, overlap) << round;  // twelve pieces never need more than twelve ranges
      if (refused) break;
      std::fill_n(seen.begin() + static_cast<long>(begin), size, true);
    }
  }
}

}  // namespace
}  // namespace smartvpn::inet
