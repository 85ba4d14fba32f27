#include "telemetry/event_hub.hpp"

#include <algorithm>

namespace smartvpn::telemetry {

Result<std::shared_ptr<EventQueue>> EventHub::subscribe(uint64_t type_mask, size_t capacity) {
  auto queue = EventQueue::create(type_mask, capacity);
  if (!queue) return queue;
  MutexLock lock(mutex_);
  if (closed_) return make_error(Status::CLOSED, "it has stopped: nothing will happen any more");
  sweep_locked();
  queues_.push_back(*queue);
  wanted_.fetch_or(type_mask, std::memory_order_relaxed);
  return queue;
}

void EventHub::publish(Event event) {
  if (!wanted(event.type())) return;
  auto shared = std::make_shared<const Event>(std::move(event));
  MutexLock lock(mutex_);
  for (auto& weak : queues_)
    if (auto queue = weak.lock(); queue && queue->wants(shared->type())) queue->reserve();
  for (auto& weak : queues_)
    if (auto queue = weak.lock(); queue && queue->wants(shared->type())) queue->push_reserved(shared);
}

void EventHub::note_lost(EventType type, int64_t time_ms) noexcept {
  MutexLock lock(mutex_);
  for (auto& weak : queues_)
    if (auto queue = weak.lock(); queue && queue->wants(type)) queue->note_lost(type, time_ms);
}

void EventHub::close() {
  MutexLock lock(mutex_);
  closed_ = true;
  for (auto& weak : queues_)
    if (auto queue = weak.lock()) queue->close();
}

size_t EventHub::waiting() const {
  MutexLock lock(mutex_);
  size_t total = 0;
  for (auto& weak : queues_)
    if (auto queue = weak.lock()) total += queue->size();
  return total;
}

uint64_t EventHub::lost() const {
  MutexLock lock(mutex_);
  uint64_t total = 0;
  for (auto& weak : queues_)
    if (auto queue = weak.lock()) total += queue->lost();
  return total;
}

// In the child no other thread is left.
NO_THREAD_SAFETY_ANALYSIS void EventHub::abandon_after_fork() noexcept {
  for (auto& weak : queues_)
    if (auto queue = weak.lock()) queue->abandon_after_fork();
}

void EventHub::sweep_locked() {
  queues_.erase(std::remove_if(queues_.begin(), queues_.end(), [](auto& weak) { return weak.expired(); }),
                queues_.end());
}

}  // namespace smartvpn::telemetry
