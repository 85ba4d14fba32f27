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
      return true;
    default:
      return false;
  }
}

class TlvList {
 public:
  explicit TlvList(const ProxyOutInput& in) : in_(in) {}

  std::vector<Tlv> make() {
    if (in_.send_alpn) pass_on(proxyproto::kTlvAlpn);
    if (in_.send_authority && !in_.authority.empty())
      out_.push_back({proxyproto::kTlvAuthority, Bytes(in_.authority.begin(), in_.authority.end())});
    else if (in_.send_authority)
      pass_on(proxyproto::kTlvAuthority);
    if (in_.send_unique_id && !in_.unique_id.empty())
      out_.push_back({proxyproto::kTlvUniqueId, Bytes(in_.unique_id.begin(), in_.unique_id.end())});
    if (in_.send_ssl) pass_on(proxyproto::kTlvSsl);
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
