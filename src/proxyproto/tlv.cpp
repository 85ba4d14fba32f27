// TLVs: the chain, the forms the specification and the clouds fix, and single values.
#include "proxyproto/tlv.hpp"

namespace smartvpn::proxyproto {
namespace {

const Bytes* find_value(const Header& header, uint8_t type) noexcept {
  const Tlv* tlv = find_tlv(header.tlvs, type);
  return tlv ? &tlv->value : nullptr;
}

template <class Form>
auto find_form(const Header& header, uint8_t type, Form form) noexcept -> decltype(form(ByteView())) {
  for (const Tlv& tlv : header.tlvs)
    if (tlv.type == type)
      if (auto value = form(tlv.value)) return value;
  return std::nullopt;
}

bool is_vpce_byte(uint8_t c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

void set_ssl_part(SslView& out, uint8_t type, ByteView value) noexcept {
  switch (type) {
    case kTlvSslVersion:
      out.version = as_text(value);
      break;
    case kTlvSslCn:
      out.cn = as_text(value);
      break;
    case kTlvSslCipher:
      out.cipher = as_text(value);
      break;
    case kTlvSslSigAlg:
      out.sig_alg = as_text(value);
      break;
    case kTlvSslKeyAlg:
      out.key_alg = as_text(value);
      break;
    case kTlvSslGroup:
      out.group = as_text(value);
      break;
    case kTlvSslSigScheme:
      out.sig_scheme = as_text(value);
      break;
    case kTlvSslClientCert:
      out.client_cert = value;
      break;
    default:
      break;  // later revisions may add some
  }
}

}  // namespace

bool split_tlvs(ByteView area, std::vector<Tlv>& out) {
  ByteReader in(area);
  out.clear();
  while (!in.at_end()) {
    uint8_t type = in.u8();
    ByteView value = in.take(in.be16());
    if (!in.ok()) return false;
    out.push_back({type, Bytes(value.begin(), value.end())});
  }
  return in.ok();
}

const char* check_tlvs(const std::vector<Tlv>& tlvs) noexcept {
  bool crc = false;
  for (const Tlv& tlv : tlvs) {
    if (tlv.type == kTlvCrc32c) {
      if (tlv.value.size() != 4) return "v2: CRC32C of a wrong length";
      if (crc) return "v2: CRC32C twice";
      crc = true;
    }
    if (tlv.type == kTlvUniqueId && tlv.value.size() > kMaxUniqueId) return "v2: unique id too long";
    if (tlv.type == kTlvSsl && !parse_ssl(tlv.value)) return "v2: broken SSL TLV";
  }
  return nullptr;
}

const Tlv* find_tlv(const std::vector<Tlv>& tlvs, uint8_t type) noexcept {
  for (const Tlv& tlv : tlvs)
    if (tlv.type == type) return &tlv;
  return nullptr;
}

std::optional<SslView> parse_ssl(ByteView value) noexcept {
  ByteReader in(value);
  SslView out;
  out.client = in.u8();
  out.verify = in.be32();
  while (in.ok() && !in.at_end()) {
    uint8_t type = in.u8();
    ByteView part = in.take(in.be16());
    if (in.ok()) set_ssl_part(out, type, part);
  }
  return in.ok() ? std::optional(out) : std::nullopt;
}

std::optional<ByteView> alpn(const Header& header) noexcept {
  const Bytes* value = find_value(header, kTlvAlpn);
  return value ? std::optional<ByteView>(*value) : std::nullopt;
}

std::optional<std::string_view> authority(const Header& header) noexcept {
  const Bytes* value = find_value(header, kTlvAuthority);
  return value ? std::optional(as_text(*value)) : std::nullopt;
}

std::optional<ByteView> unique_id(const Header& header) noexcept {
  const Bytes* value = find_value(header, kTlvUniqueId);
  return value ? std::optional<ByteView>(*value) : std::nullopt;
}

std::optional<std::string_view> netns(const Header& header) noexcept {
  const Bytes* value = find_value(header, kTlvNetns);
  return value ? std::optional(as_text(*value)) : std::nullopt;
}

std::optional<uint32_t> crc32c_value(const Header& header) noexcept {
  return find_form(header, kTlvCrc32c, [](ByteView v) -> std::optional<uint32_t> {
    return v.size() == 4 ? std::optional(load_be32(v.data())) : std::nullopt;
  });
}

std::optional<SslView> ssl(const Header& header) noexcept { return find_form(header, kTlvSsl, parse_ssl); }

std::optional<std::string_view> aws_vpc_endpoint(const Header& header) noexcept {
  return find_form(header, kTlvAws, [](ByteView v) -> std::optional<std::string_view> {
    if (v.size() < 2 || v[0] != 1 || !std::all_of(v.begin() + 1, v.end(), is_vpce_byte)) return std::nullopt;
    return as_text(v.subspan(1));
  });
}

std::optional<uint32_t> azure_link_id(const Header& header) noexcept {
  return find_form(header, kTlvAzure, [](ByteView v) -> std::optional<uint32_t> {
    return v.size() == 5 && v[0] == 1 ? std::optional(load_le32(&v[1])) : std::nullopt;
  });
}

std::optional<uint64_t> gcp_psc_connection(const Header& header) noexcept {
  return find_form(header, kTlvGcp, [](ByteView v) -> std::optional<uint64_t> {
    return v.size() == 8 ? std::optional(load_be64(v.data())) : std::nullopt;
  });
}

}  // namespace smartvpn::proxyproto
