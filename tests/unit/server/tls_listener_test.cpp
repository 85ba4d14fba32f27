// A listener with TLS in process: pins, reloads, and peers that speak no TLS.
#include <fstream>

#include "net/tls_machine.hpp"
#include "support/certificates.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

// Certificate and key in files that a test may write again.
class CertificateFiles {
 public:
  CertificateFiles() { write(); }
  ~CertificateFiles() {
    ::unlink(certificate_.c_str());
    ::unlink(key_.c_str());
  }
  void write() {
    auto ca = testing::make_ca("test");
    identity = testing::make_server(ca, {}, {"127.0.0.1"});
    std::ofstream(certificate_) << identity.certificate;
    std::ofstream(key_) << identity.key;
  }
  void spoil() { std::ofstream(certificate_) << "nothing"; }
  std::string listener(const std::string& extra = {}) const {
    return R"({"transport":"websocket","address":"127.0.0.1","port":0,"tls":{"certificate":")" + certificate_ +
           R"(","key":")" + key_ + "\"}" + extra + "}";
  }
  testing::Identity identity;

 private:
  static std::string name(const char* suffix) {
    static int count = 0;
    return ::testing::TempDir() + "smartvpn-" + std::to_string(getpid()) + "-" + std::to_string(++count) + suffix;
  }
  std::string certificate_ = name(".pem"), key_ = name(".key");
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what << " in " << text;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

std::string pinned(const std::string& json, const std::string& hex, const std::string& extra = {}) {
  return client_config(replaced(json, R"("verify": false)", R"("pinned_sha256":")" + hex + '"'), "host",
                       kNoReconnect + extra);
}

// A TLS client over a raw socket that trusts anybody.
class TlsStream final : net::TlsMachine::Sink {
 public:
  explicit TlsStream(uint16_t port) : socket_(port) {
    net::TlsClientOptions options;
    options.any_certificate = true;
    machine_ = net::TlsMachine::create(*net::TlsContext::client(options));
  }
  bool handshake() {
    while (machine_->state() == net::TlsMachine::State::handshaking && turn()) continue;
    return send() && machine_->state() == net::TlsMachine::State::open;
  }
  void write(std::string_view text) {
    EXPECT_TRUE(machine_->write(as_bytes(text)));
    send();
  }
  std::string read_to_end() {
    while (machine_->state() == net::TlsMachine::State::open && turn()) continue;
    return received_;
  }
  // The server said that nothing more would come.
  bool ended_well() const { return machine_->state() == net::TlsMachine::State::closed; }

 private:
  bool send() {
    Bytes out(machine_->pending().begin(), machine_->pending().end());
    machine_->consume(out.size());
    return socket_.send(out);
  }
  bool turn() {
    send();
    std::string bytes = socket_.read(1);
    if (bytes.empty()) return false;
    Bytes scratch(32768);
    machine_->feed(as_bytes(bytes), scratch, *this);
    return true;
  }
  bool on_tls_plaintext(ByteSpan plaintext) override {
    received_ += as_text(plaintext);
    return true;
  }
  RawSocket socket_;
  std::unique_ptr<net::TlsMachine> machine_;
  std::string received_;
};

TEST(TlsListener, CarriesATunnelWithAPinAndRefusesAWrongOne) {
  CertificateFiles files;
  ServerSetup setup;
  setup.listen = files.listener();
  RunningServer server{setup};
  std::string json = server.create_client("alice");
  auto tunnel = connect(pinned(json, files.identity.sha256_hex));
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(hears_an_echo(*tunnel));

  std::string wrong = files.identity.sha256_hex;
  wrong[0] = wrong[0] == '0' ? '1' : '0';
  auto other = make_tunnel(pinned(json, wrong));
  ASSERT_TRUE(other->start());
  EXPECT_FALSE(other->wait_connected(kWaitMs));
  EXPECT_EQ(other->info().last_reason, Reason::tls_failed);
  EXPECT_EQ(next_rejection(server), "tls_failed");
  ASSERT_TRUE(other->stop(kWaitMs));
  ASSERT_TRUE(tunnel->stop(kWaitMs));
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "peer_closed");
  EXPECT_TRUE(becomes_idle(server));
}

// The server handed out what its own dialling end refused to dial with.
TEST(TlsListener, TheConfigurationThatTheServerHandsOutConnectsAsItIs) {
  CertificateFiles files;
  ServerSetup setup;
  setup.listen = files.listener();
  RunningServer server{setup};
  std::string json = server.create_client("alice");
  EXPECT_NE(json.find("wss://"), std::string::npos);
  auto tunnel = connect(client_config(json, "host", kNoReconnect));
  ASSERT_TRUE(tunnel);
  EXPECT_TRUE(hears_an_echo(*tunnel));
}

// What a connection says last has to come through TLS, too, and TLS has to end as it should.
TEST(TlsListener, TheLastWordsComeThrough) {
  CertificateFiles files;
  ServerSetup setup;
  setup.listen = files.listener();
  RunningServer server{setup};
  TlsStream health(server.port()), garbage(server.port());
  ASSERT_TRUE(health.handshake() && garbage.handshake());
  health.write(kHealthRequest);
  EXPECT_EQ(status_line(health.read_to_end()), "HTTP/1.1 200 OK");
  EXPECT_TRUE(health.ended_well());
  Bytes bad = WireClient::frame(ws::Opcode::text, as_bytes("hello"));
  garbage.write(std::string(kUpgradeRequest) + std::string(as_text(bad)));
  std::string all = garbage.read_to_end();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 101 "));
  EXPECT_TRUE(all.ends_with(std::string("\x88\x02\x03\xeb", 4))) << to_hex(as_bytes(all));
  EXPECT_TRUE(garbage.ended_well());
  EXPECT_TRUE(becomes_idle(server));
}

TEST(TlsListener, PeersWithoutTlsAreRefused) {
  CertificateFiles files;
  ServerSetup setup;
  setup.listen = files.listener();
  RunningServer server{setup};
  RawSocket http(server.port()), garbage(server.port());
  http.send(kUpgradeRequest);
  garbage.send(std::string("\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff", 10) + std::string(2000, '\xee'));
  EXPECT_EQ(http.read_to_end().find("HTTP"), std::string::npos);
  garbage.read_to_end();
  EXPECT_NE(garbage.ending(), Ending::open);
  EXPECT_EQ(next_rejection(server), "tls_failed");
  http.close();
  garbage.close();
  EXPECT_TRUE(becomes_idle(server));
  EXPECT_EQ(rejections(server, Reason::tls_failed), 2u);

  std::string plain = replaced(server.create_client("alice"), "wss://", "ws://");
  plain.erase(plain.find(R"("tls")"), plain.find('}', plain.find(R"("tls")")) + 1 - plain.find(R"("tls")"));
  plain.erase(plain.rfind(','), 1);
  auto tunnel = make_tunnel(client_config(plain, "testing", kNoReconnect));
  ASSERT_TRUE(tunnel->start());
  EXPECT_FALSE(tunnel->wait_connected(kWaitMs));
}

TEST(TlsListener, TakesAProxyHeaderInFrontOfTls) {
  CertificateFiles files;
  ServerSetup setup;
  setup.listen = files.listener(R"(,"proxy_protocol":{"mode":"v2","trusted_proxies":["127.0.0.1"]})");
  RunningServer server{setup};
  auto tunnel = connect(
      pinned(server.create_client("alice"), files.identity.sha256_hex,
             R"(,"proxy_protocol":{"send":"v2","source":"198.51.100.7:4711","destination":"203.0.113.1:443"})"));
  ASSERT_TRUE(tunnel);
  auto up = server.wait(EventType::session_up);
  ASSERT_TRUE(up);
  EXPECT_STREQ(up->text("remote_addr"), "198.51.100.7:4711");
  EXPECT_TRUE(hears_an_echo(*tunnel));
}

TEST(TlsListener, ReloadedCertificatesAreForNewConnections) {
  CertificateFiles files;
  ServerSetup setup;
  setup.listen = files.listener();
  RunningServer server{setup};
  std::string json = server.create_client("alice", 2), old_pin = files.identity.sha256_hex;
  auto before = connect(pinned(json, old_pin));
  ASSERT_TRUE(before);

  files.spoil();
  auto failed = server.server->reload_certificates();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().path, "/listen/0/tls/certificate");
  files.write();
  ASSERT_TRUE(server.server->reload_certificates());
  EXPECT_TRUE(hears_an_echo(*before));

  auto after = connect(pinned(json, files.identity.sha256_hex));
  ASSERT_TRUE(after);
  EXPECT_TRUE(hears_an_echo(*after));
  auto stale = make_tunnel(pinned(json, old_pin));
  ASSERT_TRUE(stale->start());
  EXPECT_FALSE(stale->wait_connected(kWaitMs));
  EXPECT_TRUE(hears_an_echo(*before));
  EXPECT_EQ(sessions_of(server).size(), 2u);
}

}  // namespace
}  // namespace smartvpn::testing_support
