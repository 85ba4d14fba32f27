// What is said of a kernel that does not forward, and when nothing is.
#include "server/forwarding_advice.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace smartvpn::server {
namespace {

// A /proc/sys of its own, with these switches; -1: there is none.
class ForwardingAdvice : public ::testing::Test {
 protected:
  ForwardingAdvice() { std::filesystem::remove_all(root_); }
  ~ForwardingAdvice() override { std::filesystem::remove_all(root_); }

  std::vector<std::string> advice(int v4, int v6) {
    put("/net/ipv4", "/ip_forward", v4);
    put("/net/ipv6/conf/all", "/forwarding", v6);
    return forwarding_advice(config_, root_);
  }
  void put(const std::string& folder, const std::string& file, int value) {
    std::filesystem::create_directories(root_ + folder);
    std::filesystem::remove(root_ + folder + file);
    if (value >= 0) std::ofstream(root_ + folder + file) << value << "\n";
  }
  void routes(std::initializer_list<const char*> texts) {
    for (const char* text : texts) config_.network.routes.push_back(*inet::Cidr::parse(text));
  }

  const std::string root_ = ::testing::TempDir() + "forwarding_advice_" + std::to_string(getpid());
  config::ServerConfig config_ = [] {
    config::ServerConfig config;
    config.network.subnets = {*inet::Cidr::parse("10.8.0.0/24"), *inet::Cidr::parse("fd00:8::/64")};
    return config;
  }();
};

TEST_F(ForwardingAdvice, NothingIsSaidOfAServerThatIsTheEndOfTheWay) {
  EXPECT_TRUE(advice(0, 0).empty());
  routes({"10.8.0.0/24", "10.8.0.128/25", "fd00:8::/64"});
  EXPECT_TRUE(advice(0, 0).empty());
}

TEST_F(ForwardingAdvice, RoutesBeyondTheSubnetsWantForwardingInTheirFamily) {
  routes({"0.0.0.0/0", "fd00:8::/64"});
  const auto said = advice(0, 0);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("net.ipv4.ip_forward"), std::string::npos) << said[0];
  EXPECT_TRUE(advice(1, 0).empty());
}

TEST_F(ForwardingAdvice, MasqueradeWantsItInTheFamiliesOfTheSubnets) {
  config_.tun.masquerade = true;
  EXPECT_EQ(advice(0, 0).size(), 2u);
  EXPECT_EQ(advice(1, 0).size(), 1u);
  EXPECT_TRUE(advice(1, 1).empty());
  config_.network.subnets.pop_back();
  EXPECT_TRUE(advice(1, 0).empty());
}

TEST_F(ForwardingAdvice, WhatCannotBeReadAndOtherEnginesAreLeftAlone) {
  routes({"0.0.0.0/0", "::/0"});
  EXPECT_TRUE(advice(-1, -1).empty());
  config_.forwarding.mode = config::ForwardingConfig::Mode::host;
  EXPECT_TRUE(advice(0, 0).empty());
}

}  // namespace
}  // namespace smartvpn::server
