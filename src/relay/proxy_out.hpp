// The PROXY header that a route sends to its target: who the client is, and in version 2 what we know of it besides.
#pragma once

#include <optional>
#include <string_view>

#include "proxyproto/header.hpp"
#include "relay/identity_tlv.hpp"

namespace smartvpn::relay {

struct ProxyOutInput {
  proxyproto::Version version = proxyproto::Version::v2;
  std::optional<inet::Endpoint> client, destination;  // both, or neither: a client without an address
  proxyproto::Transport transport = proxyproto::Transport::stream;
  bool local = false;                            // a proxy's own connection goes on as one
  const proxyproto::Header* received = nullptr;  // of a trusted proxy before us
  std::string_view authority, alpn;              // that we have seen ourselves; "": none
  struct Tls {
    std::string_view version, cipher;
  };
  std::optional<Tls> tls;                    // that ended here
  const ClientIdentity* identity = nullptr;  // the VPN client that it is of
  ByteView unique_id;                        // of the chain; empty: none
  bool send_authority = true, send_alpn = true, send_ssl = true, send_unique_id = true;
  bool crc32c = false;
  bool forward_unknown_tlvs = false;
};

// Nothing when it cannot be sent: longer than 65535 bytes. What we saw ourselves wins over what the proxy before us
// said. CRC32C and NOOP are of one header only, NETNS of one machine, and never go on. Version 1 has no TLVs.
std::optional<Bytes> make_proxy_out(const ProxyOutInput& in);

}  // namespace smartvpn::relay
