// Every subscription of a server and the way events reach them. Any thread; publishing never waits
// for a reader, because each queue is bounded and counts what it loses.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/mutex.hpp"
#include "base/result.hpp"
#include "telemetry/event_queue.hpp"

namespace smartvpn::telemetry {

class EventHub {
 public:
  // The queue is the caller's to keep; the hub forgets it once nobody else holds it. CLOSED after close().
  Result<std::shared_ptr<EventQueue>> subscribe(uint64_t type_mask, size_t capacity);
  // Whether an event of this type would reach anybody: ask before building one.
  bool wanted(EventType type) const noexcept {
    return (wanted_.load(std::memory_order_relaxed) & event_bit(type)) != 0;
  }
  // To all who want it or, throwing std::bad_alloc, to nobody.
  void publish(Event event);
  // An event of this type could not be made: it counts as lost where it was wanted, and a `lost` event will say so.
  void note_lost(EventType type, int64_t time_ms) noexcept;
  // Subscriptions give what they still hold, then CLOSED.
  void close();
  size_t waiting() const;  // events in all queues, counted in each
  uint64_t lost() const;   // events that living subscriptions had no room for
  void abandon_after_fork() noexcept;

 private:
  void sweep_locked() REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::vector<std::weak_ptr<EventQueue>> queues_ GUARDED_BY(mutex_);
  std::atomic<uint64_t> wanted_{0};
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace smartvpn::telemetry
