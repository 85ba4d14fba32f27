#include "registry/client.hpp"

#include <gtest/gtest.h>

namespace smartvpn::registry {
namespace {

ClientSpec good() {
  ClientSpec spec;
  spec.id = "alice-laptop";
  return spec;
}

std::string bad_path(const ClientSpec& spec) {
  auto result = validate_client(spec);
  if (result) return "accepted";
  EXPECT_EQ(result.error().status, Status::INVALID);
  EXPECT_FALSE(result.error().text.empty());
  return result.error().path;
}

TEST(ClientId, HasTheDocumentedCharactersAndLength) {
  for (const std::string& id : {std::string("a"), std::string("A.b_c@d-9"), std::string(64, 'x')})
    EXPECT_TRUE(is_valid_client_id(id)) << id;
  for (const std::string& id : {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a/b"),
                                std::string("ä"), std::string("a\0b", 3), std::string("a\n")})
    EXPECT_FALSE(is_valid_client_id(id)) << id;
}

TEST(ClientSpec, ErrorsNameTheKey) {
  EXPECT_TRUE(validate_client(good()));
  ClientSpec spec = good();
  spec.id = "no spaces";
  EXPECT_EQ(bad_path(spec), "/id");
  spec = good();
  spec.expires_at_ms = -1;
  EXPECT_EQ(bad_path(spec), "/expires_at_ms");
  spec = good();
  spec.max_sessions = 0;
  EXPECT_EQ(bad_path(spec), "/max_sessions");
  spec.max_sessions = kMaxSessionsPerClient + 1;
  EXPECT_EQ(bad_path(spec), "/max_sessions");
  spec = good();
  spec.description.assign(kMaxDescriptionSize + 1, 'x');
  EXPECT_EQ(bad_path(spec), "/description");
  spec = good();
  spec.tags = {"ok", ""};
  EXPECT_EQ(bad_path(spec), "/tags/1");
  spec.tags.assign(kMaxTags + 1, "t");
  EXPECT_EQ(bad_path(spec), "/tags");
}

TEST(ClientSpec, SeveralSessionsNeedLeasedAddresses) {
  ClientSpec spec = good();
  spec.max_sessions = 2;
  EXPECT_TRUE(validate_client(spec));
  spec.addresses = {*inet::IpAddress::parse("10.8.0.9")};
  EXPECT_EQ(bad_path(spec), "/max_sessions");
  spec.max_sessions = 1;
  EXPECT_TRUE(validate_client(spec));
}

TEST(ClientSpec, OneFixedAddressAFamily) {
  ClientSpec spec = good();
  spec.addresses = {*inet::IpAddress::parse("10.8.0.9"), *inet::IpAddress::parse("fd00::9")};
  EXPECT_TRUE(validate_client(spec));
  spec.addresses.push_back(*inet::IpAddress::parse("10.8.0.10"));
  EXPECT_EQ(bad_path(spec), "/addresses/2");
  spec.addresses = {inet::IpAddress()};
  EXPECT_EQ(bad_path(spec), "/addresses/0");
}

TEST(Client, ExpiresAtItsTimeAndZeroMeansNever) {
  Client client;
  EXPECT_FALSE(client.expired(INT64_MAX));
  client.expires_at_ms = 1000;
  EXPECT_FALSE(client.expired(999));
  EXPECT_TRUE(client.expired(1000));
}

}  // namespace
}  // namespace smartvpn::registry
