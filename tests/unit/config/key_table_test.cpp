#include "config/key_table.hpp"

#include <gtest/gtest.h>

#include <set>

#include "config/json_tree.hpp"

namespace smartvpn::config {
namespace {

class KeyTable : public testing::TestWithParam<Kind> {};

TEST_P(KeyTable, EveryEntryIsUniqueDocumentedAndBelowAListedParent) {
  std::set<std::string_view> seen;
  for (const auto& spec : key_table(GetParam())) {
    EXPECT_TRUE(seen.insert(spec.path).second) << spec.path;
    EXPECT_FALSE(spec.doc.empty()) << spec.path;
    EXPECT_EQ(spec.doc.find('|'), std::string_view::npos) << spec.path;
    EXPECT_EQ(find_key(GetParam(), spec.path), &spec);
    auto parent = spec.path.substr(0, spec.path.rfind('/'));
    if (parent.empty()) continue;
    ASSERT_TRUE(seen.count(parent)) << spec.path;
    EXPECT_EQ(find_key(GetParam(), parent)->type, spec.path.back() == '*' ? Type::array : Type::object) << spec.path;
  }
}

TEST_P(KeyTable, EveryDefaultIsAValueTheKeyTakes) {
  for (const auto& spec : key_table(GetParam())) {
    EXPECT_EQ(spec.type == Type::choice, !spec.values.empty()) << spec.path;
    if (spec.fallback.empty()) continue;
    Json value;
    ASSERT_TRUE(parse_json(spec.fallback, {}, value)) << spec.path;
    if (spec.type == Type::array) {
      EXPECT_TRUE(value.is_array()) << spec.path;
    } else {
      EXPECT_EQ(wrong_value(spec, value), std::nullopt) << spec.path;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Both, KeyTable, testing::Values(Kind::server, Kind::tunnel));

TEST(KeyTable, FindsPatternsAndChildrenOnly) {
  EXPECT_NE(find_key(Kind::server, "/listen/*/port"), nullptr);
  EXPECT_EQ(find_key(Kind::server, "/listen/0/port"), nullptr);
  EXPECT_EQ(find_key(Kind::server, "listen"), nullptr);
  EXPECT_EQ(find_key(Kind::server, ""), nullptr);
  EXPECT_EQ(child_keys(Kind::tunnel, "/reconnect"), (std::vector<std::string_view>{"enabled", "initial_ms", "max_ms"}));
}

TEST(NearestKey, FindsWhatWasMeant) {
  std::vector<std::string_view> keys{"max_sessions", "port", "proxy_protocol", "path", "tls"};
  EXPECT_EQ(nearest_key("prot", keys), "port");
  EXPECT_EQ(nearest_key("proxyProtocol", keys), "proxy_protocol");
  EXPECT_EQ(nearest_key("max-session", keys), "max_sessions");
  EXPECT_EQ(nearest_key("TLS", keys), "tls");
  EXPECT_EQ(nearest_key("certificates", keys), "");
  EXPECT_EQ(nearest_key("", keys), "");
  EXPECT_EQ(nearest_key(std::string(1000, 'p'), keys), "");
}

TEST(DescribeKeys, ListsEveryKeyInATable) {
  auto text = describe_keys();
  for (auto kind : {Kind::server, Kind::tunnel})
    for (const auto& spec : key_table(kind))
      EXPECT_NE(text.find("| `" + std::string(spec.path) + "` |"), std::string::npos) << spec.path;
  EXPECT_NE(text.find("| `/network/mtu` | integer, 576 to 9000 | `1420` |"), std::string::npos);
  EXPECT_NE(text.find("*Not in this build: `quic`"), std::string::npos);
}

}  // namespace
}  // namespace smartvpn::config
