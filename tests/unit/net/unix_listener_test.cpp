// A socket in the file system: whose it is, whom it takes the place of, and what is left of it.
#include "net/unix_listener.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/loop_runner.hpp"
#include "support/temporary_folder.hpp"
#include "support/unix_client.hpp"

namespace smartvpn::net {
namespace {

using smartvpn::testing::make_loop;
using smartvpn::testing::run_until;
using smartvpn::testing::TemporaryFolder;
using testing_support::UnixClient;
using UnixResult = Result<std::unique_ptr<UnixListener>>;

class UnixListening : public ::testing::Test {
 protected:
  UnixResult listen_at(const std::string& path) {
    return UnixListener::listen(
        *loop_, path, [this](std::unique_ptr<TcpStream> stream) { streams_.push_back(std::move(stream)); }, "/key");
  }
  int refusal(const std::string& path) {
    UnixResult result = listen_at(path);
    EXPECT_FALSE(result);
    if (result) return 0;
    EXPECT_EQ(result.error().path, "/key");
    return result.error().system_errno;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "socket";
  std::unique_ptr<Loop> loop_ = make_loop();
  std::vector<std::unique_ptr<TcpStream>> streams_;
};

TEST_F(UnixListening, ItIsItsOwnersAloneAndGoesWithTheListener) {
  {
    UnixResult listener = listen_at(path_);
    ASSERT_TRUE(listener) << listener.error().text;
    struct stat info {};
    ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 07777u, 0600u);
    UnixClient client(path_);
    EXPECT_EQ(client.error(), 0);
    EXPECT_TRUE(run_until(*loop_, [&] { return streams_.size() == 1; }));
    EXPECT_FALSE(streams_[0]->peer());
    streams_.clear();
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixListening, BytesGoBothWays) {
  struct Echo final : TcpStream::Handler {
    void on_stream_bytes(ByteSpan bytes) override { stream->try_write(bytes); }
    void on_stream_writable() override {}
    void on_stream_end(int) override { ended = true; }
    TcpStream* stream = nullptr;
    bool ended = false;
  } echo;
  UnixResult listener = listen_at(path_);
  ASSERT_TRUE(listener);
  UnixClient client(path_);
  ASSERT_TRUE(run_until(*loop_, [&] { return !streams_.empty(); }));
  echo.stream = streams_[0].get();
  streams_[0]->start(echo);
  client.send("hello\n\n");
  client.finish_sending();
  EXPECT_TRUE(run_until(*loop_, [&] { return echo.ended; }));
  EXPECT_EQ(client.read_through("\n\n"), "hello\n\n");
  streams_.clear();
}

TEST_F(UnixListening, ADeadSocketIsTakenOverALiveOneIsNot) {
  const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  UnixResult listener = listen_at(path_);
  ASSERT_TRUE(listener) << listener.error().text;
  EXPECT_EQ(refusal(path_), EBUSY);
  UnixClient client(path_);
  EXPECT_EQ(client.error(), 0) << "the refused one has not harmed it";
}

TEST_F(UnixListening, WhatIsNoSocketStays) {
  folder_.write("socket", "precious");
  EXPECT_EQ(refusal(path_), EEXIST);
  std::filesystem::create_symlink(folder_ / "elsewhere", folder_ / "link");
  EXPECT_EQ(refusal(folder_ / "link"), EEXIST);
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixListening, WhereItCannotBeIsSaid) {
  EXPECT_EQ(refusal(folder_ / "missing/socket"), ENOENT);
  EXPECT_EQ(refusal(""), ENAMETOOLONG);
  const std::string base = folder_.path().string() + "/";
  EXPECT_EQ(refusal(base + std::string(UnixListener::kMaxPath + 1 - base.size(), 'x')), ENAMETOOLONG);
  EXPECT_TRUE(listen_at(base + std::string(UnixListener::kMaxPath - base.size(), 'x')));
}

TEST_F(UnixListening, WhoeverIsTakingItHasItAlone) {
  const Fd lock(::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  EXPECT_EQ(refusal(path_), EBUSY);
  ASSERT_EQ(::flock(lock.get(), LOCK_UN), 0);
  EXPECT_TRUE(listen_at(path_));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".lock"));
}

TEST_F(UnixListening, ALockOnTheFolderWhichAnybodyMayTakeHoldsNobodyUp) {
  const Fd lock(::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_SH), 0);
  EXPECT_TRUE(listen_at(path_));
}

TEST_F(UnixListening, AnothersSocketInItsPlaceIsLeftAlone) {
  UnixResult listener = listen_at(path_);
  ASSERT_TRUE(listener);
  std::filesystem::remove(path_);
  UnixResult other = listen_at(path_);
  ASSERT_TRUE(other);
  listener->reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixListening, PausedItLeavesThemInTheBacklog) {
  UnixResult listener = listen_at(path_);
  ASSERT_TRUE(listener);
  (*listener)->pause(true);
  UnixClient client(path_);
  EXPECT_EQ(client.error(), 0);
  bool turned = false;
  Timer soon(*loop_, [&] { turned = true; });
  soon.start_in(milliseconds(20));
  EXPECT_TRUE(run_until(*loop_, [&] { return turned; }));
  EXPECT_TRUE(streams_.empty());
  (*listener)->pause(false);
  EXPECT_TRUE(run_until(*loop_, [&] { return streams_.size() == 1; }));
  streams_.clear();
}

}  // namespace
}  // namespace smartvpn::net
