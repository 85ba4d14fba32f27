// The record list; see the header file.
#include "session/record_codec.hpp"

#include <utility>

namespace smartvpn::session {
namespace {

// Takes one record off the front. False when it does not fit.
bool split_record(ByteView& rest, Record& out) noexcept {
  if (rest.size() < kRecordHeader) return false;
  const size_t length = load_le32(rest.data()) >> 8;
  if (length > rest.size() - kRecordHeader) return false;
  out = {static_cast<RecordKind>(rest[0]), 0, rest.subspan(kRecordHeader, length)};
  rest = rest.subspan(kRecordHeader + length);
  if (out.kind == RecordKind::super_packet && out.body.size() >= kSuperPacketHeader) {
    out.segment_size = load_le16(out.body.data());
    out.body = out.body.subspan(kSuperPacketHeader);
  }
  return true;
}

bool at_padding(ByteView rest) noexcept { return rest[0] == static_cast<uint8_t>(RecordKind::padding); }

bool is_packet(const Record& record) noexcept { return !record.body.empty() && record.body.size() <= kMaxPacket; }

bool first_time(bool& seen) noexcept { return !std::exchange(seen, true); }

}  // namespace

bool check_records(ByteView plaintext, const RecordPolicy& policy, RecordSummary& out) noexcept {
  out = {};
  bool close_seen = false;
  Record record;
  for (ByteView rest = plaintext; !rest.empty() && !at_padding(rest);) {
    if (!split_record(rest, record) || ++out.records > kMaxRecords) return false;
    bool ok = true;  // unknown kinds: counted and ignored by the caller
    switch (record.kind) {
      case RecordKind::padding:
        break;
      case RecordKind::packet:
        ok = is_packet(record);
        break;
      case RecordKind::super_packet:
        ok = policy.super_packets && record.segment_size != 0 && is_packet(record);
        break;
      case RecordKind::ping:
      case RecordKind::pong:
        ok = record.body.size() == kPingBody;
        break;
      case RecordKind::configuration:
        ok = policy.configuration && first_time(out.has_configuration);
        out.configuration = record.body;
        break;
      case RecordKind::close:
        ok = record.body.size() == kCloseBody && first_time(close_seen);
        break;
    }
    if (!ok) return false;
  }
  return true;
}

bool RecordReader::next(Record& out) noexcept {
  return !rest_.empty() && !at_padding(rest_) && split_record(rest_, out);
}

void write_record_header(uint8_t* out, RecordKind kind, size_t length) noexcept {
  store_le32(out, static_cast<uint32_t>(length) << 8 | static_cast<uint8_t>(kind));
}

void write_packet_record(uint8_t* out, size_t packet_size, uint16_t segment_size) noexcept {
  if (segment_size == 0) {
    write_record_header(out, RecordKind::packet, packet_size);
    return;
  }
  write_record_header(out, RecordKind::super_packet, packet_size + kSuperPacketHeader);
  store_le16(out + kRecordHeader, segment_size);
}

}  // namespace smartvpn::session
