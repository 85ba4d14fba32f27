#include "base/rng.hpp"

#include <sodium.h>

#include <new>

namespace smartvpn {
namespace {

class SystemRng final : public Rng {
 public:
  void fill(ByteSpan out) noexcept override {
    if (!out.empty()) randombytes_buf(out.data(), out.size());  // which takes no null
  }
};

}  // namespace

Rng& system_rng() noexcept {
  // Trivially destructible in effect: no state, so exit() with running shards is harmless.
  static SystemRng* rng = [] {
    [[maybe_unused]] int ready = sodium_init();  // fails only where there is no kernel generator
    alignas(SystemRng) static unsigned char place[sizeof(SystemRng)];
    return new (place) SystemRng;
  }();
  return *rng;
}

}  // namespace smartvpn
