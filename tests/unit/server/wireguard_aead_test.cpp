// What encrypts a server's packets is what the configuration says, with WireGuard clients whose own end encrypts in
// another way; and what is not there is refused by name.
#include "support/wireguard_end.hpp"

namespace smartvpn::testing_support {
namespace {

using Backend = crypto::AeadEngine::Backend;

ServerSetup setup_with(std::string_view aead) {
  ServerSetup setup = wireguard_setup();
  setup.extra = R"(,"performance":{"aead":")" + std::string(aead) + "\"}";
  return setup;
}

class WireguardAead : public ::testing::TestWithParam<Backend> {
 protected:
  const std::string name_{crypto::AeadEngine::backend_name(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(, WireguardAead,
                         ::testing::Values(Backend::automatic, Backend::openssl, Backend::sodium, Backend::avx2,
                                           Backend::avx512),
                         [](const auto& param) { return std::string(crypto::AeadEngine::backend_name(param.param)); });

TEST_P(WireguardAead, IsWhatTheServerEncryptsWithOrIsRefusedByPath) {
  auto config = config::parse_server_config(setup_with(name_).json());
  if (!config) {  // not built
    EXPECT_EQ(config.error().status, Status::UNSUPPORTED);
    EXPECT_EQ(config.error().path, "/performance/aead");
    EXPECT_FALSE(crypto::AeadEngine::backend_available(GetParam()));
    return;
  }
  auto made = server::Server::create(std::move(*config));
  ASSERT_EQ(made.ok(), crypto::AeadEngine::backend_available(GetParam()));
  if (!made) {  // another processor
    EXPECT_EQ(made.error().status, Status::UNSUPPORTED);
    EXPECT_EQ(made.error().path, "/performance/aead");
    return;
  }
  ASSERT_TRUE((*made)->start());
  registry::ClientSpec spec;
  spec.id = "alice";
  WireguardEnd alice((*made)->client_create(spec)->wireguard_conf);
  // Packets of all sizes, so that also what is left to single ones and to rests of vectors goes both ways.
  const inet::IpAddress gateway = *inet::IpAddress::parse("10.8.0.1");
  for (size_t size : {0, 1, 64, 555, 1300, 1392}) {
    alice.send(echo_request(alice.address(), gateway, size));
    EXPECT_EQ(alice.next().size(), 28 + size) << name_;
  }
  for (int i = 0; i < 40; ++i) alice.send(echo_request(alice.address(), gateway, 900));
  for (int i = 0; i < 40; ++i) EXPECT_EQ(alice.next().size(), 928u) << name_;
  const auto stats = (*made)->stats();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->total.traffic.inner_packets_in, 46u);
  EXPECT_EQ(stats->total.traffic.drops_total(), 0u);
  EXPECT_EQ(stats->aead, crypto::AeadEngine::backend_name(crypto::AeadEngine(GetParam()).backend()));
  if (GetParam() != Backend::automatic) {
    EXPECT_EQ(stats->aead, name_);
  }
  EXPECT_NE(stats->json().find("\"aead\":\"" + stats->aead + "\""), std::string::npos);
}

TEST(WireguardAeadKey, AnotherValueNamesThePathAndWhatIsAllowed) {
  for (const char* value : {"auto", "OpenSSL", "aes", ""}) {
    const auto config = config::parse_server_config(setup_with(value).json());
    ASSERT_FALSE(config) << value;
    EXPECT_EQ(config.error().status, Status::INVALID);
    EXPECT_EQ(config.error().path, "/performance/aead");
    for (const char* allowed : {"automatic", "openssl", "sodium", "avx2", "avx512"})
      EXPECT_NE(config.error().text.find(allowed), std::string::npos) << config.error().text;
  }
}

// What is written between the two stays as it was: sessions are not encrypted anew under their feet.
TEST(WireguardAeadKey, ChangesWithTheNextServerOnly) {
  ServerSetup setup = setup_with("openssl");
  RunningServer server{setup};
  EXPECT_EQ(server.server->stats()->aead, "openssl");
  setup.extra = setup_with("sodium").extra;
  auto next = config::parse_server_config(setup.json());
  ASSERT_TRUE(next);
  ASSERT_TRUE(server.server->reconfigure(std::move(*next), {}));
  EXPECT_EQ(server.server->stats()->aead, "openssl");
  WireguardEnd alice(wireguard_client_of(server, "alice"));
  EXPECT_TRUE(alice.hears_an_echo());
}

}  // namespace
}  // namespace smartvpn::testing_support
