// Packets flow while other threads of the host reconfigure, change clients, read figures and subscribe: each of
// them gets its answers and the flow is not touched. Under ThreadSanitizer this is what looks for races.
#include <atomic>
#include <functional>
#include <thread>

#include "support/siege.hpp"
#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {
namespace {

// Does one thing again and again on a thread of its own, until told to end.
class Busy {
 public:
  explicit Busy(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          while (!over_) {
            work();
            ++rounds_;
          }
        }) {}
  ~Busy() { end(); }
  // How often it was done.
  uint64_t end() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
    return rounds_;
  }
  uint64_t rounds() const { return rounds_; }

 private:
  std::atomic<bool> over_{false};
  std::atomic<uint64_t> rounds_{0};
  std::thread thread_;
};

void reconfigure_to(RunningServer& server, const ServerSetup& setup) {
  auto config = config::parse_server_config(setup.json());
  ASSERT_TRUE(config) << config.error().path << " " << config.error().text;
  EXPECT_TRUE(server.server->reconfigure(std::move(*config), {{"/network", "applied"}}));
}

void a_guest_comes_and_goes(RunningServer& server) {
  auto guest = connect(client_config(server.create_client("guest"), "host"));
  ASSERT_TRUE(guest);
  EXPECT_TRUE(hears_an_echo(*guest));
  EXPECT_TRUE(server.server->client_update("guest", R"({"description":"here for a moment"})", 0));
  EXPECT_TRUE(server.server->client_remove("guest"));
}

void somebody_looks(RunningServer& server) {
  EXPECT_TRUE(server.server->stats());
  EXPECT_TRUE(server.server->client_stats("alice"));
  EXPECT_GE(server.server->sessions()->size(), 1u);
  EXPECT_FALSE(server.server->endpoints().empty());
  EXPECT_TRUE(server.server->client_list());
}

TEST(ChangeUnderTraffic, NobodyDisturbsAnybody) {
  ServerSetup setup;
  RunningServer server{setup};
  auto alice = connect(client_config(server.create_client("alice"), "host"));
  ASSERT_TRUE(alice);

  std::atomic<uint64_t> lost{0};
  Busy traffic([&] { lost += hears_an_echo(*alice) ? 0 : 1; });
  Busy guests([&] { a_guest_comes_and_goes(server); });
  Busy reader([&] { somebody_looks(server); });
  Busy subscriber([&] {
    auto queue = server.server->subscribe(telemetry::kAllEvents, 64);
    ASSERT_TRUE(queue);
    (void)(*queue)->next(5).ok();  // nothing may happen for a while
  });
  for (uint64_t round = 0; round < testing::siege_rounds(40, 5000) || guests.rounds() < 3; ++round) {
    setup.network = round % 2 ? R"(,"dns":["10.8.0.53"])" : R"(,"client_to_client":true)";
    setup.extra = round % 3 ? "" : R"(,"security":{"connection_ip_block_list":["192.0.2.0/24"]})";
    reconfigure_to(server, setup);
    std::this_thread::sleep_for(milliseconds(2));
  }
  guests.end();
  EXPECT_GT(traffic.end(), 0u);
  EXPECT_GT(reader.end(), 0u);
  EXPECT_GT(subscriber.end(), 0u);

  EXPECT_EQ(lost, 0u);
  EXPECT_TRUE(hears_an_echo(*alice));
  EXPECT_EQ(alice->info().attempts, 1u) << "the session of the beginning";
  EXPECT_EQ(server.server->client_list()->size(), 1u);
}

}  // namespace
}  // namespace smartvpn::testing_support
