#include "transport/ws/upgrade_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace smartvpn::ws {
namespace {

using ServerOutcome = UpgradeServer::Outcome;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kKey = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
constexpr const char* kProto = "Sec-WebSocket-Protocol: smartvpn.v1\r\n";

struct Answer {
  ServerOutcome outcome;
  uint16_t status;
  std::string text;
  size_t consumed;
};

class UpgradeServerTest : public testing::Test {
 protected:
  Answer ask(const std::string& request, bool draining = false,
             UpgradeServer::Purpose purpose = UpgradeServer::Purpose::any) {
    UpgradeServer whole(config_, purpose);
    size_t n = 0;
    const ServerOutcome outcome = whole.feed(as_bytes(request), n, draining);
    Answer answer{outcome, whole.status(), std::string(as_text(whole.response())), n};
    // Byte by byte must say the same.
    UpgradeServer piecewise(config_, purpose);
    size_t total = 0;
    ServerOutcome last = ServerOutcome::need_more;
    for (size_t i = 0; i < request.size() && last == ServerOutcome::need_more; ++i) {
      last = piecewise.feed(as_bytes(request).subspan(i, 1), n, draining);
      total += n;
    }
    EXPECT_EQ(last, outcome);
    EXPECT_EQ(as_text(piecewise.response()), answer.text);
    if (outcome == ServerOutcome::upgraded) {
      EXPECT_EQ(total, answer.consumed);
    }
    return answer;
  }
  static std::string request(const std::string& fields, const std::string& line = "GET /tunnel HTTP/1.1") {
    return line + "\r\nHost: vpn.example\r\n" + fields + "\r\n";
  }
  // A right request with one part replaced.
  static std::string upgrade(const std::string& upgrade_field = "Upgrade: websocket\r\n",
                             const std::string& connection = "Connection: Upgrade\r\n", const std::string& key = kKey,
                             const std::string& version = "Sec-WebSocket-Version: 13\r\n",
                             const std::string& protocol = kProto) {
    return request(upgrade_field + connection + key + version + protocol);
  }

  UpgradeServerConfig config_ = [] {
    UpgradeServerConfig c;
    c.path = "/tunnel";
    return c;
  }();
};

TEST_F(UpgradeServerTest, AcceptsWithTheRfcsProofAndLeavesWhatFollows) {
  const std::string right = upgrade();
  const Answer a = ask(right + "\x82\x80rest");
  EXPECT_EQ(a.outcome, ServerOutcome::upgraded);
  EXPECT_EQ(a.consumed, right.size());
  EXPECT_EQ(a.text,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: smartvpn.v1\r\n\r\n");
}

TEST_F(UpgradeServerTest, ReadsListsInAnyCaseAndOverSeveralFields) {
  EXPECT_EQ(ask(upgrade("UPGRADE: WebSocket\r\n", "connection: keep-alive, upGRADE\r\n")).status, 101);
  EXPECT_EQ(ask(upgrade("Upgrade: h2c, websocket\r\n", "Connection: keep-alive\r\nConnection: Upgrade\r\n")).status,
            101);
  EXPECT_EQ(ask(upgrade("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", kKey, "Sec-WebSocket-Version: 13\r\n",
                        "Sec-WebSocket-Protocol: chat, x\r\nSec-WebSocket-Protocol: smartvpn.v1\r\n"))
                .status,
            101);
  EXPECT_EQ(ask(request("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
                            std::string(kKey) + kProto,
                        "GET /tunnel?token=1 HTTP/1.1"))
                .status,
            101);
  EXPECT_EQ(ask(request("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
                            std::string(kKey) + kProto,
                        "GET http://vpn.example/tunnel HTTP/1.1"))
                .status,
            101);
}

TEST_F(UpgradeServerTest, NeverAcceptsAnExtension) {
  const Answer a =
      ask(request(std::string("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n") + kKey +
                  kProto + "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
  EXPECT_EQ(a.status, 101);
  EXPECT_THAT(a.text, Not(HasSubstr("Extensions")));
}

TEST_F(UpgradeServerTest, AsksForAnUpgradeAndTheVersionItSpeaks) {
  for (const Answer& a :
       {ask(request("")), ask(upgrade("Upgrade: h2c\r\n")),
        ask(upgrade("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", kKey, "")),
        ask(upgrade("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", kKey, "Sec-WebSocket-Version: 8\r\n")),
        ask(upgrade("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", kKey, "Sec-WebSocket-Version: 013\r\n"))}) {
    EXPECT_EQ(a.outcome, ServerOutcome::respond);
    EXPECT_EQ(a.status, 426);
    EXPECT_THAT(a.text, HasSubstr("\r\nSec-WebSocket-Version: 13\r\n"));
    EXPECT_THAT(a.text, HasSubstr("\r\nUpgrade: websocket\r\n"));
  }
}

TEST_F(UpgradeServerTest, RefusesWhatTheHandshakeForbids) {
  const std::string up = "Upgrade: websocket\r\n", conn = "Connection: Upgrade\r\n",
                    v13 = "Sec-WebSocket-Version: 13\r\n";
  for (const std::string& bad : {
           upgrade(up, ""),
           upgrade(up, "Connection: keep-alive\r\n"),
           upgrade(up, "Connection: Upgrades\r\n"),
           upgrade(up, conn, ""),
           upgrade(up, conn, std::string(kKey) + kKey),
           upgrade(up, conn, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n"),
           upgrade(up, conn, "Sec-WebSocket-Key: \r\n"),
           upgrade(up, conn, kKey, v13 + v13),
           upgrade(up, conn, kKey, v13, ""),
           upgrade(up, conn, kKey, v13, "Sec-WebSocket-Protocol: smartvpn.v2\r\n"),
           upgrade(up, conn, kKey, v13, "Sec-WebSocket-Protocol: SMARTVPN.V1\r\n"),
           upgrade(up, conn, kKey, v13, "Sec-WebSocket-Protocol: smartvpn.v1, a b\r\n"),
           "GET /tunnel HTTP/1.1\r\n" + up + conn + v13 + kKey + kProto + "\r\n",
           "GET /tunnel HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + up + conn + v13 + kKey + kProto + "\r\n",
           "GET /tunnel HTTP/1.1\r\nHost:\r\n" + up + conn + v13 + kKey + kProto + "\r\n",
           request(up + conn + v13 + kKey + kProto, "GET /tunnel HTTP/1.0"),
           request(up + conn + v13 + kKey + kProto + "Content-Length: 3\r\n"),
           request(up + conn + v13 + kKey + kProto + "Content-Length: 1\r\n"),
           request(up + conn + v13 + kKey + kProto + "Content-Length: 00\r\n"),
           request(up + conn + v13 + kKey + kProto + "Content-Length: 0\r\nContent-Length: 7\r\n"),
           request(up + conn + v13 + kKey + kProto + "Content-Length: +0\r\n"),
           request(up + conn + v13 + kKey + kProto + "Transfer-Encoding: chunked\r\n"),
           std::string("garbage\r\n\r\n"),
       }) {
    const Answer a = ask(bad);
    EXPECT_EQ(a.outcome, ServerOutcome::respond) << bad;
    EXPECT_EQ(a.status, 400) << bad;
    EXPECT_THAT(a.text, HasSubstr("\r\nConnection: close\r\n"));
  }
}

TEST_F(UpgradeServerTest, KnowsItsPathAndMethod) {
  EXPECT_EQ(ask(request("", "GET / HTTP/1.1")).status, 404);
  EXPECT_EQ(ask(request("", "GET /tunnel/ HTTP/1.1")).status, 404);
  EXPECT_EQ(ask(request("", "GET /TUNNEL HTTP/1.1")).status, 404);
  EXPECT_EQ(ask(request("", "GET * HTTP/1.1")).status, 404);
  const Answer a = ask(request("", "POST /tunnel HTTP/1.1"));
  EXPECT_EQ(a.status, 405);
  EXPECT_THAT(a.text, HasSubstr("\r\nAllow: GET\r\n"));
}

TEST_F(UpgradeServerTest, AnswersHealthChecks) {
  for (const char* line : {"GET /healthz HTTP/1.1", "GET /healthz HTTP/1.0", "GET /healthz?x HTTP/1.1"}) {
    EXPECT_EQ(ask(request("", line)).status, 200) << line;
    EXPECT_EQ(ask(request("", line), true).status, 503) << line;
  }
  EXPECT_EQ(ask("GET /healthz HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_EQ(ask(request("", "POST /healthz HTTP/1.1")).status, 405);
  config_.health_path.clear();
  EXPECT_EQ(ask(request("", "GET /healthz HTTP/1.1")).status, 404);
}

TEST_F(UpgradeServerTest, BehindALocalHeaderOnlyHealthPasses) {
  using Purpose = UpgradeServer::Purpose;
  EXPECT_EQ(ask(upgrade(), false, Purpose::health_only).status, 403);
  EXPECT_EQ(ask(request("", "GET /healthz HTTP/1.1"), false, Purpose::health_only).status, 200);
}

TEST_F(UpgradeServerTest, RefusesUpgradesWhileDraining) { EXPECT_EQ(ask(upgrade(), true).status, 503); }

TEST_F(UpgradeServerTest, ChecksOriginsWhenToldTo) {
  auto with = [](const std::string& origin) { return upgrade(origin + "Upgrade: websocket\r\n"); };
  EXPECT_EQ(ask(with("Origin: https://evil.example\r\n")).status, 101);
  config_.allowed_origins = {"https://app.example"};
  EXPECT_EQ(ask(with("Origin: https://app.example\r\n")).status, 101);
  EXPECT_EQ(ask(with("")).status, 101);
  EXPECT_EQ(ask(with("Origin: https://evil.example\r\n")).status, 403);
  EXPECT_EQ(ask(with("Origin: https://app.example\r\nOrigin: https://evil.example\r\n")).status, 403);
}

TEST_F(UpgradeServerTest, TheSubprotocolIsChosenOnlyIfOffered) {
  config_.require_subprotocol = false;
  const Answer none = ask(upgrade("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", kKey,
                                  "Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Protocol: chat\r\n"));
  EXPECT_EQ(none.status, 101);
  EXPECT_THAT(none.text, Not(HasSubstr("Protocol:")));
  EXPECT_THAT(ask(upgrade()).text, HasSubstr("Sec-WebSocket-Protocol: smartvpn.v1\r\n"));
}

TEST_F(UpgradeServerTest, IsBounded) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "A: b\r\n";
  EXPECT_EQ(ask(request(many)).status, 431);
  EXPECT_EQ(ask(request("A: " + std::string(5000, 'x') + "\r\n")).status, 431);
  EXPECT_EQ(ask("GET /" + std::string(5000, 'x')).status, 431);
}

TEST_F(UpgradeServerTest, KeepsTheRequestForTheRealIpHeader) {
  UpgradeServer server(config_);
  size_t n = 0;
  const std::string text = upgrade("X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nUpgrade: websocket\r\n");
  ASSERT_EQ(server.feed(as_bytes(text), n), ServerOutcome::upgraded);
  EXPECT_EQ(server.request().value("x-forwarded-for"), "192.0.2.1, 192.0.2.2");
  EXPECT_EQ(server.subprotocol(), "smartvpn.v1");
  // Final: more input changes nothing.
  EXPECT_EQ(server.feed(as_bytes("x"), n), ServerOutcome::upgraded);
  EXPECT_EQ(n, 0u);
}

}  // namespace
}  // namespace smartvpn::ws
