// Whose an inner address is: what a relay asks a server of its process.
#include "support/vpn_pair.hpp"

namespace smartvpn::testing_support {
namespace {

TEST(ClientAt, IsTheOneWithTheSessionAndNobodyElse) {
  RunningServer server{ServerSetup()};
  auto at = [&](const char* ip) { return server.server->client_at(*inet::IpAddress::parse(ip)); };
  EXPECT_FALSE(at("10.8.0.2"));
  auto tunnel = connect(client_config(server.create_client("alice"), "host"));
  auto up = server.wait(telemetry::EventType::session_up);
  ASSERT_TRUE(up);
  for (const char* own : {"10.8.0.2", "fd00:8::2"}) {
    ASSERT_TRUE(at(own)) << own;
    EXPECT_EQ(at(own)->client_id, "alice");
    EXPECT_EQ(at(own)->session_id, up->u64("session_id"));
  }
  for (const char* other : {"10.8.0.1", "10.8.0.3", "127.0.0.1", "fd00:8::1"}) EXPECT_FALSE(at(other)) << other;
  tunnel.reset();
  ASSERT_TRUE(server.wait(telemetry::EventType::session_down));
  EXPECT_FALSE(at("10.8.0.2")) << "no longer";
  ASSERT_TRUE(server.server->stop(0, -1).ok());
  EXPECT_FALSE(at("10.8.0.2"));
}

}  // namespace
}  // namespace smartvpn::testing_support
