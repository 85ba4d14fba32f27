// One subscription: a bounded queue between the shards and a reader of the host's, with a descriptor
// to poll. What strangers can cause (connections accepted and rejected) and logs have a lane of their
// own, so that no flood ever pushes out a `session_down`. Any thread. (This queue holds a lock and an eventfd; it is no
// socket.)
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "base/mutex.hpp"
#include "base/result.hpp"
#include "telemetry/event.hpp"

namespace smartvpn::telemetry {

class EventQueue {
 public:
  static constexpr size_t kMinCapacity = 2;
  static constexpr size_t kMaxCapacity = 1u << 20;

  // `capacity` is that of each lane, clamped to the limits above. SYSTEM when no descriptor is left.
  static Result<std::shared_ptr<EventQueue>> create(uint64_t type_mask, size_t capacity);
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  bool wants(EventType type) const noexcept { return (mask_ & event_bit(type)) != 0; }
  // Never waits for a reader. Ignored when the type is not wanted or the queue is closed. Into a full
  // lane: the new event is dropped and counted; a `lost` event (keys `count`, `lane`, time of the
  // first one lost; delivered whatever the mask) stands in its place in the order.
  void push(EventPtr event);
  void push(Event event) { push(std::make_shared<const Event>(std::move(event))); }

  // push() in two steps, for who must reach several queues or none: the first takes what memory the second needs. One
  // thread at a time.
  void reserve();
  void push_reserved(EventPtr event) noexcept;
  // Stands for an event of this type that nobody had the memory to make.
  void note_lost(EventType type, int64_t time_ms) noexcept;

  // The oldest event over both lanes. `timeout_ms`: 0 does not wait (AGAIN), -1 for ever, else
  // TIMEOUT. INTERRUPTED comes before events, CLOSED after them.
  Result<EventPtr> next(int32_t timeout_ms);
  // Makes exactly one `next`, waiting or to come, return INTERRUPTED; calls before that count as one.
  void interrupt();
  // No more events come in; what is there can still be read.
  void close();
  // close(), and what is there is gone: every `next` gives CLOSED.
  void discard();
  bool closed() const;

  // Readable while `next(0)` would not give AGAIN: level-triggered, for polling only, ours to close,
  // the same for the queue's life. After close it stays readable.
  int fd() const noexcept { return fd_; }
  uint64_t lost() const;  // events dropped since the beginning
  size_t size() const;    // events waiting, `lost` ones included

  // In a forked child: closes the descriptor, takes no lock. Only the destructor may follow.
  void abandon_after_fork() noexcept;

 private:
  struct Entry {
    uint64_t sequence = 0;
    EventPtr event;  // null: a marker for events that were lost
    uint64_t lost = 0;
    int64_t lost_time_ms = 0;
  };
  struct Lane {
    const char* name = "";
    std::list<Entry> entries;
    size_t events = 0;  // entries that are not `lost` markers
    uint64_t lost = 0;  // dropped since the last marker
    uint64_t lost_sequence = 0;
    int64_t lost_time_ms = 0;
  };
  EventQueue(uint64_t mask, size_t capacity, int fd);
  void reserve_locked() REQUIRES(mutex_);
  void push_locked(EventPtr event) noexcept REQUIRES(mutex_);
  void lose_locked(Lane& lane, int64_t time_ms) noexcept REQUIRES(mutex_);
  void append_locked(Lane& lane, Entry entry) noexcept REQUIRES(mutex_);
  EventPtr pop_locked() REQUIRES(mutex_);
  bool has_events_locked() const REQUIRES(mutex_);
  void refresh_fd_locked() noexcept REQUIRES(mutex_);
  static EventPtr lost_event(const Lane& lane, uint64_t count, int64_t time_ms);
  static uint64_t front_sequence(const Lane& lane);

  const uint64_t mask_;
  const size_t capacity_;
  int fd_;
  mutable Mutex mutex_;
  CondVar arrived_;
  Lane lanes_[2] GUARDED_BY(mutex_);
  // Places for what push_reserved() may have to add.
  std::list<Entry> spare_ GUARDED_BY(mutex_);
  uint64_t sequence_ GUARDED_BY(mutex_) = 0;
  uint64_t lost_total_ GUARDED_BY(mutex_) = 0;
  bool readable_ GUARDED_BY(mutex_) = false;
  bool interrupted_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace smartvpn::telemetry
