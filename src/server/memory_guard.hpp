// `limits.memory_bytes`: what the server's own buffers, queues, connections and sessions may take
// together. Packets are counted as they are; a connection, a session and a waiting event at an estimate.
// Packets find no more memory at the ceiling (the pool's limit), new connections are refused there and where strangers
// would take more than half of it, and from 90 % on new sessions of unimportant clients. Shard thread only.
#pragma once

#include "base/packet.hpp"

namespace smartvpn::server {

class MemoryGuard {
 public:
  static constexpr uint64_t kConnection = 6 * 1024;  // stream, machines, admission's entry
  static constexpr uint64_t kTls = 40 * 1024;        // what OpenSSL adds to a connection
  static constexpr uint64_t kSession = 6 * 1024;     // keys, queues without packets, tables' entries
  static constexpr uint64_t kEvent = 512;

  // `ceiling` 0: none; everything is counted all the same. `tls`: connections may have it.
  MemoryGuard(uint64_t ceiling, bool tls, PacketPool& pool) noexcept;

  void set_ceiling(uint64_t ceiling) noexcept;
  // How many there are of what is not packets.
  void set_connections(size_t count) noexcept { recount(connections_, count); }
  // How many of the connections are no sessions yet.
  void set_strangers(size_t count) noexcept { strangers_ = count; }
  void set_sessions(size_t count) noexcept { recount(sessions_, count); }
  void set_events(size_t count) noexcept { recount(events_, count); }
  uint64_t ceiling() const noexcept { return ceiling_; }
  // Taken now, with free packet blocks that are kept for reuse.
  uint64_t taken() const noexcept { return others_ + pool_.bytes_held(); }
  // No room for another connection.
  bool is_full() const noexcept { return ceiling_ != 0 && needed() + connection_ > ceiling_; }
  // The same for one of whom nothing is known: however many come, half is left to sessions and their packets.
  bool is_full_for_strangers() const noexcept {
    return is_full() || (ceiling_ != 0 && (strangers_ + 1) * connection_ > ceiling_ / 2);
  }
  // 90 % is needed.
  bool is_tight() const noexcept { return ceiling_ != 0 && needed() >= ceiling_ - ceiling_ / 10; }

 private:
  void recount(size_t& kind, size_t count) noexcept {
    kind = count;
    apply();
  }
  void apply() noexcept;
  // Free blocks make way.
  uint64_t needed() const noexcept { return others_ + pool_.bytes_in_use(); }

  uint64_t ceiling_;
  const uint64_t connection_;
  PacketPool& pool_;
  size_t connections_ = 0, strangers_ = 0, sessions_ = 0, events_ = 0;
  uint64_t others_ = 0;
};

}  // namespace smartvpn::server
