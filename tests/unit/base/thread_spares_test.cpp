// What a thread of ours keeps between uses, and that the host's threads keep nothing.
#include "base/thread_spares.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace smartvpn {
namespace {

TEST(ThreadSpares, AThreadHasWhatItMadeAndOnlyAsLongAsItStands) {
  EXPECT_EQ(ThreadSpares::current(), nullptr);
  {
    ThreadSpares spares;
    EXPECT_EQ(ThreadSpares::current(), &spares);
    spares.queue.reserve(8);
    EXPECT_GE(ThreadSpares::current()->queue.capacity(), 8u);
  }
  EXPECT_EQ(ThreadSpares::current(), nullptr);
}

TEST(ThreadSpares, EachThreadHasItsOwn) {
  ThreadSpares here;
  ThreadSpares* there = &here;
  std::thread([&] { there = ThreadSpares::current(); }).join();
  EXPECT_EQ(there, nullptr);
  EXPECT_EQ(ThreadSpares::current(), &here);
}

}  // namespace
}  // namespace smartvpn
