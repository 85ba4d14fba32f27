// What a relay counts and holds people to: limits, ids, listeners; and the texts it makes of its figures.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "relay/connection_limits.hpp"
#include "relay/proxy_signature.hpp"
#include "relay/relay_plan.hpp"
#include "relay/relay_stats.hpp"
#include "relay/unique_id_table.hpp"

namespace smartvpn::relay {
namespace {

const Time kStart = Time(seconds(1000));
inet::IpAddress ip(const std::string& text) { return *inet::IpAddress::parse(text); }

TEST(ConnectionLimits, CountInAllByAddressAndByRoute) {
  config::RelayLimitsConfig config;
  config.connections = 2;
  config.connections_per_ip = 1;
  ConnectionLimits limits(config, 1);
  EXPECT_TRUE(limits.enter());
  EXPECT_TRUE(limits.enter());
  EXPECT_FALSE(limits.enter());
  limits.leave();
  EXPECT_TRUE(limits.enter());
  EXPECT_EQ(limits.open(), 2u);
  EXPECT_EQ(limits.enter_address(ip("10.0.0.1"), kStart), Reason::none);
  EXPECT_EQ(limits.enter_address(ip("::ffff:10.0.0.1"), kStart), Reason::too_many_connections);
  EXPECT_EQ(limits.enter_address(ip("2001:db8::1"), kStart), Reason::none);
  EXPECT_EQ(limits.enter_address(ip("2001:db8::2"), kStart), Reason::too_many_connections) << "of one /64";
  limits.leave_address(ip("10.0.0.1"), kStart);
  EXPECT_EQ(limits.enter_address(ip("10.0.0.1"), kStart), Reason::none);
  EXPECT_TRUE(limits.enter_route("a", 1));
  EXPECT_FALSE(limits.enter_route("a", 1));
  EXPECT_TRUE(limits.enter_route("b", 1));
  limits.leave_route("a");
  EXPECT_TRUE(limits.enter_route("a", 1));
  EXPECT_TRUE(limits.enter_route("a", 0)) << "0 is no limit";
  config.connections = 3;
  limits.set(config);
  EXPECT_TRUE(limits.enter());
  EXPECT_FALSE(limits.enter());
}

TEST(ConnectionLimits, HoldAcrossThreads) {
  config::RelayLimitsConfig config;
  config.connections = 50;
  ConnectionLimits limits(config, 1);
  std::atomic<int> in{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) in += limits.enter();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(in, 50);
}

TEST(UniqueIds, AreThereOnceAndFreshOnesDiffer) {
  UniqueIdTable table;
  const Bytes a = make_unique_id(system_rng()), b = make_unique_id(system_rng());
  EXPECT_EQ(a.size(), 16u);
  EXPECT_NE(a, b);
  EXPECT_TRUE(table.enter(a));
  EXPECT_FALSE(table.enter(a));
  EXPECT_TRUE(table.enter(b));
  table.leave(a);
  EXPECT_TRUE(table.enter(a));
  EXPECT_EQ(table.size(), 2u);
}

TEST(ProxySignature, IsToldAsSoonAsItCanBe) {
  const std::string v2("\r\n\r\n\0\r\nQUIT\n", 12);
  for (const std::string& whole : {std::string("PROXY "), v2}) {
    for (size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(proxy_signature(as_bytes(whole.substr(0, n))), Signature::maybe) << n;
      std::string other = whole.substr(0, n + 1);
      other.back() = '#';
      EXPECT_EQ(proxy_signature(as_bytes(other)), Signature::no) << n;
    }
    EXPECT_EQ(proxy_signature(as_bytes(whole)), Signature::yes);
    EXPECT_EQ(proxy_signature(as_bytes(whole + "more")), Signature::yes);
  }
}

TEST(RelayPlan, SaysWhatIsExpectedOfAPeer) {
  using Header = ListenerPlan::Header;
  config::RelayConfig config;
  config.listen.resize(3);
  config.listen[1].accept_proxy_protocol = config::RelayListenConfig::Accept::any;
  config.listen[1].trusted_proxies = {"10.0.0.0/8", "2001:db8::/32"};
  config.listen[2] = config.listen[1];
  config.listen[2].untrusted = config::RelayListenConfig::Untrusted::direct;
  const auto plan = *RelayPlan::compile(config);
  EXPECT_EQ(plan->listeners[0].expects(ip("10.0.0.1")), Header::forbidden);
  EXPECT_EQ(plan->listeners[1].expects(ip("10.0.0.1")), Header::required);
  EXPECT_EQ(plan->listeners[1].expects(ip("::ffff:10.0.0.1")), Header::required);
  EXPECT_EQ(plan->listeners[1].expects(ip("2001:db8::9")), Header::required);
  EXPECT_EQ(plan->listeners[1].expects(ip("192.0.2.1")), Header::refused);
  EXPECT_EQ(plan->listeners[2].expects(ip("192.0.2.1")), Header::forbidden);
  config.listen[1].trusted_proxies = {"0.0.0.0/0"};
  const auto everybody = RelayPlan::compile(config);
  ASSERT_FALSE(everybody);
  EXPECT_EQ(everybody.error().path, "/listen/1/trusted_proxies");
}

TEST(RelaySnapshotTexts, NameEveryNumberOnce) {
  RelaySnapshot snapshot;
  snapshot.total.bytes_in = 5;
  snapshot.rejections[static_cast<size_t>(Reason::no_route)] = 2;
  snapshot.routes = {{"a \"quoted\"\\ name", {}, {}}};
  snapshot.addresses = {{ip("2001:db8::1"), 1, 2, 3, 4}};
  const auto parsed = nlohmann::json::parse(snapshot.json());
#define X(name, type, metric, help)    \
  EXPECT_TRUE(parsed.contains(#name)); \
  EXPECT_TRUE(parsed["routes"][0].contains(#name));
  SMARTVPN_RELAY_COUNTER_LIST(X)
#undef X
  EXPECT_EQ(parsed["rejections"]["no_route"], 2);
  EXPECT_EQ(parsed["routes"][0]["route"], "a \"quoted\"\\ name");
  EXPECT_EQ(parsed["addresses"][0]["address"], "2001:db8::1");
  EXPECT_TRUE(parsed["rates"].contains("60"));
  const std::string text = snapshot.prometheus();
  EXPECT_NE(text.find("{route=\"a \\\"quoted\\\"\\\\ name\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("smartvpn_relay_rejections_total{reason=\"no_route\"} 2\n"), std::string::npos);
  for (size_t at = text.find("# TYPE "); at != std::string::npos; at = text.find("# TYPE ", at + 1)) {
    const std::string line = text.substr(at, text.find(' ', at + 7) - at + 1);
    EXPECT_EQ(text.find(line, at + 1), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace smartvpn::relay
