// Pipes that are kept: how many there may be, who gets which again, and that a loop knows of each.
#include "net/pipe_pool.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/pumped_pair.hpp"

namespace smartvpn::net {
namespace {

using smartvpn::testing::descriptors;

TEST(PipePool, GivesTheSamePipeAgain) {
  DescriptorRegister known;
  PipePool pool(known);
  auto pipe = pool.take();
  ASSERT_TRUE(pipe.has_value());
  const int number = pipe->read_end.get();
  EXPECT_GT(number, 2);
  for (const int fd : {number, pipe->write_end.get()}) {
    EXPECT_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  }
  EXPECT_EQ(known.size(), 2u);
  pool.give_back(std::move(*pipe));
  EXPECT_EQ(pool.idle(), 1u);
  EXPECT_EQ(pool.take()->read_end.get(), number);
  EXPECT_EQ(pool.idle(), 0u);
}

TEST(PipePool, KeepsSoManyAndLetsSoManyOut) {
  DescriptorRegister known;
  const auto before = descriptors();
  {
    PipePool pool(known, 2, 3);
    for (int round = 0; round < 3; ++round) {
      std::vector<PipePool::Pipe> taken;
      while (auto pipe = pool.take()) taken.push_back(std::move(*pipe));
      EXPECT_EQ(taken.size(), 3u);
      EXPECT_EQ(known.size(), 6u);
      for (auto& pipe : taken) pool.give_back(std::move(pipe));
      EXPECT_EQ(pool.idle(), 2u);
      EXPECT_EQ(known.size(), 4u);
    }
    auto pipe = pool.take();
    ASSERT_EQ(::write(pipe->write_end.get(), "x", 1), 1);
    pool.close(std::move(*pipe));
    EXPECT_EQ(pool.idle(), 1u) << "with bytes in it, it is nobody's any more";
    EXPECT_EQ(known.size(), 2u);
  }
  EXPECT_EQ(known.size(), 0u);
  EXPECT_EQ(descriptors(), before);
}

TEST(PipePool, HasNoneWhereDescriptorsAreOut) {
  DescriptorRegister known;
  PipePool pool(known);
  rlimit before{}, none{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = {0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const bool made = pool.take().has_value();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(made);
  EXPECT_EQ(known.size(), 0u);
  EXPECT_TRUE(pool.take().has_value());
}

}  // namespace
}  // namespace smartvpn::net
