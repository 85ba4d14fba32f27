// Views of bytes, fixed-width loads and stores, and a reader that cannot run past its end.
// Network formats read from here; no other file casts a byte pointer to a wider type.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smartvpn {

using ByteView = std::span<const uint8_t>;  // somebody else's bytes, read only
using ByteSpan = std::span<uint8_t>;        // somebody else's bytes, writable
using Bytes = std::vector<uint8_t>;         // owned; never on the data path

inline uint16_t load_be16(const uint8_t* p) noexcept { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
inline uint32_t load_be32(const uint8_t* p) noexcept {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
}
inline uint64_t load_be64(const uint8_t* p) noexcept { return uint64_t{load_be32(p)} << 32 | load_be32(p + 4); }
inline uint16_t load_le16(const uint8_t* p) noexcept { return static_cast<uint16_t>(p[1] << 8 | p[0]); }
inline uint32_t load_le32(const uint8_t* p) noexcept {
  return uint32_t{p[3]} << 24 | uint32_t{p[2]} << 16 | uint32_t{p[1]} << 8 | p[0];
}
inline uint64_t load_le64(const uint8_t* p) noexcept { return uint64_t{load_le32(p + 4)} << 32 | load_le32(p); }

inline void store_be16(uint8_t* p, uint16_t v) noexcept {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}
inline void store_be32(uint8_t* p, uint32_t v) noexcept {
  store_be16(p, static_cast<uint16_t>(v >> 16));
  store_be16(p + 2, static_cast<uint16_t>(v));
}
inline void store_be64(uint8_t* p, uint64_t v) noexcept {
  store_be32(p, static_cast<uint32_t>(v >> 32));
  store_be32(p + 4, static_cast<uint32_t>(v));
}
inline void store_le16(uint8_t* p, uint16_t v) noexcept {
  p[0] = static_cast<uint8_t>(v);
  p[1] = static_cast<uint8_t>(v >> 8);
}
inline void store_le32(uint8_t* p, uint32_t v) noexcept {
  store_le16(p, static_cast<uint16_t>(v));
  store_le16(p + 2, static_cast<uint16_t>(v >> 16));
}
inline void store_le64(uint8_t* p, uint64_t v) noexcept {
  store_le32(p, static_cast<uint32_t>(v));
  store_le32(p + 4, static_cast<uint32_t>(v >> 32));
}

inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// Reads forward through a view. Every getter checks the length; after one failure `ok()` stays
// false and getters give zero or an empty view, so a parser may check once at its end.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) noexcept : rest_(bytes) {}
  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return rest_.empty(); }
  size_t remaining() const noexcept { return rest_.size(); }
  ByteView rest() const noexcept { return rest_; }

  ByteView take(size_t n) noexcept {
    if (n > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    ByteView out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  uint8_t u8() noexcept {
    auto b = take(1);
    return b.empty() ? uint8_t{0} : b[0];
  }
  uint16_t be16() noexcept { return number<uint16_t, load_be16>(); }
  uint32_t be32() noexcept { return number<uint32_t, load_be32>(); }
  uint64_t be64() noexcept { return number<uint64_t, load_be64>(); }
  uint16_t le16() noexcept { return number<uint16_t, load_le16>(); }
  uint32_t le32() noexcept { return number<uint32_t, load_le32>(); }
  uint64_t le64() noexcept { return number<uint64_t, load_le64>(); }

 private:
  template <class Number, Number (*load)(const uint8_t*)>
  Number number() noexcept {
    auto b = take(sizeof(Number));
    return b.empty() ? Number{0} : load(b.data());
  }

  ByteView rest_;
  bool ok_ = true;
};

// Lower-case hex, two digits a byte.
std::string to_hex(ByteView bytes);
// Either case, even length, nothing else; otherwise nothing.
std::optional<Bytes> from_hex(std::string_view text);

// RFC 4648 section 4, with padding. Not constant-time: keys go through `secret.hpp`.
std::string to_base64(ByteView bytes);
std::optional<Bytes> from_base64(std::string_view text);

}  // namespace smartvpn
