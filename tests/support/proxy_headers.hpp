// PROXY headers for tests: built by hand, byte for byte, so that no test leans on the writer.
#pragma once

#include <string>

#include "proxyproto/parser.hpp"
#include "proxyproto/v2_codec.hpp"

namespace smartvpn::proxyproto::testing {

struct Parsed {
  ParseResult result = ParseResult::need_more;
  Header header;
  size_t consumed = 0;
  std::string error;
};

// Feeds `bytes` in pieces that end at `cuts`, the way a stream would bring them.
inline Parsed parse(ByteView bytes, Mode mode = Mode::any, std::vector<size_t> cuts = {}, Limits limits = {}) {
  Parser parser(mode, limits);
  Parsed out;
  cuts.push_back(bytes.size());
  size_t from = 0;
  for (size_t cut : cuts) {
    size_t used = 0;
    out.result = parser.feed(bytes.subspan(from, cut - from), used);
    out.consumed += used;
    from = cut;
    if (out.result != ParseResult::need_more) break;
  }
  out.header = parser.header();
  out.error = parser.error();
  return out;
}

inline Parsed parse(std::string_view text, Mode mode = Mode::any) { return parse(as_bytes(text), mode); }

inline Bytes operator+(Bytes left, ByteView right) {
  append(left, right);
  return left;
}

inline Bytes hex(std::string_view text) { return from_hex(text).value(); }

// Signature, version/command byte, family/transport byte, length, block.
inline Bytes v2(uint8_t command, uint8_t family, ByteView block) {
  Bytes out(kV2Signature.begin(), kV2Signature.end());
  out.insert(out.end(), {command, family, static_cast<uint8_t>(block.size() >> 8), static_cast<uint8_t>(block.size())});
  return out + block;
}

inline Bytes tlv(uint8_t type, ByteView value) {
  Bytes out{type, static_cast<uint8_t>(value.size() >> 8), static_cast<uint8_t>(value.size())};
  return out + value;
}
inline Bytes tlv(uint8_t type, std::string_view value) { return tlv(type, as_bytes(value)); }

// 192.0.2.1:1111 -> 198.51.100.2:443
inline Bytes v4_block() { return hex("c0000201c6336402045701bb"); }
// [2001:db8::1]:1111 -> [2001:db8::2]:443
inline Bytes v6_block() { return hex("20010db800000000000000000000000120010db8000000000000000000000002045701bb"); }

// One bit at a time, unlike the code under test.
inline uint32_t slow_crc32c(ByteView bytes) {
  uint32_t crc = 0xffffffff;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = (crc & 1) ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

// A header with a right CRC32C TLV before `more` TLVs.
inline Bytes with_crc(uint8_t command, uint8_t family, Bytes addresses, ByteView more = {}) {
  size_t at = 16 + addresses.size() + 3;
  Bytes out = v2(command, family, addresses + tlv(0x03, hex("00000000")) + more);
  store_be32(&out[at], slow_crc32c(out));
  return out;
}

}  // namespace smartvpn::proxyproto::testing
