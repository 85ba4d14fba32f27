#include "proxyproto/v2_codec.hpp"

#include <gtest/gtest.h>

#include "proxyproto/tlv.hpp"
#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using namespace testing;

TEST(V2, ReadsBothFamiliesAndTransports) {
  for (uint8_t transport : {1, 2}) {
    auto four = parse(v2(0x21, static_cast<uint8_t>(0x10 | transport), v4_block()));
    ASSERT_EQ(four.result, ParseResult::done) << four.error;
    EXPECT_EQ(four.header.version, Version::v2);
    EXPECT_EQ(four.header.family, Family::inet4);
    EXPECT_EQ(four.header.transport, static_cast<Transport>(transport));
    EXPECT_EQ(four.header.source->text(), "192.0.2.1:1111");
    EXPECT_EQ(four.header.destination->text(), "198.51.100.2:443");
    EXPECT_EQ(four.header.size, 28u);

    auto six = parse(v2(0x21, static_cast<uint8_t>(0x20 | transport), v6_block()));
    ASSERT_EQ(six.result, ParseResult::done) << six.error;
    EXPECT_EQ(six.header.source->text(), "[2001:db8::1]:1111");
    EXPECT_EQ(six.header.destination->text(), "[2001:db8::2]:443");
    EXPECT_EQ(six.header.size, 52u);
  }
}

TEST(V2, MappedAddressIsIpv4) {
  auto got = parse(v2(0x21, 0x21, hex("00000000000000000000ffffc000020100000000000000000000ffffc6336402045701bb")));
  ASSERT_EQ(got.result, ParseResult::done);
  EXPECT_EQ(got.header.family, Family::inet6);
  EXPECT_EQ(got.header.source->text(), "192.0.2.1:1111");
  EXPECT_EQ(got.header.destination->text(), "198.51.100.2:443");
}

TEST(V2, ReadsUnixPaths) {
  Bytes block(216);
  std::copy_n("/run/a.sock", 11, block.begin());
  std::copy_n("\0abstract\0x", 11, block.begin() + 108);
  for (uint8_t family : {0x31, 0x32}) {
    auto got = parse(v2(0x21, family, block));
    ASSERT_EQ(got.result, ParseResult::done) << got.error;
    EXPECT_EQ(got.header.family, Family::unix_socket);
    EXPECT_EQ(got.header.unix_source, "/run/a.sock");
    EXPECT_EQ(got.header.unix_destination, std::string("\0abstract\0x", 11));
    EXPECT_TRUE(got.header.addressless());
  }
  auto full = parse(v2(0x21, 0x31, Bytes(216, 'p')));
  ASSERT_EQ(full.result, ParseResult::done);
  EXPECT_EQ(full.header.unix_source, std::string(108, 'p'));
  auto empty = parse(v2(0x21, 0x31, Bytes(216)));
  ASSERT_EQ(empty.result, ParseResult::done);
  EXPECT_EQ(empty.header.unix_source, "");
}

TEST(V2, BadVersionOrCommandIsMalformedAtThatByte) {
  for (int byte = 0; byte < 256; ++byte) {
    Bytes header = v2(static_cast<uint8_t>(byte), 0x11, v4_block());
    bool valid = byte == 0x20 || byte == 0x21;
    auto got = parse(header);
    EXPECT_EQ(got.result, valid ? ParseResult::done : ParseResult::malformed) << byte;
    EXPECT_EQ(got.consumed, valid ? 28u : 13u) << byte;
    if (!valid) {
      EXPECT_EQ(got.error, byte >> 4 != 2 ? "v2: bad version" : "v2: unknown command");
    }
  }
}

TEST(V2, EveryFamilyByteHasItsVerdict) {
  for (int byte = 0; byte < 256; ++byte) {
    int family = byte >> 4, transport = byte & 15;
    auto got = parse(v2(0x21, static_cast<uint8_t>(byte), Bytes(216)));
    if (family > 3 || transport > 2) {
      EXPECT_EQ(got.result, ParseResult::malformed) << byte;
      EXPECT_EQ(got.consumed, 14u) << byte;
      continue;
    }
    ASSERT_EQ(got.result, ParseResult::done) << byte << got.error;
    EXPECT_EQ(got.consumed, 16u + 216u);
    bool addressed = transport != 0 && (family == 1 || family == 2);
    EXPECT_EQ(got.header.addressless(), !addressed) << byte;
  }
}

TEST(V2, LocalIgnoresFamilyAndBlockButHonoursTheLength) {
  for (int family = 0; family < 256; ++family)
    for (size_t length : {0, 1, 5, 12, 84, 300}) {
      Bytes header = v2(0x20, static_cast<uint8_t>(family), Bytes(length, 0xa5));
      auto got = parse(header + as_bytes("GET /healthz"));
      ASSERT_EQ(got.result, ParseResult::done) << family << " " << length << got.error;
      EXPECT_EQ(got.consumed, 16 + length);
      EXPECT_TRUE(got.header.is_local());
      EXPECT_FALSE(got.header.addressless());
      EXPECT_FALSE(got.header.source || got.header.destination);
      EXPECT_EQ(got.header.family, Family::unspec);
      EXPECT_TRUE(got.header.tlvs.empty());
    }
}

TEST(V2, UnspecAcceptsAnyBlockWithoutAddresses) {
  for (uint8_t family : {0x00, 0x01, 0x02, 0x10, 0x20, 0x30})
    for (size_t length : {0, 1, 2, 12, 40}) {
      auto got = parse(v2(0x21, family, Bytes(length, 0xa5)) + as_bytes("x"));
      ASSERT_EQ(got.result, ParseResult::done) << int(family) << got.error;
      EXPECT_EQ(got.consumed, 16 + length);
      EXPECT_TRUE(got.header.addressless());
    }
}

TEST(V2, UnspecAndLocalMayCarryTlvs) {
  for (uint8_t command : {0x20, 0x21}) {
    auto got = parse(v2(command, 0x00, tlv(kTlvAuthority, "a.example") + tlv(kTlvNoop, "...")));
    ASSERT_EQ(got.result, ParseResult::done);
    ASSERT_EQ(got.header.tlvs.size(), 2u);
    EXPECT_EQ(authority(got.header), "a.example");
  }
}

TEST(V2, BlockShorterThanItsAddressesIsMalformedBeforeItComes) {
  struct {
    uint8_t family;
    size_t size;
  } cases[] = {{0x11, 12}, {0x12, 12}, {0x21, 36}, {0x22, 36}, {0x31, 216}, {0x32, 216}};
  for (auto [family, size] : cases)
    for (size_t length = 0; length <= size; ++length) {
      Bytes header = v2(0x21, family, Bytes(length));
      auto got = parse(ByteView(header).first(16));
      EXPECT_EQ(got.result, length < size ? ParseResult::malformed : ParseResult::need_more)
          << int(family) << " " << length;
    }
}

TEST(V2, BlockAboveTheLimitIsRefusedBeforeItComes) {
  auto start = [](size_t length) {
    Bytes out = v2(0x21, 0x11, {});
    store_be16(&out[14], static_cast<uint16_t>(length));
    return out;
  };
  EXPECT_EQ(parse(start(4096)).result, ParseResult::need_more);
  auto got = parse(start(4097));
  EXPECT_EQ(got.result, ParseResult::refused);
  EXPECT_EQ(got.error, "v2: block above the limit");
  EXPECT_EQ(got.consumed, 16u);
  EXPECT_EQ(parse(start(13), Mode::v2, {}, {12}).result, ParseResult::refused);
  EXPECT_EQ(parse(start(12), Mode::v2, {}, {12}).result, ParseResult::need_more);
  EXPECT_EQ(parse(start(65535), Mode::v2, {}, {1000000}).result, ParseResult::need_more);
  // LOCAL is no way around it.
  Bytes local = start(4097);
  local[12] = 0x20;
  EXPECT_EQ(parse(local).result, ParseResult::refused);
}

TEST(V2, LargestBlockIsRead) {
  Bytes header = v2(0x21, 0x11, v4_block() + tlv(0xe1, Bytes(65535 - 12 - 3, 7)));
  auto got = parse(header + as_bytes("x"), Mode::v2, {}, {65535});
  ASSERT_EQ(got.result, ParseResult::done) << got.error;
  EXPECT_EQ(got.consumed, 16u + 65535u);
  EXPECT_EQ(got.header.tlvs.at(0).value.size(), 65520u);
}

TEST(V2, TlvPastTheHeaderIsMalformed) {
  for (auto rest : {"03", "0300", "050001", "05000261", "04000000040001", "0400ff"})
    EXPECT_EQ(parse(v2(0x21, 0x11, v4_block() + hex(rest))).error, "v2: TLV runs past the header") << rest;
  EXPECT_EQ(parse(v2(0x21, 0x11, v4_block() + hex("040000"))).result, ParseResult::done);
}

TEST(V2, FixedTlvLengthsAreChecked) {
  auto error = [](ByteView tlvs) { return parse(v2(0x21, 0x11, v4_block() + tlvs)).error; };
  EXPECT_EQ(error(tlv(kTlvCrc32c, "abc")), "v2: CRC32C of a wrong length");
  EXPECT_EQ(error(tlv(kTlvCrc32c, "abcde")), "v2: CRC32C of a wrong length");
  EXPECT_EQ(error(tlv(kTlvCrc32c, "")), "v2: CRC32C of a wrong length");
  EXPECT_EQ(error(tlv(kTlvCrc32c, "abcd") + tlv(kTlvCrc32c, "abcd")), "v2: CRC32C twice");
  EXPECT_EQ(error(tlv(kTlvUniqueId, std::string(128, 'u'))), "");
  EXPECT_EQ(error(tlv(kTlvUniqueId, std::string(129, 'u'))), "v2: unique id too long");
  EXPECT_EQ(error(tlv(kTlvSsl, "\1abc")), "v2: broken SSL TLV");
  EXPECT_EQ(error(tlv(kTlvSsl, hex("0100000000") + hex("21000354"))), "v2: broken SSL TLV");
  EXPECT_EQ(error(tlv(kTlvSsl, hex("0100000000"))), "");
  EXPECT_EQ(error(tlv(0xf9, "later") + tlv(0x77, "")), "");
}

TEST(V2, ChecksumIsChecked) {
  for (auto [family, block] :
       {std::pair<uint8_t, Bytes>{0x11, v4_block()}, {0x21, v6_block()}, {0x31, Bytes(216, 'x')}}) {
    Bytes good = with_crc(0x21, family, block, tlv(kTlvAuthority, "vpn.example"));
    auto got = parse(good);
    ASSERT_EQ(got.result, ParseResult::done) << got.error;
    EXPECT_TRUE(got.header.crc32c_verified);
    good[16 + block.size() + 3] ^= 1;
    EXPECT_EQ(parse(good).error, "v2: CRC32C mismatch");
  }
  // Little endian is another number.
  Bytes swapped = with_crc(0x21, 0x11, v4_block());
  std::reverse(swapped.end() - 4, swapped.end());
  EXPECT_EQ(parse(swapped).result, ParseResult::malformed);
  EXPECT_FALSE(parse(v2(0x21, 0x11, v4_block())).header.crc32c_verified);
}

TEST(V2, ChecksumCountsUnderLocalAndUnspecToo) {
  for (uint8_t command : {0x20, 0x21}) {
    Bytes bare = with_crc(command, 0x00, {}, tlv(kTlvNoop, "padding"));
    EXPECT_TRUE(parse(bare).header.crc32c_verified);
    bare.back() ^= 1;
    EXPECT_EQ(parse(bare).error, "v2: CRC32C mismatch");
  }
  // With addresses written, and with addresses announced only.
  EXPECT_TRUE(parse(with_crc(0x20, 0x11, v4_block())).header.crc32c_verified);
  EXPECT_TRUE(parse(with_crc(0x20, 0x11, {}, tlv(kTlvNoop, std::string(74, '\0')))).header.crc32c_verified);
}

// A changed byte must not bring in somebody else's address, nor take the address away.
TEST(V2, NoFlippedByteChangesTheAddressUnderAChecksum) {
  Bytes more = tlv(kTlvAlpn, "http/1.1") + tlv(kTlvAuthority, "vpn.example.org") + tlv(kTlvUniqueId, "id-1") +
               tlv(kTlvNoop, std::string(40, '\0'));
  for (const Bytes& good : {with_crc(0x21, 0x11, v4_block(), more), with_crc(0x21, 0x21, v6_block(), more)}) {
    auto expected = parse(good);
    ASSERT_EQ(expected.result, ParseResult::done);
    int accepted = 0;
    for (size_t i = 0; i < good.size(); ++i)
      for (int flip = 1; flip < 256; ++flip) {
        Bytes bad = good;
        bad[i] ^= static_cast<uint8_t>(flip);
        auto got = parse(bad);
        if (got.result != ParseResult::done) continue;
        ++accepted;
        EXPECT_EQ(got.header.source, expected.header.source) << i << " " << flip;
        EXPECT_EQ(got.header.destination, expected.header.destination) << i << " " << flip;
      }
    // What is left: the checksum's own type byte, changed to another that says nothing.
    EXPECT_LT(accepted, 256);
  }
}

}  // namespace
}  // namespace smartvpn::proxyproto
