// Both ends of TLS in memory, with certificates made here.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "net/tls_context.hpp"
#include "net/tls_machine.hpp"
#include "support/certificates.hpp"

namespace smartvpn::net {
namespace {

using testing::Identity;
using testing::make_ca;
using testing::make_server;

struct Collect : TlsMachine::Sink {
  std::string text;
  bool go_on = true;
  bool on_tls_plaintext(ByteSpan plaintext) override {
    text.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
    return go_on;
  }
};

struct Tls : ::testing::Test {
  Identity ca = make_ca("Test CA");
  Identity identity = make_server(ca, {"vpn.example.org"}, {"192.0.2.1", "2001:db8::1"});
  std::unique_ptr<TlsMachine> server, client;
  Collect at_server, at_client;
  Bytes scratch = Bytes(65536);

  TlsServerOptions server_options() {
    TlsServerOptions options;
    options.certificate = identity.certificate;
    options.key = identity.key;
    options.path = "/listen/0/tls";
    return options;
  }
  TlsClientOptions client_options(const std::string& name = "vpn.example.org") {
    TlsClientOptions options;
    options.ca = ca.certificate;
    options.server_name = name;
    return options;
  }
  static std::shared_ptr<const TlsContext> must(Result<std::shared_ptr<const TlsContext>> result) {
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().text);
    return result.ok() ? *result : nullptr;
  }
  void start(const TlsServerOptions& s, const TlsClientOptions& c) {
    auto server_context = must(TlsContext::server(s)), client_context = must(TlsContext::client(c));
    ASSERT_TRUE(server_context && client_context);
    server = TlsMachine::create(server_context);
    client = TlsMachine::create(client_context);
    ASSERT_TRUE(server && client);
  }
  // Moves what is pending, `piece` bytes at a time, until both are quiet.
  void pump(size_t piece = 100000) {
    while (!server->pending().empty() || !client->pending().empty()) {
      move(*client, *server, at_server, piece);
      move(*server, *client, at_client, piece);
    }
  }
  void move(TlsMachine& from, TlsMachine& to, Collect& sink, size_t piece) {
    while (!from.pending().empty()) {
      ByteView out = from.pending().first(std::min(piece, from.pending().size()));
      Bytes copy(out.begin(), out.end());
      from.consume(copy.size());
      to.feed(copy, scratch, sink);
    }
  }
  // Whether a handshake with these options succeeds on both sides.
  bool connects(const TlsServerOptions& s, const TlsClientOptions& c) {
    start(s, c);
    if (!server || !client) return false;
    pump();
    return client->state() == TlsMachine::State::open && server->state() == TlsMachine::State::open;
  }
};

TEST_F(Tls, CarriesBytesBothWaysInWhateverPieces) {
  for (size_t piece : {1u, 5u, 1000u, 100000u}) {
    start(server_options(), client_options());
    at_server.text.clear();
    at_client.text.clear();
    pump(piece);
    ASSERT_EQ(client->state(), TlsMachine::State::open) << client->error();
    ASSERT_EQ(server->state(), TlsMachine::State::open) << server->error();
    std::string large(100000, 'z');
    EXPECT_TRUE(client->write(as_bytes("ping")));
    EXPECT_TRUE(server->write(as_bytes(large)));
    pump(piece);
    EXPECT_EQ(at_server.text, "ping");
    EXPECT_EQ(at_client.text, large);
    EXPECT_STREQ(client->version(), "TLSv1.3");
    EXPECT_EQ(server->server_name(), "vpn.example.org");
  }
}

TEST_F(Tls, WritesNothingBeforeTheHandshakeIsOver) {
  start(server_options(), client_options());
  EXPECT_FALSE(client->write(as_bytes("early")));
  EXPECT_FALSE(server->write(as_bytes("early")));
  EXPECT_EQ(server->state(), TlsMachine::State::handshaking);
}

TEST_F(Tls, SendsNoTicketsAfterTheHandshake) {
  ASSERT_TRUE(connects(server_options(), client_options()));
  EXPECT_TRUE(server->pending().empty());
}

TEST_F(Tls, RefusesACertificateOfAnotherCa) {
  auto options = client_options();
  options.ca = make_ca("Somebody else").certificate;
  EXPECT_FALSE(connects(server_options(), options));
  EXPECT_EQ(client->state(), TlsMachine::State::failed);
  EXPECT_NE(client->error().find("certificate verify failed"), std::string::npos) << client->error();
  EXPECT_EQ(server->state(), TlsMachine::State::failed);
  EXPECT_FALSE(server->error().empty());
}

TEST_F(Tls, VerifiesTheNameOrTheAddress) {
  EXPECT_TRUE(connects(server_options(), client_options("VPN.example.org.")));
  EXPECT_FALSE(connects(server_options(), client_options("other.example.org")));
  EXPECT_NE(client->error().find("ostname mismatch"), std::string::npos) << client->error();
  EXPECT_TRUE(connects(server_options(), client_options("192.0.2.1")));
  EXPECT_EQ(server->server_name(), "") << "an address is not a server name";
  EXPECT_TRUE(connects(server_options(), client_options("2001:db8::1")));
  EXPECT_FALSE(connects(server_options(), client_options("192.0.2.2")));
}

TEST_F(Tls, PinOfCertificateOrKeyReplacesTheChain) {
  TlsClientOptions options;
  for (const auto& pin : {identity.sha256_hex, identity.spki_hex, to_base64(*from_hex(identity.spki_hex))}) {
    options.pins = {std::string(64, '0'), pin};
    EXPECT_TRUE(connects(server_options(), options)) << pin;
  }
  options.pins = {std::string(64, '0')};
  EXPECT_FALSE(connects(server_options(), options));
  EXPECT_NE(client->error().find("not the pinned one"), std::string::npos) << client->error();
}

TEST_F(Tls, PinAndChainMustBothAgree) {
  auto options = client_options();
  options.pins = {identity.sha256_hex};
  EXPECT_TRUE(connects(server_options(), options));
  options.server_name = "other.example.org";
  EXPECT_FALSE(connects(server_options(), options));
  options = client_options();
  options.pins = {std::string(64, 'a')};
  EXPECT_FALSE(connects(server_options(), options));
}

TEST_F(Tls, PinsAreReadFromHexWithColonsAndBase64Only) {
  std::array<uint8_t, 32> pin{};
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i ? ":0A" : "0A";
  EXPECT_TRUE(parse_pin(colons, pin));
  EXPECT_EQ(pin[31], 0x0a);
  EXPECT_FALSE(parse_pin("", pin));
  EXPECT_FALSE(parse_pin("0a0a", pin));
  EXPECT_FALSE(parse_pin(std::string(64, 'x'), pin));
}

TEST_F(Tls, TrustIsExplicit) {
  TlsClientOptions options;
  options.server_name = "vpn.example.org";
  options.path = "/tunnel/tls";
  auto nothing = TlsContext::client(options);
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().status, Status::INVALID);
  EXPECT_EQ(nothing.error().path, "/tunnel/tls");
  options.ca = ca.certificate;
  options.server_name.clear();
  auto nameless = TlsContext::client(options);
  ASSERT_FALSE(nameless.ok());
  EXPECT_EQ(nameless.error().path, "/tunnel/tls/server_name");
}

TEST_F(Tls, SystemStoreDoesNotKnowOurCa) {
  TlsClientOptions options;
  options.system_store = true;
  options.server_name = "vpn.example.org";
  auto context = TlsContext::client(options);
  if (!context.ok()) GTEST_SKIP() << "no system certificate store: " << context.error().text;
  EXPECT_FALSE(connects(server_options(), options));
  options.ca = ca.certificate;  // both add up
  EXPECT_TRUE(connects(server_options(), options));
}

TEST_F(Tls, AgreesOnAlpnOrRefuses) {
  auto s = server_options();
  auto c = client_options();
  s.alpn = {"http/1.1"};
  c.alpn = {"h2", "http/1.1"};
  ASSERT_TRUE(connects(s, c));
  EXPECT_EQ(client->alpn(), "http/1.1");
  EXPECT_EQ(server->alpn(), "http/1.1");
  c.alpn = {"h2"};
  EXPECT_FALSE(connects(s, c));
  c.alpn = {};
  EXPECT_TRUE(connects(s, c)) << "a client without ALPN is served";
  EXPECT_EQ(server->alpn(), "");
}

TEST_F(Tls, ErrorsNameTheKeyOfTheConfiguration) {
  auto expect_path = [](const TlsServerOptions& options, const char* path, Status status) {
    auto result = TlsContext::server(options);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().path, path);
    EXPECT_EQ(result.error().status, status) << result.error().text;
  };
  auto options = server_options();
  options.certificate = "/nonexistent/cert.pem";
  expect_path(options, "/listen/0/tls/certificate", Status::SYSTEM);
  options.certificate = "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n";
  expect_path(options, "/listen/0/tls/certificate", Status::INVALID);
  options.certificate = identity.key;  // PEM, but no certificate in it
  expect_path(options, "/listen/0/tls/certificate", Status::INVALID);
  options = server_options();
  options.key = make_server(ca, {"a"}).key;
  expect_path(options, "/listen/0/tls/key", Status::INVALID);
  options.key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
  expect_path(options, "/listen/0/tls/key", Status::INVALID);
}

// Opening a pipe would wait for its writer, and reading a device may never end.
TEST_F(Tls, FilesThatAreNoFilesAreRefusedWithoutWaiting) {
  std::string folder = ::testing::TempDir() + "svpn-pipe-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string pipe = folder + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe, std::string("/dev/zero"), folder}) {
    auto options = server_options();
    options.certificate = path;
    auto result = TlsContext::server(options);
    ASSERT_FALSE(result.ok()) << path;
    EXPECT_EQ(result.error().path, "/listen/0/tls/certificate");
    EXPECT_NE(result.error().text.find(path), std::string::npos) << result.error().text;
  }
  std::filesystem::remove_all(folder);
}

TEST_F(Tls, ReloadServesNewConnectionsAndLeavesOldOnes) {
  std::string folder = ::testing::TempDir() + "svpn-tls-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  auto options = server_options();
  options.certificate = folder + "/cert.pem";
  options.key = folder + "/key.pem";
  auto store = [&](const Identity& id) {
    std::ofstream(options.certificate) << id.certificate;
    std::ofstream(options.key) << id.key;
  };
  store(identity);
  auto first = must(TlsContext::server(options));
  ASSERT_TRUE(first);
  TlsClientOptions pinned_old, pinned_new;
  Identity renewed = make_server(ca, {"vpn.example.org"});
  pinned_old.pins = {identity.sha256_hex};
  pinned_new.pins = {renewed.sha256_hex};
  server = TlsMachine::create(first);
  client = TlsMachine::create(must(TlsContext::client(pinned_old)));
  pump();
  ASSERT_EQ(client->state(), TlsMachine::State::open);
  store(renewed);
  auto second = must(first->reloaded());
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(client->write(as_bytes("still here")));
  pump();
  EXPECT_EQ(at_server.text, "still here");
  auto old_server = std::move(server);
  server = TlsMachine::create(second);
  client = TlsMachine::create(must(TlsContext::client(pinned_new)));
  pump();
  EXPECT_EQ(client->state(), TlsMachine::State::open) << client->error();
  std::ofstream(options.key) << "rubbish";
  EXPECT_FALSE(second->reloaded().ok());
  unlink(options.certificate.c_str());
  unlink(options.key.c_str());
  rmdir(folder.c_str());
}

TEST_F(Tls, CloseNotifyEndsOneDirection) {
  ASSERT_TRUE(connects(server_options(), client_options()));
  client->close();
  client->close();
  EXPECT_FALSE(client->write(as_bytes("x")));
  pump();
  EXPECT_EQ(server->state(), TlsMachine::State::closed);
  EXPECT_TRUE(server->write(as_bytes("last words")));
  pump();
  EXPECT_EQ(at_client.text, "last words");
}

TEST_F(Tls, RubbishFailsWithAReasonAndStaysFailed) {
  start(server_options(), client_options());
  EXPECT_EQ(server->feed(as_bytes("GET / HTTP/1.1\r\n\r\n"), scratch, at_server), TlsMachine::State::failed);
  EXPECT_FALSE(server->error().empty());
  Bytes hello(client->pending().begin(), client->pending().end());
  EXPECT_EQ(server->feed(hello, scratch, at_server), TlsMachine::State::failed);
  EXPECT_FALSE(server->write(as_bytes("x")));
}

TEST_F(Tls, TamperedRecordFails) {
  ASSERT_TRUE(connects(server_options(), client_options()));
  ASSERT_TRUE(client->write(as_bytes("secret")));
  Bytes record(client->pending().begin(), client->pending().end());
  record.back() ^= 1;
  EXPECT_EQ(server->feed(record, scratch, at_server), TlsMachine::State::failed);
  EXPECT_EQ(at_server.text, "");
}

TEST_F(Tls, WriteRefusesWhileTooMuchIsPending) {
  ASSERT_TRUE(connects(server_options(), client_options()));
  Bytes block(100000, 1);
  int writes = 0;
  while (server->write(block)) ASSERT_LT(++writes, 10);
  EXPECT_LE(server->pending().size(), TlsMachine::kMaxPending + 2 * block.size());
  server->consume(server->pending().size());
  EXPECT_TRUE(server->write(as_bytes("again")));
}

TEST_F(Tls, SinkCanStopTheFeed) {
  ASSERT_TRUE(connects(server_options(), client_options()));
  at_server.go_on = false;
  ASSERT_TRUE(client->write(Bytes(40000, 'x')));
  pump();
  EXPECT_EQ(server->state(), TlsMachine::State::failed);
  EXPECT_LE(at_server.text.size(), 16384u);
}

// A peer of our own making that offers no more than TLS 1.1.
TEST_F(Tls, RefusesOldVersions) {
  auto context = must(TlsContext::server(server_options()));
  server = TlsMachine::create(context);
  SSL_CTX* old = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(old, 0);
  SSL_CTX_set_min_proto_version(old, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
  SSL* ssl = SSL_new(old);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  SSL_connect(ssl);
  char* hello = nullptr;
  long size = BIO_get_mem_data(out, &hello);
  ASSERT_GT(size, 0) << "this OpenSSL cannot even ask for TLS 1.1";
  EXPECT_EQ(server->feed(as_bytes({hello, static_cast<size_t>(size)}), scratch, at_server), TlsMachine::State::failed);
  SSL_free(ssl);
  SSL_CTX_free(old);
}

}  // namespace
}  // namespace smartvpn::net
