// See memory_guard.hpp.
#include "server/memory_guard.hpp"

namespace smartvpn::server {

MemoryGuard::MemoryGuard(uint64_t ceiling, bool tls, PacketPool& pool) noexcept
    : ceiling_(ceiling), connection_(kConnection + (tls ? kTls : 0)), pool_(pool) {
  recount(connections_, 0);
}

void MemoryGuard::recount(size_t& kind, size_t count) noexcept {
  kind = count;
  others_ = connections_ * connection_ + sessions_ * kSession + events_ * kEvent;
  if (ceiling_ != 0) pool_.set_limit(ceiling_ > others_ ? static_cast<size_t>(ceiling_ - others_) : 0);
}

}  // namespace smartvpn::server
