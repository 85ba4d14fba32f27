// WireGuard behind the relay: the server knows each client's real address, and the client knows of nothing.
#include "support/relay_bench.hpp"
#include "support/wireguard_end.hpp"

namespace smartvpn::testing_support {
namespace {

TEST(RelayWireguard, TheServerSeesTheClientsAddressThroughTheRelay) {
  RunningServer server(wireguard_setup(R"({"transport":"wireguard","address":"127.0.0.1","port":0,)"
                                       R"("proxy_protocol":{"mode":"v2","trusted_proxies":["127.0.0.1"]}})"));
  relay::testing::json listen = {{"address", "127.0.0.1"}, {"port", 0}, {"protocol", "udp"}};
  relay::testing::json action = {{"targets", {{{"host", "127.0.0.1"}, {"port", server.port()}}}},
                                 {"send_proxy_protocol", "v2"}};
  relay::testing::RunningRelay relay({{"listen", {listen}}, {"routes", {{{"action", action}}}}});
  std::string configuration = wireguard_client_of(server, "alice");
  const std::string at = "127.0.0.1:";
  const size_t port = configuration.find(at + std::to_string(server.port()));
  ASSERT_NE(port, std::string::npos);
  configuration.replace(port, at.size() + std::to_string(server.port()).size(), at + std::to_string(relay.port()));
  WireguardEnd alice(configuration);
  ASSERT_TRUE(alice.hears_an_echo());
  auto up = server.wait(telemetry::EventType::session_up);
  ASSERT_TRUE(up);
  const auto told = relay.event(telemetry::EventType::connection_accepted);
  EXPECT_STREQ(told->text("transport"), "udp");
  EXPECT_STREQ(up->text("remote_addr"), told->text("remote_addr")) << "the client's own socket";
  EXPECT_STRNE(up->text("peer_addr"), up->text("remote_addr")) << "which is not who speaks to the server";
}

}  // namespace
}  // namespace smartvpn::testing_support
