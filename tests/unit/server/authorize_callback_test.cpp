// Requests by callback: hosts that answer in it, later, never, by throwing, and beside threads that ask.
#include <atomic>
#include <future>

#include "support/stranger.hpp"

namespace smartvpn::testing_support {
namespace {

using server::Authorizer;
using server::RequestPtr;
using telemetry::EventType;

Authorizer::Answer allowing() {
  Authorizer::Answer answer;
  answer.allow = true;
  return answer;
}
Authorizer::Answer denying(const std::string& detail) {
  Authorizer::Answer answer;
  answer.detail = detail;
  return answer;
}
std::unique_ptr<tunnel::Tunnel> started_tunnel(const std::string& json) {
  auto tunnel = make_tunnel(json);
  EXPECT_TRUE(tunnel && tunnel->start());
  return tunnel;
}

class AuthorizeCallback : public testing::Test {
 protected:
  void run(std::function<void(const server::AuthorizeRequest&)> callback, const std::string& security = {}) {
    ServerSetup setup;
    setup.extra = R"(,"security":{"authorize":"required")" + security + "}";
    server = std::move(*server::Server::create(*config::parse_server_config(setup.json())));
    events = *server->subscribe(telemetry::kAllEvents, 1024);
    server::Callbacks callbacks;
    callbacks.authorize = std::move(callback);
    ASSERT_TRUE(server->set_callbacks(std::move(callbacks)));
    ASSERT_TRUE(server->start());
  }
  std::string client(const std::string& id) {
    registry::ClientSpec spec;
    spec.id = id;
    return client_config(server->client_create(spec)->config_json, "testing", R"(,"reconnect":{"enabled":false})");
  }
  // The next event of the type that holds `text` under `key`.
  bool hears(EventType type, const char* key, const std::string& text) {
    for (auto event = events->next(kWaitMs); event; event = events->next(kWaitMs))
      if ((*event)->type() == type && (*event)->text(key) && (*event)->text(key) == text) return true;
    return false;
  }
  std::unique_ptr<server::Server> server;
  std::shared_ptr<telemetry::EventQueue> events;
};

TEST_F(AuthorizeCallback, AnswersInTheCallback) {
  std::atomic<int> second{0};
  run([&](const server::AuthorizeRequest& request) {
    EXPECT_TRUE(server->in_callback());
    EXPECT_TRUE(
        server->authorize_answer(request.token, request.client_id == "alice" ? allowing() : denying("not you")));
    auto again = server->authorize_answer(request.token, allowing());
    if (!again && again.error().status == Status::NOT_FOUND) ++second;
  });
  EXPECT_TRUE(started_tunnel(client("alice"))->wait_connected(kWaitMs));
  EXPECT_FALSE(started_tunnel(client("bob"))->wait_connected(kWaitMs));
  EXPECT_TRUE(eventually([&] { return second == 2; }));
  EXPECT_TRUE(hears(EventType::connection_rejected, "detail", "not you"));
}

TEST_F(AuthorizeCallback, OneThatThrowsDeniesAfterTheTimeoutAndGoesOn) {
  run(
      [&](const server::AuthorizeRequest& request) {
        if (request.client_id == "alice") throw std::runtime_error("host");
        EXPECT_TRUE(server->authorize_answer(request.token, allowing()));
      },
      R"(,"authorize_timeout_ms":300)");
  EXPECT_FALSE(started_tunnel(client("alice"))->wait_connected(kWaitMs));
  EXPECT_TRUE(hears(EventType::log, "message", "an exception left the authorize callback"));
  EXPECT_EQ(server->stats()->callback_exceptions, 1u);
  EXPECT_TRUE(hears(EventType::connection_rejected, "reason", "authorize_timeout"));
  EXPECT_TRUE(started_tunnel(client("bob"))->wait_connected(kWaitMs));
}

TEST_F(AuthorizeCallback, ASlowOneHoldsNobodyElseUp) {
  std::promise<void> go;
  auto went = go.get_future().share();
  run([&](const server::AuthorizeRequest& request) {
    if (request.client_id == "slow") went.wait();
    (void)server->authorize_answer(request.token, allowing()).ok();
  });
  auto slow = started_tunnel(client("slow"));
  ASSERT_TRUE(eventually([&] { return server->stats()->total.handshakes_total == 1; }));
  EXPECT_TRUE(server->sessions());  // the shard serves on
  auto other = started_tunnel(client("other"));
  RequestPtr taken;
  ASSERT_TRUE(eventually([&] {
    // Another thread of the host's takes what the callback does not get to.
    if (auto request = server->authorize_next(0)) taken = *request;
    return taken != nullptr;
  }));
  EXPECT_TRUE(server->authorize_answer(taken->token, allowing()));
  EXPECT_TRUE((taken->client_id == "other" ? other : slow)->wait_connected(kWaitMs));
  go.set_value();
  EXPECT_TRUE((taken->client_id == "other" ? slow : other)->wait_connected(kWaitMs));
}

TEST_F(AuthorizeCallback, StopInsideItOnlyBegins) {
  std::promise<Status> stopped;
  run([&](const server::AuthorizeRequest&) { stopped.set_value(server->stop(0, -1).error().status); });
  auto tunnel = started_tunnel(client("alice"));
  EXPECT_EQ(stopped.get_future().get(), Status::AGAIN);
  EXPECT_TRUE(server->stop(0, kWaitMs));
  EXPECT_FALSE(tunnel->wait_connected(kWaitMs));
}

TEST_F(AuthorizeCallback, EachRequestGoesToExactlyOneTaker) {
  std::atomic<int> by_callback{0}, by_asking{0};
  run([&](const server::AuthorizeRequest& request) {
    ++by_callback;
    (void)server->authorize_answer(request.token, allowing()).ok();
  });
  std::thread taker([&] {
    for (auto request = server->authorize_next(-1); request; request = server->authorize_next(-1)) {
      ++by_asking;
      (void)server->authorize_answer((*request)->token, allowing()).ok();
    }
  });
  std::vector<std::unique_ptr<tunnel::Tunnel>> tunnels;
  for (int i = 0; i < 12; ++i) tunnels.push_back(started_tunnel(client("client" + std::to_string(i))));
  for (auto& tunnel : tunnels) EXPECT_TRUE(tunnel->wait_connected(kWaitMs));
  EXPECT_EQ(by_callback + by_asking, 12);
  EXPECT_TRUE(server->stop(0, kWaitMs));
  taker.join();
}

}  // namespace
}  // namespace smartvpn::testing_support
