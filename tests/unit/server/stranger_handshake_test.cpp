// Whoever has upgraded but is nobody we know: every failure ends alike, and nothing of it stays.
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

// How a stranger's connection ended, as far as he can see.
struct Seen {
  uint16_t code = 0;
  size_t body = 0;
  std::string rest;
  Ending ending = Ending::open;
  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen watch_the_end(WireClient& client) {
  Seen seen;
  auto frame = client.read_frame();
  if (!frame || frame->opcode != ws::Opcode::close) return seen;
  seen.code = frame->close_code();
  seen.body = frame->payload.size();
  seen.rest = client.socket.read_to_end();
  seen.ending = client.socket.ending();
  return seen;
}
const Seen kSilentEnd{1008, 2, "", Ending::fin};

TEST(StrangerHandshake, AnUnknownKeyAndGarbageLookTheSame) {
  RunningServer server{ServerSetup()};
  std::string alice = server.create_client("alice");
  auto begin = [&](WireClient& client) { return client.upgrade() && client.hear_hello(); };

  WireClient unknown(RawSocket(server.port()), server.public_key_);
  ASSERT_TRUE(begin(unknown) && unknown.say_next());
  EXPECT_EQ(watch_the_end(unknown), kSilentEnd);
  EXPECT_EQ(next_rejection(server), "unknown_client");

  PublicKey wrong = server.public_key_;
  wrong[3] ^= 1;
  WireClient wrong_server(RawSocket(server.port()), wrong, key_of(alice));
  ASSERT_TRUE(begin(wrong_server) && wrong_server.say_next());
  EXPECT_EQ(watch_the_end(wrong_server), kSilentEnd);
  EXPECT_EQ(next_rejection(server), "handshake_failed");

  std::vector<Bytes> messages;
  WireClient model(RawSocket(server.port()), server.public_key_, key_of(alice));
  ASSERT_TRUE(begin(model));
  Bytes good = model.next_message();
  messages.push_back(good);  // right, but of another connection
  for (size_t at : {size_t{0}, size_t{1}, size_t{8}, size_t{16}, size_t{60}, good.size() - 1}) {
    messages.push_back(good);
    messages.back()[at] ^= 0x80;
  }
  messages.push_back(Bytes(good.begin(), good.begin() + 40));
  messages.push_back(Bytes(15, 1));
  messages.push_back(Bytes(1, 1));
  messages.push_back({});
  for (const Bytes& message : messages) {
    WireClient client(RawSocket(server.port()), server.public_key_);
    ASSERT_TRUE(begin(client));
    client.send_frame(ws::Opcode::binary, message);
    if (message.size() > 1 && (message[0] & 0x80)) {
      // An unknown type is ignored, four times.
      for (int i = 0; i < 4; ++i) client.send_frame(ws::Opcode::ping, {});
      for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.read_frame());
      client.send_frame(ws::Opcode::binary, {});
    }
    EXPECT_EQ(watch_the_end(client), kSilentEnd) << message.size();
  }
  model.socket.close();
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(stats_of(server).total.handshakes_completed, 0u);
}

TEST(StrangerHandshake, MayNotSpeakTwiceBeforeTheAnswer) {
  RunningServer server{ServerSetup()};
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(server.create_client("alice")));
  ASSERT_TRUE(client.upgrade());
  ASSERT_TRUE(client.hear_hello());
  Bytes message = client.next_message(), twice = WireClient::frame(ws::Opcode::binary, message);
  append(twice, WireClient::frame(ws::Opcode::binary, message));
  client.socket.send(twice);
  EXPECT_EQ(watch_the_end(client), kSilentEnd);
  EXPECT_EQ(next_rejection(server), "handshake_failed");
  client.socket.close();
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(stats_of(server).total.sessions_total, 0u);
}

struct FrameCase {
  const char* what;
  Bytes bytes;
  uint16_t code;
  Reason reason;
};

TEST(StrangerHandshake, FramesThatBreakARuleEndTheWebSocket) {
  RunningServer server{ServerSetup()};
  Bytes unmasked;
  ws::append_frame(unmasked, ws::Opcode::binary, true, Bytes(10), nullptr);
  const ws::MaskKey mask{};
  Bytes five_fragments;
  ws::append_frame(five_fragments, ws::Opcode::binary, false, Bytes(1), &mask);
  for (int i = 0; i < 4; ++i) ws::append_frame(five_fragments, ws::Opcode::continuation, i == 3, Bytes(1), &mask);
  const std::vector<FrameCase> cases = {
      {"text", WireClient::frame(ws::Opcode::text, as_bytes("hello")), 1003, Reason::websocket_error},
      {"unmasked", unmasked, 1002, Reason::websocket_error},
      {"too big", WireClient::frame(ws::Opcode::binary, Bytes(2000)), 1009, Reason::websocket_error},
      {"fragments", five_fragments, 1008, Reason::websocket_error},
      {"close", WireClient::frame(ws::Opcode::close, Bytes{0x03, 0xe8}), 1000, Reason::handshake_failed},
  };
  for (const auto& [what, bytes, code, reason] : cases) {
    const uint64_t before = rejections(server, reason);
    WireClient client(RawSocket(server.port()), server.public_key_);
    ASSERT_TRUE(client.upgrade());
    ASSERT_TRUE(client.hear_hello());
    client.socket.send(bytes);
    auto close = client.read_close();
    ASSERT_TRUE(close) << what;
    EXPECT_EQ(close->close_code(), code) << what;
    EXPECT_EQ(close->payload.size(), 2u) << what;
    EXPECT_EQ(client.socket.read_to_end(), "") << what;
    client.socket.close();
    EXPECT_TRUE(becomes_idle(server)) << what;
    EXPECT_EQ(rejections(server, reason), before + 1) << what;
  }
}

TEST(StrangerHandshake, WhoLeavesInTheMiddleLeavesNothingBehind) {
  RunningServer server{ServerSetup()};
  SecretKey key = key_of(server.create_client("alice"));
  for (int step = 0; step < 6; ++step) {
    for (bool reset : {false, true}) {
      WireClient client(RawSocket(server.port()), server.public_key_, key.clone());
      ASSERT_TRUE(eventually([&] { return stats_of(server).total.connections_open == 1; }));
      if (step > 0) client.socket.send(kUpgradeRequest.substr(0, 30));
      if (step > 1) client.socket.send(kUpgradeRequest.substr(30));
      bool went =
          step < 3 || (client.socket.read_through("\r\n\r\n").starts_with("HTTP/1.1 101 ") && client.hear_hello());
      if (step > 3) went &= client.say_next();
      if (step > 4) went &= client.hear();
      EXPECT_TRUE(went) << step;
      reset ? client.socket.reset() : client.socket.close();
      EXPECT_TRUE(becomes_idle(server)) << step;
    }
  }
  auto total = stats_of(server).total;
  EXPECT_EQ(total.sessions_total, 0u);
  EXPECT_EQ(total.connections_total, 12u);
  EXPECT_EQ(total.rejections_total(), 12u);
  // The address that was promised twice is free again.
  auto tunnel = connect(client_config(server.create_client("bob"), "testing"));
  ASSERT_TRUE(tunnel);
}

// A key that was removed between message 2 and the first data, and whose id was given to another.
TEST(StrangerHandshake, AnIdThatWasGivenToAnotherKeyMeanwhileIsNotConfirmed) {
  RunningServer server{ServerSetup()};
  WireClient client(RawSocket(server.port()), server.public_key_, key_of(server.create_client("alice")));
  ASSERT_TRUE(client.upgrade());
  ASSERT_TRUE(client.hear_hello());
  ASSERT_TRUE(client.say_next());
  ASSERT_TRUE(client.hear());
  ASSERT_TRUE(server.server->client_remove("alice"));
  server.create_client("alice");
  ASSERT_TRUE(client.say_next());
  while (client.hear()) continue;
  ASSERT_TRUE(client.closed);
  EXPECT_EQ(client.closed->reason, Reason::client_removed);
  EXPECT_EQ(next_rejection(server), "client_removed");
  client.socket.close();
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(stats_of(server).total.sessions_total, 0u);
}

}  // namespace
}  // namespace smartvpn::testing_support
