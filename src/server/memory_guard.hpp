// `limits.memory_bytes`: what the server's own buffers, queues, connections and sessions may take
// together. Packets are counted as they are; a connection, a session and a waiting event at an estimate.
// Packets find no more memory at the ceiling (the pool's limit), new connections are refused there and where strangers
// would take more than half of it, and from 90 % on new sessions of unimportant clients. Shard thread only; several
// shards add up in a MemoryBook, and their packets have equal shares of what the rest leaves.
#pragma once

#include <atomic>

#include "base/packet.hpp"

namespace smartvpn::server {

// What all shards take, as each has last told it: when connections and sessions come and go, and once a second.
struct MemoryBook {
  explicit MemoryBook(size_t count) noexcept : shards(count) {}
  const size_t shards;
  std::atomic<uint64_t> others{0};     // connections, sessions, events
  std::atomic<uint64_t> strangers{0};  // connections that are no sessions yet, by number
  std::atomic<uint64_t> packets{0};
};

class MemoryGuard {
 public:
  static constexpr uint64_t kConnection = 6 * 1024;  // stream, machines, admission's entry
  static constexpr uint64_t kTls = 40 * 1024;        // what OpenSSL adds to a connection
  static constexpr uint64_t kSession = 6 * 1024;     // keys, queues without packets, tables' entries
  static constexpr uint64_t kEvent = 512;

  // `ceiling` 0: none; everything is counted all the same. `tls`: connections may have it. Without a `book`, which
  // must outlive the guard, this is the only shard.
  MemoryGuard(uint64_t ceiling, bool tls, PacketPool& pool, MemoryBook* book = nullptr) noexcept;

  void set_ceiling(uint64_t ceiling) noexcept;
  // How many there are of what is not packets.
  void set_connections(size_t count) noexcept { recount(connections_, count); }
  // How many of the connections are no sessions yet.
  void set_strangers(size_t count) noexcept;
  void set_sessions(size_t count) noexcept { recount(sessions_, count); }
  void set_events(size_t count) noexcept { recount(events_, count); }
  // Other shards may have taken more, or less.
  void refresh() noexcept {
    if (book_ && book_->others.load(std::memory_order_relaxed) != all_others_) apply();
  }
  uint64_t ceiling() const noexcept { return ceiling_; }
  // Taken now by this shard, with free packet blocks that are kept for reuse.
  uint64_t taken() const noexcept { return others_ + pool_.bytes_held(); }
  // No room for another connection.
  bool is_full() const noexcept { return ceiling_ != 0 && needed() + connection_ > ceiling_; }
  // The same for one of whom nothing is known: however many come, half is left to sessions and their packets.
  bool is_full_for_strangers() const noexcept {
    return is_full() || (ceiling_ != 0 && (all_strangers() + 1) * connection_ > ceiling_ / 2);
  }
  // 90 % is needed.
  bool is_tight() const noexcept { return ceiling_ != 0 && needed() >= ceiling_ - ceiling_ / 10; }

 private:
  void recount(size_t& kind, size_t count) noexcept;
  void apply() noexcept;
  uint64_t all_strangers() const noexcept {
    return book_ ? book_->strangers.load(std::memory_order_relaxed) : strangers_;
  }
  // Of all shards. Free blocks make way.
  uint64_t needed() const noexcept;

  uint64_t ceiling_;
  const uint64_t connection_;
  PacketPool& pool_;
  MemoryBook* const book_;
  size_t connections_ = 0, strangers_ = 0, sessions_ = 0, events_ = 0;
  uint64_t others_ = 0, packets_ = 0;  // of this shard, as the book has them
  uint64_t all_others_ = 0;            // as the pool's limit was last computed from
};

}  // namespace smartvpn::server
