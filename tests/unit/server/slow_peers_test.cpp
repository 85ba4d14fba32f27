// Peers that are slow on purpose: they drip at every stage, never read, or ping for ever. Each is gone at
// its bound, costs no more than it, and another client notices nothing.
#include "net/tls_machine.hpp"
#include "support/certificates.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

std::string tls_listener() {
  auto ca = testing::make_ca("slow");
  auto identity = testing::make_server(ca, {}, {"127.0.0.1"});
  auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
    return out + "\"";
  };
  return R"({"transport":"websocket","address":"127.0.0.1","port":0,"tls":{"certificate":)" +
         quoted(identity.certificate) + R"(,"key":)" + quoted(identity.key) + "}}";
}

std::string client_hello() {
  net::TlsClientOptions options;
  options.any_certificate = true;
  auto machine = net::TlsMachine::create(*net::TlsContext::client(options));
  return std::string(as_text(machine->pending()));
}

// One who says `text` a byte at a time, and goes on as long as he is let.
struct Dripper {
  Dripper(RawSocket socket, std::string text) : socket(std::move(socket)), text(std::move(text)) {}
  void drip() {
    if (at < text.size() && socket.send(std::string_view(text).substr(at, 1))) ++at;
  }
  RawSocket socket;
  std::string text;
  size_t at = 0;
};

TEST(SlowPeers, DrippingHelpsAtNoStageAndHoldsNobodyUp) {
  ServerSetup setup;
  setup.listen =
      proxied_listener("any", R"(,"header_timeout_ms":3000)") + "," + plain_listener() + "," + tls_listener();
  setup.extra = R"(,"security":{"upgrade_timeout_ms":1000})";
  RunningServer server{setup};
  std::string waiting = server.create_client("waiting");
  Bytes long_header = v2_header("198.51.100.7:4711");
  store_be16(&long_header[14], 4000);
  long_header.resize(16 + 4000, 0);

  std::vector<Dripper> at_header, at_upgrade, at_handshake;
  at_header.emplace_back(RawSocket(server.port(0)), std::string(as_text(long_header)));
  at_header.emplace_back(RawSocket(server.port(0)), "PROXY UNKNOWN " + std::string(80, 'x'));
  at_upgrade.emplace_back(
      RawSocket(server.port(1)),
      std::string(kUpgradeRequest.substr(0, kUpgradeRequest.size() - 2)) + "X: " + std::string(1000, 'x'));
  at_upgrade.emplace_back(RawSocket(server.port(2)), client_hello());
  // A WebSocket already: inside a frame of 1000 bytes, and with empty fragments of one message.
  auto after_hello = [&](const Bytes& frames) {
    WireClient client(RawSocket(server.port(1)), server.public_key_);
    EXPECT_TRUE(client.upgrade() && client.hear_hello());
    at_handshake.emplace_back(std::move(client.socket), std::string(as_text(frames)));
  };
  after_hello(WireClient::frame(ws::Opcode::binary, Bytes(1000)));
  after_hello(Bytes{0x02, 0x80, 0, 0, 0, 0, 0x00, 0x80, 0, 0, 0, 0, 0x00, 0x80, 0, 0, 0, 0});
  // Message 2 was heard; the first data never comes whole.
  WireClient answered(RawSocket(server.port(1)), server.public_key_, key_of(waiting));
  ASSERT_TRUE(answered.upgrade() && answered.hear_hello() && answered.say_next() && answered.hear());
  const Bytes first_data = WireClient::frame(ws::Opcode::binary, answered.next_message());
  at_handshake.emplace_back(std::move(answered.socket),
                            std::string(as_text(first_data)).substr(0, first_data.size() - 1));

  const Time begun = monotonic_now();
  while (monotonic_now() < begun + milliseconds(2500)) {
    for (auto* group : {&at_header, &at_upgrade, &at_handshake})
      for (Dripper& one : *group) one.drip();
    std::this_thread::sleep_until(monotonic_now() + milliseconds(50));
  }
  for (auto* group : {&at_header, &at_upgrade, &at_handshake})
    for (Dripper& one : *group) {
      one.socket.read_to_end();
      EXPECT_NE(one.socket.ending(), Ending::open) << one.text.substr(0, 20);
    }
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::proxy_header_timeout), at_header.size());
  EXPECT_EQ(rejections(server, Reason::upgrade_timeout), at_upgrade.size());
  EXPECT_EQ(rejections(server, Reason::handshake_timeout), at_handshake.size());
  EXPECT_EQ(stats_of(server).total.sessions_total, 0u);
}

TEST(SlowPeers, AStrangerWhoPingsAndNeverReadsIsCut) {
  RunningServer server{ServerSetup()};
  auto neighbour = connect(client_config(server.create_client("neighbour"), "host"));
  ASSERT_TRUE(neighbour && hears_an_echo(*neighbour));
  const uint64_t before = stats_of(server).memory_bytes;
  WireClient stranger(RawSocket(server.port()), server.public_key_);
  int small = 4096;
  setsockopt(stranger.socket.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ASSERT_TRUE(stranger.upgrade() && stranger.hear_hello());
  Bytes flood;
  for (int i = 0; i < 400; ++i) append(flood, WireClient::frame(ws::Opcode::ping, Bytes(125, 'p')));
  int rounds = 0;
  uint64_t most = 0;
  while (rounds < 2000 && stranger.socket.send(flood)) {
    ++rounds;
    if (rounds % 16 == 0) most = std::max(most, stats_of(server).memory_bytes);
  }
  // Cut, and once he is told so, not listened to for long: the rest is refused with a reset.
  EXPECT_LT(rounds, 2000) << "a hundred megabytes of pings, and somebody read them all";
  EXPECT_LT(most, before + (size_t{4} << 20));
  EXPECT_TRUE(hears_an_echo(*neighbour));
  EXPECT_EQ(next_rejection(server), "websocket_error");
  stranger.socket.close();
  EXPECT_TRUE(eventually([&] { return stats_of(server).total.connections_open == 1; }));
  EXPECT_EQ(rejections(server, Reason::websocket_error), 1u);
}

// Whoever reads his pongs gets all of them, and it is he who waits.
TEST(SlowPeers, AStrangersPingsAreAnsweredOnlyUntilHisDeadline) {
  ServerSetup setup;
  setup.extra = R"(,"security":{"upgrade_timeout_ms":1000})";
  RunningServer server{setup};
  WireClient stranger(RawSocket(server.port()), server.public_key_);
  ASSERT_TRUE(stranger.upgrade() && stranger.hear_hello());
  const Time begun = monotonic_now();
  uint64_t pongs = 0;
  std::optional<WireFrame> frame;
  do {
    stranger.send_frame(ws::Opcode::ping, as_bytes("x"));
    frame = stranger.read_frame();
    pongs += frame && frame->opcode == ws::Opcode::pong;
    std::this_thread::sleep_for(std::chrono::microseconds(100));  // or he has said all that he may before his deadline
  } while (frame && frame->opcode == ws::Opcode::pong && monotonic_now() < begun + seconds(20));
  EXPECT_GT(pongs, 10u);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, ws::Opcode::close);
  EXPECT_EQ(frame->close_code(), 1008);
  EXPECT_EQ(next_rejection(server), "handshake_timeout");
}

TEST(SlowPeers, AClientThatNeverReadsCostsABoundAndHoldsNobodyUp) {
  RunningServer server{ServerSetup()};
  auto neighbour = connect(client_config(server.create_client("neighbour"), "host"));
  ASSERT_TRUE(neighbour && hears_an_echo(*neighbour));
  WireClient deaf(RawSocket(server.port()), server.public_key_, key_of(server.create_client("deaf")));
  int small = 4096;
  setsockopt(deaf.socket.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ASSERT_TRUE(deaf.connect());
  ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 2; }));
  inet::IpAddress own;
  for (const auto& ip : deaf.initiator().parameters().addresses)
    if (ip.is_v4()) own = ip;
  // Twelve megabytes of questions whose answers nobody takes.
  const Bytes request = echo_request(own, *inet::IpAddress::parse("10.8.0.1"), 1300);
  constexpr uint64_t kRequests = 9000;
  uint64_t most = 0;
  for (uint64_t sent = 0; sent < kRequests; ++sent) {
    ASSERT_TRUE(deaf.give(request));
    if (sent % 10 == 9) {
      ASSERT_TRUE(deaf.say_next());
    }
    if (sent % 500 == 0) {
      most = std::max(most, stats_of(server).memory_bytes);
      EXPECT_TRUE(hears_an_echo(*neighbour)) << sent;
    }
  }
  auto counters = [&] {
    for (const auto& session : sessions_of(server))
      if (session.client_id == "deaf") return session.counters;
    return telemetry::SessionCounters{};
  };
  ASSERT_TRUE(eventually([&] { return counters().inner_packets_in == kRequests; }));
  most = std::max(most, stats_of(server).memory_bytes);
  EXPECT_LT(most, size_t{4} << 20);
  EXPECT_GT(counters().drops[static_cast<size_t>(Drop::queue_full)], 1000u) << "dropped by name";
  EXPECT_TRUE(hears_an_echo(*neighbour));
  EXPECT_EQ(sessions_of(server).size(), 2u) << "deaf, not dead";
  deaf.socket.reset();
  EXPECT_TRUE(
      eventually([&] { return sessions_of(server).size() == 1 && stats_of(server).memory_bytes < (1u << 20); }));
  EXPECT_TRUE(hears_an_echo(*neighbour));
}

// Established clients have their own bounds: 64 fragments a message, messages of one data message's size.
TEST(SlowPeers, AClientsFragmentsAreCountedToo) {
  RunningServer server{ServerSetup()};
  const std::string json = server.create_client("alice", 4);
  const ws::MaskKey mask{};
  for (size_t fragments : {size_t{64}, size_t{65}}) {
    WireClient client(RawSocket(server.port()), server.public_key_, key_of(json));
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(eventually([&] { return sessions_of(server).size() == 1; }));
    Bytes stream;
    for (size_t i = 0; i < fragments; ++i) {
      const ws::Opcode opcode = i == 0 ? ws::Opcode::binary : ws::Opcode::continuation;
      // Together an unknown type, which a session ignores.
      ws::append_frame(stream, opcode, i + 1 == fragments, i == 0 ? Bytes{9, 0, 0, 0} : Bytes(1), &mask);
    }
    append(stream, WireClient::frame(ws::Opcode::ping, as_bytes("still there")));
    client.socket.send(stream);
    bool pong = false;
    uint16_t code = 0;
    while (auto frame = client.read_frame()) {
      pong |= frame->opcode == ws::Opcode::pong;
      if (frame->opcode == ws::Opcode::close) code = frame->close_code();
      if (pong || code) break;
    }
    EXPECT_EQ(pong, fragments == 64);
    EXPECT_EQ(code, fragments == 64 ? 0 : 1008);
    client.socket.close();
    EXPECT_TRUE(becomes_idle(server));
  }
}

}  // namespace
}  // namespace smartvpn::testing_support
