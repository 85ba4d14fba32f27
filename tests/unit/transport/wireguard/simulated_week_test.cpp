// Two machines for a week of virtual time over wires that lose, double, delay and reorder, under several patterns of
// traffic. The rules that hold for every packet are in support/wireguard_pair.hpp.
#include <gtest/gtest.h>

#include "support/wireguard_pair.hpp"

namespace smartvpn::wireguard {
namespace {

using testing::WireguardPair;

constexpr seconds kWeek{7 * 86'400};

struct Pattern {
  const char* name;
  Duration gap;    // between two packets of a burst, whose sender is chosen by `sides`
  uint32_t sides;  // 1: only the first end, 2: only the second, 3: either
  Duration pause;  // between two bursts
  Duration burst;
};

// How often a session must be renewed at most: about each 120 s, and once more where a wire has lost something.
void expect_calm(const WireguardPair& pair, Duration time, double per_rekey) {
  const double rekeys = static_cast<double>(time.count()) / 120e9;
  EXPECT_LE(static_cast<double>(pair.a.initiations + pair.b.initiations), per_rekey * rekeys + 10);
}

void live(WireguardPair& pair, const Pattern& pattern, Duration time) {
  const Time end = pair.now + time;
  while (pair.now < end) {
    const Time quiet = pair.now + pattern.burst;
    while (pair.now < quiet) {
      const bool first = pattern.sides == 1 || (pattern.sides == 3 && pair.rng.u32() % 2);
      pair.send(first ? pair.a : pair.b);
      pair.run_for(pattern.gap);
    }
    pair.run_for(pattern.pause);
  }
}

// Whatever has happened: on a wire that works, packets come through again both ways within seconds.
void expect_alive(WireguardPair& pair) {
  pair.wire = {};
  for (int i = 0; i < 30; ++i) {
    pair.send(pair.a);
    pair.send(pair.b);
    pair.run_for(seconds(1));
  }
  const uint64_t a = pair.a.delivered, b = pair.b.delivered;
  pair.send(pair.a);
  pair.send(pair.b);
  pair.run_for(seconds(1));
  EXPECT_EQ(pair.a.delivered, a + 1);
  EXPECT_EQ(pair.b.delivered, b + 1);
}

TEST(WireguardWeek, EveryPatternOfTrafficOverAnyWire) {
  const Pattern patterns[] = {{"one way", seconds(7), 1, seconds(0), seconds(600)},
                              {"the other way", seconds(11), 2, seconds(0), seconds(600)},
                              {"both ways", seconds(5), 3, seconds(0), seconds(600)},
                              {"bursts", milliseconds(20), 3, seconds(1700), seconds(2)},
                              {"seldom", seconds(200), 3, seconds(0), seconds(600)}};
  const WireguardPair::Wire wires[] = {{},
                                       {100, 0, milliseconds(20), milliseconds(30)},
                                       {20, 300, milliseconds(40), milliseconds(400)},
                                       {400, 50, milliseconds(100), seconds(3)}};
  uint64_t seed = 1;
  // Each of the twenty gets its share of the week.
  for (const Pattern& pattern : patterns)
    for (const auto& wire : wires) {
      SCOPED_TRACE(std::string(pattern.name) + ", lost " + std::to_string(wire.lost_permille));
      WireguardPair pair({}, nullptr, nullptr, ++seed);
      pair.wire = wire;
      live(pair, pattern, kWeek / 20);
      EXPECT_GT(pair.a.delivered + pair.b.delivered, 0u);
      if (wire.lost_permille == 0) {
        expect_calm(pair, kWeek / 20, 1.2);
        EXPECT_EQ(pair.a.delivered, pair.b.data);
        EXPECT_EQ(pair.b.delivered, pair.a.data);
        EXPECT_EQ(pair.a.gave_up + pair.b.gave_up, 0u);
      }
      expect_alive(pair);
      EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
      pair.run_for(seconds(1200));
      EXPECT_EQ(pair.a.indices.size() + pair.b.indices.size(), 0u) << "nothing is left when it is quiet";
    }
}

TEST(WireguardWeek, AWeekOfKeepalivesWithNothingToSay) {
  WireguardPair pair;
  pair.perform(pair.a, pair.a.machine->set_persistent_keepalive(seconds(25), pair.now));
  pair.run_for(seconds(5));
  for (int hour = 0; hour < 7 * 24; ++hour) {
    pair.run_for(seconds(3600));
    EXPECT_TRUE(pair.a.machine->has_session(pair.now) && pair.b.machine->has_session(pair.now)) << hour;
  }
  EXPECT_GE(pair.a.initiations, static_cast<uint64_t>(kWeek.count() / 155));
  EXPECT_LE(pair.a.initiations, static_cast<uint64_t>(kWeek.count() / 120 + 1));
  EXPECT_EQ(pair.b.initiations, 0u);
  EXPECT_GE(pair.b.empty, static_cast<uint64_t>(kWeek.count() / 25));
  EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
}

TEST(WireguardWeek, AWireThatIsCutForHoursHealsWithTheFirstTraffic) {
  WireguardPair pair;
  for (int day = 0; day < 7; ++day) {
    pair.wire = {};
    live(pair, {"both ways", seconds(5), 3, seconds(0), seconds(600)}, seconds(1200));
    pair.filter = [](auto&, ByteView) { return false; };
    live(pair, {"into the void", seconds(30), 3, seconds(0), seconds(600)}, seconds(1200));
    pair.run_for(seconds(80'000));
    EXPECT_EQ(pair.a.waiting + pair.b.waiting, 0u);
    EXPECT_EQ(pair.a.indices.size() + pair.b.indices.size(), 0u);
    pair.filter = nullptr;
    expect_alive(pair);
  }
  EXPECT_EQ(pair.violations, 0u) << pair.last_violation;
}

}  // namespace
}  // namespace smartvpn::wireguard
