// Randomness a test can predict: first the bytes it was given, then a fixed stream.
#pragma once

#include <random>

#include "base/rng.hpp"

namespace smartvpn::testing {

class ScriptedRng final : public Rng {
 public:
  explicit ScriptedRng(Bytes script = {}, uint32_t seed = 1) : script_(std::move(script)), stream_(seed) {}
  void fill(ByteSpan out) noexcept override {
    for (uint8_t& byte : out) byte = at_ < script_.size() ? script_[at_++] : static_cast<uint8_t>(stream_());
  }

 private:
  Bytes script_;
  size_t at_ = 0;
  std::mt19937 stream_;
};

}  // namespace smartvpn::testing
