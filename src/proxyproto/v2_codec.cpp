// Version 2 headers as fields. Addresses are read only where command, family and transport all say
// that there are some; every other block is of unknown shape and counts for its length alone.
#include "proxyproto/v2_codec.hpp"

#include "proxyproto/crc32c.hpp"
#include "proxyproto/tlv.hpp"

namespace smartvpn::proxyproto {
namespace {

Family wire_family(uint8_t byte) noexcept { return static_cast<Family>(byte >> 4); }
Transport wire_transport(uint8_t byte) noexcept { return static_cast<Transport>(byte & 0x0f); }

bool has_addresses(ByteView fixed) noexcept {
  return (fixed[12] & 0x0f) == 1 && fixed[13] >> 4 != 0 && (fixed[13] & 0x0f) != 0;
}

enum class Crc { absent, right, wrong };

// The checksum covers the whole header with its own four bytes taken as zero.
Crc check_crc(ByteView whole, size_t tlv_offset, const std::vector<Tlv>& tlvs) noexcept {
  size_t at = tlv_offset;
  for (const Tlv& tlv : tlvs) {
    if (tlv.type != kTlvCrc32c) {
      at += 3 + tlv.value.size();
      continue;
    }
    constexpr std::array<uint8_t, 4> zeros{};
    uint32_t crc = crc32c(whole.first(at + 3));
    crc = crc32c(whole.subspan(at + 7), crc32c(zeros, crc));
    return crc == load_be32(tlv.value.data()) ? Crc::right : Crc::wrong;
  }
  return Crc::absent;
}

// TLVs of a block that may hold anything: LOCAL and UNSPEC. They follow the addresses, if those were
// written at all (AWS health checks announce IPv4 and write none), so every place they can begin at
// is tried. A checksum that is right settles it; one that is wrong says that bytes changed on the
// way, perhaps the very ones that made a relayed connection look like this.
const char* decode_opaque(ByteView whole, size_t announced, Header& header) {
  bool wrong = false;
  for (size_t offset :
       {size_t{0}, address_size(Family::inet4), address_size(Family::inet6), address_size(Family::unix_socket)}) {
    std::vector<Tlv> tlvs;
    if (kV2FixedSize + offset > whole.size() || !split_tlvs(whole.subspan(kV2FixedSize + offset), tlvs) ||
        check_tlvs(tlvs))
      continue;
    Crc crc = check_crc(whole, kV2FixedSize + offset, tlvs);
    wrong = wrong || crc == Crc::wrong;
    header.crc32c_verified = crc == Crc::right;
    if (crc == Crc::right || (crc == Crc::absent && offset == announced)) header.tlvs = std::move(tlvs);
    if (crc == Crc::right) return nullptr;
  }
  return wrong ? "v2: CRC32C mismatch" : nullptr;
}

const char* decode_tlvs(ByteView whole, size_t offset, Header& header) {
  if (!split_tlvs(whole.subspan(offset), header.tlvs)) return "v2: TLV runs past the header";
  if (const char* error = check_tlvs(header.tlvs)) return error;
  Crc crc = check_crc(whole, offset, header.tlvs);
  header.crc32c_verified = crc == Crc::right;
  return crc == Crc::wrong ? "v2: CRC32C mismatch" : nullptr;
}

inet::IpAddress read_address(ByteReader& in, Family family) noexcept {
  if (family == Family::inet4) return inet::IpAddress::v4(in.be32());
  return inet::IpAddress::v6(in.take(16).first<16>());
}

// A path ends at its first NUL, an abstract name (which begins with one) at its last other byte.
std::string read_path(ByteReader& in) {
  std::string_view path = as_text(in.take(kUnixPath));
  size_t end = path[0] == '\0' ? path.find_last_not_of('\0') + 1 : path.find('\0');
  return std::string(path.substr(0, end));
}

void decode_addresses(ByteView block, Header& header) {
  ByteReader in(block);
  if (header.family == Family::unix_socket) {
    header.unix_source = read_path(in);
    header.unix_destination = read_path(in);
    return;
  }
  auto source = read_address(in, header.family);
  auto destination = read_address(in, header.family);
  uint16_t source_port = in.be16(), destination_port = in.be16();
  header.source = inet::Endpoint{source, source_port};
  header.destination = inet::Endpoint{destination, destination_port};
}

}  // namespace

size_t address_size(Family family) noexcept {
  switch (family) {
    case Family::inet4:
      return 2 * 4 + 2 * 2;
    case Family::inet6:
      return 2 * 16 + 2 * 2;
    case Family::unix_socket:
      return 2 * kUnixPath;
    default:
      return 0;
  }
}

const char* check_v2_byte(ByteView fixed, size_t index) noexcept {
  if (index < kV2Signature.size()) return fixed[index] == kV2Signature[index] ? nullptr : "v2: bad signature";
  if (index == 12) {
    if (fixed[12] >> 4 != 2) return "v2: bad version";
    return (fixed[12] & 0x0f) <= 1 ? nullptr : "v2: unknown command";
  }
  // LOCAL: the family is to be ignored, so it may be anything.
  if (index == 13 && (fixed[12] & 0x0f) == 1) {
    if (fixed[13] >> 4 > 3) return "v2: unknown address family";
    if ((fixed[13] & 0x0f) > 2) return "v2: unknown transport";
  }
  return nullptr;
}

const char* check_v2_length(ByteView fixed) noexcept {
  if (!has_addresses(fixed) || load_be16(&fixed[14]) >= address_size(wire_family(fixed[13]))) return nullptr;
  return "v2: block too short for its addresses";
}

const char* decode_v2(ByteView whole, Header& header) {
  header.version = Version::v2;
  header.command = static_cast<Command>(whole[12] & 0x0f);
  if (!has_addresses(whole)) return decode_opaque(whole, address_size(wire_family(whole[13])), header);
  header.family = wire_family(whole[13]);
  header.transport = wire_transport(whole[13]);
  decode_addresses(whole.subspan(kV2FixedSize), header);
  return decode_tlvs(whole, kV2FixedSize + address_size(header.family), header);
}

}  // namespace smartvpn::proxyproto
