// The message header; see the header file.
#include "session/message_codec.hpp"

namespace smartvpn::session {

std::optional<MessageHeader> read_header(ByteView message) noexcept {
  if (message.size() < kHeaderSize) return std::nullopt;
  const uint8_t* p = message.data();
  if ((p[1] | p[2] | p[3]) != 0) return std::nullopt;
  return MessageHeader{static_cast<MessageType>(p[0]), load_le32(p + 4), load_le64(p + 8)};
}

void write_header(uint8_t* out, const MessageHeader& header) noexcept {
  out[0] = static_cast<uint8_t>(header.type);
  out[1] = out[2] = out[3] = 0;
  store_le32(out + 4, header.receiver);
  store_le64(out + 8, header.counter);
}

}  // namespace smartvpn::session
