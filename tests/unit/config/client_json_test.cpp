#include "config/client_json.hpp"

#include <gtest/gtest.h>

#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

ClientConfig site() {
  auto client = parse_client_config(R"({"id":"site","noise_public_key":")" + kKeyA + R"(","wireguard_public_key":")" +
                                    kKeyB + R"(","wireguard_preshared_key":")" + kKeyB +
                                    R"(","enabled":false,"expires_at":1234,"addresses":["10.8.0.9","fd00:8::9"],
      "subnets":["192.168.7.0/24"],"allow_overlap":true,"transports":["quic","wireguard"],"max_sessions":1,
      "session_policy":"refuse-new","priority":7,"description":"d","tags":["a","b"],
      "security":{"ip_allow_list":["198.51.100.0/24"],"ip_block_list":["198.51.100.7"],
        "destination_allow_list":["192.0.2.0/24"],"destination_block_list":["192.0.2.9"],
        "rate_limit":{"from_client_bytes_per_second":1,"from_client_burst_bytes":2,"to_client_bytes_per_second":3,
                      "to_client_burst_bytes":4}}})");
  EXPECT_TRUE(client) << client.error().path;
  return std::move(*client);
}

std::string outcome_of(std::string_view patch) {
  auto patched = patch_client_config(site(), patch);
  return patched ? "OK" : outcome(Result<void>(patched.error()));
}

TEST(ClientPatch, ChangesWhatItNamesAndNothingElse) {
  auto patched = patch_client_config(site(), R"({"description":"new","security":{"rate_limit":
      {"to_client_bytes_per_second":9},"ip_block_list":[]}})");
  ASSERT_TRUE(patched) << patched.error().path;
  const ClientConfig before = site();
  EXPECT_EQ(patched->description, "new");
  EXPECT_EQ(patched->security.rate_limit, (RateLimitConfig{1, 2, 9, 4}));
  EXPECT_TRUE(patched->security.ip_block_list.empty());
  EXPECT_EQ(patched->security.ip_allow_list, before.security.ip_allow_list);
  EXPECT_EQ(patched->security.destination_allow_list, before.security.destination_allow_list);
  EXPECT_EQ(patched->security.destination_block_list, before.security.destination_block_list);
  EXPECT_EQ(patched->noise_public_key, before.noise_public_key);
  EXPECT_EQ(patched->wireguard_public_key, before.wireguard_public_key);
  EXPECT_EQ(*patched->wireguard_preshared_key, *before.wireguard_preshared_key);
  EXPECT_EQ(patched->enabled, before.enabled);
  EXPECT_EQ(patched->expires_at_ms, before.expires_at_ms);
  EXPECT_EQ(patched->addresses, before.addresses);
  EXPECT_EQ(patched->subnets, before.subnets);
  EXPECT_EQ(patched->allow_overlap, before.allow_overlap);
  EXPECT_EQ(patched->transports, before.transports);
  EXPECT_EQ(patched->session_policy, before.session_policy);
  EXPECT_EQ(patched->priority, before.priority);
  EXPECT_EQ(patched->tags, before.tags);
}

TEST(ClientPatch, NullBringsTheDefaultBack) {
  auto patched = patch_client_config(site(), R"({"enabled":null,"expires_at":null,"addresses":null,"subnets":null,
      "wireguard_preshared_key":null,"wireguard_public_key":null,"transports":null,"session_policy":null,
      "priority":null,"tags":null,"security":null})");
  ASSERT_TRUE(patched) << patched.error().path;
  EXPECT_TRUE(patched->enabled);
  EXPECT_FALSE(patched->expires_at_ms || patched->wireguard_preshared_key || patched->wireguard_public_key);
  EXPECT_TRUE(patched->addresses.empty() && patched->subnets.empty() && patched->transports.empty());
  EXPECT_EQ(patched->session_policy, SessionPolicy::drop_oldest);
  EXPECT_EQ(patched->priority, 100u);
  EXPECT_TRUE(patched->security.ip_allow_list.empty() && patched->security.destination_block_list.empty());
  EXPECT_EQ(patched->security.rate_limit, RateLimitConfig{});
  EXPECT_EQ(patched->description, "d");
  EXPECT_TRUE(patch_client_config(site(), "{}"));
}

TEST(ClientPatch, ErrorsHaveThePathInsideTheClient) {
  EXPECT_EQ(outcome_of(R"({"id":"site"})"), "OK");
  EXPECT_EQ(outcome_of(R"({"id":"other"})"), "INVALID /id");
  EXPECT_EQ(outcome_of(R"({"id":null})"), "INVALID /id");
  EXPECT_EQ(outcome_of(R"({"noise_public_key":null})"), "INVALID /noise_public_key");
  EXPECT_EQ(outcome_of(R"({"bogus":1})"), "INVALID /bogus");
  EXPECT_EQ(outcome_of(R"({"bogus":null})"), "INVALID /bogus");
  EXPECT_EQ(outcome_of(R"({"security":{"rate_limit":{"bogus":null}}})"), "INVALID /security/rate_limit/bogus");
  EXPECT_EQ(outcome_of(R"({"revision":3})"), "INVALID /revision");
  EXPECT_EQ(outcome_of(R"({"subnets":["192.168.7.1/24"]})"), "INVALID /subnets/0");
  EXPECT_EQ(outcome_of(R"({"security":7})"), "INVALID /security");
  EXPECT_EQ(outcome_of(R"({"tags":["a",null]})"), "INVALID /tags/1");
  EXPECT_EQ(outcome_of(R"({"enabled":true,"enabled":false})"), "INVALID /enabled");
  for (auto text : {"", "[]", "7", "null", "{"}) EXPECT_EQ(outcome_of(text), "INVALID ") << text;
}

TEST(ClientPatch, IsCheckedByItselfBeforeThereIsAClient) {
  auto check = [](std::string_view patch) { return outcome(check_client_patch(patch)); };
  EXPECT_EQ(check(R"({"enabled":null,"security":{"ip_block_list":null}})"), "OK");
  EXPECT_EQ(check(R"({"priority":-1})"), "INVALID /priority");
  EXPECT_EQ(check(R"({"bogus":null})"), "INVALID /bogus");
  EXPECT_EQ(check("[]"), "INVALID ");
}

TEST(ClientQuery, ReadsEveryKeyAndHasDefaults) {
  auto plain = parse_client_query("{}");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->limit, 100u);
  EXPECT_FALSE(plain->enabled || plain->online);
  auto all = parse_client_query(
      R"({"after":"a","limit":1000,"id_prefix":"p","tag":"t","enabled":false,"online":true,"text":"x"})");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->after + all->id_prefix + all->tag + all->text, "aptx");
  EXPECT_EQ(all->limit, 1000u);
  EXPECT_EQ(all->enabled, false);
  EXPECT_EQ(all->online, true);
  EXPECT_EQ(parse_client_query(R"({"limit":0})").error().path, "/limit");
  EXPECT_EQ(parse_client_query(R"({"limit":1001})").error().path, "/limit");
  EXPECT_EQ(parse_client_query(R"({"sort":"id"})").error().path, "/sort");
  EXPECT_FALSE(parse_client_query("[]"));
}

TEST(RotateOptions, AreReadAndBounded) {
  auto plain = parse_rotate_config("{}");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->overlap_seconds, 86400u);
  EXPECT_FALSE(plain->noise_public_key || plain->wireguard_public_key);
  auto all = parse_rotate_config(R"({"overlap_seconds":0,"noise_public_key":")" + kKeyA +
                                 R"(","wireguard_public_key":")" + kKeyB + R"("})");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->overlap_seconds, 0u);
  EXPECT_EQ(format_key(*all->noise_public_key), kKeyA);
  EXPECT_EQ(format_key(*all->wireguard_public_key), kKeyB);
  EXPECT_EQ(parse_rotate_config(R"({"overlap_seconds":2592001})").error().path, "/overlap_seconds");
  EXPECT_EQ(parse_rotate_config(R"({"noise_public_key":"x"})").error().path, "/noise_public_key");
  EXPECT_EQ(parse_rotate_config(R"({"overlap":1})").error().path, "/overlap");
}

}  // namespace
}  // namespace smartvpn::config
