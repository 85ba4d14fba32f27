// What a PROXY protocol header says, version 1 or 2 (haproxy doc/proxy-protocol.txt, revision
// 2026/04/27). The parser fills it, the writer sends it, the listener asks it for the real address.
//
// What the specification leaves to the receiver, and what this room does:
//  - PROXY with UNSPEC in family or transport, UNIX, and v1 UNKNOWN: accepted, without an address
//    (`addressless()`); the listener's policy decides. Never is the proxy's address put in its place.
//  - LOCAL: accepted whatever family and block say; no address. The block is consumed.
//  - CRC32C: checked whenever present, big endian; a mismatch is malformed.
//  - TLVs: checked although they could be skipped; one running past the header is malformed. Only
//    where the block is of unknown shape (LOCAL, UNSPEC) may it also hold something else.
//  - v2 block: at most `Limits::v2_max` bytes, by default 4096.
//  - IPv4-mapped addresses: IPv4 as soon as they are read. `family` stays what the wire said.
//  - Mixed families as sender: both are sent as IPv6, the IPv4 one in mapped form.
//  - UNIX: shown with its paths; a connection of such a client has no IP address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "inet/address.hpp"

namespace smartvpn::proxyproto {

enum class Version : uint8_t { v1 = 1, v2 = 2 };
enum class Command : uint8_t { local = 0, proxy = 1 };
enum class Family : uint8_t { unspec = 0, inet4 = 1, inet6 = 2, unix_socket = 3 };  // the wire's nibble
enum class Transport : uint8_t { unspec = 0, stream = 1, dgram = 2 };               // the wire's nibble

constexpr size_t kV1MaxSize = 107;   // the longest v1 line, with CRLF
constexpr size_t kV2FixedSize = 16;  // v2: signature, command, family, length; the block follows

// One type-length-value of a v2 header, as it came. Any bytes, also NUL; at most 65535.
struct Tlv {
  uint8_t type = 0;
  Bytes value;
  friend bool operator==(const Tlv&, const Tlv&) = default;
};

struct Header {
  Version version = Version::v2;
  Command command = Command::proxy;
  Family family = Family::unspec;             // unspec for LOCAL and v1 UNKNOWN
  Transport transport = Transport::unspec;    // of the connection from the client to the first proxy
  std::optional<inet::Endpoint> source;       // the real client; both or neither are set
  std::optional<inet::Endpoint> destination;  // what the client dialled
  std::string unix_source, unix_destination;  // up to 108 bytes, NUL padding cut; abstract names start with NUL
  std::vector<Tlv> tlvs;                      // in wire order
  bool crc32c_verified = false;               // a CRC32C TLV was there, and right
  size_t size = 0;                            // bytes on the wire, all of them; set by the parser

  bool is_local() const noexcept { return command == Command::local; }
  // A relayed connection whose client has no IP address.
  bool addressless() const noexcept { return command == Command::proxy && !source; }
  friend bool operator==(const Header&, const Header&) = default;
};

}  // namespace smartvpn::proxyproto
