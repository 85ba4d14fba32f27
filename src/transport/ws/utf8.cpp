// The incremental UTF-8 check: a state of "how many more bytes, and in which range the next one", so
// overlong forms, surrogates and code points over U+10FFFF fail at their second byte.
#include "transport/ws/utf8.hpp"

namespace smartvpn::ws {
namespace {

constexpr uint8_t kBroken = 0xff;
constexpr uint64_t kHighBits = 0x8080808080808080;

// Bytes of plain ASCII at the front, eight at a time.
size_t ascii_run(ByteView piece) noexcept {
  size_t i = 0;
  while (i + 8 <= piece.size()) {
    uint64_t word;
    std::memcpy(&word, piece.data() + i, 8);
    if (word & kHighBits) break;
    i += 8;
  }
  return i;
}

}  // namespace

bool Utf8Validator::step(uint8_t byte) noexcept {
  if (need_ != 0) {
    if (need_ == kBroken || byte < low_ || byte > high_) return false;
    --need_;
    low_ = 0x80;
    high_ = 0xbf;
    return true;
  }
  if (byte < 0x80) return true;
  if (byte < 0xc2 || byte > 0xf4) return false;
  need_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  if (byte == 0xe0) low_ = 0xa0;   // no overlong three-byte form
  if (byte == 0xed) high_ = 0x9f;  // no surrogate
  if (byte == 0xf0) low_ = 0x90;   // no overlong four-byte form
  if (byte == 0xf4) high_ = 0x8f;  // nothing above U+10FFFF
  return true;
}

bool Utf8Validator::feed(ByteView piece) noexcept {
  if (need_ == kBroken) return false;
  size_t i = 0;
  while (i < piece.size()) {
    if (need_ == 0) i += ascii_run(piece.subspan(i));
    // A run that ended mid-word: byte by byte up to the next character start.
    for (size_t end = std::min(i + 8, piece.size()); i < end; ++i) {
      if (!step(piece[i])) {
        need_ = kBroken;
        return false;
      }
    }
  }
  return true;
}

bool is_utf8(ByteView text) noexcept {
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

size_t utf8_prefix(ByteView text, size_t limit) noexcept {
  size_t n = std::min(text.size(), limit);
  if (n < text.size()) {
    while (n > 0 && (text[n] & 0xc0) == 0x80) --n;
  }
  return n;
}

}  // namespace smartvpn::ws
