#include "server/store_factory.hpp"

#include <gtest/gtest.h>

#include "base/features.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::server {
namespace {

using config::RegistryConfig;
using registry::Write;

uint64_t revision_after_reopening(const RegistryConfig& config) {
  registry::Client client;
  client.id = "a";
  {
    auto store = open_store(config);
    EXPECT_TRUE(store) << store.error().text;
    EXPECT_TRUE((*store)->apply({{Write::Kind::insert, client}}, std::nullopt));
  }
  return *(*open_store(config))->revision();
}

TEST(StoreFactory, OpensTheStoreThatTheConfigurationNames) {
  testing::TemporaryFolder folder;
  RegistryConfig config;
  EXPECT_EQ(revision_after_reopening(config), 0u) << "memory forgets";
  config.store = RegistryConfig::Store::sqlite;
  config.path = folder / "registry";
#if SMARTVPN_WITH_SQLITE
  EXPECT_EQ(revision_after_reopening(config), 1u);
  config.path = folder / "none/registry";
  auto missing = open_store(config);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().path, "/registry/path");
  EXPECT_EQ(missing.error().system_errno, ENOENT);
#else
  EXPECT_EQ(open_store(config).error().status, Status::UNSUPPORTED);
#endif
}

}  // namespace
}  // namespace smartvpn::server
