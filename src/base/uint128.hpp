// Unsigned integers of 128 bits: the compiler's own where it has them, and two words of 64 where it does not (32-bit
// processors). No branch hangs on a value but in divisions, so both serve for secrets.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>

namespace smartvpn {

// Converts and wraps as unsigned __int128 does, and has those of its operators that we use. Shifts: 0..127 bits.
class TwoWords {
 public:
  constexpr TwoWords() noexcept = default;
  template <std::integral T>
  constexpr TwoWords(T value) noexcept  // NOLINT(google-explicit-constructor): as the compiler's type
      : high_(std::signed_integral<T> ? ~uint64_t{0} * (value < T{0}) : 0), low_(static_cast<uint64_t>(value)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) constexpr explicit operator T() const noexcept { return static_cast<T>(low_); }
  constexpr explicit operator bool() const noexcept { return (high_ | low_) != 0; }

  friend constexpr bool operator==(const TwoWords&, const TwoWords&) noexcept = default;
  friend constexpr std::strong_ordering operator<=>(const TwoWords&, const TwoWords&) noexcept = default;
  friend constexpr TwoWords operator~(TwoWords a) noexcept { return of(~a.high_, ~a.low_); }
  friend constexpr TwoWords operator|(TwoWords a, TwoWords b) noexcept {
    return of(a.high_ | b.high_, a.low_ | b.low_);
  }
  friend constexpr TwoWords operator+(TwoWords a, TwoWords b) noexcept {
    const uint64_t low = a.low_ + b.low_;
    return of(a.high_ + b.high_ + (low < a.low_), low);
  }
  friend constexpr TwoWords operator-(TwoWords a, TwoWords b) noexcept { return a + ~b + TwoWords(1); }
  friend constexpr TwoWords operator*(TwoWords a, TwoWords b) noexcept {
    TwoWords out = product(a.low_, b.low_);
    out.high_ += a.high_ * b.low_ + a.low_ * b.high_;
    return out;
  }
  friend constexpr TwoWords operator<<(TwoWords a, unsigned bits) noexcept {
    if (bits == 0) return a;
    if (bits >= 64) return of(a.low_ << (bits - 64), 0);
    return of(a.high_ << bits | a.low_ >> (64 - bits), a.low_ << bits);
  }
  friend constexpr TwoWords operator>>(TwoWords a, unsigned bits) noexcept {
    if (bits == 0) return a;
    if (bits >= 64) return of(0, a.high_ >> (bits - 64));
    return of(a.high_ >> bits, a.low_ >> bits | a.high_ << (64 - bits));
  }
  // By one that is not 0.
  friend constexpr TwoWords operator/(TwoWords a, TwoWords b) noexcept {
    TwoWords rest;
    return divided(a, b, rest);
  }
  friend constexpr TwoWords operator%(TwoWords a, TwoWords b) noexcept {
    TwoWords rest;
    divided(a, b, rest);
    return rest;
  }
  constexpr TwoWords& operator+=(TwoWords b) noexcept { return *this = *this + b; }

 private:
  static constexpr TwoWords of(uint64_t high, uint64_t low) noexcept {
    TwoWords out;
    out.high_ = high;
    out.low_ = low;
    return out;
  }
  static constexpr TwoWords product(uint64_t a, uint64_t b) noexcept {
    constexpr uint64_t kHalf = 0xffffffff;
    const uint64_t low = (a & kHalf) * (b & kHalf), one = (a >> 32) * (b & kHalf), two = (a & kHalf) * (b >> 32);
    const uint64_t middle = (low >> 32) + (one & kHalf) + (two & kHalf);
    return of((a >> 32) * (b >> 32) + (one >> 32) + (two >> 32) + (middle >> 32), middle << 32 | (low & kHalf));
  }
  static constexpr TwoWords divided(TwoWords a, TwoWords b, TwoWords& rest) noexcept;

  uint64_t high_ = 0, low_ = 0;  // in the order of their weight, which comparisons follow
};

// As on paper, in binary, unless both fit one word, which all but freak values do.
constexpr TwoWords TwoWords::divided(TwoWords a, TwoWords b, TwoWords& rest) noexcept {
  if (a.high_ == 0 && b.high_ == 0) {
    rest = a.low_ % b.low_;
    return a.low_ / b.low_;
  }
  TwoWords quotient;
  rest = 0;
  for (unsigned bit = 128; bit-- > 0;) {
    const bool overflows = rest.high_ >> 63 != 0;
    rest = rest << 1 | TwoWords(static_cast<uint64_t>(a >> bit) & 1);
    quotient = quotient << 1;
    if (!overflows && rest < b) continue;
    rest = rest - b;
    quotient = quotient | TwoWords(1);
  }
  return quotient;
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 Uint128;
#else
using Uint128 = TwoWords;
#endif

}  // namespace smartvpn
