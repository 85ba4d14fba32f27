// The sending side of the PROXY protocol: one Header becomes the bytes that go first, at once and in
// one write, on a connection to a server that expects them.
#pragma once

#include "proxyproto/tlv.hpp"

namespace smartvpn::proxyproto {

// A header for a relayed connection. Both endpoints set, or it is an address-less one.
Header relayed(const std::optional<inet::Endpoint>& source, const std::optional<inet::Endpoint>& destination,
               Transport transport = Transport::stream);
// A header for a connection of our own, a health check for example.
Header local_header();

// The v1 line with CRLF, at most 107 bytes. TCP4 for two IPv4 addresses unless `family` says inet6,
// TCP6 otherwise, IPv4 then in mapped form and hex; `PROXY UNKNOWN` when the header has no addresses,
// is LOCAL, or is not of a stream: v1 has no words for those.
std::string write_v1(const Header& header);

// The v2 header. TLVs go out in order but for CRC32C, whose value would be wrong: with `crc32c` a
// fresh one is written first, as HAProxy does. Two IPv4 addresses go out as IPv4 unless `family` says
// inet6; a mixed pair goes out as IPv6; transport unspec as UNSPEC, without addresses. `size`, `version` and
// `crc32c_verified` are not looked at. Nothing when it cannot be sent: block or value above 65535 bytes, UNIX path
// above 108, only one endpoint.
std::optional<Bytes> write_v2(const Header& header, bool crc32c = false);

// The value of an SSL TLV from its parts.
Tlv make_ssl_tlv(const SslView& ssl);

}  // namespace smartvpn::proxyproto
