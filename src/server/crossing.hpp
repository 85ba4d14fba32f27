// The rings between a server's shards, one each way for each pair, and who is woken for what was put in. A shard
// touches its own row as a writer and its own column as a reader; a packet that finds its ring full is dropped by
// whoever sends it (queue_full).
#pragma once

#include <memory>
#include <vector>

#include "server/control.hpp"
#include "server/shard_ring.hpp"

namespace smartvpn::server {

class Crossing {
 public:
  // In place of a session.
  static constexpr uint64_t kToEngine = 0;
  static constexpr uint64_t kToEverybody = UINT64_MAX;
  static constexpr uint64_t kToOffline = UINT64_MAX - 1;  // a client without a session; `from` is its number
  static constexpr uint64_t kToCarrier = UINT64_MAX - 2;  // WireGuard's, before it is opened: a StrayNote is in front

  // For the shards of `control`, which must outlive it.
  explicit Crossing(Control& control);

  size_t shards() const noexcept { return control_.shards; }

  // One shard's end of it; on its thread only.
  class End {
   public:
    End(Crossing& crossing, size_t shard) noexcept : crossing_(crossing), shard_(shard) {}

    size_t shard() const noexcept { return shard_; }
    size_t shards() const noexcept { return crossing_.shards(); }
    // False when the ring to `shard`, which is another one, is full. Seen there after publish().
    bool push(size_t shard, const ShardRing::Record& record, ByteView bytes, ByteView more = {}) noexcept;
    // Ends a batch: one wake for each shard that something was put in for.
    void publish() noexcept;

    // Gives up to `limit` packets of each other shard to `fn(record, bytes)`; their bytes stay until `done()` has
    // been called for that ring. True: more is waiting.
    template <class Fn, class Done>
    bool drain(size_t limit, Fn&& fn, Done&& done) {
      bool more = false;
      for (size_t other = 0; other < shards(); ++other) {
        if (other == shard_) continue;
        ShardRing& ring = crossing_.ring(other, shard_);
        ShardRing::Record record;
        ByteView bytes;
        size_t taken = 0;
        for (; taken < limit && ring.front(record, bytes); ++taken) {
          ring.pop(record);
          fn(record, bytes);
        }
        if (taken == 0) continue;
        done();
        ring.release();
        more |= ring.has_more();
      }
      return more;
    }
    // Comes back to drain() in the next turn.
    void wake_self() noexcept { crossing_.control_.wake(shard_); }

   private:
    Crossing& crossing_;
    const size_t shard_;
    uint64_t touched_ = 0;  // shards with unpublished packets, by bit
  };

 private:
  ShardRing& ring(size_t from, size_t to) noexcept { return *rings_[from * control_.shards + to]; }

  Control& control_;
  std::vector<std::unique_ptr<ShardRing>> rings_;  // by writer, then by reader
};

}  // namespace smartvpn::server
