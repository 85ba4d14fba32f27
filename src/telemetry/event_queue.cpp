// Two bounded lanes merged by sequence number, and an eventfd kept readable while `next(0)` has an
// answer. The descriptor is written and drained only when that changes, under the lock.
#include "telemetry/event_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/descriptor.hpp"

namespace smartvpn::telemetry {
namespace {

// What strangers can cause as often as they like, and logs.
size_t lane_of(EventType type) {
  return type == EventType::connection_accepted || type == EventType::connection_rejected || type == EventType::log;
}

}  // namespace

Result<std::shared_ptr<EventQueue>> EventQueue::create(uint64_t type_mask, size_t capacity) {
  capacity = std::clamp(capacity, kMinCapacity, kMaxCapacity);
  std::shared_ptr<EventQueue> queue(new EventQueue(type_mask, capacity, -1));  // which closes the descriptor
  queue->fd_ = above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (queue->fd_ < 0) return system_error(errno, "eventfd");
  return queue;
}

EventQueue::EventQueue(uint64_t mask, size_t capacity, int fd) : mask_(mask), capacity_(capacity), fd_(fd) {
  lanes_[0].name = "events";
  lanes_[1].name = "connections_and_logs";
}

EventQueue::~EventQueue() { abandon_after_fork(); }

void EventQueue::abandon_after_fork() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void EventQueue::push(EventPtr event) {
  if (!event || !wants(event->type())) return;
  MutexLock lock(mutex_);
  if (closed_) return;
  reserve_locked();
  push_locked(std::move(event));
  refresh_fd_locked();
  arrived_.notify_one();
}

void EventQueue::reserve() {
  MutexLock lock(mutex_);
  reserve_locked();
}

void EventQueue::reserve_locked() {
  while (spare_.size() < 2) spare_.emplace_back();  // an event, and a marker before it
}

void EventQueue::push_reserved(EventPtr event) noexcept {
  if (!event || !wants(event->type())) return;
  MutexLock lock(mutex_);
  if (closed_) return;
  push_locked(std::move(event));
  refresh_fd_locked();
  arrived_.notify_one();
}

void EventQueue::note_lost(EventType type, int64_t time_ms) noexcept {
  MutexLock lock(mutex_);
  if (closed_ || !wants(type)) return;
  lose_locked(lanes_[lane_of(type)], time_ms);
  refresh_fd_locked();
  arrived_.notify_one();
}

void EventQueue::lose_locked(Lane& lane, int64_t time_ms) noexcept {
  if (lane.lost++ == 0) {
    lane.lost_sequence = ++sequence_;
    lane.lost_time_ms = time_ms;
  }
  ++lost_total_;
}

// An event follows each marker in the lane, so there are never more markers than events.
void EventQueue::push_locked(EventPtr event) noexcept {
  Lane& lane = lanes_[lane_of(event->type())];
  if (lane.events >= capacity_) return lose_locked(lane, event->time_ms());
  if (lane.lost != 0) append_locked(lane, {lane.lost_sequence, nullptr, lane.lost, lane.lost_time_ms});
  lane.lost = 0;
  append_locked(lane, {++sequence_, std::move(event), 0, 0});
  ++lane.events;
}

void EventQueue::append_locked(Lane& lane, Entry entry) noexcept {
  lane.entries.splice(lane.entries.end(), spare_, spare_.begin());
  lane.entries.back() = std::move(entry);
}

EventPtr EventQueue::lost_event(const Lane& lane, uint64_t count, int64_t time_ms) {
  Event event(EventType::lost, time_ms);
  event.set("count", count).set("lane", lane.name);
  return std::make_shared<const Event>(std::move(event));
}

uint64_t EventQueue::front_sequence(const Lane& lane) {
  if (!lane.entries.empty()) return lane.entries.front().sequence;
  return lane.lost != 0 ? lane.lost_sequence : UINT64_MAX;
}

bool EventQueue::has_events_locked() const {
  return std::min(front_sequence(lanes_[0]), front_sequence(lanes_[1])) != UINT64_MAX;
}

// Markers become events here. Throws with nothing taken.
EventPtr EventQueue::pop_locked() {
  Lane& lane = front_sequence(lanes_[0]) < front_sequence(lanes_[1]) ? lanes_[0] : lanes_[1];
  if (lane.entries.empty()) {
    EventPtr event = lost_event(lane, lane.lost, lane.lost_time_ms);
    lane.lost = 0;
    return event;
  }
  Entry& front = lane.entries.front();
  const bool marker = !front.event;
  EventPtr event = marker ? lost_event(lane, front.lost, front.lost_time_ms) : std::move(front.event);
  lane.entries.pop_front();
  if (!marker) --lane.events;
  return event;
}

Result<EventPtr> EventQueue::next(int32_t timeout_ms) {
  MutexLock lock(mutex_);
  auto ready = [this]() REQUIRES(mutex_) { return interrupted_ || closed_ || has_events_locked(); };
  if (timeout_ms < 0)
    arrived_.wait(lock, ready);
  else if (timeout_ms > 0 && !arrived_.wait_for(lock, std::chrono::milliseconds(timeout_ms), ready))
    return make_error(Status::TIMEOUT, "no event came in time");
  if (interrupted_) {
    interrupted_ = false;
    refresh_fd_locked();
    return make_error(Status::INTERRUPTED, "the wait for events was interrupted");
  }
  if (has_events_locked()) {
    EventPtr event;
    try {
      event = pop_locked();
    } catch (...) {
      arrived_.notify_one();  // somebody else may be able to take it
      throw;
    }
    refresh_fd_locked();
    return event;
  }
  if (closed_) return make_error(Status::CLOSED, "the subscription is closed");
  return make_error(Status::AGAIN, "no event is waiting");
}

void EventQueue::interrupt() {
  MutexLock lock(mutex_);
  interrupted_ = true;
  refresh_fd_locked();
  arrived_.notify_one();
}

void EventQueue::close() {
  MutexLock lock(mutex_);
  closed_ = true;
  refresh_fd_locked();
  arrived_.notify_all();
}

void EventQueue::discard() {
  MutexLock lock(mutex_);
  closed_ = true;
  interrupted_ = false;
  for (auto& lane : lanes_) {
    lane.entries.clear();
    lane.events = 0;
    lane.lost = 0;
  }
  spare_.clear();
  refresh_fd_locked();
  arrived_.notify_all();
}

bool EventQueue::closed() const {
  MutexLock lock(mutex_);
  return closed_;
}

uint64_t EventQueue::lost() const {
  MutexLock lock(mutex_);
  return lost_total_;
}

size_t EventQueue::size() const {
  MutexLock lock(mutex_);
  size_t size = 0;
  for (const auto& lane : lanes_) size += lane.entries.size() + (lane.lost != 0 ? 1 : 0);
  return size;
}

void EventQueue::refresh_fd_locked() noexcept {
  bool readable = interrupted_ || closed_ || has_events_locked();
  if (readable == readable_ || fd_ < 0) return;
  readable_ = readable;
  uint64_t value = 1;
  // Neither can fail on a non-blocking eventfd whose counter is only ever 0 or 1.
  [[maybe_unused]] ssize_t done = readable ? ::write(fd_, &value, sizeof value) : ::read(fd_, &value, sizeof value);
}

}  // namespace smartvpn::telemetry
