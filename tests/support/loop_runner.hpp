// Turns a loop until something is true. A guard timer ends a test that would hang; nothing sleeps.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "net/loop.hpp"
#include "net/timer.hpp"

namespace smartvpn::testing {

inline std::unique_ptr<net::Loop> make_loop() {
  auto loop = net::Loop::create();
  EXPECT_TRUE(loop.ok());
  return std::move(*loop);
}

// As a relay has it.
inline std::unique_ptr<net::Loop> make_loop_for_many() {
  auto loop = net::Loop::create_for_many();
  EXPECT_TRUE(loop.ok());
  return std::move(*loop);
}

// Cases that both kinds of loop must pass.
enum class LoopKind : uint8_t { usual, many };
struct WithEachLoop : ::testing::TestWithParam<LoopKind> {
  static std::unique_ptr<net::Loop> make() { return GetParam() == LoopKind::many ? make_loop_for_many() : make_loop(); }
  static std::string name(const ::testing::TestParamInfo<LoopKind>& info) {
    return info.param == LoopKind::many ? "ForMany" : "Usual";
  }
};

// True when `done()` became true in time.
template <class Done>
bool run_until(net::Loop& loop, Done&& done, Duration limit = seconds(20)) {
  bool late = false;
  net::Timer guard(loop, [&late] { late = true; });
  guard.start_in(limit);
  loop.post([] {});  // the first turn does not wait: what was requested outside the loop runs in it
  bool ok = done();
  while (!ok && !late) {
    loop.run_turn();
    ok = done();
  }
  return ok;
}

}  // namespace smartvpn::testing
