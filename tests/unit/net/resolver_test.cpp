#include "net/resolver.hpp"

#include <gtest/gtest.h>

#include "support/loop_runner.hpp"

namespace smartvpn::net {
namespace {

using testing::make_loop;
using testing::run_until;
using Addresses = Result<std::vector<inet::Endpoint>>;

TEST(Resolver, ResolvesAHostsFileName) {
  auto loop = make_loop();
  auto resolver = Resolver::create(*loop);
  ASSERT_TRUE(resolver.ok());
  bool done = false;
  EXPECT_NE((*resolver)->resolve("localhost", 443,
                                 [&](Addresses result) {
                                   done = true;
                                   ASSERT_TRUE(result.ok()) << result.error().text;
                                   for (auto& endpoint : *result) {
                                     EXPECT_TRUE(endpoint.ip.is_loopback());
                                     EXPECT_EQ(endpoint.port, 443);
                                   }
                                 }),
            0u);
  EXPECT_TRUE(run_until(*loop, [&] { return done; }));
}

TEST(Resolver, PassesAddressesThroughLater) {
  auto loop = make_loop();
  auto resolver = Resolver::create(*loop);
  ASSERT_TRUE(resolver.ok());
  std::vector<std::string> seen;
  for (const char* text : {"192.0.2.7", "2001:db8::7", "::ffff:192.0.2.9"})
    (*resolver)->resolve(text, 1, [&](Addresses result) {
      ASSERT_TRUE(result.ok());
      ASSERT_EQ(result->size(), 1u);
      seen.push_back(result->front().text());
    });
  EXPECT_TRUE(seen.empty()) << "never inside resolve()";
  EXPECT_TRUE(run_until(*loop, [&] { return seen.size() == 3; }));
  EXPECT_EQ(seen, (std::vector<std::string>{"192.0.2.7:1", "[2001:db8::7]:1", "192.0.2.9:1"}));
}

TEST(Resolver, SaysNotFoundForANameThatCannotExist) {
  auto loop = make_loop();
  auto resolver = Resolver::create(*loop);
  ASSERT_TRUE(resolver.ok());
  Status status = Status::OK;
  (*resolver)->resolve(std::string(300, 'a'), 1, [&](Addresses result) {
    ASSERT_FALSE(result.ok());
    status = result.error().status;
  });
  EXPECT_TRUE(run_until(*loop, [&] { return status != Status::OK; }));
  EXPECT_TRUE(status == Status::NOT_FOUND || status == Status::TIMEOUT || status == Status::SYSTEM);
}

TEST(Resolver, CancelledLookUpSaysNothingAndOthersGoOn) {
  auto loop = make_loop();
  auto resolver = Resolver::create(*loop);
  ASSERT_TRUE(resolver.ok());
  bool wrong = false, done = false;
  uint64_t id = (*resolver)->resolve("192.0.2.1", 1, [&](Addresses) { wrong = true; });
  (*resolver)->resolve("192.0.2.2", 1, [&](Addresses) { done = true; });
  (*resolver)->cancel(id);
  (*resolver)->cancel(id);
  EXPECT_TRUE(run_until(*loop, [&] { return done; }));
  EXPECT_FALSE(wrong);
}

TEST(Resolver, RefusesMoreThanItsBound) {
  auto loop = make_loop();
  auto resolver = Resolver::create(*loop);
  ASSERT_TRUE(resolver.ok());
  size_t done = 0;
  for (size_t i = 0; i < Resolver::kMaxWaiting; ++i)
    EXPECT_NE((*resolver)->resolve("192.0.2.1", 1, [&](Addresses) { ++done; }), 0u);
  EXPECT_EQ((*resolver)->resolve("192.0.2.1", 1, [](Addresses) {}), 0u);
  EXPECT_TRUE(run_until(*loop, [&] { return done == Resolver::kMaxWaiting; }));
  EXPECT_NE((*resolver)->resolve("192.0.2.1", 1, [](Addresses) {}), 0u);
}

TEST(Resolver, MayBeDestroyedInACallbackWithOthersWaiting) {
  auto loop = make_loop();
  auto made = Resolver::create(*loop);
  ASSERT_TRUE(made.ok());
  auto resolver = std::move(*made);
  int calls = 0;
  for (int i = 0; i < 3; ++i)
    resolver->resolve("192.0.2.1", 1, [&](Addresses) {
      ++calls;
      resolver.reset();
    });
  EXPECT_TRUE(run_until(*loop, [&] { return !resolver; }));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace smartvpn::net
