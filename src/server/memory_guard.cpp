// See memory_guard.hpp.
#include "server/memory_guard.hpp"

#include <algorithm>

namespace smartvpn::server {

MemoryGuard::MemoryGuard(uint64_t ceiling, bool tls, PacketPool& pool) noexcept
    : ceiling_(ceiling), connection_(kConnection + (tls ? kTls : 0)), pool_(pool) {
  apply();
}

void MemoryGuard::set_ceiling(uint64_t ceiling) noexcept {
  ceiling_ = ceiling;
  apply();
}

void MemoryGuard::apply() noexcept {
  others_ = connections_ * connection_ + sessions_ * kSession + events_ * kEvent;
  const uint64_t rest = ceiling_ == 0 ? SIZE_MAX : ceiling_ > others_ ? ceiling_ - others_ : 0;
  pool_.set_limit(
      static_cast<size_t>(std::min<uint64_t>(rest, SIZE_MAX)));  // a ceiling above a small processor's reach
}

}  // namespace smartvpn::server
