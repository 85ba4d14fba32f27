// The socket of the `wg` tool over a backend that only notes: what is asked, what is answered, and how clients that are
// slow, silent, many or wrong are dealt with.
#include "server/uapi_service.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <latch>
#include <thread>

#include "support/temporary_folder.hpp"
#include "support/unix_client.hpp"

namespace smartvpn::server {
namespace {

using smartvpn::testing::TemporaryFolder;
using testing_support::UnixClient;

constexpr std::string_view kGet = "get=1\n\n";

class UapiSocket : public ::testing::Test {
 protected:
  // Called on the service's thread, one request at a time, and read when it has answered.
  UapiBackend backend() {
    UapiBackend out;
    out.get = [this](std::string& text) {
      text += text_;  // constant once it has begun
      return get_error_.load();
    };
    out.set = [this](const wireguard::UapiRequest& request) {
      if (on_set_) on_set_();
      peers_ += request.peers.size();
      return set_error_.load();
    };
    return out;
  }
  void start(const UapiLimits& limits = {}) {
    auto service = UapiService::start(path_, backend(), limits);
    ASSERT_TRUE(service) << service.error().text;
    service_ = std::move(*service);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "wg.sock";
  std::string text_ = "listen_port=1\n";
  std::atomic<int> get_error_ = 0, set_error_ = 0;
  std::atomic<size_t> peers_ = 0;
  std::function<void()> on_set_;
  std::unique_ptr<UapiService> service_;
};

const std::string kUapiKeyLine = "public_key=" + std::string(64, 'a') + "\n";

TEST_F(UapiSocket, RequestsAreAnsweredOneAfterTheOther) {
  start();
  UnixClient client(path_);
  EXPECT_EQ(client.ask(kGet), "listen_port=1\nerrno=0\n\n");
  EXPECT_EQ(client.ask("set=1\n" + kUapiKeyLine + kUapiKeyLine + "\n"), "errno=0\n\n");
  EXPECT_EQ(peers_, 2u);
  set_error_ = EADDRINUSE;
  EXPECT_EQ(client.ask("set=1\n\n"), "errno=-98\n\n");
  get_error_ = ENODEV;
  EXPECT_EQ(client.ask(kGet), "errno=19\n\n") << "half an answer is none";
}

TEST_F(UapiSocket, AWrongRequestIsAnsweredAndNotPerformed) {
  start();
  UnixClient client(path_);
  EXPECT_EQ(client.ask("set=1\n" + kUapiKeyLine + "endpoint=here\n\n"), "errno=-22\n\n");
  EXPECT_EQ(client.ask("hello\n\n"), "errno=71\n\n");
  EXPECT_EQ(peers_, 0u);
  EXPECT_EQ(client.ask(kGet), "listen_port=1\nerrno=0\n\n") << "and the next one is understood";
}

TEST_F(UapiSocket, RequestsMayComeTogetherOrByteByByte) {
  start();
  UnixClient client(path_);
  client.send("get=1\n\nset=1\n" + kUapiKeyLine + "\nget=1\n\n");
  client.finish_sending();
  std::string all;
  EXPECT_TRUE(client.reads_end(&all));
  EXPECT_EQ(all, "listen_port=1\nerrno=0\n\nerrno=0\n\nlisten_port=1\nerrno=0\n\n");
  UnixClient slow(path_);
  for (const char c : kGet) EXPECT_TRUE(slow.send({&c, 1}));
  EXPECT_EQ(slow.read_through("\n\n"), "listen_port=1\nerrno=0\n\n");
}

TEST_F(UapiSocket, ALongAnswerWaitsForItsReaderAndWhatFollowsForIt) {
  text_ = std::string(8 << 20, 'x') + "\n";
  start();
  UnixClient client(path_);
  client.send("get=1\n\nset=1\n" + kUapiKeyLine + "\n");
  UnixClient other(path_);
  EXPECT_EQ(other.ask("set=1\n\n"), "errno=0\n\n") << "nobody waits for a slow reader";
  EXPECT_EQ(peers_, 0u);
  client.finish_sending();
  std::string all;
  EXPECT_TRUE(client.reads_end(&all));
  EXPECT_EQ(all.size(), text_.size() + 9 + 9);
  EXPECT_EQ(all.substr(all.size() - 18), "errno=0\n\nerrno=0\n\n");
  EXPECT_EQ(peers_, 1u);
}

TEST_F(UapiSocket, WhoDoesNotReadHisAnswerIsLetGo) {
  text_ = std::string(8 << 20, 'x') + "\n";
  UapiLimits limits;
  limits.request = limits.silence = milliseconds(50);
  start(limits);
  UnixClient client(path_);
  client.send(kGet);
  UnixClient other(path_);
  EXPECT_EQ(other.ask("set=1\n\n"), "errno=0\n\n");
  ASSERT_TRUE(other.reads_end()) << "its time began later, so the other one's is over as well";
  std::string taken;
  EXPECT_TRUE(client.reads_end(&taken));
  EXPECT_LT(taken.size(), text_.size()) << "what the kernel had taken already";
}

TEST_F(UapiSocket, WhoIsSilentOrDoesNotFinishIsLetGo) {
  UapiLimits limits;
  limits.request = limits.silence = milliseconds(50);
  start(limits);
  UnixClient silent(path_), unfinished(path_);
  unfinished.send("set=1\npublic");
  EXPECT_TRUE(silent.reads_end());
  EXPECT_TRUE(unfinished.reads_end());
}

TEST_F(UapiSocket, MoreThanItsNumberOfClientsWaitUntilOneGoes) {
  UapiLimits limits;
  limits.clients = 2;
  limits.silence = seconds(60);
  start(limits);
  auto first = std::make_unique<UnixClient>(path_);
  UnixClient second(path_), third(path_);
  EXPECT_EQ(first->ask(kGet), "listen_port=1\nerrno=0\n\n");
  EXPECT_EQ(second.ask(kGet), "listen_port=1\nerrno=0\n\n");
  third.send(kGet);
  first.reset();
  EXPECT_EQ(third.read_through("\n\n"), "listen_port=1\nerrno=0\n\n");
}

TEST_F(UapiSocket, ARequestLongerThanAnyEndsTheStream) {
  start();
  UnixClient client(path_);
  const std::string line(1 << 20, '#');
  bool open = client.send("set=1\n");
  for (size_t sent = 0; open && sent <= 2 * wireguard::UapiParser::kMaxRequest; sent += line.size())
    open = client.send(line);
  EXPECT_FALSE(open);
  EXPECT_EQ(UnixClient(path_).ask(kGet), "listen_port=1\nerrno=0\n\n");
}

TEST_F(UapiSocket, WantOfMemoryIsAnErrno) {
  on_set_ = [] { throw std::bad_alloc(); };
  start();
  UnixClient client(path_);
  EXPECT_EQ(client.ask("set=1\n\n"), "errno=-12\n\n");
  EXPECT_EQ(client.ask(kGet), "listen_port=1\nerrno=0\n\n");
}

TEST_F(UapiSocket, StoppingWaitsForTheRequestAtHandAndRemovesTheSocket) {
  std::latch serving(1), go_on(1);
  on_set_ = [&] {
    serving.count_down();
    go_on.wait();
  };
  start();
  UnixClient client(path_);
  client.send("set=1\n" + kUapiKeyLine + "\n");
  serving.wait();
  std::thread stopper([&] { service_->stop(); });
  go_on.count_down();
  stopper.join();
  EXPECT_EQ(peers_, 1u);
  EXPECT_TRUE(client.reads_end());
  EXPECT_FALSE(std::filesystem::exists(path_));
  service_->stop();
}

TEST_F(UapiSocket, ASocketThatCannotBeIsAnErrorWithItsKey) {
  auto service = UapiService::start(folder_ / "missing/wg.sock", backend());
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().path, "/wireguard/uapi_socket");
  EXPECT_EQ(service.error().system_errno, ENOENT);
}

TEST(UapiSocketPath, ANameIsWhereWgLooks) {
  EXPECT_EQ(uapi_socket_path("wg0"), "/var/run/wireguard/wg0.sock");
  EXPECT_EQ(uapi_socket_path("/srv/wg0"), "/srv/wg0");
}

}  // namespace
}  // namespace smartvpn::server
