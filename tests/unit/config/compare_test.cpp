#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

// What changes when the base gets these keys, as "path effect" lines.
std::string changes(std::initializer_list<Change> before, std::initializer_list<Change> after) {
  auto present = *Document::parse(kServer), next = *Document::parse(kServer);
  for (const auto& change : before) EXPECT_EQ(outcome(present.set(change.pointer, change.value)), "OK");
  for (const auto& change : after) EXPECT_EQ(outcome(next.set(change.pointer, change.value)), "OK");
  std::string out;
  for (const auto& change : present.changes_to(next)) out += change.path + " " + effect_name(change.effect) + "\n";
  return out;
}

TEST(Compare, SameConfigurationsHaveNoChanges) { EXPECT_EQ(changes({}, {}), ""); }

TEST(Compare, WritingADefaultOutIsNoChange) {
  EXPECT_EQ(changes({}, {{"/network/mtu", "1420"},
                         {"/security/authorize", R"("off")"},
                         {"/network/subnets", R"(["10.8.0.0/24","fd00:8::/64"])"},
                         {"/listen/0/proxy_protocol/mode", R"("off")"},
                         {"/clients", "[]"}}),
            "");
  EXPECT_EQ(changes({{"/network/mtu", "1420"}}, {}), "");
}

TEST(Compare, SaysForEachKeyWhatItTakes) {
  EXPECT_EQ(changes({}, {{"/network/mtu", "1380"},
                         {"/network/dns", R"(["10.8.0.1"])"},
                         {"/listen/0/port", "9443"},
                         {"/listen/0/path", R"("/other")"}}),
            "/listen/0/path applied\n/listen/0/port needs_listener_restart\n/network/dns applied\n"
            "/network/mtu needs_server_restart\n");
}

TEST(Compare, AListIsOneKey) {
  EXPECT_EQ(changes({{"/security/connection_ip_block_list", R"(["192.0.2.0/24"])"}},
                    {{"/security/connection_ip_block_list", R"(["192.0.2.0/24","198.51.100.1"])"}}),
            "/security/connection_ip_block_list applied\n");
}

TEST(Compare, MoreListenersNeedARestart) {
  EXPECT_EQ(changes({}, {{"/listen/-", R"({"transport":"websocket","port":8444})"}}), "/listen needs_server_restart\n");
}

TEST(Compare, TlsThatComesOrGoesIsTheListenersMatterAndItsFilesAreNot) {
  const char* tls = R"({"certificate":"a.pem","key":"a.key"})";
  EXPECT_EQ(changes({}, {{"/listen/0/tls", tls}}), "/listen/0/tls needs_listener_restart\n");
  EXPECT_EQ(changes({{"/listen/0/tls", tls}}, {{"/listen/0/tls", R"({"certificate":"b.pem","key":"a.key"})"}}),
            "/listen/0/tls/certificate applied\n");
}

TEST(Compare, SecretsAreComparedAndNotTold) {
  EXPECT_EQ(changes({}, {{"/keys/noise_private_key", "\"" + kKeyB + "\""}}), "/keys/noise_private_key applied\n");
}

TEST(Compare, TakesOverExactlyWhatItIsTold) {
  auto present = *Document::parse(kServer), next = *Document::parse(kServer);
  ASSERT_TRUE(present.set("/network/routes", R"(["10.0.0.0/8"])"));
  ASSERT_TRUE(present.set("/limits/sessions", "5"));
  ASSERT_TRUE(next.set("/network/mtu", "1380"));
  ASSERT_TRUE(next.set("/network/dns", R"(["10.8.0.1"])"));
  std::vector<KeyChange> applied;
  for (const auto& change : present.changes_to(next))
    if (change.effect == Effect::applied) applied.push_back(change);
  present.take(next, applied);
  EXPECT_EQ(present.changes_to(next), (std::vector<KeyChange>{{"/network/mtu", Effect::server_restart}}));
  auto config = present.server_config();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->limits.sessions, 0u) << "what is gone has its default again";
  EXPECT_EQ(config->network.dns.size(), 1u);
  EXPECT_EQ(config->network.mtu, 1420u);
}

TEST(Compare, AKeyWhoseDefaultDependsOnTheListenerHasNoDefaultToBeEqualTo) {
  EXPECT_EQ(changes({}, {{"/session/keepalive_interval_ms", "30000"}}), "/session/keepalive_interval_ms applied\n");
}

TEST(Compare, ACloneIsItsOwnDocument) {
  auto first = *Document::parse(kServer);
  auto second = first.clone();
  ASSERT_TRUE(second.set("/network/mtu", "1380"));
  EXPECT_EQ(first.changes_to(second).size(), 1u);
  EXPECT_EQ(first.server_config()->network.mtu, 1420u);
}

}  // namespace
}  // namespace smartvpn::config
