// Keys of the durable store, which a build may be without.
#include "unit/config/config_fixture.hpp"

namespace smartvpn::config {
namespace {

TEST(ServerConfig, AStoreAndItsFileGoTogether) {
  EXPECT_EQ(validated(Kind::server, {{"/registry/store", "\"sqlite\""}}), "INVALID /registry/path");
  EXPECT_EQ(validated(Kind::server, {{"/registry/path", "\"/x\""}}), "INVALID /registry/path");
  EXPECT_EQ(validated(Kind::server, {{"/registry/store", "\"sqlite\""}, {"/registry/path", "\"/x\""}}), "OK");
}

}  // namespace
}  // namespace smartvpn::config
