// A server and its clients as a host program has them over the C ABI while memory is scarce: what it does in a whole
// life, with checks that nothing acknowledged is lost, no call does half of its work, and every session has its end.
#pragma once

#include "crypto/x25519.hpp"
#include "support/scarce_host.hpp"
#include "support/vpn_pair.hpp"

namespace smartvpn::testing {

struct ScarceSetting {
  std::string name;
  std::string listen = R"({"transport":"websocket","address":"127.0.0.1","port":0})";
  std::string extra = {};   // further members of the server's configuration, each with a leading comma
  std::string tunnel = {};  // of its clients' configurations
  bool asks = false;        // security.authorize
};

class ScarceServer {
 public:
  ScarceServer(ScarceHost& host, const ScarceSetting& setting) : host_(host), setting_(setting) {}
  ~ScarceServer() { end(); }

  // Up to a running server, and its two clients registered.
  bool begin() {
    if (!ScarceHost::eventually([&] { return try_to_start() || ::testing::Test::HasFailure(); })) return false;
    return server_ && client("alice", 0) && client("bob", 1);
  }

  // A client comes, is answered, is seen, and goes.
  bool visit(int which) {
    smartvpn_tunnel* tunnel = nullptr;
    if (!ScarceHost::eventually([&] { return (tunnel = try_to_dial(which)) || ::testing::Test::HasFailure(); }) ||
        !tunnel)
      return false;
    bool ok = host_.must("wait_connected", [&](auto** e) { return smartvpn_tunnel_wait_connected(tunnel, 20000, e); });
    if (!ok) ADD_FAILURE() << tunnel_info(tunnel);
    ok = ok && ScarceHost::eventually([&] { return ping(tunnel); });
    if (!ok) ADD_FAILURE() << "no answer to a ping; " << tunnel_info(tunnel);
    ok = ok && look_around(which);
    ok = ok && host_.must("tunnel_stop", [&](auto** e) { return smartvpn_tunnel_stop(tunnel, 20000, e); });
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_tunnel_free(tunnel); }), SMARTVPN_OK);
    return ok && becomes_idle() && sessions_are_balanced();
  }

  // The registry, the configuration and what is told of them.
  bool administer();

  // Stops and frees everything.
  bool end() {
    bool ok = true;
    if (server_) {
      ok = host_.must("server_stop", [&](auto** e) { return smartvpn_server_stop(server_, 0, 20000, e); });
      ok = ok && drain() == SMARTVPN_CLOSED;
      EXPECT_EQ(ScarceHost::once([&] { return smartvpn_server_free(server_); }), SMARTVPN_OK);
      EXPECT_EQ(called_downs_, downs_) << "sessions that the callback was told the end of";
    }
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_events_free(events_); }), SMARTVPN_OK);
    server_ = nullptr;
    events_ = nullptr;
    return ok;
  }

 private:
  std::string json() const {
    return R"({"listen":[)" + setting_.listen + R"(],"keys":{"noise_private_key":")" + format_key(key_.secret.view()) +
           R"("},"forwarding":{"mode":"testing"},"network":{"subnets":["10.8.0.0/30"],"dns":[")" + dns_ +
           R"("]},"telemetry":{"client_label":true})" + setting_.extra + "}";
  }
  template <class Use>
  bool with_config(smartvpn_config_kind kind, const std::string& json, Use&& use) {
    smartvpn_config* config = nullptr;
    if (!host_.must("config_from_json",
                    [&](auto** e) { return smartvpn_config_from_json(kind, json.data(), json.size(), &config, e); }))
      return false;
    const bool ok = use(config);
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_config_free(config); }), SMARTVPN_OK);
    return ok;
  }

  // A start that has failed leaves a stopped server: then all of it once more.
  bool try_to_start() {
    const bool made = with_config(SMARTVPN_CONFIG_SERVER, json(), [&](smartvpn_config* config) {
      return host_.must("config_set",
                        [&](auto** e) { return smartvpn_config_set(config, "/network/mtu", "1380", 4, e); }) &&
             host_.must("config_validate", [&](auto** e) { return smartvpn_config_validate(config, e); }) &&
             host_.must("server_create", [&](auto** e) { return smartvpn_server_create(config, &server_, e); });
    });
    smartvpn_callbacks callbacks{};
    callbacks.struct_size = sizeof callbacks;
    callbacks.user = this;
    callbacks.event = &on_event;
    callbacks.authorize = setting_.asks ? &on_request : nullptr;
    if (!made ||
        !host_.must("set_callbacks", [&](auto** e) { return smartvpn_server_set_callbacks(server_, &callbacks, e); }) ||
        !host_.must("events_open",
                    [&](auto** e) { return smartvpn_events_open(server_, SMARTVPN_EVENTS_ALL, 1024, &events_, e); }))
      return false;
    smartvpn_error* error = nullptr;
    const smartvpn_status status = ScarceHost::once([&] { return smartvpn_server_start(server_, &error); });
    const std::string text = smartvpn_error_text(error);
    smartvpn_error_free(error);
    if (status == SMARTVPN_OK) return true;
    EXPECT_TRUE(host_.scarce(status)) << "server_start: " << smartvpn_status_name(status) << " " << text;
    EXPECT_EQ(smartvpn_server_state(server_), SMARTVPN_SERVER_STOPPED);
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_server_free(server_); }), SMARTVPN_OK);
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_events_free(events_); }), SMARTVPN_OK);
    server_ = nullptr;
    events_ = nullptr;
    return false;
  }

  bool client(const std::string& id, int which) {
    smartvpn_credentials* made = nullptr;
    const std::string spec = R"({"id":")" + id + "\"}";
    if (!host_.must("client_create",
                    [&](auto** e) { return smartvpn_client_create(server_, spec.data(), spec.size(), &made, e); }))
      return false;
    configs_[which] = taken_credentials(made);
    return !configs_[which].empty();
  }
  // The configuration in them, with its private key.
  std::string taken_credentials(smartvpn_credentials* made) const {
    const std::string key = smartvpn_credentials_private_key(made), config = smartvpn_credentials_config(made);
    EXPECT_EQ(key.size(), 44u);
    EXPECT_NE(config.find(key), std::string::npos) << config;
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_credentials_free(made); }), SMARTVPN_OK);
    return config;
  }

  smartvpn_tunnel* try_to_dial(int which) {
    const std::string json = testing_support::client_config(
        configs_[which], "host", R"(,"reconnect":{"initial_ms":10,"max_ms":50})" + setting_.tunnel);
    smartvpn_tunnel* tunnel = nullptr;
    if (!with_config(SMARTVPN_CONFIG_TUNNEL, json, [&](smartvpn_config* config) {
          return host_.must("tunnel_create", [&](auto** e) { return smartvpn_tunnel_create(config, &tunnel, e); });
        }))
      return nullptr;
    const smartvpn_status status = ScarceHost::once([&] { return smartvpn_tunnel_start(tunnel, nullptr); });
    if (status == SMARTVPN_OK) return tunnel;
    EXPECT_TRUE(host_.scarce(status)) << "tunnel_start: " << smartvpn_status_name(status);
    EXPECT_EQ(smartvpn_tunnel_state(tunnel), SMARTVPN_TUNNEL_STOPPED);
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_tunnel_free(tunnel); }), SMARTVPN_OK);
    return nullptr;
  }
  std::string tunnel_info(smartvpn_tunnel* tunnel) const {
    return host_.text("tunnel_info", [&](char* buf, size_t cap, size_t* needed, auto** e) {
      return smartvpn_tunnel_info(tunnel, buf, cap, needed, e);
    });
  }
  // Lost packets are nobody's fault while memory is short, so it is tried again.
  static bool ping(smartvpn_tunnel* tunnel) {
    const Bytes request =
        testing_support::echo_request(*inet::IpAddress::parse("10.8.0.2"), *inet::IpAddress::parse("10.8.0.1"));
    smartvpn_packet meta{};
    meta.length = static_cast<uint32_t>(request.size());
    static uint8_t arena[70000];
    size_t count = 0;
    Guest guest;
    smartvpn_tunnel_packets_write(tunnel, request.data(), request.size(), &meta, sizeof meta, 1, nullptr, nullptr);
    return smartvpn_tunnel_packets_read(tunnel, arena, sizeof arena, &meta, sizeof meta, 1, &count, 100, nullptr) ==
           SMARTVPN_OK;
  }

  std::string sessions() const {
    return host_.text("session_list", [&](char* buf, size_t cap, size_t* needed, auto** e) {
      return smartvpn_session_list(server_, buf, cap, needed, e);
    });
  }
  bool look_around(int which) {
    const char* id = which == 0 ? "alice" : "bob";
    EXPECT_TRUE(ScarceHost::eventually([&] { return sessions().find(id) != std::string::npos; }));
    const std::string stats = host_.text("client_stats", [&](char* buf, size_t cap, size_t* needed, auto** e) {
      return smartvpn_client_stats(server_, id, buf, cap, needed, e);
    });
    EXPECT_NE(stats.find(R"("sessions_now":1)"), std::string::npos) << stats;
    return !::testing::Test::HasFailure();
  }
  bool becomes_idle() const {
    const bool idle = ScarceHost::eventually([&] { return sessions() == "[]"; });
    EXPECT_TRUE(idle) << sessions();
    return idle;
  }

  uint64_t total(const char* name) const {
    smartvpn_stats* stats = nullptr;
    uint64_t value = 0;
    host_.must("server_stats", [&](auto** e) { return smartvpn_server_stats(server_, &stats, e); });
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_stats_u64(stats, name, &value); }), SMARTVPN_OK);
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_stats_free(stats); }), SMARTVPN_OK);
    return value;
  }
  // Every end of a session is told, sooner or later; a beginning is told or counted as lost.
  bool sessions_are_balanced() {
    const bool all = ScarceHost::eventually([&] {
      drain();
      return downs_ == total("sessions_total");
    });
    EXPECT_TRUE(all) << downs_ << " of " << total("sessions_total") << " sessions were said to have ended";
    EXPECT_LE(ups_, downs_);
    EXPECT_GE(ups_ + total("events_lost"), downs_);
    EXPECT_TRUE(ScarceHost::eventually([&] { return called_downs_ == downs_; }))
        << "the callback was told of " << called_downs_ << " ends";
    return !::testing::Test::HasFailure();
  }
  // Takes all events that wait; gives what ended that.
  smartvpn_status drain() {
    for (;;) {
      smartvpn_event* event = nullptr;
      const smartvpn_status status =
          ScarceHost::once([&] { return smartvpn_events_next(events_, 0, &event, nullptr); });
      if (status == SMARTVPN_NO_MEMORY) continue;
      if (status != SMARTVPN_OK) return status;
      const int32_t type = smartvpn_event_type(event);
      ups_ += type == SMARTVPN_EVENT_SESSION_UP;
      downs_ += type == SMARTVPN_EVENT_SESSION_DOWN;
      EXPECT_EQ(ScarceHost::once([&] { return smartvpn_event_free(event); }), SMARTVPN_OK);
    }
  }
  static void on_event(void* user, const smartvpn_event* event) {
    if (smartvpn_event_type(event) == SMARTVPN_EVENT_SESSION_DOWN) ++static_cast<ScarceServer*>(user)->called_downs_;
  }
  static void on_request(void* user, const smartvpn_request* request) {
    auto* self = static_cast<ScarceServer*>(user);
    const uint64_t token = smartvpn_request_token(request);
    while (smartvpn_authorize_answer(self->server_, token, R"({"allow":true})", SMARTVPN_NUL_TERMINATED, nullptr) ==
           SMARTVPN_NO_MEMORY)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  uint64_t revision() const {
    uint64_t value = 0;
    host_.must("registry_revision", [&](auto** e) { return smartvpn_registry_revision(server_, &value, e); });
    return value;
  }
  // A change of the registry that makes it grow by `growth`, and by nothing while it fails.
  template <class Fn>
  bool change(const char* what, uint64_t growth, Fn&& fn) {
    const uint64_t before = revision();
    const bool ok = host_.must(what, [&](smartvpn_error** e) {
      const smartvpn_status status = fn(e);
      const NoGuest checking;
      EXPECT_TRUE(status >= 0 || revision() == before) << what << " has failed and yet done something";
      return status;
    });
    EXPECT_TRUE(!ok || revision() == before + growth) << what;
    return ok && !::testing::Test::HasFailure();
  }
  bool transact();
  bool reconfigure();
  bool tell();

  ScarceHost& host_;
  const ScarceSetting& setting_;
  const crypto::KeyPair key_ = crypto::generate_key_pair(system_rng());
  std::string dns_ = "10.8.0.1";
  smartvpn_server* server_ = nullptr;
  smartvpn_events* events_ = nullptr;
  std::string configs_[2];
  uint64_t ups_ = 0, downs_ = 0;
  std::atomic<uint64_t> called_downs_{0};
};

inline bool ScarceServer::administer() {
  smartvpn_credentials* made = nullptr;
  const char* spec = R"({"id":"carol","tags":["a","b"],"security":{"ip_block_list":["192.0.2.0/24"]}})";
  auto take = [&] { return !taken_credentials(std::exchange(made, nullptr)).empty(); };
  return change("client_create", 1,
                [&](auto** e) { return smartvpn_client_create(server_, spec, SMARTVPN_NUL_TERMINATED, &made, e); }) &&
         take() &&
         change("client_update", 1,
                [&](auto** e) {
                  return smartvpn_client_update(server_, "carol", R"({"subnets":["192.168.7.0/24"]})",
                                                SMARTVPN_NUL_TERMINATED, 0, e);
                }) &&
         change("client_disable", 1, [&](auto** e) { return smartvpn_client_disable(server_, "carol", e); }) &&
         change("client_enable", 1, [&](auto** e) { return smartvpn_client_enable(server_, "carol", e); }) &&
         change("client_rotate", 1,
                [&](auto** e) { return smartvpn_client_rotate(server_, "carol", nullptr, 0, &made, e); }) &&
         take() &&
         change("rotate_commit", 1, [&](auto** e) { return smartvpn_client_rotate_commit(server_, "carol", e); }) &&
         transact() && tell() && reconfigure() &&
         change("client_remove", 1, [&](auto** e) { return smartvpn_client_remove(server_, "carol", e); }) &&
         drain() == SMARTVPN_AGAIN;
}

inline bool ScarceServer::transact() {
  smartvpn_transaction* changes = nullptr;
  smartvpn_credentials* made = nullptr;
  const size_t nul = SMARTVPN_NUL_TERMINATED;
  bool ok =
      host_.must("transaction_begin", [&](auto** e) { return smartvpn_transaction_begin(server_, &changes, e); }) &&
      host_.must("transaction_create",
                 [&](auto** e) { return smartvpn_transaction_create(changes, R"({"id":"dave"})", nul, e); }) &&
      host_.must("transaction_update",
                 [&](auto** e) { return smartvpn_transaction_update(changes, "carol", R"({"tags":[]})", nul, e); }) &&
      change("transaction_commit", 2, [&](auto** e) { return smartvpn_transaction_commit(changes, 0, nullptr, e); }) &&
      host_.must("transaction_credentials",
                 [&](auto** e) { return smartvpn_transaction_credentials(changes, 0, &made, e); });
  if (ok) taken_credentials(made);
  EXPECT_EQ(ScarceHost::once([&] { return smartvpn_transaction_free(changes); }), SMARTVPN_OK);
  return ok && change("client_remove", 1, [&](auto** e) { return smartvpn_client_remove(server_, "dave", e); });
}

inline bool ScarceServer::tell() {
  std::string text = host_.text("client_export", [&](char* buf, size_t cap, size_t* needed, auto** e) {
    return smartvpn_client_export(server_, "carol", SMARTVPN_EXPORT_NATIVE, buf, cap, needed, e);
  });
  EXPECT_NE(text.find("noise_private_key"), std::string::npos) << text;
  for (smartvpn_qr_form form : {SMARTVPN_QR_PNG, SMARTVPN_QR_SVG})
    host_.must("qr_encode", [&](auto** e) {
      static char buf[200000];
      return smartvpn_qr_encode(text.data(), text.size(), form, buf, sizeof buf, nullptr, e);
    });
  text = host_.text("client_list", [&](char* buf, size_t cap, size_t* needed, auto** e) {
    return smartvpn_client_list(server_, buf, cap, needed, e);
  });
  EXPECT_NE(text.find("alice"), std::string::npos) << text;
  text = host_.text("client_query", [&](char* buf, size_t cap, size_t* needed, auto** e) {
    return smartvpn_client_query(server_, R"({"online":false})", SMARTVPN_NUL_TERMINATED, buf, cap, needed, e);
  });
  EXPECT_NE(text.find(R"("matches":3)"), std::string::npos) << text;
  smartvpn_stats* stats = nullptr;
  if (!host_.must("server_stats", [&](auto** e) { return smartvpn_server_stats(server_, &stats, e); })) return false;
  text = host_.text("stats_prometheus", [&](char* buf, size_t cap, size_t* needed, auto** e) {
    return smartvpn_stats_prometheus(stats, buf, cap, needed, e);
  });
  EXPECT_NE(text.find("sessions"), std::string::npos);
  EXPECT_EQ(ScarceHost::once([&] { return smartvpn_stats_free(stats); }), SMARTVPN_OK);
  return !::testing::Test::HasFailure();
}

inline bool ScarceServer::reconfigure() {
  dns_ = dns_ == "10.8.0.1" ? "192.0.2.53" : "10.8.0.1";
  return with_config(SMARTVPN_CONFIG_SERVER, json(), [&](smartvpn_config* config) {
    smartvpn_changes* changes = nullptr;
    host_.must("config_set", [&](auto** e) { return smartvpn_config_set(config, "/network/mtu", "1380", 4, e); });
    if (!host_.must("server_reconfigure",
                    [&](auto** e) { return smartvpn_server_reconfigure(server_, config, 0, &changes, e); }))
      return false;
    EXPECT_STREQ(smartvpn_changes_json(changes), R"([{"path":"/network/dns","result":"applied"}])");
    EXPECT_EQ(ScarceHost::once([&] { return smartvpn_changes_free(changes); }), SMARTVPN_OK);
    return !::testing::Test::HasFailure();
  });
}

}  // namespace smartvpn::testing
