#include "config/server_url.hpp"

#include <gtest/gtest.h>

namespace smartvpn::config {
namespace {

TEST(ServerUrl, ReadsAllParts) {
  auto url = ServerUrl::parse("wss://VPN.example.com:8443/t/1");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "vpn.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path, "/t/1");
  EXPECT_EQ(url->authority(), "vpn.example.com:8443");
  EXPECT_EQ(url->text(), "wss://vpn.example.com:8443/t/1");
}

TEST(ServerUrl, FillsPortAndPathAndLeavesTheUsualPortOut) {
  EXPECT_EQ(ServerUrl::parse("WSS://h")->text(), "wss://h/tunnel");
  EXPECT_EQ(ServerUrl::parse("wss://h")->port, 443);
  EXPECT_EQ(ServerUrl::parse("ws://h:80")->authority(), "h");
  EXPECT_EQ(ServerUrl::parse("ws://h:443/")->text(), "ws://h:443/");
}

TEST(ServerUrl, TakesBothFamilies) {
  EXPECT_EQ(ServerUrl::parse("ws://192.0.2.7:8080")->host, "192.0.2.7");
  auto v6 = ServerUrl::parse("ws://[2001:DB8::7]:8080/x");
  EXPECT_EQ(v6->host, "2001:db8::7");
  EXPECT_EQ(v6->text(), "ws://[2001:db8::7]:8080/x");
}

TEST(ServerUrl, RefusesWhatItIsNot) {
  for (auto text : {"",           "wss://",      "wss:///x",      "https://h",       "h:443",
                    "wss://h:",   "wss://h:0",   "wss://h:65536", "wss://h:08",      "wss://u@h",
                    "wss://h?x",  "wss://h/x?y", "wss://h/x#y",   "wss://h/a b",     "wss://[1.2.3.4]",
                    "wss://[::1", "wss://::1",   "wss://1.2.3",   "wss://1.2.3.256", "wss://a..b",
                    "wss://h.",   "wss://h\r\n", "wss://[::1]x",  "wss://h\xC3\xA9", "wss://h:+1"})
    EXPECT_FALSE(ServerUrl::parse(text)) << text;
  EXPECT_FALSE(ServerUrl::parse("wss://" + std::string(254, 'a')));
  EXPECT_FALSE(ServerUrl::parse("wss://" + std::string(64, 'a')));
}

TEST(ValidPath, IsVisibleAsciiFromASlash) {
  EXPECT_TRUE(is_valid_path("/"));
  EXPECT_TRUE(is_valid_path("/" + std::string(255, 'x')));
  for (std::string path : {std::string(), std::string("x"), std::string("/a b"), std::string("/a\n"), std::string("/?"),
                           "/" + std::string(256, 'x')})
    EXPECT_FALSE(is_valid_path(path)) << path;
}

}  // namespace
}  // namespace smartvpn::config
