// See proxy_out.hpp.
#include "relay/proxy_out.hpp"

#include "proxyproto/writer.hpp"

namespace smartvpn::relay {
namespace {

using proxyproto::Tlv;

bool has_meaning_here(uint8_t type) noexcept {
  switch (type) {
    case proxyproto::kTlvAlpn:
    case proxyproto::kTlvAuthority:
    case proxyproto::kTlvCrc32c:
    case proxyproto::kTlvNoop:
    case proxyproto::kTlvUniqueId:
    case proxyproto::kTlvSsl:
    case proxyproto::kTlvNetns:
    case kTlvIdentity:
      return true;
    default:
      return false;
  }
}

class TlvList {
 public:
  explicit TlvList(const ProxyOutInput& in) : in_(in) {}

  std::vector<Tlv> make() {
    if (in_.send_alpn) own_or_received(proxyproto::kTlvAlpn, in_.alpn);
    if (in_.send_authority) own_or_received(proxyproto::kTlvAuthority, in_.authority);
    if (in_.send_unique_id && !in_.unique_id.empty())
      out_.push_back({proxyproto::kTlvUniqueId, Bytes(in_.unique_id.begin(), in_.unique_id.end())});
    if (in_.send_ssl && in_.tls)
      out_.push_back(own_tls());
    else if (in_.send_ssl)
      pass_on(proxyproto::kTlvSsl);
    if (in_.identity) out_.push_back(make_identity_tlv(*in_.identity));
    if (in_.forward_unknown_tlvs && in_.received)
      for (const Tlv& tlv : in_.received->tlvs)
        if (!has_meaning_here(tlv.type)) out_.push_back(tlv);
    return std::move(out_);
  }

 private:
  void pass_on(uint8_t type) {
    const Tlv* tlv = in_.received ? proxyproto::find_tlv(in_.received->tlvs, type) : nullptr;
    if (tlv) out_.push_back(*tlv);
  }
  void own_or_received(uint8_t type, std::string_view own) {
    if (own.empty()) return pass_on(type);
    out_.push_back({type, Bytes(own.begin(), own.end())});
  }
  // No certificate was asked of the client, so none was verified.
  Tlv own_tls() const {
    proxyproto::SslView ssl;
    ssl.client = proxyproto::SslView::kClientSsl;
    ssl.verify = 1;
    ssl.version = in_.tls->version;
    if (!in_.tls->cipher.empty()) ssl.cipher = in_.tls->cipher;
    return proxyproto::make_ssl_tlv(ssl);
  }
  const ProxyOutInput& in_;
  std::vector<Tlv> out_;
};

}  // namespace

std::optional<Bytes> make_proxy_out(const ProxyOutInput& in) {
  proxyproto::Header header =
      in.local ? proxyproto::local_header() : proxyproto::relayed(in.client, in.destination, in.transport);
  if (in.version == proxyproto::Version::v1) {
    const std::string line = proxyproto::write_v1(header);
    return Bytes(line.begin(), line.end());
  }
  header.tlvs = TlvList(in).make();
  return proxyproto::write_v2(header, in.crc32c);
}

}  // namespace smartvpn::relay
