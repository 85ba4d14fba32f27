// How every shard's routing table comes to say the same: changes are appended by whoever holds the lock of what the
// shards share (server/control.hpp), and each shard applies them to its own table, in the same order, on its own
// thread and without a lock. What all have applied is freed. With one shard a change is applied as it is made.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "router/route_table.hpp"

namespace smartvpn::server {

struct RouteChange {
  enum class Kind : uint8_t { add_client, remove_client, attach, detach };
  RouteChange(Kind what, uint64_t of_session, uint64_t of_client) noexcept
      : kind(what), session(of_session), client(of_client) {}

  const Kind kind;
  const uint64_t session;  // of attach and detach
  const uint64_t client;   // of all but detach; the caller's number
  std::vector<inet::Cidr> prefixes;

 private:
  friend class RouteLog;
  std::atomic<RouteChange*> next_{nullptr};
  uint64_t number_ = 0;
};

class RouteLog {
 public:
  explicit RouteLog(size_t readers);
  ~RouteLog();
  RouteLog(const RouteLog&) = delete;
  RouteLog& operator=(const RouteLog&) = delete;

  // One at a time. Needs no memory: what must not fail half-way makes its changes first.
  void append(std::unique_ptr<RouteChange> change) noexcept;
  // Changes that some reader has still to apply, and the last one.
  size_t size() const noexcept { return static_cast<size_t>(last_->number_ - first_->number_ + 1); }

  // One shard's place in the log; on its thread only. Must not outlive the log.
  class Reader {
   public:
    Reader(RouteLog& log, size_t reader) noexcept : applied_(log.applied_[reader].number), at_(log.first_) {}
    bool is_behind() const noexcept { return at_->next_.load(std::memory_order_acquire) != nullptr; }
    // Throws std::bad_alloc where it could not go on; the next call does.
    void catch_up(router::RouteTable& table);
    // Called for each prefix that a change was about, once the table says what it says now. Must not throw.
    using Applied = std::function<void(const inet::Cidr& prefix)>;
    void on_applied(Applied callback) { on_applied_ = std::move(callback); }

   private:
    std::atomic<uint64_t>& applied_;
    const RouteChange* at_;  // the last one applied
    Applied on_applied_;
  };

 private:
  struct alignas(64) Place {
    std::atomic<uint64_t> number{0};
  };
  static void apply(const RouteChange& change, router::RouteTable& table);
  void trim() noexcept;

  std::vector<Place> applied_;  // by reader
  RouteChange* first_;          // the oldest that a reader may still stand on
  RouteChange* last_;
};

}  // namespace smartvpn::server
