// Which counters were seen already, for carriers that reorder: a sliding window of 8192 bits, of which
// 8128 are usable, as in WireGuard (RFC 6479 shape). Asked only after a message authenticated.
#pragma once

#include <array>
#include <cstdint>

namespace smartvpn::session {

// No key is used for more messages than this, in either direction.
constexpr uint64_t kRejectAfterMessages = UINT64_MAX - (uint64_t{1} << 13);

class ReplayWindow {
 public:
  static constexpr uint64_t kBits = 8192;
  static constexpr uint64_t kUsable = kBits - 64;

  // True once for each counter that is below kRejectAfterMessages and not more than kUsable behind
  // the highest one accepted.
  bool accept(uint64_t counter) noexcept;
  uint64_t highest() const noexcept { return highest_; }

 private:
  std::array<uint64_t, kBits / 64> words_{};
  uint64_t highest_ = 0;
};

}  // namespace smartvpn::session
