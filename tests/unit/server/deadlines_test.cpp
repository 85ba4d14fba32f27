// A stranger who stops at any stage is gone at that stage's deadline, under its name. All of them wait
// side by side, so that the longest deadline is all the time this takes.
#include "support/certificates.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out + "\"";
}

std::string tls_listener() {
  auto ca = testing::make_ca("deadlines");
  auto identity = testing::make_server(ca, {}, {"127.0.0.1"});
  return R"({"transport":"websocket","address":"127.0.0.1","port":0,"tls":{"certificate":)" +
         json_text(identity.certificate) + R"(,"key":)" + json_text(identity.key) + "}}";
}

TEST(Deadlines, EveryStageHasOne) {
  ServerSetup setup;
  setup.listen = proxied_listener("v2", R"(,"header_timeout_ms":3000)") + "," +
                 proxied_listener("v2", R"(,"local":"health")") + "," + plain_listener() + "," + tls_listener();
  setup.extra = R"(,"security":{"upgrade_timeout_ms":1000})";
  RunningServer server{setup};
  const Time begun = monotonic_now();

  RawSocket silent(server.port(0)), half_header(server.port(0)), health(server.port(1)), local(server.port(0));
  half_header.send(ByteView(v2_header("198.51.100.7:4711")).first(20));
  health.send(v2_local());
  local.send(v2_local());
  RawSocket behind_header(server.port(0));  // the deadline begins anew with the header
  behind_header.send(v2_header("198.51.100.7:4711"));
  RawSocket slow_head(server.port(2)), slow_tls(server.port(3));
  slow_head.send(kUpgradeRequest.substr(0, 40));
  slow_tls.send(std::string("\x16\x03\x01", 3));
  WireClient mute(RawSocket(server.port(2)), server.public_key_);
  ASSERT_TRUE(mute.upgrade());
  ASSERT_TRUE(mute.hear_hello());
  mute.send_frame(ws::Opcode::ping, as_bytes("I am busy"));

  // Dripping on must not help.
  const Time until = begun + milliseconds(900);
  while (monotonic_now() < until) {
    slow_head.send("a");
    mute.send_frame(ws::Opcode::ping, {});
    std::this_thread::sleep_until(monotonic_now() + milliseconds(100));
  }
  EXPECT_EQ(slow_head.read_to_end(), "");
  EXPECT_EQ(slow_tls.read_to_end(), "");
  EXPECT_EQ(behind_header.read_to_end(), "");
  auto close = mute.read_close();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->close_code(), 1008);
  EXPECT_EQ(close->payload.size(), 2u);
  EXPECT_LT(monotonic_now() - begun, seconds(3));
  EXPECT_EQ(half_header.read_to_end(), "");
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(health.read_to_end(), "");
  EXPECT_GE(monotonic_now() - begun, seconds(3));
  for (RawSocket* socket : {&silent, &half_header, &health, &behind_header, &slow_head, &slow_tls})
    EXPECT_NE(socket->ending(), Ending::open);

  EXPECT_EQ(local.read_to_end(), "");  // its peer never closes, and it is gone all the same
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::proxy_header_timeout), 2u);
  EXPECT_EQ(rejections(server, Reason::upgrade_timeout), 3u);
  EXPECT_EQ(rejections(server, Reason::handshake_timeout), 1u);
  EXPECT_EQ(rejections(server, Reason::proxy_local), 2u);
}

}  // namespace
}  // namespace smartvpn::testing_support
