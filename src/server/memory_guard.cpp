// See memory_guard.hpp.
#include "server/memory_guard.hpp"

#include <algorithm>

namespace smartvpn::server {
namespace {

// Unsigned arithmetic wraps, so less is told like more.
void tell(std::atomic<uint64_t>& sum, uint64_t& told, uint64_t now) noexcept {
  sum.fetch_add(now - told, std::memory_order_relaxed);
  told = now;
}

}  // namespace

MemoryGuard::MemoryGuard(uint64_t ceiling, bool tls, PacketPool& pool, MemoryBook* book) noexcept
    : ceiling_(ceiling), connection_(kConnection + (tls ? kTls : 0)), pool_(pool), book_(book) {
  apply();
}

void MemoryGuard::set_ceiling(uint64_t ceiling) noexcept {
  ceiling_ = ceiling;
  apply();
}

void MemoryGuard::set_strangers(size_t count) noexcept {
  if (book_) book_->strangers.fetch_add(uint64_t{count} - strangers_, std::memory_order_relaxed);
  strangers_ = count;
}

void MemoryGuard::recount(size_t& kind, size_t count) noexcept {
  kind = count;
  const uint64_t others = connections_ * connection_ + sessions_ * kSession + events_ * kEvent;
  if (book_) {
    tell(book_->others, others_, others);
    tell(book_->packets, packets_, pool_.bytes_in_use());
  }
  others_ = others;
  apply();
}

void MemoryGuard::apply() noexcept {
  all_others_ = book_ ? book_->others.load(std::memory_order_relaxed) : others_;
  const uint64_t left = ceiling_ > all_others_ ? (ceiling_ - all_others_) / (book_ ? book_->shards : 1) : 0;
  const uint64_t rest = ceiling_ == 0 ? SIZE_MAX : left;
  pool_.set_limit(
      static_cast<size_t>(std::min<uint64_t>(rest, SIZE_MAX)));  // a ceiling above a small processor's reach
}

uint64_t MemoryGuard::needed() const noexcept {
  if (!book_) return others_ + pool_.bytes_in_use();
  return book_->others.load(std::memory_order_relaxed) + book_->packets.load(std::memory_order_relaxed) - packets_ +
         pool_.bytes_in_use();
}

}  // namespace smartvpn::server
