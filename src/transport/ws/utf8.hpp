// Incremental UTF-8 check (RFC 3629, Unicode table 3-7) for text messages and close reasons. Says no
// at the first byte that cannot belong to valid text, however the text is cut (RFC 6455 section 8.1).
#pragma once

#include "base/bytes.hpp"

namespace smartvpn::ws {

class Utf8Validator {
 public:
  // Checks the next piece. False for ever after the first impossible byte, until reset().
  [[nodiscard]] bool feed(ByteView piece) noexcept;
  // True when no character is half read (and nothing was wrong).
  bool complete() const noexcept { return need_ == 0; }
  void reset() noexcept { *this = Utf8Validator(); }

 private:
  bool step(uint8_t byte) noexcept;
  uint8_t need_ = 0;                  // continuation bytes still to come; kBroken after an error
  uint8_t low_ = 0x80, high_ = 0xbf;  // range of the next continuation byte
};

[[nodiscard]] bool is_utf8(ByteView text) noexcept;

// The longest prefix of `text` of at most `limit` bytes that does not end inside a character.
size_t utf8_prefix(ByteView text, size_t limit) noexcept;

}  // namespace smartvpn::ws
