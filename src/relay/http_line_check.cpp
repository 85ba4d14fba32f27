// Judges one byte after the other by what stood before it, so that it cannot matter how the stream is cut.
#include "relay/http_line_check.hpp"

namespace smartvpn::relay {
namespace {

constexpr uint64_t kHttp10 = 0x485454502f312e30;  // "HTTP/1.0"
constexpr uint64_t kHttp11 = kHttp10 + 1;

}  // namespace

size_t HttpLineCheck::take(ByteView bytes) noexcept {
  size_t good = 0;
  while (good < bytes.size() && !ended_) {
    verdict_ = judge(bytes[good]);
    if (verdict_ != Verdict::good) return good;
    ++good;
  }
  return bytes.size();
}

HttpLineCheck::Verdict HttpLineCheck::judge(uint8_t byte) noexcept {
  if (first_line_) {
    const Verdict verdict = judge_first_line(byte);
    if (verdict != Verdict::good) return verdict;
  }
  if ((byte == '\n') != after_cr_) return Verdict::bad_line;
  ended_ = empty_line_;
  after_cr_ = byte == '\r';
  if (line_start_ && (byte == ' ' || byte == '\t')) return Verdict::bad_line;
  empty_line_ = line_start_ && after_cr_;
  line_start_ = byte == '\n';
  if (line_start_) first_line_ = false;
  return Verdict::good;
}

HttpLineCheck::Verdict HttpLineCheck::judge_first_line(uint8_t byte) noexcept {
  if (line_start_ && (byte == '\r' || byte == '\n')) return Verdict::not_http;
  if (after_cr_) return Verdict::good;
  if (byte == '\r') {
    const bool is_http1 = spaces_ == 2 && word_size_ == 8 && (word_end_ == kHttp10 || word_end_ == kHttp11);
    return is_http1 ? Verdict::good : Verdict::not_http;
  }
  if (byte == ' ') {
    if (word_size_ == 0 || ++spaces_ > 2) return Verdict::bad_line;
    word_size_ = 0;
    return Verdict::good;
  }
  ++word_size_;
  word_end_ = word_end_ << 8 | byte;
  return Verdict::good;
}

}  // namespace smartvpn::relay
