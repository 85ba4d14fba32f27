// See datagram_header.hpp.
#include "relay/datagram_header.hpp"

#include <algorithm>

#include "proxyproto/parser.hpp"
#include "proxyproto/v2_codec.hpp"

namespace smartvpn::relay {
namespace {

constexpr uint8_t kProxyV2 = 0x21, kUdp4 = 0x12, kUdp6 = 0x22;  // bytes 12 and 13
constexpr size_t kFixed = proxyproto::kV2FixedSize;

}  // namespace

bool begins_with_v2(ByteView datagram) noexcept {
  const auto& signature = proxyproto::kV2Signature;
  return datagram.size() >= signature.size() && std::equal(signature.begin(), signature.end(), datagram.begin());
}

std::optional<HeaderGlance> glance_at_header(ByteView datagram) noexcept {
  if (datagram.size() < kFixed || !begins_with_v2(datagram)) return std::nullopt;
  const size_t block = load_be16(&datagram[14]);
  if (datagram.size() - kFixed < block) return std::nullopt;
  HeaderGlance out{kFixed + block, {}};
  if (datagram[12] != kProxyV2) return out;
  const uint8_t* at = datagram.data() + kFixed;
  if (datagram[13] == kUdp4 && block >= 12)
    out.source = {inet::IpAddress::v4(load_be32(at)), load_be16(at + 8)};
  else if (datagram[13] == kUdp6 && block >= 36)
    out.source = {inet::IpAddress::v6(std::span<const uint8_t, 16>(at, 16)), load_be16(at + 32)};
  return out;
}

HeaderVerdict read_datagram_header(ByteView datagram, size_t most, proxyproto::Header& header) {
  size_t size = 0;
  const proxyproto::Limits limits{most - kFixed};
  if (proxyproto::parse_datagram(datagram, header, size, limits) != proxyproto::ParseResult::done)
    return HeaderVerdict::malformed;
  if (header.is_local()) return HeaderVerdict::local;
  if (header.source && header.transport != proxyproto::Transport::dgram) return HeaderVerdict::malformed;
  return HeaderVerdict::sound;
}

}  // namespace smartvpn::relay
