// What is remembered of WireGuard handshakes across restarts: the book with its writer behind, stores that fail, and a
// server that refuses what was recorded before it was started again.
#include "server/handshake_stamps.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "support/temporary_folder.hpp"
#include "support/wireguard_end.hpp"
#include "transport/wireguard/peer_machine.hpp"

namespace smartvpn::server {
namespace {

using registry::HandshakeStamp;

wireguard::Tai64n label(uint8_t number) {
  wireguard::Tai64n out;
  out.bytes[7] = number;
  return out;
}

// A store that fails as often as the test wants.
class Saved {
 public:
  Result<void> save(const std::vector<HandshakeStamp>& stamps) {
    std::lock_guard lock(mutex_);
    ++calls_;
    changed_.notify_all();
    if (failures_ > 0) {
      --failures_;
      return make_error(Status::SYSTEM, "the disk is full");
    }
    for (const auto& stamp : stamps) kept_[stamp.key] = stamp.label;
    return {};
  }
  HandshakeStamps::Save hook() {
    return [this](const std::vector<HandshakeStamp>& stamps) { return save(stamps); };
  }
  bool await_calls(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return calls_ >= count; });
  }
  int calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  std::map<PublicKey, std::array<uint8_t, 12>> kept_;
  int failures_ = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
};

constexpr Duration kSoon = milliseconds(1);
constexpr Duration kNeverAgain = seconds(3600);

TEST(HandshakeStamps, TheGreatestLabelOfAKeyIsWhatCounts) {
  HandshakeStamps stamps;
  const PublicKey key{1};
  EXPECT_TRUE(stamps.greatest(key).is_zero());
  stamps.load({{key, label(5).bytes, 100}});
  EXPECT_EQ(stamps.greatest(key), label(5));
  stamps.note({{key, label(4)}}, 200);
  EXPECT_EQ(stamps.greatest(key), label(5));
  stamps.note({{key, label(6)}}, 300);
  EXPECT_EQ(stamps.greatest(key), label(6));
}

TEST(HandshakeStamps, WhatHasGrownIsWrittenOnceAndTheRestAtTheEnd) {
  Saved saved;
  HandshakeStamps stamps;
  stamps.load({{PublicKey{9}, label(1).bytes, 1}});
  stamps.note({{PublicKey{1}, label(1)}}, 1);
  ASSERT_TRUE(stamps.start(saved.hook(), {}, kSoon));
  ASSERT_TRUE(saved.await_calls(1));
  stamps.note({{PublicKey{1}, label(1)}}, 2);
  stamps.stop();
  EXPECT_EQ(saved.calls(), 1) << "nothing has grown since";
  EXPECT_EQ(saved.kept_.size(), 1u) << "what the store has is not written again";

  Saved last;
  HandshakeStamps slow;
  ASSERT_TRUE(slow.start(last.hook(), {}, kNeverAgain));
  slow.note({{PublicKey{2}, label(7)}}, 1);
  slow.stop();
  EXPECT_EQ(last.kept_.at(PublicKey{2}), label(7).bytes);
}

TEST(HandshakeStamps, AStoreThatFailsIsToldOfOnceAndTriedAgain) {
  Saved saved;
  saved.failures_ = 3;
  std::atomic<int> told{0};
  HandshakeStamps stamps;
  stamps.note({{PublicKey{1}, label(1)}}, 1);
  ASSERT_TRUE(stamps.start(
      saved.hook(), [&](const std::string&) { ++told; }, kSoon));
  ASSERT_TRUE(saved.await_calls(4));
  stamps.stop();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(saved.kept_.at(PublicKey{1}), label(1).bytes);
}

// A peer's side by hand, so that its messages can be recorded.
class Recorded {
 public:
  Recorded(const SecretKey& secret, const PublicKey& server)
      : identity_(secret.clone()), indices_(system_rng(), 0, 1), machine_(shared(), server, nullptr, {}) {}
  Bytes initiation() {
    auto message = machine_.write_initiation(monotonic_now(), wall_clock_ms() * 1'000'000);
    EXPECT_TRUE(message);
    return Bytes(message->begin(), message->end());
  }

 private:
  wireguard::PeerShared shared() { return {&identity_, &indices_, &system_rng()}; }
  wireguard::Identity identity_;
  wireguard::IndexTable indices_;
  wireguard::PeerMachine machine_;
};

class Udp {
 public:
  explicit Udp(uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  }
  ~Udp() { ::close(fd_); }
  void send(ByteView message) {
    EXPECT_EQ(::send(fd_, message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
  }
  // The size of what came in time; 0: nothing.
  size_t receive(int timeout_ms) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) != 1) return 0;
    uint8_t bytes[2048];
    const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
    return size > 0 ? static_cast<size_t>(size) : 0;
  }

 private:
  int fd_;
};

bool refusals_reach(testing_support::RunningServer& server, uint64_t count) {
  const Time until = monotonic_now() + seconds(20);
  while (server.server->stats()->wireguard->not_newer < count && monotonic_now() < until) {
  }
  return server.server->stats()->wireguard->not_newer == count;
}

TEST(HandshakeStamps, AServerThatWasStartedAgainRefusesWhatWasRecordedBefore) {
  testing::TemporaryFolder folder;
  testing_support::ServerSetup setup = testing_support::wireguard_setup();
  setup.extra = R"(,"registry":{"store":"sqlite","path":")" + (folder / "clients.db") + "\"}";
  const auto key = crypto::generate_key_pair(system_rng());
  Bytes recorded;
  {
    testing_support::RunningServer server{setup};
    registry::ClientSpec spec;
    spec.id = "alice";
    spec.wireguard_public_key = key.pub;
    std::string conf = testing_support::wireguard_client_of(server, spec);
    const size_t at = conf.find("PublicKey = ") + 12;
    Recorded peer(key.secret, *parse_public_key(conf.substr(at, 44)));
    recorded = peer.initiation();
    Udp socket(server.port());
    socket.send(recorded);
    EXPECT_EQ(socket.receive(20000), wireguard::kResponseSize);
    ASSERT_TRUE(server.server->stop(0, testing_support::kWaitMs));
  }
  testing_support::RunningServer server{setup};
  Udp socket(server.port());
  socket.send(recorded);
  EXPECT_TRUE(refusals_reach(server, 1));
  EXPECT_EQ(server.server->stats()->wireguard->responses_out, 0u);
  // Removed and registered again, the key still does not take it.
  ASSERT_TRUE(server.server->client_remove("alice"));
  registry::ClientSpec spec;
  spec.id = "alice-again";
  spec.wireguard_public_key = key.pub;
  ASSERT_FALSE(testing_support::wireguard_client_of(server, spec).empty());
  socket.send(recorded);
  EXPECT_TRUE(refusals_reach(server, 2));
}

}  // namespace
}  // namespace smartvpn::server
