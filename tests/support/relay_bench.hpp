// A relay on loopback between raw sockets: what tests of it have in common. Every wait is bounded.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "relay/relay.hpp"
#include "support/raw_socket.hpp"
#include "telemetry/event_queue.hpp"

namespace smartvpn::relay::testing {

using nlohmann::json;
using testing_support::Ending;
using testing_support::RawSocket;

// A target: accepts raw connections.
class RawListener {
 public:
  explicit RawListener(uint16_t wanted = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    int one = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(wanted);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd_, 64), 0);
    socklen_t size = sizeof at;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }
  ~RawListener() { close(); }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  uint16_t port() const { return port_; }
  bool has_one(int patience_ms) {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, patience_ms) == 1;
  }
  RawSocket accept() {
    EXPECT_TRUE(has_one(RawSocket::kPatienceMs)) << "nobody connects";
    return RawSocket::of(::accept(fd_, nullptr, nullptr));
  }

 private:
  int fd_;
  uint16_t port_ = 0;
};

// Answers nobody, because its backlog is full.
class FullListener {
 public:
  FullListener() {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port());
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 200; ++i) {
      fillers_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      ::connect(fillers_.back(), reinterpret_cast<sockaddr*>(&at), sizeof at);
    }
  }
  ~FullListener() {
    for (int fd : fillers_) ::close(fd);
  }
  FullListener(const FullListener&) = delete;
  FullListener& operator=(const FullListener&) = delete;
  uint16_t port() const { return listener_.port(); }

 private:
  RawListener listener_;
  std::vector<int> fillers_;
};

inline json to(uint16_t port) { return {{"host", "127.0.0.1"}, {"port", port}}; }
// A route to this target or these, with more keys of its action.
inline json route(const json& targets, json more = json::object()) {
  more["targets"] = targets.is_array() ? targets : json::array({targets});
  return {{"action", more}};
}
inline json listener(json more = json::object()) {
  more["address"] = "127.0.0.1";
  if (!more.contains("ports")) more["port"] = more.value("port", 0);
  return more;
}
inline json relay_config(json routes, json listen = json::object(), json more = json::object()) {
  more["listen"] = json::array({listener(std::move(listen))});
  more["routes"] = routes.is_array() ? std::move(routes) : json::array({std::move(routes)});
  return more;
}

class RunningRelay {
 public:
  explicit RunningRelay(const json& config) {
    auto parsed = config::parse_relay_config(config.dump());
    if (!parsed) {
      ADD_FAILURE() << parsed.error().path << ": " << parsed.error().text;
      return;
    }
    auto made = Relay::create(*parsed);
    if (!made) {
      ADD_FAILURE() << made.error().path << ": " << made.error().text;
      return;
    }
    relay = std::move(*made);
    events = *relay->subscribe(telemetry::kAllEvents, 4096);
    auto started = relay->start();
    EXPECT_TRUE(started.ok()) << started.error().text;
  }
  uint16_t port(size_t index = 0) const { return relay->endpoints().at(index).address.port; }
  // The next event of that type; fails when none comes.
  telemetry::EventPtr event(telemetry::EventType type) {
    for (;;) {
      auto next = events->next(RawSocket::kPatienceMs);
      if (!next) {
        ADD_FAILURE() << "no " << telemetry::event_type_name(type);
        return std::make_shared<telemetry::Event>(type, 0);
      }
      if ((*next)->type() == type) return *next;
    }
  }
  std::string reason(telemetry::EventType type) {
    const auto next = event(type);
    const char* text = next->text("reason");
    return text ? text : "";
  }
  std::string rejected() { return reason(telemetry::EventType::connection_rejected); }
  std::string closed() { return reason(telemetry::EventType::connection_closed); }
  Result<void> reconfigure(const json& config) {
    auto parsed = config::parse_relay_config(config.dump());
    if (!parsed) return std::move(parsed).error();
    return relay->reconfigure(*parsed, {{"/routes", "applied"}});
  }
  // Until so many connections have reached their targets: a target may know before the relay does.
  void expect_relayed(uint64_t count) {
    for (int i = 0; i < 20000 && relay->stats()->total.connections_relayed < count; ++i) ::usleep(1000);
    EXPECT_EQ(relay->stats()->total.connections_relayed, count);
  }
  // Until nothing is open any more.
  void expect_empty() {
    for (int i = 0; i < 2000; ++i) {
      if (relay->connections()->empty()) return;
      ::usleep(1000);
    }
    ADD_FAILURE() << relay->connections()->size() << " connections are left";
  }

  std::unique_ptr<Relay> relay;
  std::shared_ptr<telemetry::EventQueue> events;
};

}  // namespace smartvpn::relay::testing
