// Which VPN client a connection is of, told from relay to target in a TLV of the private range (haproxy
// doc/proxy-protocol.txt, section 2.2, PP2_TYPE_MIN_CUSTOM): type 0xE7, a version byte (1), then parts of type (1
// byte), length (2 bytes, big endian) and value:
//   1  the client's id, 1 to 64 bytes of [A-Za-z0-9._@-]
//   2  its inner address, 4 or 16 bytes, not unspecified
//   3  its session, 8 bytes big endian, not 0; may be absent
// Parts of other types are skipped. It is worth as much as the proxy that sent it: who may not assert identities has it
// taken away (`may_assert_identity`).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inet/address.hpp"
#include "proxyproto/header.hpp"

namespace smartvpn::relay {

constexpr uint8_t kTlvIdentity = 0xE7;

struct ClientIdentity {
  std::string client_id;
  inet::IpAddress inner_address;
  uint64_t session_id = 0;  // 0: not told
  friend bool operator==(const ClientIdentity&, const ClientIdentity&) = default;
};

proxyproto::Tlv make_identity_tlv(const ClientIdentity& identity);
// Nothing for what has another version, lacks a part, has one twice or of another form, or ends within one.
std::optional<ClientIdentity> parse_identity_tlv(ByteView value);
// Takes every TLV of this type out of `tlvs`. Nothing also where there are several: one of them may be a client's own,
// which a proxy has handed on beside its own.
std::optional<ClientIdentity> take_identity_tlv(std::vector<proxyproto::Tlv>& tlvs);

}  // namespace smartvpn::relay
