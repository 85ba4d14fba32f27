// TLVs as events show them: a name and one line of printable ASCII each, whatever the proxy sent.
#include "proxyproto/tlv.hpp"

namespace smartvpn::proxyproto {
namespace {

constexpr size_t kShown = 256;  // bytes of a value

std::string show(ByteView value) {
  ByteView shown = value.first(std::min(value.size(), kShown));
  bool printable = std::all_of(shown.begin(), shown.end(), [](uint8_t c) { return c >= 0x20 && c < 0x7f; });
  std::string out = printable ? std::string(as_text(shown)) : "0x" + to_hex(shown);
  if (shown.size() < value.size()) out += "...";
  return out;
}

void describe_ssl(const SslView& ssl, std::vector<TlvText>& out) {
  std::string flags = ssl.tls() ? "tls" : "plain";
  if (ssl.cert_on_connection())
    flags += " cert-now";
  else if (ssl.cert_in_session())
    flags += " cert-earlier";
  if (ssl.verified())
    flags += " verified";
  else if (ssl.verify != 0)
    flags += " verify=" + std::to_string(ssl.verify);
  out.push_back({"ssl", flags});
  auto add = [&](const char* name, std::optional<std::string_view> part) {
    if (part) out.push_back({name, show(as_bytes(*part))});
  };
  add("ssl.version", ssl.version);
  add("ssl.cn", ssl.cn);
  add("ssl.cipher", ssl.cipher);
  add("ssl.sig_alg", ssl.sig_alg);
  add("ssl.key_alg", ssl.key_alg);
  add("ssl.group", ssl.group);
  add("ssl.sig_scheme", ssl.sig_scheme);
  if (ssl.client_cert) out.push_back({"ssl.client_cert", show(*ssl.client_cert)});
}

// The clouds' TLVs in the form their owners document; in any other they stay raw.
std::optional<TlvText> describe_cloud(const Tlv& tlv) {
  Header one;
  one.tlvs.push_back(tlv);
  if (auto id = aws_vpc_endpoint(one)) return TlvText{"aws_vpce_id", show(as_bytes(*id))};
  if (auto id = azure_link_id(one)) return TlvText{"azure_link_id", std::to_string(*id)};
  if (auto id = gcp_psc_connection(one)) return TlvText{"gcp_psc_id", std::to_string(*id)};
  return std::nullopt;
}

std::string plain_name(uint8_t type) {
  switch (type) {
    case kTlvAlpn:
      return "alpn";
    case kTlvAuthority:
      return "authority";
    case kTlvUniqueId:
      return "unique_id";
    case kTlvNetns:
      return "netns";
    default:
      break;
  }
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'0', 'x', kDigits[type >> 4], kDigits[type & 0x0f]};
}

}  // namespace

std::vector<TlvText> describe(const std::vector<Tlv>& tlvs) {
  std::vector<TlvText> out;
  for (const Tlv& tlv : tlvs) {
    if (tlv.type == kTlvNoop || tlv.type == kTlvCrc32c) continue;
    auto ssl = tlv.type == kTlvSsl ? parse_ssl(tlv.value) : std::nullopt;
    if (ssl) {
      describe_ssl(*ssl, out);
    } else if (auto cloud = describe_cloud(tlv)) {
      out.push_back(std::move(*cloud));
    } else {
      out.push_back({plain_name(tlv.type), show(tlv.value)});
    }
  }
  return out;
}

}  // namespace smartvpn::proxyproto
