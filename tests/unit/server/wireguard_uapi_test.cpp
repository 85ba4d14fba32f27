// The `wg` tool's requests against a running server: what it tells of its peers, and changes that act on live sessions.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "support/temporary_folder.hpp"
#include "support/unix_client.hpp"
#include "support/wireguard_end.hpp"

namespace smartvpn::testing_support {
namespace {

using telemetry::EventType;

class UapiServer : public ::testing::Test {
 protected:
  ServerSetup setup(const std::string& extra = "") {
    ServerSetup out = wireguard_setup();
    out.extra = R"(,"wireguard":{"uapi_socket":")" + path_ + "\"}" + extra;
    return out;
  }
  std::string ask(const std::string& request) {
    UnixClient client(path_);
    EXPECT_EQ(client.error(), 0);
    return client.ask(request);
  }
  std::string get() { return ask("get=1\n\n"); }
  std::string set(const std::string& lines) { return ask("set=1\n" + lines + "\n"); }
  // The lines of a peer in the answer to get.
  std::string told_of(const PublicKey& key) {
    const std::string all = get(), begin = "public_key=" + hex(key) + "\n";
    const size_t at = all.find(begin);
    if (at == std::string::npos) return "";
    return all.substr(at, std::min(all.find("\npublic_key=", at), all.find("errno=", at)) - at);
  }
  static std::string hex(std::span<const uint8_t, 32> key) {
    std::string out;
    for (const uint8_t byte : key) out += fmt::format("{:02x}", byte);
    return out;
  }
  static uint64_t number(const std::string& text, const std::string& name) {
    const size_t at = text.find("\n" + name + "=");
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 2));
  }

  testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "wg.sock";
};

TEST_F(UapiServer, TellsOfItsPeersAndKeepsItsPrivateKey) {
  RunningServer server{setup()};
  registry::ClientSpec spec;
  spec.id = "alice";
  spec.subnets = {*inet::Cidr::parse("192.168.7.0/24")};
  spec.wireguard_preshared_key =
      std::make_shared<const SecretKey>(crypto::generate_key_pair(system_rng()).secret.clone());
  const std::string psk = hex(spec.wireguard_preshared_key->view());
  WireguardEnd alice(wireguard_client_of(server, spec));
  const PublicKey key = *server.server->client_get("alice")->wireguard_public_key;
  std::string told = told_of(key);
  EXPECT_EQ(number(told, "last_handshake_time_sec"), 0u);
  EXPECT_EQ(told.find("endpoint="), std::string::npos);
  EXPECT_TRUE(alice.hears_an_echo());
  told = told_of(key);
  EXPECT_GT(number(told, "last_handshake_time_sec"), 1700000000u);
  EXPECT_GE(number(told, "rx_bytes"), 32u + 84u);
  EXPECT_GE(number(told, "tx_bytes"), 32u + 84u);
  EXPECT_NE(told.find("\nendpoint=127.0.0.1:"), std::string::npos);
  EXPECT_NE(told.find("\nallowed_ip=" + alice.address().text() + "/32\n"), std::string::npos);
  EXPECT_NE(told.find("\nallowed_ip=192.168.7.0/24"), std::string::npos);
  EXPECT_NE(told.find("\npreshared_key=" + psk + "\n"), std::string::npos);
  const std::string all = get();
  EXPECT_EQ(all.rfind("listen_port=" + std::to_string(server.port()) + "\n", 0), 0u) << all;
  EXPECT_EQ(all.find("private_key"), std::string::npos);
}

TEST_F(UapiServer, APeerThatWgAddsIsAClientAndIsRemovedWithItsSession) {
  RunningServer server{setup()};
  const auto key = crypto::generate_key_pair(system_rng());
  EXPECT_EQ(set("public_key=" + hex(key.pub) + "\nallowed_ip=10.8.0.99/32\n"), "errno=0\n\n");
  const std::string id = "wg-" + hex(key.pub).substr(0, 12);
  auto client = server.server->client_get(id);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->addresses.front().text(), "10.8.0.99");
  auto exported = server.server->client_export(id, true);
  ASSERT_TRUE(exported);
  std::string conf = exported->text;
  conf.insert(conf.find("PrivateKey = ") + 13, key_text(key.secret));
  WireguardEnd end(conf);
  EXPECT_TRUE(end.hears_an_echo());
  EXPECT_EQ(set("public_key=" + hex(key.pub) + "\nremove=true\n"), "errno=0\n\n");
  auto down = server.wait(EventType::session_down);
  ASSERT_TRUE(down);
  EXPECT_STREQ(down->text("reason"), "client_removed");
  EXPECT_EQ(server.server->client_get(id).error().status, Status::NOT_FOUND);
  EXPECT_EQ(told_of(key.pub), "");
}

TEST_F(UapiServer, ARefusedRequestChangesNothing) {
  RunningServer server{setup()};
  const std::string conf = wireguard_client_of(server, "alice");
  const auto revision = *server.server->registry_revision();
  auto fresh = [] { return "public_key=" + hex(crypto::generate_key_pair(system_rng()).pub) + "\n"; };
  EXPECT_EQ(set(fresh() + "allowed_ip=10.8.0.50/32\n" + fresh() + "allowed_ip=10.8.0.50/32\n"), "errno=-98\n\n");
  EXPECT_EQ(set(fresh() + "allowed_ip=10.8.0.50/32\n" + fresh() + "allowed_ip=0.0.0.0/0\n"), "errno=-22\n\n");
  EXPECT_EQ(set(fresh() + "allowed_ip=10.8.0.1/32\n"), "errno=-22\n\n") << "the server's own address";
  EXPECT_EQ(set("public_key=" + std::string(64, '0') + "\n"), "errno=-22\n\n") << "a key that nobody can have";
  EXPECT_EQ(set("listen_port=1\n" + fresh()), "errno=-1\n\n");
  EXPECT_EQ(*server.server->registry_revision(), revision);
}

TEST_F(UapiServer, AHundredThousandAllowedIpsOfAPeerBecomeTheFewestSubnets) {
  RunningServer server{setup()};
  const auto key = crypto::generate_key_pair(system_rng());
  std::string lines = "replace_peers=true\npublic_key=" + hex(key.pub) + "\nallowed_ip=10.8.0.99/32\n";
  for (int a = 1; a <= 255; ++a) {
    for (int b = 0; b <= 255; ++b) {
      lines += "allowed_ip=172.16." + std::to_string(a) + "." + std::to_string(b) + "/32\n";
      lines += fmt::format("allowed_ip=2001:db8:0:{:x}::/64\n", a * 256 + b);
    }
  }
  EXPECT_EQ(set(lines), "errno=0\n\n");
  auto client = server.server->client_get("wg-" + hex(key.pub).substr(0, 12));
  ASSERT_TRUE(client);
  EXPECT_EQ(client->subnets.size(), 16u) << "172.16.1.0/24 to 172.16.128.0/17, and the same of IPv6";
}

TEST_F(UapiServer, EndpointAndKeepaliveHoldUntilThePeerGoes) {
  RunningServer server{setup(R"(,"limits":{"threads":2})")};
  std::vector<PublicKey> keys;  // at home on both shards, almost surely
  for (int i = 0; i < 12; ++i) {
    const std::string id = "client" + std::to_string(i);
    (void)wireguard_client_of(server, id);
    keys.push_back(*server.server->client_get(id)->wireguard_public_key);
  }
  std::string lines;
  for (const auto& key : keys)
    lines += "public_key=" + hex(key) + "\nendpoint=127.0.0.1:9\npersistent_keepalive_interval=60\n";
  EXPECT_EQ(set(lines), "errno=0\n\n");
  ASSERT_TRUE(server.server->client_update("client0", R"({"description":"still there"})", 0));
  for (const auto& key : keys) {
    EXPECT_NE(told_of(key).find("\nendpoint=127.0.0.1:9\n"), std::string::npos);
    EXPECT_EQ(number(told_of(key), "persistent_keepalive_interval"), 60u);
  }
  ASSERT_TRUE(server.server->client_remove("client0"));
  EXPECT_EQ(set("public_key=" + hex(keys[0]) + "\n"), "errno=0\n\n");
  EXPECT_EQ(told_of(keys[0]).find("endpoint="), std::string::npos);
  EXPECT_EQ(number(told_of(keys[0]), "persistent_keepalive_interval"), 0u);
}

TEST_F(UapiServer, OneOfTwoServersHasTheSocketAndItGoesAtStop) {
  RunningServer server{setup()};
  auto config = config::parse_server_config(setup().json());
  ASSERT_TRUE(config);
  auto second = server::Server::create(std::move(*config));
  ASSERT_TRUE(second);
  auto started = (*second)->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().path, "/wireguard/uapi_socket");
  EXPECT_EQ(started.error().system_errno, EBUSY);
  UnixClient waiting(path_);
  EXPECT_TRUE(server.server->stop(0, kWaitMs));
  EXPECT_TRUE(waiting.reads_end());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UapiServer, RequestsAndChangesOfTheHostsGoThroughTheSameRegistry) {
  RunningServer server{setup()};
  std::atomic<bool> over = false;
  std::thread host([&] {
    for (int i = 0; !over; ++i) {
      registry::ClientSpec spec;
      spec.id = "host";
      EXPECT_TRUE(server.server->client_create(spec));
      EXPECT_TRUE(server.server->client_remove("host"));
    }
  });
  for (int i = 0; i < 30; ++i) {
    const std::string peer = "public_key=" + hex(crypto::generate_key_pair(system_rng()).pub) + "\n";
    std::string answer;
    do {
      answer = set(peer);
    } while (answer == "errno=-11\n\n");  // the host was faster, five times in a row
    EXPECT_EQ(answer, "errno=0\n\n");
  }
  over = true;
  host.join();
  EXPECT_EQ(server.server->client_list()->size(), 30u);
}

}  // namespace
}  // namespace smartvpn::testing_support
