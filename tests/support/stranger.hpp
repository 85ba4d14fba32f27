// What tests of the server against strangers share: listeners behind proxies, PROXY headers, plain
// requests, and what the server's counters and events say of it all.
#pragma once

#include <thread>

#include "support/proxy_headers.hpp"
#include "support/raw_socket.hpp"
#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {

inline constexpr std::string_view kHealthRequest = "GET /healthz HTTP/1.1\r\nHost: vpn\r\n\r\n";
inline constexpr std::string_view kUpgradeRequest =
    "GET /tunnel HTTP/1.1\r\nHost: vpn\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: smartvpn.v1\r\n\r\n";

inline std::string plain_listener() { return R"({"transport":"websocket","address":"127.0.0.1","port":0})"; }

// `extra`: further members of `proxy_protocol`, each with a leading comma.
inline std::string proxied_listener(const std::string& mode, const std::string& extra = {},
                                    const std::string& trusted = "127.0.0.1") {
  return R"({"transport":"websocket","address":"127.0.0.1","port":0,"proxy_protocol":{"mode":")" + mode +
         R"(","trusted_proxies":[")" + trusted + "\"]" + extra + "}}";
}

inline Bytes v1_header(const std::string& line) {
  const std::string text = line + "\r\n";
  return Bytes(text.begin(), text.end());
}

// PROXY from `source` ("192.0.2.1:1111" or "[2001:db8::1]:1111") to a documentation address.
inline Bytes v2_header(const std::string& source) {
  auto from = *inet::Endpoint::parse(source);
  auto to = *inet::IpAddress::parse(from.ip.is_v4() ? "203.0.113.1" : "2001:db8::443");
  Bytes block;
  append(block, from.ip.bytes());
  append(block, to.bytes());
  block.insert(block.end(), {static_cast<uint8_t>(from.port >> 8), static_cast<uint8_t>(from.port), 1, 0xbb});
  return proxyproto::testing::v2(0x21, from.ip.is_v4() ? 0x11 : 0x21, block);
}
// The same, but an IPv4 source in an IPv6 header, as a dual-stack proxy sends it.
inline Bytes v2_mapped_header(const std::string& v4) {
  Bytes block(10, 0);
  block.insert(block.end(), {0xff, 0xff});
  append(block, inet::IpAddress::parse(v4)->bytes());
  append(block, inet::IpAddress::parse("2001:db8::443")->bytes());
  block.insert(block.end(), {0x12, 0x34, 1, 0xbb});
  return proxyproto::testing::v2(0x21, 0x21, block);
}
inline Bytes v2_local() { return proxyproto::testing::v2(0x20, 0x00, {}); }

inline std::string status_line(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }

// Sends and gives the first line of the answer, or "" when the stream ends without one.
inline std::string ask(RawSocket& socket, std::string_view request) {
  socket.send(request);
  return status_line(socket.read_through("\r\n"));
}

inline telemetry::StatsSnapshot stats_of(RunningServer& server) {
  auto stats = server.server->stats();
  EXPECT_TRUE(stats) << stats.error().text;
  return stats ? *stats : telemetry::StatsSnapshot{};
}
inline uint64_t rejections(RunningServer& server, Reason reason) {
  return stats_of(server).total.rejections[static_cast<size_t>(reason)];
}

inline std::vector<server::SessionInfo> sessions_of(RunningServer& server) {
  auto sessions = server.server->sessions();
  EXPECT_TRUE(sessions) << sessions.error().text;
  return sessions ? std::move(*sessions) : std::vector<server::SessionInfo>();
}

// Asks again and again until `holds` or patience is over.
template <class Fn>
bool eventually(Fn&& holds) {
  const Time until = monotonic_now() + milliseconds(kWaitMs);
  while (monotonic_now() < until) {
    if (holds()) return true;
    std::this_thread::yield();
  }
  return holds();
}

// Nobody is connected, and nothing is counted as if somebody were.
inline bool becomes_idle(RunningServer& server) {
  return eventually([&] {
    auto total = stats_of(server).total;
    return total.connections_open == 0 && total.handshakes_in_progress == 0 && total.sessions_now == 0;
  });
}

// The next refusal the server reports; its reason, or "" if none comes in time.
inline std::string next_rejection(RunningServer& server) {
  auto event = server.wait(telemetry::EventType::connection_rejected);
  return event && event->text("reason") ? event->text("reason") : "";
}

}  // namespace smartvpn::testing_support
