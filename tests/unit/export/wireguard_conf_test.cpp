#include "export/wireguard_conf.hpp"

#include <gtest/gtest.h>

#include "crypto/x25519.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::exports {
namespace {

using ::smartvpn::testing::shell;
using ::smartvpn::testing::ShellResult;
using ::smartvpn::testing::TemporaryFolder;

inet::IpAddress ip(const char* text) { return *inet::IpAddress::parse(text); }
inet::Cidr cidr(const char* text) { return *inet::Cidr::parse(text); }

SecretKey key_of(uint8_t byte) {
  SecretKey key;
  key.span()[31] = byte;
  return key;
}

class WireguardConfTest : public ::testing::Test {
 protected:
  WireguardConfTest() {
    conf_.private_key = &private_key_;
    conf_.preshared_key = &preshared_key_;
    conf_.addresses = {ip("10.8.0.9"), ip("fd00:8::9")};
    conf_.dns = {ip("10.8.0.1"), ip("fd00:8::1")};
    conf_.mtu = 1420;
    conf_.server_public_key = crypto::public_key_of(key_of(3));
    conf_.endpoint = "192.0.2.7:51820";  // a name would be looked up by `wg setconf`
    conf_.allowed_ips = {cidr("0.0.0.0/0"), cidr("::/0")};
    conf_.persistent_keepalive_s = 25;
  }
  // wg-quick removes what is its own; `wg setconf` then reads every line before it looks for the device,
  // so a device that cannot exist tells a file that was understood from one that was not.
  void expect_understood(const std::string& text) {
    const ShellResult stripped = shell("wg-quick strip " + folder_.write("client.conf", text) + " 2>&1");
    ASSERT_EQ(stripped.exit_code, 0) << stripped.output;
    for (const char* of_wg_quick : {"Address", "DNS", "MTU"})
      EXPECT_EQ(stripped.output.find(of_wg_quick), std::string::npos) << stripped.output;
    const ShellResult set =
        shell("wg setconf no/such/device " + folder_.write("stripped.conf", stripped.output) + " 2>&1");
    EXPECT_EQ(set.output.find("arsing error"), std::string::npos) << set.output;
    EXPECT_EQ(set.output.find("nrecognized"), std::string::npos) << set.output;
    EXPECT_NE(set.output.find("Unable to modify interface"), std::string::npos) << set.output;
  }

  TemporaryFolder folder_;
  SecretKey private_key_ = key_of(1), preshared_key_ = key_of(2);
  WireguardConf conf_;
};

TEST_F(WireguardConfTest, HasEveryLineInItsPlace) {
  EXPECT_EQ(make_wireguard_conf(conf_),
            "[Interface]\n"
            "PrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n"
            "Address = 10.8.0.9/32, fd00:8::9/128\n"
            "DNS = 10.8.0.1, fd00:8::1\n"
            "MTU = 1420\n"
            "\n"
            "[Peer]\n"
            "PublicKey = " +
                format_key(conf_.server_public_key) +
                "\n"
                "PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=\n"
                "Endpoint = 192.0.2.7:51820\n"
                "AllowedIPs = 0.0.0.0/0, ::/0\n"
                "PersistentKeepalive = 25\n");
}

TEST_F(WireguardConfTest, WireguardToolsTakeItUnmodified) {
  expect_understood(make_wireguard_conf(conf_));
  conf_.endpoint = "[2001:db8::7]:51820";
  conf_.addresses = {ip("fd00:8::9")};
  conf_.persistent_keepalive_s = 65535;
  expect_understood(make_wireguard_conf(conf_));
}

TEST_F(WireguardConfTest, WhatIsNotKnownIsLeftOut) {
  WireguardConf bare;
  bare.private_key = &private_key_;
  bare.server_public_key = conf_.server_public_key;
  const std::string text = make_wireguard_conf(bare);
  EXPECT_EQ(text, "[Interface]\nPrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n\n[Peer]\nPublicKey = " +
                      format_key(bare.server_public_key) + "\n");
  expect_understood(text);
}

TEST_F(WireguardConfTest, AMissingPrivateKeyIsAnEmptyLineToFillIn) {
  conf_.private_key = nullptr;
  std::string text = make_wireguard_conf(conf_);
  const std::string line = "PrivateKey = \n";
  const size_t at = text.find(line);
  ASSERT_NE(at, std::string::npos) << text;
  expect_understood(text.replace(at, line.size(), "PrivateKey = " + format_key(private_key_.view()) + "\n"));
}

TEST_F(WireguardConfTest, AnEndpointCannotSmuggleInALine) {
  for (const char* endpoint : {"a:1\nPostUp = touch /tmp/x", "a:1 # b", "a:1#b", "a:1\r", "\x01", "b\xc3\xbc:1"}) {
    conf_.endpoint = endpoint;
    const std::string text = make_wireguard_conf(conf_);
    EXPECT_EQ(text.find("Endpoint"), std::string::npos) << endpoint;
    EXPECT_EQ(text.find("PostUp"), std::string::npos) << endpoint;
  }
}

}  // namespace
}  // namespace smartvpn::exports
