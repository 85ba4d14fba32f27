// A server and its clients in one process over loopback, for tests of the whole: configurations,
// events with bounded waits, and a ping through the `host` engine.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "config/server_config.hpp"
#include "config/tunnel_config.hpp"
#include "crypto/x25519.hpp"
#include "inet/checksum.hpp"
#include "server/server.hpp"
#include "tunnel/tunnel.hpp"

namespace smartvpn::testing_support {

constexpr int32_t kWaitMs = 20000;
// For client_config: a tunnel that gives up when its first connection ends.
constexpr const char* kNoReconnect = R"(,"reconnect":{"enabled":false})";

inline std::string key_text(const SecretKey& key) { return format_key(key.view()); }

struct ServerSetup {
  std::string listen = R"({"transport":"websocket","address":"127.0.0.1","port":0})";
  std::string extra;    // further top-level members, each with a leading comma
  std::string network;  // further members of `network`, each with a leading comma
  std::string keys;     // further members of `keys`, likewise
  std::string subnets = R"("10.8.0.0/24","fd00:8::/64")";
  std::string mode = "testing";
  crypto::KeyPair key = crypto::generate_key_pair(system_rng());

  std::string json() const {
    return R"({"listen":[)" + listen + R"(],"keys":{"noise_private_key":")" + key_text(key.secret) + "\"" + keys +
           R"(},"forwarding":{"mode":")" + mode + R"("},"network":{"subnets":[)" + subnets + "]" + network + "}" +
           extra + "}";
  }
};

class RunningServer {
 public:
  explicit RunningServer(const ServerSetup& setup) : public_key_(setup.key.pub) {
    auto config = config::parse_server_config(setup.json());
    EXPECT_TRUE(config) << config.error().path << " " << config.error().text;
    auto made = server::Server::create(std::move(*config));
    EXPECT_TRUE(made) << made.error().path << " " << made.error().text;
    server = std::move(*made);
    events = *server->subscribe(telemetry::kAllEvents, 1024);
    auto started = server->start();
    EXPECT_TRUE(started) << started.error().path << " " << started.error().text;
  }
  uint16_t port(size_t listener = 0) const { return server->endpoints().at(listener).address.port; }

  // The next event of a type, others are skipped; null when none came in time.
  telemetry::EventPtr wait(telemetry::EventType type) {
    Time until = monotonic_now() + milliseconds(kWaitMs);
    while (monotonic_now() < until) {
      auto event = events->next(200);
      if (event && (*event)->type() == type) return *event;
      if (!event && event.error().status == Status::CLOSED) break;
    }
    return nullptr;
  }

  // A new client and the configuration it got, with `extra` members merged in.
  std::string create_client(const std::string& id, uint32_t max_sessions = 1) {
    registry::ClientSpec spec;
    spec.id = id;
    spec.max_sessions = max_sessions;
    return create_client(spec);
  }
  std::string create_client(const registry::ClientSpec& spec) {
    auto made = server->client_create(spec);
    EXPECT_TRUE(made) << made.error().text;
    return made->config_json;
  }

  std::unique_ptr<server::Server> server;
  std::shared_ptr<telemetry::EventQueue> events;
  PublicKey public_key_;
};

// `json` is what create_client gave; `extra` further members with a leading comma.
inline std::string client_config(std::string json, const std::string& mode, const std::string& extra = {}) {
  json.erase(json.rfind('}'));
  while (!json.empty() && (json.back() == '\n' || json.back() == ' ')) json.pop_back();
  return json + R"(,"forwarding":{"mode":")" + mode + "\"}" + extra + "}";
}

inline std::unique_ptr<tunnel::Tunnel> make_tunnel(const std::string& json) {
  auto config = config::parse_tunnel_config(json);
  EXPECT_TRUE(config) << config.error().path << " " << config.error().text << "\n" << json;
  if (!config) return nullptr;
  auto made = tunnel::Tunnel::create(std::move(*config));
  EXPECT_TRUE(made) << made.error().path << " " << made.error().text;
  return made ? std::move(*made) : nullptr;
}

inline std::unique_ptr<tunnel::Tunnel> connect(const std::string& json) {
  auto tunnel = make_tunnel(json);
  if (!tunnel) return nullptr;
  auto started = tunnel->start();
  EXPECT_TRUE(started) << started.error().text;
  auto connected = tunnel->wait_connected(kWaitMs);
  EXPECT_TRUE(connected) << connected.error().text << " " << reason_name(tunnel->info().last_reason) << " "
                         << tunnel->info().last_detail;
  return tunnel;
}

// An ICMP echo request of `payload` bytes.
inline Bytes echo_request(const inet::IpAddress& from, const inet::IpAddress& to, size_t payload = 56) {
  Bytes packet(28);
  packet.resize(28 + payload, 0x5a);
  packet[0] = 0x45;
  store_be16(&packet[2], static_cast<uint16_t>(packet.size()));
  packet[8] = 64;
  packet[9] = 1;
  std::copy(from.bytes().begin(), from.bytes().end(), packet.begin() + 12);
  std::copy(to.bytes().begin(), to.bytes().end(), packet.begin() + 16);
  store_be16(&packet[10], inet::checksum_of(ByteView(packet).first(20)));
  packet[20] = 8;
  store_be16(&packet[24], 7);
  store_be16(&packet[22], inet::checksum_of(ByteView(packet).subspan(20)));
  return packet;
}

inline void write_packet(tunnel::Tunnel& tunnel, ByteView packet) {
  forward::HostPacket meta;
  meta.length = static_cast<uint32_t>(packet.size());
  auto written = tunnel.packets_write(packet, {&meta, 1});
  EXPECT_TRUE(written) << written.error().text;
}

// The next packet, or nothing when none came in time.
inline Bytes read_packet(tunnel::Tunnel& tunnel, int32_t timeout_ms = kWaitMs) {
  Bytes arena(70000);
  forward::HostPacket meta;
  auto count = tunnel.packets_read(arena, {&meta, 1}, timeout_ms);
  if (!count) return {};
  return Bytes(arena.begin() + static_cast<ptrdiff_t>(meta.offset),
               arena.begin() + static_cast<ptrdiff_t>(meta.offset + meta.length));
}

inline inet::IpAddress address_v4(const tunnel::Tunnel& tunnel) {
  for (const auto& ip : tunnel.info().addresses)
    if (ip.is_v4()) return ip;
  return {};
}

// Whether the server's own address answers a ping.
inline bool hears_an_echo(tunnel::Tunnel& tunnel) {
  write_packet(tunnel, echo_request(address_v4(tunnel), *inet::IpAddress::parse("10.8.0.1")));
  return !read_packet(tunnel).empty();
}

}  // namespace smartvpn::testing_support
