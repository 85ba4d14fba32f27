// libsodium picks its fast implementations in sodium_init(); without it everything works, slower.
#pragma once

#include <sodium.h>

namespace smartvpn::crypto {

// Cheap after the first call. Any thread.
inline void ready_sodium() noexcept {
  static const int ready = sodium_init();
  static_cast<void>(ready);
}

}  // namespace smartvpn::crypto
