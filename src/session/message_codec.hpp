// The 16-byte header in front of every message of the native protocol, and the size limits.
// Stateless. docs/PROTOCOL.md, "Messages".
#pragma once

#include <optional>

#include "base/bytes.hpp"

namespace smartvpn::session {

constexpr size_t kHeaderSize = 16;
constexpr size_t kTagSize = 16;
constexpr size_t kChallengeSize = 32;

constexpr size_t kMaxPlaintext = 66560;      // records of one data message
constexpr size_t kMinPlaintextLimit = 4096;  // nobody may announce less
constexpr size_t kMaxMessage = kHeaderSize + kMaxPlaintext + kTagSize;
constexpr size_t kMaxInitiation = 1024;  // all that a stranger may send at once
constexpr size_t kMaxResponse = 16384;   // all that a client reads before the server is proven
constexpr size_t kBatchBytes = 16384;    // plaintext a sender collects; one super-packet may exceed it
constexpr size_t kLoneBytes = 8192;      // a packet above this travels alone, sealed in its own block

// Unknown values are passed through: receivers count and ignore them.
enum class MessageType : uint8_t { initiation = 1, response = 2, hello = 3, data = 4 };

struct MessageHeader {
  MessageType type = MessageType::data;
  uint32_t receiver = 0;  // type 1: the sender's own index; type 3: zero
  uint64_t counter = 0;   // data: the nonce; type 2: the responder's index; else zero
};

// Nothing when there are fewer than 16 bytes or the reserved ones are not zero.
std::optional<MessageHeader> read_header(ByteView message) noexcept;
// Writes kHeaderSize bytes.
void write_header(uint8_t* out, const MessageHeader& header) noexcept;

}  // namespace smartvpn::session
