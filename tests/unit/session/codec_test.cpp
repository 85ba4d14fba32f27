// The header, the record list, the keepalive rules and the tables of endings, each by itself.
#include <gtest/gtest.h>

#include <random>

#include "session/admission.hpp"
#include "session/close_code.hpp"
#include "session/keepalive.hpp"
#include "session/message_codec.hpp"
#include "session/record_codec.hpp"

namespace smartvpn::session {
namespace {

TEST(MessageHeader, RoundTripIsLittleEndian) {
  uint8_t b[16];
  write_header(b, {MessageType::data, 0x11223344, 0x0102030405060708});
  EXPECT_EQ(to_hex(b), "04000000443322110807060504030201");
  auto h = read_header(b);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->type, MessageType::data);
  EXPECT_EQ(h->receiver, 0x11223344u);
  EXPECT_EQ(h->counter, 0x0102030405060708u);
}

TEST(MessageHeader, ShortOrReservedIsRefused) {
  Bytes b(16, 0);
  b[0] = 4;
  EXPECT_TRUE(read_header(b));
  EXPECT_FALSE(read_header(ByteView(b).first(15)));
  for (size_t i : {1u, 2u, 3u}) {
    Bytes c = b;
    c[i] = 1;
    EXPECT_FALSE(read_header(c));
  }
}

TEST(Records, WriterAndReaderAgree) {
  Bytes b(4 + 3 + 6 + 5);
  write_packet_record(b.data(), 3, 0);
  b[4] = 1, b[5] = 2, b[6] = 3;
  write_packet_record(b.data() + 7, 5, 1400);
  EXPECT_EQ(to_hex(ByteView(b).first(13)), "01030000010203020700007805");
  RecordSummary summary;
  ASSERT_TRUE(check_records(b, {true, false}, summary));
  EXPECT_EQ(summary.records, 2u);
  RecordReader reader(b);
  Record r;
  ASSERT_TRUE(reader.next(r));
  EXPECT_EQ(r.kind, RecordKind::packet);
  EXPECT_EQ(r.body.size(), 3u);
  ASSERT_TRUE(reader.next(r));
  EXPECT_EQ(r.kind, RecordKind::super_packet);
  EXPECT_EQ(r.segment_size, 1400);
  EXPECT_EQ(r.body.size(), 5u);
  EXPECT_FALSE(reader.next(r));
  EXPECT_FALSE(check_records(b, {false, false}, summary));
}

TEST(Records, PacketOver65535IsRefused) {
  Bytes b(4 + 65536);
  RecordSummary summary;
  write_packet_record(b.data(), 65536, 0);
  EXPECT_FALSE(check_records(b, {}, summary));
  write_packet_record(b.data(), 65535, 0);
  EXPECT_TRUE(check_records(b, {}, summary));  // the byte left over is padding
}

TEST(Keepalive, AsksAgainBeforeItJudgesAfterASleep) {
  const Time start = Time(seconds(100));
  Keepalive k{Timing{}};
  k.start(start);
  EXPECT_FALSE(k.tick(start + seconds(29)));
  EXPECT_TRUE(k.tick(start + seconds(30)));
  EXPECT_EQ(k.liveness(), Liveness::waiting);
  EXPECT_TRUE(k.tick(start + seconds(500)));  // slept with a ping unanswered
  EXPECT_EQ(k.liveness(), Liveness::waiting);
  EXPECT_TRUE(k.tick(start + seconds(505)));
  EXPECT_TRUE(k.tick(start + seconds(510)));
  EXPECT_FALSE(k.tick(start + seconds(515)));
  EXPECT_EQ(k.liveness(), Liveness::dead);
  EXPECT_EQ(k.next_deadline(), kNever);
  EXPECT_TRUE(k.heard(start + seconds(600)));
  EXPECT_EQ(k.liveness(), Liveness::alive);
  EXPECT_EQ(k.next_deadline(), start + seconds(630));
}

TEST(Keepalive, NobodyCanAskForMoreThanAPingASecond) {
  const Time start = Time(seconds(100));
  Keepalive k{Timing{}};
  k.set_interval(milliseconds(1));
  k.start(start);
  EXPECT_EQ(k.next_deadline(), start + seconds(1));
}

TEST(Keepalive, PongCountsOnceAndOnlyForARecentPing) {
  const Time start = Time(seconds(100));
  Keepalive k{Timing{}};
  k.start(start);
  const uint64_t first = k.ping_sent(start);
  EXPECT_EQ(k.pong_received(first, start + milliseconds(40)), milliseconds(40));
  EXPECT_FALSE(k.pong_received(first, start + milliseconds(50)));
  EXPECT_FALSE(k.pong_received(0, start));
  const uint64_t old = k.ping_sent(start);
  for (int i = 0; i < 4; ++i) k.ping_sent(start);
  EXPECT_FALSE(k.pong_received(old, start));
}

TEST(CloseCodes, TableIsClosedAndConsistent) {
  for (uint16_t i = 0; i < 12; ++i) {
    const CloseCode code = read_close_code(i);
    EXPECT_EQ(static_cast<uint16_t>(code), i);
    EXPECT_STRNE(close_code_name(code), "");
  }
  EXPECT_EQ(read_close_code(12), CloseCode::unspecified);
  EXPECT_EQ(read_close_code(65535), CloseCode::unspecified);
  for (CloseCode code : {CloseCode::replaced, CloseCode::disabled, CloseCode::expired, CloseCode::removed}) {
    EXPECT_EQ(reconnect_after(code), Reconnect::never);
    EXPECT_EQ(close_code_for(reason_for(code)), code);
  }
  EXPECT_EQ(reconnect_after(CloseCode::stopping), Reconnect::backoff);
  EXPECT_EQ(reconnect_after(CloseCode::timeout), Reconnect::at_once);
}

TEST(CloseCodes, OnlySuccessIsOk) {
  for (size_t i = 0; i < kReasonCount; ++i) {
    auto reason = static_cast<Reason>(i);
    EXPECT_EQ(status_for(reason) == HandshakeStatus::ok, reason == Reason::none) << reason_name(reason);
  }
  EXPECT_STREQ(status_name(HandshakeStatus::no_address), "no_address");
}

TEST(Admission, TransportsHaveNames) {
  EXPECT_STREQ(transport_name(Transport::websocket), "websocket");
  EXPECT_STREQ(transport_name(Transport::quic), "quic");
  EXPECT_STREQ(transport_name(Transport::wireguard), "wireguard");
}

}  // namespace
}  // namespace smartvpn::session
