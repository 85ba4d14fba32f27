// Puts records together into one data message, with as few copies as can be: a packet that travels
// alone is sealed in its own block, small ones are copied side by side into one. No headers, no keys.
#pragma once

#include "session/control_queue.hpp"
#include "session/message_codec.hpp"
#include "session/send_queue.hpp"

namespace smartvpn::session {

// The carrier's own header goes in front of the message (WebSocket: at most 14 bytes).
constexpr size_t kCarrierHeadroom = 14;

struct WriterLimits {
  size_t batch = kBatchBytes;            // plaintext to collect
  size_t max_plaintext = kMaxPlaintext;  // what the peer reads
};

class MessageWriter {
 public:
  explicit MessageWriter(PacketPool& pool) noexcept : pool_(pool) {}

  // The next message from what waits, or an empty packet. Its bytes are kHeaderSize to fill, the
  // records, and kTagSize to fill, with kCarrierHeadroom or more in front. `*control` says whether
  // control records are in it, `*dropped` grows by segments given up.
  Packet next(SendQueue& queue, ControlQueue& control, Keepalive& keepalive, const WriterLimits& limits, Time now,
              bool* has_control, uint64_t* dropped) noexcept;
  // A packet was taken from the queue and did not fit the last message.
  bool has_staged() const noexcept { return static_cast<bool>(staged_); }
  // Forgets the staged packet; gives its segments.
  uint64_t clear() noexcept;
  // Forgets it if `keep` says no.
  void sift(const SendQueue::Keep& keep) noexcept;

 private:
  Packet take(SendQueue& queue, Time now, uint64_t* dropped) noexcept;
  Packet wrap_in_place(Packet&& packet) noexcept;
  Packet wrap_copy(Packet&& packet) noexcept;

  PacketPool& pool_;
  Packet staged_;
};

}  // namespace smartvpn::session
