// Headers that are cut, flipped, that lie about their lengths or carry a checksum somewhere odd. Every
// table here goes over all places of all vectors, the recorded ones of other programs included.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "proxyproto/tlv.hpp"
#include "support/proxy_headers.hpp"

namespace smartvpn::proxyproto {
namespace {

using namespace testing;

constexpr size_t kLengthAt = 14;

Bytes text(std::string_view line) { return Bytes(line.begin(), line.end()); }

// As HAProxy sends it with `send-proxy-v2-ssl-cn`: five fixed bytes, then parts.
Bytes ssl_tlv() {
  return tlv(kTlvSsl, hex("0700000000") + tlv(kTlvSslVersion, "TLSv1.3") + tlv(kTlvSslCn, "client") +
                          tlv(kTlvSslCipher, "TLS_AES_128_GCM_SHA256"));
}
Bytes many_tlvs() {
  return tlv(kTlvAlpn, "h2") + tlv(kTlvAuthority, "vpn.example") + ssl_tlv() + tlv(kTlvNoop, "...") +
         tlv(kTlvUniqueId, "id-1");
}

std::vector<Bytes> vectors() {
  std::vector<Bytes> out = {text("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
                            text("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 0 65535\r\n"),
                            text("PROXY UNKNOWN\r\n"),
                            text("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n"),
                            v2(0x21, 0x11, v4_block()),
                            v2(0x21, 0x21, v6_block() + many_tlvs()),
                            v2(0x21, 0x31, Bytes(216, 's') + many_tlvs()),
                            v2(0x20, 0x00, {}),
                            v2(0x20, 0x11, tlv(kTlvNoop, std::string(81, '\0'))),
                            v2(0x21, 0x00, many_tlvs()),
                            with_crc(0x21, 0x11, v4_block(), many_tlvs()),
                            with_crc(0x20, 0x00, {}, many_tlvs())};
  std::ifstream file(std::string(SMARTVPN_VECTORS_DIR) + "/proxy_protocol_headers.json");
  const nlohmann::json recorded = nlohmann::json::parse(file);
  for (const auto& one : recorded.at("headers")) {
    Bytes stream = hex(one.at("hex").get<std::string>());
    stream.resize(stream.size() - one.at("payload_bytes").get<size_t>());
    out.push_back(std::move(stream));
  }
  return out;
}

std::vector<size_t> every_byte(size_t size) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

// `more` with the checksum of the whole header put in before TLV number `place`.
Bytes with_crc_at(size_t place, uint8_t command, uint8_t family, const Bytes& addresses,
                  const std::vector<Bytes>& more) {
  Bytes block = addresses;
  size_t at = 0;
  for (size_t i = 0; i <= more.size(); ++i) {
    if (i == place) {
      at = kV2FixedSize + block.size() + 3;
      append(block, tlv(kTlvCrc32c, Bytes(4)));
    }
    if (i < more.size()) append(block, more[i]);
  }
  Bytes out = v2(command, family, block);
  store_be32(&out[at], slow_crc32c(out));
  return out;
}

TEST(DamagedHeader, EveryCutOfEveryVectorGivesTheSameHeaderAndLeavesWhatFollows) {
  for (const Bytes& header : vectors()) {
    const Bytes stream = header + as_bytes("\r\nPROXY GET");
    const Parsed whole = parse(stream);
    ASSERT_EQ(whole.result, ParseResult::done) << to_hex(header) << " " << whole.error;
    ASSERT_EQ(whole.consumed, header.size());
    std::vector<std::vector<size_t>> ways = {every_byte(stream.size())};
    for (size_t cut = 0; cut <= stream.size(); ++cut) ways.push_back({cut});
    for (const auto& cuts : ways) {
      const Parsed got = parse(stream, Mode::any, cuts);
      ASSERT_EQ(got.result, ParseResult::done) << cuts[0];
      ASSERT_EQ(got.header, whole.header) << cuts[0];
      ASSERT_EQ(got.consumed, header.size()) << cuts[0];
    }
    for (size_t size = 0; size < header.size(); ++size) {
      const Parsed part = parse(ByteView(header).first(size));
      ASSERT_EQ(part.result, ParseResult::need_more) << size;
      ASSERT_EQ(part.header.source, std::nullopt) << "no address before the whole block is there";
    }
  }
}

TEST(DamagedHeader, EveryFlipEndsTheSameWayHoweverItIsCut) {
  for (const Bytes& header : vectors())
    for (size_t i = 0; i < header.size(); ++i)
      for (uint8_t flip : {0x01, 0x10, 0x20, 0x80, 0xff}) {
        Bytes bad = header;
        bad[i] ^= flip;
        const Parsed whole = parse(bad);
        const Parsed pieces = parse(bad, Mode::any, {i, i + 1});
        ASSERT_EQ(whole.result, pieces.result) << to_hex(bad);
        ASSERT_EQ(whole.consumed, pieces.consumed) << to_hex(bad);
        ASSERT_EQ(whole.header, pieces.header) << to_hex(bad);
        if (header[0] == '\r' && i < 13) {
          ASSERT_TRUE(whole.result == ParseResult::malformed || (header[12] ^ bad[12]) == 0x01) << to_hex(bad);
        }
      }
}

TEST(DamagedHeader, UnderAChecksumEveryFlipIsRefusedButThoseThatHideTheChecksum) {
  struct Case {
    uint8_t command, family;
    Bytes addresses;
  };
  for (const auto& [command, family, addresses] :
       {Case{0x21, 0x11, v4_block()}, Case{0x21, 0x22, v6_block()}, Case{0x21, 0x31, Bytes(216, 's')}}) {
    const Bytes good = with_crc(command, family, addresses, many_tlvs());
    const size_t type_at = kV2FixedSize + addresses.size();
    ASSERT_TRUE(parse(good).header.crc32c_verified);
    for (size_t i = 0; i < good.size(); ++i)
      for (int flip = 1; flip < 256; ++flip) {
        Bytes bad = good;
        bad[i] ^= static_cast<uint8_t>(flip);
        const Parsed got = parse(bad);
        if (got.result != ParseResult::done) continue;
        // Its type is another now, or the length ends in front of it: there is no checksum to be wrong.
        const bool hidden = i == type_at || load_be16(&bad[kLengthAt]) == addresses.size();
        ASSERT_TRUE(hidden) << "byte " << i << " flipped by " << flip;
        ASSERT_FALSE(got.header.crc32c_verified);
        ASSERT_EQ(got.header.source, parse(good).header.source);
      }
  }
}

// Under LOCAL a block may hold anything, so damage can hide the checksum; it never makes an address of it.
TEST(DamagedHeader, NoFlipMakesAnAddressOfALocalHeader) {
  for (const Bytes& good : {with_crc(0x20, 0x00, {}, many_tlvs()), with_crc(0x20, 0x11, v4_block(), many_tlvs()),
                            with_crc(0x20, 0x21, v6_block(), many_tlvs())})
    for (size_t i = 0; i < good.size(); ++i)
      for (int flip = 1; flip < 256; ++flip) {
        Bytes bad = good;
        bad[i] ^= static_cast<uint8_t>(flip);
        const Parsed got = parse(bad);
        ASSERT_FALSE(got.result == ParseResult::done && got.header.source) << i << " " << flip;
        ASSERT_FALSE(got.result == ParseResult::done && got.header.crc32c_verified) << i << " " << flip;
      }
}

TEST(DamagedHeader, TheChecksumMayStandAnywhereAndOnlyOnce) {
  const std::vector<Bytes> more = {tlv(kTlvAlpn, "h2"), ssl_tlv(), tlv(kTlvNoop, ""), tlv(0xe5, "custom")};
  for (auto [command, family, addresses] : {std::tuple<uint8_t, uint8_t, Bytes>{0x21, 0x11, v4_block()},
                                            {0x21, 0x21, v6_block()},
                                            {0x20, 0x00, {}},
                                            {0x21, 0x00, {}}})
    for (size_t place = 0; place <= more.size(); ++place) {
      const Bytes good = with_crc_at(place, command, family, addresses, more);
      const Parsed got = parse(good + as_bytes("x"));
      ASSERT_EQ(got.result, ParseResult::done) << place << " " << got.error;
      EXPECT_TRUE(got.header.crc32c_verified) << place;
      EXPECT_EQ(got.header.tlvs.size(), more.size() + 1);
      // A value changed behind the checksum's back, and each byte of the checksum itself.
      Bytes wrong = good;
      wrong.back() ^= 0x20;
      EXPECT_EQ(parse(wrong).error, "v2: CRC32C mismatch") << place;
      const uint32_t right = *crc32c_value(got.header);
      for (uint32_t other : {0u, ~right, right + 1, __builtin_bswap32(right)}) {
        Bytes bad = good;
        size_t at = kV2FixedSize + addresses.size() + 3;
        for (size_t i = 0; i < place; ++i) at += more[i].size();
        store_be32(&bad[at], other);
        EXPECT_EQ(parse(bad).error, "v2: CRC32C mismatch") << place << " " << other;
      }
    }
  // Twice is once too often, wherever the second one stands and whatever it says.
  for (const Bytes& twice : {tlv(kTlvCrc32c, Bytes(4)) + tlv(kTlvCrc32c, Bytes(4)),
                             tlv(kTlvCrc32c, Bytes(4)) + many_tlvs() + tlv(kTlvCrc32c, Bytes(4)),
                             many_tlvs() + tlv(kTlvCrc32c, Bytes(4)) + tlv(kTlvNoop, "x") + tlv(kTlvCrc32c, Bytes(4))})
    EXPECT_EQ(parse(v2(0x21, 0x11, v4_block() + twice)).error, "v2: CRC32C twice");
}

TEST(DamagedHeader, AChecksumInsideAnSslTlvIsNoChecksum) {
  const Bytes nested = tlv(kTlvSsl, hex("0100000000") + tlv(kTlvCrc32c, Bytes(4)));
  const Parsed got = parse(v2(0x21, 0x11, v4_block() + nested));
  ASSERT_EQ(got.result, ParseResult::done) << got.error;
  EXPECT_FALSE(got.header.crc32c_verified);
}

TEST(DamagedHeader, EveryLengthThatLiesIsWaitedForOrRefusedButNeverBelieved) {
  for (auto [family, addresses] :
       {std::pair<uint8_t, Bytes>{0x11, v4_block()}, {0x21, v6_block()}, {0x31, Bytes(216, 's')}}) {
    const Bytes good = v2(0x21, family, addresses + many_tlvs());
    const size_t block = good.size() - kV2FixedSize;
    std::vector<size_t> borders = {addresses.size()};  // where a TLV ends, the chain is whole
    for (const Tlv& one : parse(good).header.tlvs) borders.push_back(borders.back() + 3 + one.value.size());
    for (size_t length = 0; length < block + 40; ++length) {
      Bytes lying = good;
      store_be16(&lying[kLengthAt], static_cast<uint16_t>(length));
      const Parsed got = parse(lying);
      const bool at_border = std::find(borders.begin(), borders.end(), length) != borders.end();
      const ParseResult expected = length > block ? ParseResult::need_more
                                   : at_border    ? ParseResult::done
                                                  : ParseResult::malformed;
      ASSERT_EQ(got.result, expected) << int(family) << " " << length;
      if (expected == ParseResult::done) {
        ASSERT_EQ(got.consumed, kV2FixedSize + length) << "the rest is the application's";
      }
      if (length < addresses.size()) {
        ASSERT_EQ(got.consumed, kV2FixedSize) << "refused before the block is read";
      }
    }
  }
}

TEST(DamagedHeader, EveryTlvLengthThatLiesIsRefused) {
  // One TLV and nothing behind it: any other length than its own is either too long or leaves crumbs.
  for (int type : {int{kTlvAlpn}, int{kTlvAuthority}, int{kTlvUniqueId}, int{kTlvNetns}, 0xe0, 0xff})
    for (size_t claimed = 0; claimed < 300; ++claimed) {
      Bytes lying = tlv(static_cast<uint8_t>(type), std::string(7, 'v'));
      store_be16(&lying[1], static_cast<uint16_t>(claimed));
      const Parsed got = parse(v2(0x21, 0x11, v4_block() + lying));
      ASSERT_EQ(got.result, claimed == 7 ? ParseResult::done : ParseResult::malformed) << claimed;
    }
  Bytes longest = tlv(kTlvAuthority, "a");
  store_be16(&longest[1], 0xffff);
  EXPECT_EQ(parse(v2(0x21, 0x11, v4_block() + longest)).error, "v2: TLV runs past the header");
}

TEST(DamagedHeader, EveryLieInsideAnSslTlvIsRefused) {
  const Bytes parts = tlv(kTlvSslVersion, "TLSv1.3") + tlv(kTlvSslCn, "client") + tlv(kTlvSslCipher, "x");
  const Bytes fixed = hex("0700000000");
  auto result = [](ByteView value) { return parse(v2(0x21, 0x11, v4_block() + tlv(kTlvSsl, value))).result; };
  ASSERT_EQ(result(fixed + parts), ParseResult::done);
  // Cut anywhere but between two parts.
  const std::vector<size_t> borders = {5, 5 + 10, 5 + 10 + 9, 5 + 10 + 9 + 4};
  for (size_t size = 0; size <= fixed.size() + parts.size(); ++size) {
    const bool at_border = std::find(borders.begin(), borders.end(), size) != borders.end();
    EXPECT_EQ(result(ByteView(fixed + parts).first(size)), at_border ? ParseResult::done : ParseResult::malformed)
        << size;
  }
  // The last part's length, and the first part's, which then swallows what follows up to the end.
  for (size_t claimed = 0; claimed < 70; ++claimed) {
    Bytes last = fixed + parts;
    store_be16(&last[last.size() - 3], static_cast<uint16_t>(claimed));
    EXPECT_EQ(result(last), claimed == 1 ? ParseResult::done : ParseResult::malformed) << claimed;
    if (claimed > parts.size() - 3) {
      Bytes first = fixed + parts;
      store_be16(&first[6], static_cast<uint16_t>(claimed));
      EXPECT_EQ(result(first), ParseResult::malformed) << claimed;
    }
  }
  // What lies in its second SSL TLV lies all the same.
  EXPECT_EQ(parse(v2(0x21, 0x11, v4_block() + ssl_tlv() + tlv(kTlvSsl, "\1abc"))).result, ParseResult::malformed);
}

TEST(DamagedHeader, OnlyTheLimitDecidesAboutBlocksUpTo65535Bytes) {
  for (size_t limit : {size_t{12}, size_t{536}, size_t{4096}, size_t{65534}, size_t{65535}, size_t{1} << 20})
    for (size_t length :
         {size_t{12}, size_t{13}, size_t{536}, size_t{537}, size_t{4096}, size_t{4097}, size_t{65534}, size_t{65535}})
      for (uint8_t command : {0x20, 0x21}) {
        Bytes start = v2(command, 0x11, {});
        store_be16(&start[kLengthAt], static_cast<uint16_t>(length));
        const Parsed got = parse(start, Mode::any, {}, {limit});
        EXPECT_EQ(got.result, length > limit ? ParseResult::refused : ParseResult::need_more) << limit << " " << length;
        EXPECT_EQ(got.consumed, kV2FixedSize);
      }
  // The largest of all, of nothing but empty TLVs, in two kinds of pieces.
  Bytes block = v4_block();
  while (block.size() + 3 <= 65535) append(block, tlv(0xe0, ""));
  const Bytes largest = v2(0x21, 0x11, block);
  ASSERT_EQ(largest.size(), size_t{16} + 12 + 65523);
  const Parsed whole = parse(largest + as_bytes("x"), Mode::v2, {}, {65535});
  ASSERT_EQ(whole.result, ParseResult::done) << whole.error;
  EXPECT_EQ(whole.header.tlvs.size(), 65523u / 3);
  EXPECT_EQ(parse(largest, Mode::v2, {1, 15, 16, 17, 30000, 65550}, {65535}).header, whole.header);
  EXPECT_EQ(parse(largest, Mode::v2, {}, {65000}).result, ParseResult::refused);
}

}  // namespace
}  // namespace smartvpn::proxyproto
