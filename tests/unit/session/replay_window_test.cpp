// The window against WireGuard's sequences and against a slow, obvious set.
#include "session/replay_window.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace smartvpn::session {
namespace {

uint64_t number(const nlohmann::json& j) { return std::stoull(j.get<std::string>()); }

TEST(ReplayWindow, WireGuardSequences) {
  std::ifstream file(SMARTVPN_VECTORS_DIR "/wireguard_replay.json");
  auto vectors = nlohmann::json::parse(file);
  ASSERT_EQ(vectors["window"].get<uint64_t>(), ReplayWindow::kUsable);
  ASSERT_EQ(number(vectors["reject_after_messages"]), kRejectAfterMessages);
  size_t steps = 0;
  for (const auto& sequence : vectors["sequences"]) {
    ReplayWindow window;
    auto step = [&](uint64_t counter, bool expected) {
      ++steps;
      EXPECT_EQ(window.accept(counter), expected) << sequence["name"] << " " << counter;
    };
    if (sequence.contains("steps_from_range")) {
      const auto& range = sequence["steps_from_range"];
      const uint64_t first = number(range["first"]), last = number(range["last"]);
      const bool up = range["step"].get<int>() > 0;
      for (uint64_t c = first;; c = up ? c + 1 : c - 1) {
        step(c, range["expect"].get<bool>());
        if (c == last) break;
      }
    }
    for (const char* key : {"steps", "then"})
      if (sequence.contains(key))
        for (const auto& s : sequence[key]) step(number(s[0]), s[1].get<bool>());
  }
  EXPECT_GT(steps, 40000u);
}

TEST(ReplayWindow, RejectsCounterBehindWindow) {
  ReplayWindow window;
  EXPECT_TRUE(window.accept(ReplayWindow::kUsable + 5));
  EXPECT_FALSE(window.accept(4));
  EXPECT_TRUE(window.accept(5));
}

TEST(ReplayWindow, AgreesWithASlowSet) {
  std::mt19937_64 random(5);
  ReplayWindow window;
  std::set<uint64_t> seen;
  uint64_t highest = 0;
  for (int i = 0; i < 200000; ++i) {
    uint64_t counter = highest + random() % 64;
    if (random() % 3 == 0) counter = highest - std::min<uint64_t>(highest, random() % 9000);
    if (random() % 1000 == 0) counter = highest + random() % 20000;
    const bool in_window = counter > highest || highest - counter <= ReplayWindow::kUsable;
    const bool expected = in_window && seen.insert(counter).second;
    ASSERT_EQ(window.accept(counter), expected) << counter << " highest " << highest;
    highest = std::max(highest, expected ? counter : 0);
  }
}

}  // namespace
}  // namespace smartvpn::session
