#include "transport/ws/frame_codec.hpp"

#include <gtest/gtest.h>

namespace smartvpn::ws {
namespace {

HeaderStatus decode(std::string_view hex, bool masked, FrameHeader* out = nullptr) {
  FrameHeader header;
  const HeaderStatus status = decode_frame_header(*from_hex(hex), masked, header);
  if (out) *out = header;
  return status;
}

TEST(FrameCodec, ReadsTheExamplesOfRfc6455Section57) {
  FrameHeader h;
  ASSERT_EQ(decode("810548656c6c6f", false, &h), HeaderStatus::done);
  EXPECT_TRUE(h.fin);
  EXPECT_EQ(h.opcode, Opcode::text);
  EXPECT_EQ(h.payload_size, 5u);
  EXPECT_EQ(h.size, 2u);

  ASSERT_EQ(decode("818537fa213d7f9f4d5158", true, &h), HeaderStatus::done);
  EXPECT_EQ(h.size, 6u);
  EXPECT_EQ(h.mask, (MaskKey{0x37, 0xfa, 0x21, 0x3d}));
  Bytes payload = *from_hex("7f9f4d5158");
  apply_mask(payload, h.mask);
  EXPECT_EQ(as_text(payload), "Hello");

  ASSERT_EQ(decode("010348656c", false, &h), HeaderStatus::done);
  EXPECT_FALSE(h.fin);
  ASSERT_EQ(decode("827e0100", false, &h), HeaderStatus::done);
  EXPECT_EQ(h.payload_size, 256u);
  ASSERT_EQ(decode("827f0000000000010000", false, &h), HeaderStatus::done);
  EXPECT_EQ(h.payload_size, 65536u);
  EXPECT_EQ(h.size, 10u);
}

TEST(FrameCodec, RefusesReservedBitsAndOpcodesAtTheFirstByte) {
  for (const char* first : {"c1", "a1", "91", "f1", "83", "84", "85", "86", "87", "8b", "8c", "8d", "8e", "8f"})
    EXPECT_EQ(decode(first, false), HeaderStatus::malformed) << first;
}

TEST(FrameCodec, RefusesFragmentedAndLongControlFrames) {
  for (const char* hex : {"08", "09", "0a", "887e", "897f", "8a7e007e"})
    EXPECT_EQ(decode(hex, false), HeaderStatus::malformed) << hex;
  EXPECT_EQ(decode("897d", false), HeaderStatus::done);
}

TEST(FrameCodec, RefusesTheWrongMaskBit) {
  EXPECT_EQ(decode("8100", true), HeaderStatus::malformed);
  EXPECT_EQ(decode("8180", false), HeaderStatus::malformed);
}

TEST(FrameCodec, RefusesLengthsThatAreNotShortest) {
  EXPECT_EQ(decode("827e007d", false), HeaderStatus::malformed);
  EXPECT_EQ(decode("827e007e", false), HeaderStatus::done);
  EXPECT_EQ(decode("827f000000000000ffff", false), HeaderStatus::malformed);
  EXPECT_EQ(decode("827f0000000000000000", false), HeaderStatus::malformed);
}

TEST(FrameCodec, RefusesA64BitLengthWithTheTopBitAtOnce) {
  EXPECT_EQ(decode("827f80", false), HeaderStatus::malformed);
  FrameHeader h;
  ASSERT_EQ(decode("827f7fffffffffffffff", false, &h), HeaderStatus::done);
  EXPECT_EQ(h.payload_size, uint64_t{INT64_MAX});
}

TEST(FrameCodec, WritesWhatItReadsAtEverySizeBorder) {
  const MaskKey mask = {1, 2, 3, 4};
  for (size_t size : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u, 70000u}) {
    for (const MaskKey* key : {static_cast<const MaskKey*>(nullptr), &mask}) {
      Bytes payload(size, 'x'), frame;
      append_frame(frame, Opcode::binary, true, payload, key);
      FrameHeader h;
      for (size_t cut = 0; cut < frame_header_size(size, key != nullptr); ++cut)
        EXPECT_EQ(decode_frame_header(ByteView(frame).first(cut), key != nullptr, h), HeaderStatus::need_more);
      ASSERT_EQ(decode_frame_header(frame, key != nullptr, h), HeaderStatus::done);
      EXPECT_EQ(h.payload_size, size);
      ASSERT_EQ(h.size + size, frame.size());
      apply_mask(ByteSpan(frame).subspan(h.size), h.mask);
      EXPECT_TRUE(std::equal(payload.begin(), payload.end(), frame.begin() + static_cast<ptrdiff_t>(h.size)));
    }
  }
}

TEST(ApplyMask, EqualsTheByteLoopAtEveryAlignmentSizeAndPhase) {
  const MaskKey key = {0xde, 0xad, 0xbe, 0xef};
  Bytes original(400);
  for (size_t i = 0; i < original.size(); ++i) original[i] = static_cast<uint8_t>(i * 7);
  for (size_t start = 0; start < 17; ++start) {
    for (size_t size = 0; size < 200; ++size) {
      for (size_t phase = 0; phase < 4; ++phase) {
        Bytes got = original, want = original;
        apply_mask(ByteSpan(got).subspan(start, size), key, phase);
        for (size_t i = 0; i < size; ++i) want[start + i] ^= key[(phase + i) % 4];
        ASSERT_EQ(got, want) << start << " " << size << " " << phase;
      }
    }
  }
}

}  // namespace
}  // namespace smartvpn::ws
