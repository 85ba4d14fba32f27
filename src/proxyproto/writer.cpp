// Headers as bytes. What a receiver could misread is never written: no line or block of two families,
// no addresses under UNSPEC, no checksum of somebody else's bytes.
#include "proxyproto/writer.hpp"

#include "proxyproto/crc32c.hpp"
#include "proxyproto/v2_codec.hpp"

namespace smartvpn::proxyproto {
namespace {

// The 16 bytes of an address, IPv4 in mapped form.
std::array<uint8_t, 16> v6_bytes(const inet::IpAddress& ip) noexcept {
  std::array<uint8_t, 16> out{};
  if (ip.is_v4()) out[10] = out[11] = 0xff;
  auto from = ip.bytes();
  std::copy(from.begin(), from.end(), out.end() - static_cast<ptrdiff_t>(from.size()));
  return out;
}

bool has_endpoints(const Header& header) noexcept {
  return header.command == Command::proxy && header.source && header.destination && header.source->ip &&
         header.destination->ip;
}

// What goes on the wire. UNSPEC where there is nothing to say or no word for it.
Family family_to_send(const Header& header) noexcept {
  if (header.command == Command::local || header.transport == Transport::unspec) return Family::unspec;
  if (header.family == Family::unix_socket) return Family::unix_socket;
  if (!has_endpoints(header)) return Family::unspec;
  bool both_v4 = header.source->ip.is_v4() && header.destination->ip.is_v4();
  return both_v4 && header.family != Family::inet6 ? Family::inet4 : Family::inet6;
}

std::string v1_address(const inet::IpAddress& ip, Family family) {
  // Hex groups also for a mapped address: the specification knows no other form.
  return family == Family::inet4 ? ip.text() : inet::IpAddress::v6_verbatim(v6_bytes(ip)).text();
}

void append_be16(Bytes& out, uint16_t value) {
  uint8_t bytes[2];
  store_be16(bytes, value);
  append(out, bytes);
}

void append_tlv(Bytes& out, uint8_t type, ByteView value) {
  out.push_back(type);
  append_be16(out, static_cast<uint16_t>(value.size()));
  append(out, value);
}

void append_path(Bytes& out, const std::string& path) {
  append(out, as_bytes(path));
  out.resize(out.size() + kUnixPath - path.size());
}

void append_addresses(Bytes& out, const Header& header, Family family) {
  if (family == Family::unspec) return;
  if (family == Family::unix_socket) {
    append_path(out, header.unix_source);
    append_path(out, header.unix_destination);
    return;
  }
  for (const auto& end : {*header.source, *header.destination})
    append(out, family == Family::inet4 ? end.ip.bytes() : ByteView(v6_bytes(end.ip)));
  append_be16(out, header.source->port);
  append_be16(out, header.destination->port);
}

bool can_send(const Header& header) noexcept {
  if (header.command == Command::proxy && header.source.has_value() != header.destination.has_value()) return false;
  if (header.unix_source.size() > kUnixPath || header.unix_destination.size() > kUnixPath) return false;
  return std::all_of(header.tlvs.begin(), header.tlvs.end(), [](const Tlv& tlv) { return tlv.value.size() <= 65535; });
}

}  // namespace

Header relayed(const std::optional<inet::Endpoint>& source, const std::optional<inet::Endpoint>& destination,
               Transport transport) {
  Header header;
  if (!source || !destination || !*source || !*destination) return header;
  bool both_v4 = source->ip.is_v4() && destination->ip.is_v4();
  header.family = both_v4 ? Family::inet4 : Family::inet6;
  header.transport = transport;
  header.source = source;
  header.destination = destination;
  return header;
}

Header local_header() {
  Header header;
  header.command = Command::local;
  return header;
}

std::string write_v1(const Header& header) {
  Family family = family_to_send(header);
  bool ip = family == Family::inet4 || family == Family::inet6;
  if (!ip || header.transport != Transport::stream) return "PROXY UNKNOWN\r\n";
  return std::string(family == Family::inet4 ? "PROXY TCP4 " : "PROXY TCP6 ") + v1_address(header.source->ip, family) +
         " " + v1_address(header.destination->ip, family) + " " + std::to_string(header.source->port) + " " +
         std::to_string(header.destination->port) + "\r\n";
}

std::optional<Bytes> write_v2(const Header& header, bool crc32c_wanted) {
  if (!can_send(header)) return std::nullopt;
  Family family = family_to_send(header);
  uint8_t transport = family == Family::unspec ? 0 : static_cast<uint8_t>(header.transport);
  Bytes out(kV2Signature.begin(), kV2Signature.end());
  out.push_back(static_cast<uint8_t>(0x20 | static_cast<uint8_t>(header.command)));
  out.push_back(static_cast<uint8_t>(static_cast<uint8_t>(family) << 4 | transport));
  append_be16(out, 0);  // the length, known at the end
  append_addresses(out, header, family);

  size_t crc_at = out.size() + 3;
  constexpr std::array<uint8_t, 4> zeros{};
  if (crc32c_wanted) append_tlv(out, kTlvCrc32c, zeros);
  for (const Tlv& tlv : header.tlvs)
    if (tlv.type != kTlvCrc32c) append_tlv(out, tlv.type, tlv.value);

  if (out.size() > kV2FixedSize + kV2MaxBlock) return std::nullopt;
  store_be16(&out[14], static_cast<uint16_t>(out.size() - kV2FixedSize));
  if (crc32c_wanted) store_be32(&out[crc_at], crc32c(out));
  return out;
}

Tlv make_ssl_tlv(const SslView& ssl) {
  Tlv out{kTlvSsl, Bytes(5)};
  out.value[0] = ssl.client;
  store_be32(&out.value[1], ssl.verify);
  auto add = [&](uint8_t type, std::optional<std::string_view> part) {
    if (part) append_tlv(out.value, type, as_bytes(*part));
  };
  add(kTlvSslVersion, ssl.version);
  add(kTlvSslCn, ssl.cn);
  add(kTlvSslCipher, ssl.cipher);
  add(kTlvSslSigAlg, ssl.sig_alg);
  add(kTlvSslKeyAlg, ssl.key_alg);
  add(kTlvSslGroup, ssl.group);
  add(kTlvSslSigScheme, ssl.sig_scheme);
  if (ssl.client_cert) append_tlv(out.value, kTlvSslClientCert, *ssl.client_cert);
  return out;
}

}  // namespace smartvpn::proxyproto
