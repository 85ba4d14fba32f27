// The record list of an authenticated but hostile peer. First byte: what this end takes.
#include <cstdint>

#include "fuzz/require.hpp"
#include "session/payloads.hpp"
#include "session/record_codec.hpp"

using namespace smartvpn;
using namespace smartvpn::session;

namespace {

using smartvpn::fuzz::require;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const RecordPolicy policy{(data[0] & 1) != 0, (data[0] & 2) != 0};
  const ByteView plaintext(data + 1, size - 1);
  RecordSummary summary;
  if (!check_records(plaintext, policy, summary)) return 0;
  require(summary.records <= kMaxRecords);
  size_t records = 0, bytes = 0, configurations = 0, closes = 0;
  Record record;
  for (RecordReader reader(plaintext); reader.next(record);) {
    ++records;
    bytes += kRecordHeader + record.body.size() + (record.segment_size ? kSuperPacketHeader : 0);
    if (!record.body.empty()) {
      require(record.body.data() >= plaintext.data());
      require(record.body.data() + record.body.size() <= plaintext.data() + plaintext.size());
    }
    switch (record.kind) {
      case RecordKind::padding:
        require(false);
        break;
      case RecordKind::packet:
        require(!record.body.empty() && record.segment_size == 0);
        break;
      case RecordKind::super_packet:
        require(policy.super_packets && !record.body.empty() && record.segment_size != 0);
        break;
      case RecordKind::ping:
      case RecordKind::pong:
        require(record.body.size() == kPingBody);
        break;
      case RecordKind::configuration:
        ++configurations;
        break;
      case RecordKind::close:
        require(record.body.size() == kCloseBody && ++closes == 1);
        break;
    }
  }
  require(records == summary.records && bytes <= plaintext.size());
  require(configurations == (summary.has_configuration ? 1u : 0u));
  require(!summary.has_configuration || policy.configuration);
  if (summary.has_configuration)
    if (auto p = decode_parameters(summary.configuration)) require(p->routes.size() <= kMaxRoutes);
  return 0;
}
