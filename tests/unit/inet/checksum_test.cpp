#include "inet/checksum.hpp"

#include <gtest/gtest.h>

#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

// RFC 1071 as one would write it down on paper.
uint16_t slow_sum(ByteView bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 ? uint32_t{bytes[i]} : uint32_t{bytes[i]} << 8;
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return static_cast<uint16_t>(sum);
}

TEST(Checksum, ExampleOfRfc1071) {
  const Bytes bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(sum_bytes(bytes), 0xddf2);
  EXPECT_EQ(checksum_of(bytes), 0x220d);
}

TEST(Checksum, EqualsTheObviousSumForEverySizeAndAlignment) {
  const Bytes bytes = pattern(3000, 0x80);
  for (size_t offset = 0; offset < 9; ++offset) {
    for (size_t size = 0; size < 700; ++size) {
      const ByteView part = ByteView(bytes).subspan(offset, size);
      ASSERT_EQ(sum_bytes(part), slow_sum(part)) << offset << " " << size;
    }
  }
}

TEST(Checksum, CopyingSumsTheSameAndCopiesNoByteMore) {
  Bytes data(3000);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 7 + i / 251);
  for (size_t size = 0; size < 1600; ++size) {
    for (size_t offset : {0, 1, 6}) {
      const ByteView from = ByteView(data).subspan(offset, size);
      Bytes to(size + 64, 0xEE);
      ASSERT_EQ(copy_and_sum(to.data() + offset, from), sum_bytes(from)) << size;
      ASSERT_TRUE(std::equal(from.begin(), from.end(), to.begin() + static_cast<std::ptrdiff_t>(offset))) << size;
      ASSERT_EQ(std::count(to.begin() + static_cast<std::ptrdiff_t>(offset + size), to.end(), 0xEE),
                static_cast<std::ptrdiff_t>(64 - offset));
    }
  }
}

TEST(Checksum, CarriesOutOfLongRunsOfOnes) {
  for (size_t size : {1u, 2u, 31u, 64u, 127u, 128u, 1399u, 1400u, 65535u, 65536u}) {
    const Bytes ones(size, 0xff);
    EXPECT_EQ(sum_bytes(ones), slow_sum(ones)) << size;
  }
}

TEST(Checksum, SumsOfPartsAddUp) {
  const Bytes bytes = pattern(1001);
  for (size_t cut = 0; cut <= bytes.size(); cut += 2) {
    const uint64_t sum = uint64_t{sum_bytes(ByteView(bytes).first(cut))} + sum_bytes(ByteView(bytes).subspan(cut));
    ASSERT_EQ(fold_sum(sum), sum_bytes(bytes));
  }
}

TEST(Checksum, UpdateEqualsComputingAnew) {
  Bytes bytes = pattern(64);
  const uint16_t before = checksum_of(bytes);
  const uint16_t from = load_be16(bytes.data() + 10);
  for (uint32_t to = 0; to < 0x10000; to += 13) {
    store_be16(bytes.data() + 10, static_cast<uint16_t>(to));
    ASSERT_EQ(update_checksum(before, from, static_cast<uint16_t>(to)), checksum_of(bytes));
  }
}

TEST(Checksum, PseudoHeaderFromHeaderAndFromAddressesAgree) {
  for (const Bytes& packet : {udp_packet("10.8.0.2", 1, "192.0.2.1", 2, pattern(9)),
                              udp_packet("fd00::2", 1, "2001:db8::1", 2, pattern(9))}) {
    const bool v6 = packet[0] >> 4 == 6;
    const IpAddress src = v6 ? ip("fd00::2") : ip("10.8.0.2"), dst = v6 ? ip("2001:db8::1") : ip("192.0.2.1");
    EXPECT_EQ(fold_sum(pseudo_header_sum(packet.data(), 17, 70000)), fold_sum(pseudo_header_sum(src, dst, 17, 70000)));
  }
}

}  // namespace
}  // namespace smartvpn::inet
