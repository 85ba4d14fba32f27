// A store whose disk hangs: whoever waits for it waits, and nobody else does.
#include <future>

#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {
namespace {

using server::Server;
using server::State;

constexpr auto kBound = std::chrono::seconds(10);  // far above the timeouts below, far below for ever

// Hangs where the test wants it to until the test lets it go.
struct Disk {
  std::promise<void> reached, let_go;
  std::shared_future<void> free{let_go.get_future()};
  std::atomic<bool> hangs_in_load{false}, hangs_in_apply{false}, closed{false};

  void hang() {
    reached.set_value();
    free.wait();
  }
};

class HangingStore final : public registry::Store {
 public:
  explicit HangingStore(Disk& disk) : disk_(disk) {}
  ~HangingStore() override { disk_.closed = true; }
  Result<std::vector<registry::Client>> load() override {
    if (disk_.hangs_in_load) disk_.hang();
    return memory_.load();
  }
  Result<registry::Client> get(const std::string& id) override { return memory_.get(id); }
  Result<uint64_t> apply(const std::vector<registry::Write>& writes, std::optional<uint64_t> expected) override {
    if (disk_.hangs_in_apply) disk_.hang();
    return memory_.apply(writes, expected);
  }
  Result<uint64_t> revision() override { return memory_.revision(); }
  Result<void> save_stamps(const std::vector<registry::HandshakeStamp>& stamps) override {
    return memory_.save_stamps(stamps);
  }
  Result<std::vector<registry::HandshakeStamp>> load_stamps(int64_t forget_before_ms) override {
    return memory_.load_stamps(forget_before_ms);
  }
  Result<registry::ChangeFeed> changes_since(uint64_t revision) override { return memory_.changes_since(revision); }

 private:
  Disk& disk_;
  registry::MemoryStore memory_;
};

std::unique_ptr<Server> server_on(Disk& disk, const ServerSetup& setup = {}) {
  auto config = config::parse_server_config(setup.json());
  auto made = Server::create(std::move(*config), [&disk](const config::RegistryConfig&) {
    return Result<std::unique_ptr<registry::Store>>(std::make_unique<HangingStore>(disk));
  });
  EXPECT_TRUE(made) << made.error().text;
  return std::move(*made);
}

Status stop_in_time(Server& server, int32_t timeout_ms) {
  const Time began = monotonic_now();
  auto stopped = server.stop(0, timeout_ms);
  EXPECT_LT(monotonic_now() - began, kBound);
  return stopped ? Status::OK : stopped.error().status;
}

TEST(HangingStore, AWriteThatHangsHoldsStopNoLongerThanItsTimeout) {
  Disk disk;
  auto server = server_on(disk);
  ASSERT_TRUE(server->start());
  disk.hangs_in_apply = true;
  registry::ClientSpec alice;
  alice.id = "alice";
  auto change = std::async(std::launch::async, [&] { return server->client_create(alice); });
  // However the test ends, the change must too.
  std::shared_ptr<void> end(nullptr, [&](void*) { disk.let_go.set_value(); });
  ASSERT_EQ(disk.reached.get_future().wait_for(kBound), std::future_status::ready);

  auto stopping = std::async(std::launch::async, [&] { return stop_in_time(*server, 200); });
  if (stopping.wait_for(kBound) != std::future_status::ready) {
    ADD_FAILURE() << "stop waits for the store";
    end.reset();
    return;
  }
  EXPECT_EQ(stopping.get(), Status::TIMEOUT);
  EXPECT_EQ(stop_in_time(*server, 0), Status::AGAIN);
  EXPECT_EQ(server->state(), State::stopped);  // for clients it has: only the store is still open
  EXPECT_FALSE(disk.closed);

  end.reset();
  EXPECT_EQ(stop_in_time(*server, kWaitMs), Status::OK);
  EXPECT_TRUE(disk.closed);  // so the next server may open it
  EXPECT_TRUE(change.get());
}

TEST(HangingStore, AStartThatHangsHoldsNeitherStateNorStop) {
  Disk disk;
  disk.hangs_in_load = true;
  auto server = server_on(disk);
  auto start = std::async(std::launch::async, [&] { return server->start(); });
  std::shared_ptr<void> end(nullptr, [&](void*) { disk.let_go.set_value(); });
  ASSERT_EQ(disk.reached.get_future().wait_for(kBound), std::future_status::ready);

  auto asking = std::async(std::launch::async, [&] {
    EXPECT_EQ(server->state(), State::created);
    EXPECT_EQ(server->start().error().status, Status::BAD_STATE);
    EXPECT_EQ(server->set_callbacks({}).error().status, Status::BAD_STATE);
    return stop_in_time(*server, 200);
  });
  if (asking.wait_for(kBound) != std::future_status::ready) {
    ADD_FAILURE() << "the lock is held while the disk hangs";
    end.reset();
    return;
  }
  EXPECT_EQ(asking.get(), Status::TIMEOUT);

  end.reset();
  EXPECT_TRUE(start.get());  // it came up, and stops as it was told to
  EXPECT_EQ(stop_in_time(*server, kWaitMs), Status::OK);
  EXPECT_EQ(server->state(), State::stopped);
  EXPECT_TRUE(disk.closed);
}

TEST(HangingStore, AChangeThatWaitsForAStartThatFailsEndsWithIt) {
  RunningServer other((ServerSetup()));
  ServerSetup setup;
  setup.listen = R"({"transport":"websocket","address":"127.0.0.1","port":)" + std::to_string(other.port()) + "}";
  Disk disk;
  disk.hangs_in_load = true;
  auto server = server_on(disk, setup);
  auto start = std::async(std::launch::async, [&] { return server->start(); });
  ASSERT_EQ(disk.reached.get_future().wait_for(kBound), std::future_status::ready);
  auto change = std::async(std::launch::async, [&] { return server->client_remove("nobody"); });
  EXPECT_EQ(change.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);  // it has come to wait
  disk.let_go.set_value();
  if (change.wait_for(kBound) != std::future_status::ready) {
    std::fputs("a change and a start that failed wait for each other\n", stderr);
    std::_Exit(1);  // neither can be joined
  }
  EXPECT_EQ(start.get().error().status, Status::SYSTEM);
  EXPECT_EQ(change.get().error().status, Status::BAD_STATE);
  EXPECT_EQ(stop_in_time(*server, kWaitMs), Status::OK);
  EXPECT_TRUE(disk.closed);
}

}  // namespace
}  // namespace smartvpn::testing_support
