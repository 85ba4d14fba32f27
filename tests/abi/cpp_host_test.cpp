// The C ABI as a C++ program uses it: callbacks that throw. What leaves one is caught at the library's side, is
// logged, and changes nothing for anybody else.
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "smartvpn.h"

namespace {

constexpr int32_t kWaitMs = 20000;

struct Host {
  smartvpn_server* server = nullptr;
  smartvpn_events* events = nullptr;
  bool throw_on_event = false;
  std::string throw_on_client;
};

void on_event(void* user, const smartvpn_event* event) {
  if (static_cast<Host*>(user)->throw_on_event && smartvpn_event_type(event) == SMARTVPN_EVENT_CLIENT_CHANGED)
    throw std::runtime_error("the host's own business");
}

void on_request(void* user, const smartvpn_request* request) {
  Host& host = *static_cast<Host*>(user);
  const std::string json = smartvpn_request_json(request);
  if (!host.throw_on_client.empty() && json.find("\"" + host.throw_on_client + "\"") != std::string::npos) throw 42;
  EXPECT_EQ(smartvpn_authorize_answer(host.server, smartvpn_request_token(request), "{\"allow\": true}",
                                      SMARTVPN_NUL_TERMINATED, nullptr),
            SMARTVPN_OK);
}

class CppHost : public testing::Test {
 protected:
  void SetUp() override {
    char key[SMARTVPN_KEY_SIZE];
    ASSERT_EQ(smartvpn_key_generate(key, sizeof key, nullptr, nullptr), SMARTVPN_OK);
    const std::string json = std::string(R"({"listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
          "keys": {"noise_private_key": ")") +
                             key + R"("}, "network": {"subnets": ["10.8.0.0/24"]}, "forwarding": {"mode": "testing"},
          "security": {"authorize": "required", "authorize_timeout_ms": 300}})";
    smartvpn_config* config = nullptr;
    ASSERT_EQ(smartvpn_config_from_json(SMARTVPN_CONFIG_SERVER, json.data(), json.size(), &config, nullptr),
              SMARTVPN_OK);
    ASSERT_EQ(smartvpn_server_create(config, &host.server, nullptr), SMARTVPN_OK);
    smartvpn_config_free(config);
    smartvpn_callbacks callbacks{};
    callbacks.struct_size = sizeof callbacks;
    callbacks.user = &host;
    callbacks.event = on_event;
    callbacks.authorize = on_request;
    ASSERT_EQ(smartvpn_server_set_callbacks(host.server, &callbacks, nullptr), SMARTVPN_OK);
    ASSERT_EQ(smartvpn_events_open(host.server, SMARTVPN_EVENTS_ALL, 1024, &host.events, nullptr), SMARTVPN_OK);
  }
  void TearDown() override {
    EXPECT_EQ(smartvpn_server_free(host.server), SMARTVPN_OK);
    smartvpn_events_free(host.events);
  }
  void start() { ASSERT_EQ(smartvpn_server_start(host.server, nullptr), SMARTVPN_OK); }

  // A client's tunnel that has been started.
  smartvpn_tunnel* tunnel(const std::string& id) {
    smartvpn_credentials* credentials = nullptr;
    smartvpn_config* config = nullptr;
    smartvpn_tunnel* out = nullptr;
    const std::string json = "{\"id\": \"" + id + "\"}";
    EXPECT_EQ(smartvpn_client_create(host.server, json.data(), json.size(), &credentials, nullptr), SMARTVPN_OK);
    EXPECT_EQ(smartvpn_config_from_json(SMARTVPN_CONFIG_TUNNEL, smartvpn_credentials_config(credentials),
                                        SMARTVPN_NUL_TERMINATED, &config, nullptr),
              SMARTVPN_OK);
    smartvpn_credentials_free(credentials);
    EXPECT_EQ(smartvpn_config_set(config, "/forwarding/mode", "\"host\"", SMARTVPN_NUL_TERMINATED, nullptr),
              SMARTVPN_OK);
    EXPECT_EQ(smartvpn_tunnel_create(config, &out, nullptr), SMARTVPN_OK);
    smartvpn_config_free(config);
    EXPECT_EQ(smartvpn_tunnel_start(out, nullptr), SMARTVPN_OK);
    return out;
  }
  // The text of `key` in the next event of this type.
  std::string next_text(int32_t type, const char* key) {
    smartvpn_event* event = nullptr;
    while (smartvpn_events_next(host.events, kWaitMs, &event, nullptr) == SMARTVPN_OK) {
      const char* text = smartvpn_event_type(event) == type ? smartvpn_event_text(event, key) : nullptr;
      const std::string copy = text ? text : "";
      smartvpn_event_free(event);
      if (!copy.empty()) return copy;
    }
    return "";
  }
  Host host;
};

TEST_F(CppHost, AnAuthorizeCallbackThatThrowsDeniesAndTheNextOneIsCalled) {
  host.throw_on_client = "alice";
  start();
  smartvpn_tunnel* alice = tunnel("alice");
  EXPECT_EQ(next_text(SMARTVPN_EVENT_LOG, "message"), "an exception left the authorize callback");
  EXPECT_EQ(next_text(SMARTVPN_EVENT_CONNECTION_REJECTED, "reason"), "authorize_timeout");
  smartvpn_tunnel* bob = tunnel("bob");
  EXPECT_EQ(smartvpn_tunnel_wait_connected(bob, kWaitMs, nullptr), SMARTVPN_OK);
  smartvpn_tunnel_free(alice);
  smartvpn_tunnel_free(bob);
}

TEST_F(CppHost, AnEventCallbackThatThrowsHoldsNoRequestUp) {
  host.throw_on_event = true;
  start();
  smartvpn_tunnel* alice = tunnel("alice");
  EXPECT_EQ(next_text(SMARTVPN_EVENT_LOG, "message"), "an exception left the event callback");
  EXPECT_EQ(smartvpn_tunnel_wait_connected(alice, kWaitMs, nullptr), SMARTVPN_OK);
  smartvpn_tunnel_free(alice);
}

}  // namespace
