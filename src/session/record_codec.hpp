// The list of records that is a data message's plaintext. A message is checked as a whole before any
// record acts. Stateless, no allocation. docs/PROTOCOL.md, "Records".
#pragma once

#include "base/bytes.hpp"

namespace smartvpn::session {

constexpr size_t kRecordHeader = 4;       // kind u8, length u24 little-endian
constexpr size_t kSuperPacketHeader = 2;  // segment size u16 in front of the packet
constexpr size_t kMaxRecords = 256;       // in one message, padding not counted
constexpr size_t kMaxPacket = 65535;

// Unknown values are passed through: receivers count and ignore them.
enum class RecordKind : uint8_t {
  padding = 0,
  packet = 1,
  super_packet = 2,
  ping = 3,
  pong = 4,
  configuration = 5,
  close = 6,
};

struct Record {
  RecordKind kind = RecordKind::padding;
  uint16_t segment_size = 0;  // super-packets only
  ByteView body;              // without the segment size
};

constexpr size_t kPingBody = 8;   // an opaque token, echoed by the pong
constexpr size_t kCloseBody = 6;  // code u16, retry_after u32 (seconds)

// What this end takes. A record it does not take makes the message malformed.
struct RecordPolicy {
  bool super_packets = false;  // we announced the capability
  bool configuration = false;  // we are the client
};

// What one look over the whole message found.
struct RecordSummary {
  size_t records = 0;
  bool has_configuration = false;
  ByteView configuration;  // views into the plaintext
};

// Looks at every record before any padding. False when anything is malformed: a length past the end,
// an empty packet, a body of the wrong size, more than kMaxRecords, a second configuration or close,
// or a kind the policy excludes. Unknown kinds are well formed.
bool check_records(ByteView plaintext, const RecordPolicy& policy, RecordSummary& out) noexcept;

// Walks over a plaintext that check_records() accepted.
class RecordReader {
 public:
  explicit RecordReader(ByteView plaintext) noexcept : rest_(plaintext) {}
  // False at the end, or where the padding begins.
  bool next(Record& out) noexcept;

 private:
  ByteView rest_;
};

// Writes the 4 bytes of a record header. `length` below 2^24.
void write_record_header(uint8_t* out, RecordKind kind, size_t length) noexcept;

// Bytes in front of a packet's first one: 4, or 6 for a super-packet (segment_size not 0).
constexpr size_t packet_record_overhead(uint16_t segment_size) noexcept {
  return kRecordHeader + (segment_size ? kSuperPacketHeader : 0);
}
// Writes packet_record_overhead() bytes.
void write_packet_record(uint8_t* out, size_t packet_size, uint16_t segment_size) noexcept;

}  // namespace smartvpn::session
