// What llhttp lets pass in the lines of a request's head and the relay does not: two readers of such a head
// could find different hosts in it. Stands in front of llhttp, byte for byte of the same stream.
#pragma once

#include "base/bytes.hpp"

namespace smartvpn::relay {

class HttpLineCheck {
 public:
  enum class Verdict : uint8_t {
    good,
    bad_line,  // a bare CR or LF, a folded line (RFC 9112 sections 2.2 and 5.2), an empty word or a fourth in the first
    not_http,  // the stream begins with an empty line, or its first line does not end in HTTP/1.0 or HTTP/1.1
  };

  // The next bytes. Returns how many of them, from the first, are good: all of them, or those before the one that
  // makes the verdict. What follows the empty line is not judged.
  size_t take(ByteView bytes) noexcept;
  Verdict verdict() const noexcept { return verdict_; }
  bool ended() const noexcept { return ended_; }  // the empty line is complete

 private:
  Verdict judge(uint8_t byte) noexcept;
  Verdict judge_first_line(uint8_t byte) noexcept;

  Verdict verdict_ = Verdict::good;
  bool first_line_ = true;
  bool line_start_ = true;
  bool empty_line_ = false;  // inside it
  bool ended_ = false;
  bool after_cr_ = false;
  uint8_t spaces_ = 0;     // of the first line
  size_t word_size_ = 0;   // bytes behind the last of them
  uint64_t word_end_ = 0;  // the last eight of those
};

}  // namespace smartvpn::relay
