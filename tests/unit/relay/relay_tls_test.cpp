// TLS that ends in the relay: certificates by name, ALPN, what the target is told, and targets that speak TLS too.
#include <thread>

#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "support/relay_tls_bench.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests
using RelayTls = RelayTlsBench;

TEST_F(RelayTls, EndsHereByTheCertificateOfTheName) {
  RunningRelay relay(relay_config(ending(target.port(), {&a, &b})));
  for (const char* name : {"a.test", "x.b.test"}) {
    TlsEnd client = dial(relay, name);
    ASSERT_TRUE(client.shake_hands()) << name << ": " << client.machine().error();
    ASSERT_TRUE(client.send("secret"));
    RawSocket server = target.accept();
    EXPECT_EQ(server.read(6), "secret");
    server.send("answer");
    EXPECT_EQ(client.read(6), "answer");
    server.close();
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.machine().state(), TlsMachine::State::closed) << "its end is told in TLS";
  }
  TlsEnd other = dial(relay, "else.test");
  EXPECT_FALSE(other.shake_hands()) << "the first certificate is not for that name";
}

TEST_F(RelayTls, MegabytesPassBothWays) {
  RunningRelay relay(relay_config(ending(target.port(), {&a})));
  TlsEnd client = dial(relay, "a.test");
  ASSERT_TRUE(client.shake_hands());
  RawSocket server = target.accept();
  std::string text(3'000'000, ' ');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 131 >> 4);
  std::string got;
  std::thread reader([&] { got = server.read(text.size()); });
  for (size_t at = 0; at < text.size(); at += 50'000) ASSERT_TRUE(client.send(text.substr(at, 50'000)));
  reader.join();
  EXPECT_TRUE(got == text);
  std::thread sender([&] {
    server.send(text);
    server.close();
  });
  EXPECT_TRUE(client.read_to_end() == text);
  sender.join();
  EXPECT_EQ(relay.closed(), "closed_by_target");
}

TEST_F(RelayTls, WhoFallsSilentInTheHandshakeIsSentAway) {
  RunningRelay relay(relay_config(ending(target.port(), {&a}), {}, {{"timeouts", {{"first_bytes_ms", 200}}}}));
  auto machine = TlsMachine::create(testing::trusting(authority.certificate, "a.test"));
  RawSocket client(relay.port());
  client.send(machine->pending());  // the ClientHello, and nothing more
  EXPECT_EQ(relay.rejected(), "handshake_timeout");
  client.read_to_end();
  EXPECT_FALSE(target.has_one(0));
}

// Without an authority of its own the system's are asked, which know nothing of this target.
TEST_F(RelayTls, ATargetWithoutAKnownCertificateIsNotTalkedTo) {
  auto identity = smartvpn::testing::make_server(authority, {"target.test"});
  for (const bool verify : {true, false}) {
    const json tls = {{"mode", "terminate-and-reencrypt"},
                      {"target", {{"server_name", "target.test"}, {"verify", verify}}}};
    RunningRelay relay(relay_config(ending(target.port(), {&a}, tls)));
    TlsEnd client = dial(relay, "a.test");
    ASSERT_TRUE(client.shake_hands());
    net::TlsServerOptions options;
    options.certificate = identity.certificate;
    options.key = identity.key;
    TlsEnd server(target.accept(), *TlsContext::server(options));
    EXPECT_EQ(server.shake_hands() && client.send("x") && server.read(1) == "x", !verify) << verify;
    client.socket().close();
    EXPECT_EQ(relay.closed(), verify ? "tls_failed" : "closed_by_client");
  }
}

TEST_F(RelayTls, TheTargetIsToldOfIt) {
  json action = {{"send_proxy_protocol", "v2"}};
  RunningRelay relay(relay_config(ending(target.port(), {&a}, {{"alpn", {"h2", "http/1.1"}}}, action)));
  TlsEnd client = dial(relay, "a.test", {"http/1.1"});
  ASSERT_TRUE(client.shake_hands());
  EXPECT_EQ(client.machine().alpn(), "http/1.1");
  client.send("x");
  RawSocket server = target.accept();
  proxyproto::Parser parser(proxyproto::Mode::v2);
  size_t used = 0;
  while (parser.feed(as_bytes(server.read(1)), used) == proxyproto::ParseResult::need_more) {
  }
  const proxyproto::Header& header = parser.header();
  EXPECT_EQ(as_text(*proxyproto::alpn(header)), "http/1.1");
  EXPECT_EQ(proxyproto::authority(header), "a.test");
  const auto ssl = proxyproto::ssl(header);
  ASSERT_TRUE(ssl);
  EXPECT_TRUE(ssl->tls());
  EXPECT_FALSE(ssl->verified());
  EXPECT_EQ(ssl->version, "TLSv1.3");
  EXPECT_EQ(ssl->cipher->substr(0, 4), "TLS_");
  EXPECT_EQ(server.read(1), "x");
}

TEST_F(RelayTls, ATargetMayBeMetByTlsOfItsOwn) {
  json action = {{"send_proxy_protocol", "v1"}};
  json tls = {{"mode", "terminate-and-reencrypt"},
              {"alpn", {"h2"}},
              {"target", {{"ca", authority.certificate}, {"server_name", "x.b.test"}}}};
  RunningRelay relay(relay_config(ending(target.port(), {&a}, tls, action)));
  TlsEnd client = dial(relay, "a.test", {"h2"});
  ASSERT_TRUE(client.shake_hands());
  client.send("through two");
  RawSocket accepted = target.accept();
  EXPECT_EQ(accepted.read_through("\r\n").substr(0, 11), "PROXY TCP4 ") << "in the clear, before TLS";
  net::TlsServerOptions options;
  options.certificate = b.certificate;
  options.key = b.key;
  options.alpn = {"h2"};
  TlsEnd server(std::move(accepted), *TlsContext::server(options));
  ASSERT_TRUE(server.shake_hands()) << server.machine().error();
  EXPECT_EQ(server.machine().alpn(), "h2") << "what was agreed with the client goes on";
  EXPECT_EQ(server.machine().server_name(), "x.b.test");
  EXPECT_EQ(server.read(11), "through two");
  server.send("and back");
  EXPECT_EQ(client.read(8), "and back");
}

TEST_F(RelayTls, ATargetThatIsNotTheOneIsNotSpokenTo) {
  json tls = {{"mode", "terminate-and-reencrypt"},
              {"target", {{"ca", authority.certificate}, {"server_name", "else.test"}}}};
  RunningRelay relay(relay_config(ending(target.port(), {&a}, tls)));
  TlsEnd client = dial(relay, "a.test");
  ASSERT_TRUE(client.shake_hands());
  client.send("secret");
  net::TlsServerOptions options;
  options.certificate = b.certificate;
  options.key = b.key;
  TlsEnd server(target.accept(), *TlsContext::server(options));
  server.shake_hands();
  EXPECT_EQ(server.read_to_end(), "");
  EXPECT_EQ(relay.closed(), "tls_failed");
}

TEST_F(RelayTls, WhatIsNoTlsAndWhatFailsReachesNoTarget) {
  RunningRelay relay(relay_config(ending(target.port(), {&a}), {}, {{"timeouts", {{"first_bytes_ms", 300}}}}));
  RawSocket plain(relay.port());
  plain.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  plain.read_to_end();
  EXPECT_EQ(relay.rejected(), "tls_failed");
  TlsEnd distrusting(RawSocket(relay.port()), trusting(smartvpn::testing::make_ca("other").certificate, "a.test"));
  EXPECT_FALSE(distrusting.shake_hands());
  distrusting.machine();
  distrusting.socket().send(Bytes{21, 3, 3, 0, 2, 2, 48});  // alert: unknown_ca
  EXPECT_EQ(relay.rejected(), "tls_failed");
  EXPECT_FALSE(target.has_one(20));
}

TEST_F(RelayTls, CertificatesAreReadAgainWithoutEndingAnything) {
  smartvpn::testing::TemporaryFolder folder;
  folder.write("cert.pem", a.certificate);
  folder.write("key.pem", a.key);
  json action = {{"tls",
                  {{"mode", "terminate"},
                   {"certificates", {{{"certificate", folder / "cert.pem"}, {"key", folder / "key.pem"}}}}}}};
  RunningRelay relay(relay_config(route(to(target.port()), action)));
  TlsEnd before = dial(relay, "a.test");
  ASSERT_TRUE(before.shake_hands());
  RawSocket server = target.accept();
  folder.write("cert.pem", b.certificate);
  EXPECT_FALSE(relay.relay->reload_certificates()) << "the key is another's";
  folder.write("key.pem", b.key);
  ASSERT_TRUE(relay.relay->reload_certificates().ok());
  TlsEnd after = dial(relay, "y.b.test");
  EXPECT_TRUE(after.shake_hands());
  before.send("still");
  EXPECT_EQ(server.read(5), "still");
}

}  // namespace
}  // namespace smartvpn::relay
