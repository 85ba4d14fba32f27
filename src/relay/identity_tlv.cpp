// See identity_tlv.hpp.
#include "relay/identity_tlv.hpp"

#include <algorithm>

#include "proxyproto/tlv.hpp"

namespace smartvpn::relay {
namespace {

constexpr uint8_t kIdentityVersion = 1;
constexpr size_t kMaxId = 64;
enum Part : uint8_t { kPartId = 1, kPartAddress = 2, kPartSession = 3 };

void put_part(Bytes& out, Part part, ByteView value) {
  out.push_back(part);
  out.push_back(static_cast<uint8_t>(value.size() >> 8));
  out.push_back(static_cast<uint8_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
}

// What a registered client can be called; whoever reads the id may use it as a key, in a log or in a file's name.
bool is_of_an_id(uint8_t c) noexcept {
  const auto lower = static_cast<uint8_t>(c | 0x20);
  return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '.' || c == '_' || c == '@' || c == '-';
}

bool take_id(ByteView value, ClientIdentity& out) {
  const bool sound = std::all_of(value.begin(), value.end(), is_of_an_id);
  if (value.empty() || value.size() > kMaxId || !sound || !out.client_id.empty()) return false;
  out.client_id = as_text(value);
  return true;
}

bool take_address(ByteView value, ClientIdentity& out) {
  if (out.inner_address) return false;
  if (value.size() == 4) out.inner_address = inet::IpAddress::v4(value.first<4>());
  if (value.size() == 16) out.inner_address = inet::IpAddress::v6(value.first<16>());
  return out.inner_address && !out.inner_address.is_unspecified();
}

bool take_session(ByteView value, ClientIdentity& out) {
  if (value.size() != 8 || out.session_id != 0) return false;
  out.session_id = load_be64(value.data());
  return out.session_id != 0;
}

bool take_part(uint8_t part, ByteView value, ClientIdentity& out) {
  switch (part) {
    case kPartId:
      return take_id(value, out);
    case kPartAddress:
      return take_address(value, out);
    case kPartSession:
      return take_session(value, out);
    default:
      return true;
  }
}

}  // namespace

proxyproto::Tlv make_identity_tlv(const ClientIdentity& identity) {
  proxyproto::Tlv tlv{kTlvIdentity, {kIdentityVersion}};
  put_part(tlv.value, kPartId, as_bytes(identity.client_id));
  put_part(tlv.value, kPartAddress, identity.inner_address.bytes());
  if (identity.session_id != 0) {
    uint8_t session[8];
    for (size_t i = 0; i < 8; ++i) session[i] = static_cast<uint8_t>(identity.session_id >> (56 - 8 * i));
    put_part(tlv.value, kPartSession, session);
  }
  return tlv;
}

std::optional<ClientIdentity> parse_identity_tlv(ByteView value) {
  if (value.empty() || value[0] != kIdentityVersion) return std::nullopt;
  ClientIdentity out;
  for (value = value.subspan(1); !value.empty();) {
    if (value.size() < 3) return std::nullopt;
    const uint8_t part = value[0];
    const size_t size = load_be16(&value[1]);
    value = value.subspan(3);
    if (value.size() < size || !take_part(part, value.first(size), out)) return std::nullopt;
    value = value.subspan(size);
  }
  if (out.client_id.empty() || !out.inner_address) return std::nullopt;
  return out;
}

std::optional<ClientIdentity> take_identity_tlv(std::vector<proxyproto::Tlv>& tlvs) {
  const proxyproto::Tlv* told = proxyproto::find_tlv(tlvs, kTlvIdentity);
  auto out = told ? parse_identity_tlv(told->value) : std::nullopt;
  const size_t taken = std::erase_if(tlvs, [](const proxyproto::Tlv& tlv) { return tlv.type == kTlvIdentity; });
  return taken == 1 ? out : std::nullopt;
}

}  // namespace smartvpn::relay
