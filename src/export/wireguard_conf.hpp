// The configuration that WireGuard's own programs read: wg-quick, and the apps for phones and desktops.
#pragma once

#include <string>
#include <vector>

#include "base/secret.hpp"
#include "inet/address.hpp"

namespace smartvpn::exports {

// One client's end. The pointers need to live only as long as the call.
struct WireguardConf {
  const SecretKey* private_key = nullptr;  // null: left empty, for its owner to fill in
  std::vector<inet::IpAddress> addresses;  // the client's inner ones
  std::vector<inet::IpAddress> dns;
  uint16_t mtu = 0;  // 0: left to the client's program
  PublicKey server_public_key{};
  const SecretKey* preshared_key = nullptr;  // null: none
  // "host:port" or "[v6]:port"; "": not known. What is not one printable word (it could smuggle in a line,
  // and wg-quick runs commands) counts as not known.
  std::string endpoint;
  std::vector<inet::Cidr> allowed_ips;  // what goes through the tunnel
  uint32_t persistent_keepalive_s = 0;  // 0..65535; 0: none
};

// Text with secrets: the caller wipes it. No second copy of a key is left behind in freed memory.
std::string make_wireguard_conf(const WireguardConf& conf);

}  // namespace smartvpn::exports
