// See message_codec.hpp.
#include "transport/wireguard/message_codec.hpp"

namespace smartvpn::wireguard {
namespace {

constexpr size_t kIpv4Header = 20, kIpv6Header = 40;

}  // namespace

MessageType message_type(ByteView datagram) noexcept {
  if (datagram.size() < 4) return MessageType::invalid;
  const size_t size = datagram.size();
  // The three bytes behind the type are reserved and zero.
  switch (load_le32(datagram.data())) {
    case 1:
      return size == kInitiationSize ? MessageType::initiation : MessageType::invalid;
    case 2:
      return size == kResponseSize ? MessageType::response : MessageType::invalid;
    case 3:
      return size == kCookieReplySize ? MessageType::cookie_reply : MessageType::invalid;
    case 4:
      return size >= kMinData ? MessageType::data : MessageType::invalid;
    default:
      return MessageType::invalid;
  }
}

uint32_t receiver_index(ByteView message, MessageType type) noexcept {
  return load_le32(message.data() + (type == MessageType::response ? 8 : 4));
}

size_t inner_size(ByteView payload) noexcept {
  size_t size = 0;
  if (payload.size() >= kIpv4Header && payload[0] >> 4 == 4) {
    size = load_be16(payload.data() + 2);
    if (size < kIpv4Header) return 0;
  } else if (payload.size() >= kIpv6Header && payload[0] >> 4 == 6) {
    size = kIpv6Header + load_be16(payload.data() + 4);
  }
  return size <= payload.size() ? size : 0;
}

}  // namespace smartvpn::wireguard
