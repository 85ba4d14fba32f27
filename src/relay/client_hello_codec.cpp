// Reads what RFC 8446 section 4.1.2 writes down and checks every length on the way: a target that reads the same
// bytes with less care must not find another name in them.
#include "relay/client_hello_codec.hpp"

#include <bitset>

#include "relay/host_name.hpp"

namespace smartvpn::relay {
namespace {

// IANA's TLS ExtensionType values.
constexpr uint16_t kServerNameExtension = 0;
constexpr uint16_t kAlpnExtension = 16;
constexpr uint16_t kSupportedVersionsExtension = 43;
constexpr uint8_t kHostNameType = 0;

// 0x0a0a, 0x1a1a, ... 0xfafa: values that mean nothing (RFC 8701 section 2).
constexpr bool is_grease(uint16_t value) noexcept { return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff); }

// The bytes of a vector that has to fill `data` to its end, and is not empty; else not ok.
ByteView whole_vector(ByteReader& data, size_t size) noexcept {
  ByteView inside = data.take(size);
  if (inside.empty() || !data.at_end()) data.take(data.remaining() + 1);
  return inside;
}

bool decode_server_name(ByteView extension, ClientHello& out) {
  ByteReader data(extension);
  ByteReader list(whole_vector(data, data.be16()));
  bool found = false;
  while (data.ok() && !list.at_end()) {
    const uint8_t type = list.u8();
    const ByteView name = list.take(list.be16());
    if (!list.ok() || name.empty()) return false;
    if (type != kHostNameType || found) continue;
    found = true;
    out.server_name = normalise_host(as_text(name)).value_or("");
  }
  return data.ok();
}

bool decode_alpn(ByteView extension, ClientHello& out) {
  ByteReader data(extension);
  ByteReader list(whole_vector(data, data.be16()));
  while (data.ok() && !list.at_end()) {
    const ByteView name = list.take(list.u8());
    if (!list.ok() || name.empty()) return false;
    const bool grease = name.size() == 2 && is_grease(load_be16(name.data()));
    if (!grease && out.alpn.size() < ClientHello::kMaxAlpn) out.alpn.emplace_back(as_text(name));
  }
  return data.ok();
}

bool decode_supported_versions(ByteView extension, ClientHello& out) {
  ByteReader data(extension);
  ByteReader list(whole_vector(data, data.u8()));
  if (!data.ok() || list.remaining() % 2 != 0) return false;
  out.versions.clear();
  while (!list.at_end()) {
    const uint16_t version = list.be16();
    if (!is_grease(version)) out.versions.push_back(version);
  }
  return true;
}

bool decode_extension(uint16_t type, ByteView data, ClientHello& out) {
  switch (type) {
    case kServerNameExtension:
      return decode_server_name(data, out);
    case kAlpnExtension:
      return decode_alpn(data, out);
    case kSupportedVersionsExtension:
      return decode_supported_versions(data, out);
    default:
      return true;
  }
}

bool decode_extensions(ByteReader in, ClientHello& out) {
  std::bitset<65536> seen;  // 8 KiB of stack; a list of thousands of types would take time to search
  while (!in.at_end()) {
    const uint16_t type = in.be16();
    const ByteView data = in.take(in.be16());
    if (!in.ok() || seen[type] || !decode_extension(type, data, out)) return false;
    seen.set(type);
  }
  return true;
}

}  // namespace

bool decode_client_hello(ByteView body, ClientHello& out) {
  ByteReader in(body);
  const uint16_t legacy_version = in.be16();
  in.take(32);  // random
  const ByteView session_id = in.take(in.u8());
  const ByteView cipher_suites = in.take(in.be16());
  const ByteView compression_methods = in.take(in.u8());
  if (!in.ok() || session_id.size() > 32 || cipher_suites.empty() || cipher_suites.size() % 2 != 0) return false;
  if (compression_methods.empty()) return false;
  out.versions = {std::min(legacy_version, kTls12)};
  if (in.at_end()) return true;
  const ByteView extensions = in.take(in.be16());
  return in.ok() && in.at_end() && decode_extensions(ByteReader(extensions), out);
}

}  // namespace smartvpn::relay
