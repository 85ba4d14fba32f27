// The four messages of WireGuard as they lie in a datagram (white paper, section 5.4). All numbers are little-endian.
// Stateless; nothing here has authenticated anything.
//
//   initiation 148   type, sender, ephemeral 32, static 48, timestamp 28, mac1 16, mac2 16
//   response    92   type, sender, receiver, ephemeral 32, empty 16, mac1 16, mac2 16
//   cookie      64   type, receiver, nonce 24, cookie 32
//   data      >=32   type, receiver, counter 8, encrypted inner packet padded to 16, tag 16
#pragma once

#include "base/bytes.hpp"

namespace smartvpn::wireguard {

enum class MessageType : uint8_t { invalid = 0, initiation = 1, response = 2, cookie_reply = 3, data = 4 };

constexpr size_t kInitiationSize = 148, kResponseSize = 92, kCookieReplySize = 64;
constexpr size_t kDataHeader = 16, kTag = 16, kMinData = kDataHeader + kTag;
constexpr size_t kMacs = 32;     // mac1 and mac2, at the end of both handshake messages
constexpr size_t kPadding = 16;  // inner packets are padded to a multiple of this, never beyond the MTU

// By type, reserved bytes and length: whatever is not exactly a message is `invalid`.
MessageType message_type(ByteView datagram) noexcept;
// Of a response, cookie reply or data message.
uint32_t receiver_index(ByteView message, MessageType type) noexcept;
// Of an initiation or response.
inline uint32_t sender_index(ByteView message) noexcept { return load_le32(message.data() + 4); }
inline uint64_t data_counter(ByteView message) noexcept { return load_le64(message.data() + 8); }
// Writes the 16 bytes in front of a data message's ciphertext.
inline void write_data_header(uint8_t* out, uint32_t receiver, uint64_t counter) noexcept {
  store_le32(out, static_cast<uint32_t>(MessageType::data));
  store_le32(out + 4, receiver);
  store_le64(out + 8, counter);
}
// Bytes of an inner packet with its padding: up to the next multiple of 16, but not past `mtu` (a packet that is
// larger than the MTU is not padded).
inline size_t padded_size(size_t size, size_t mtu) noexcept {
  const size_t up = (size + kPadding - 1) & ~(kPadding - 1);
  return up <= mtu ? up : size > mtu ? size : mtu;
}
// Bytes of the inner packet in a decrypted payload, by its own length field: 0 for anything that is neither IPv4 nor
// IPv6, or longer than the payload.
size_t inner_size(ByteView payload) noexcept;

}  // namespace smartvpn::wireguard
