// Random number generators that repeat themselves.
#pragma once

#include <deque>

#include "base/rng.hpp"

namespace smartvpn::testing {

// A stream that depends on the seed only (SplitMix64).
class SeededRng final : public Rng {
 public:
  explicit SeededRng(uint64_t seed) : state_(seed) {}
  void fill(ByteSpan out) noexcept override {
    for (size_t i = 0; i < out.size(); i += 8) {
      uint8_t word[8];
      store_le64(word, next());
      std::copy(word, word + std::min<size_t>(8, out.size() - i), out.begin() + static_cast<ptrdiff_t>(i));
    }
  }

 private:
  uint64_t next() noexcept {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

// Gives the listed answers, one a call; a call for which none of that size is next gets zeros and is
// remembered as a mistake.
class ScriptedRng final : public Rng {
 public:
  void expect(ByteView answer) { answers_.emplace_back(answer.begin(), answer.end()); }
  void fill(ByteSpan out) noexcept override {
    if (answers_.empty() || answers_.front().size() != out.size()) {
      std::fill(out.begin(), out.end(), uint8_t{0});
      wrong_ = true;
      return;
    }
    std::copy(answers_.front().begin(), answers_.front().end(), out.begin());
    answers_.pop_front();
  }
  bool satisfied() const { return !wrong_ && answers_.empty(); }

 private:
  std::deque<Bytes> answers_;
  bool wrong_ = false;
};

}  // namespace smartvpn::testing
