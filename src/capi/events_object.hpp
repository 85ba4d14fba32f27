// What stands behind a smartvpn_events and a smartvpn_event.
#pragma once

#include <string>

#include "base/mutex.hpp"
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "telemetry/event_queue.hpp"

namespace smartvpn::capi {

class EventsObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::events;
  explicit EventsObject(std::shared_ptr<telemetry::EventQueue> queue) : queue(std::move(queue)) {}
  ~EventsObject() override { queue->discard(); }
  void wake() noexcept override { queue->discard(); }
  void abandon() noexcept override { queue->abandon_after_fork(); }
  const std::shared_ptr<telemetry::EventQueue> queue;
};

class EventObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::event;
  explicit EventObject(telemetry::EventPtr event) : event(std::move(event)) {}
  // Made when first asked for. Valid as long as this object.
  const char* json() {
    MutexLock lock(mutex_);
    if (json_.empty()) json_ = event->json();
    return json_.c_str();
  }
  telemetry::EventPtr event;  // constant once the host has the handle

 private:
  Mutex mutex_;
  std::string json_ GUARDED_BY(mutex_);
};

// Hands a new subscription of `face` (a server or a tunnel) to the caller.
template <class Face>
Result<void> open_events(Face& face, uint64_t type_mask, size_t capacity, smartvpn_events** out) {
  if (!out) return null_argument("out");
  Result<std::shared_ptr<telemetry::EventQueue>> queue = face.subscribe(type_mask, capacity);
  if (!queue) return std::move(queue).error();
  give(out, std::make_unique<EventsObject>(std::move(*queue)));
  return {};
}

}  // namespace smartvpn::capi
