// Subscriptions and events (smartvpn.h, section 8). Opening one is in the families that have events.
#include "capi/events_object.hpp"

namespace smartvpn::capi {
namespace {

#define SAME(NAME, name)                                                               \
  static_assert(SMARTVPN_EVENT_##NAME == static_cast<int>(telemetry::EventType::name), \
                "smartvpn.h and telemetry differ")
SAME(LISTENING, listening);
SAME(CONNECTION_ACCEPTED, connection_accepted);
SAME(CONNECTION_REJECTED, connection_rejected);
SAME(SESSION_UP, session_up);
SAME(SESSION_DOWN, session_down);
SAME(HEALTH_CHANGED, health_changed);
SAME(CLIENT_CHANGED, client_changed);
SAME(LOG, log);
SAME(LOST, lost);
SAME(RECONFIGURED, reconfigured);
SAME(SESSION_ROAMED, session_roamed);
#undef SAME

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_events_next(smartvpn_events* events, int32_t timeout_ms, smartvpn_event** out,
                                     smartvpn_error** err) {
  return call<EventsObject>(events, err, [&](EventsObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    // All that can fail comes before the event is taken.
    Place place;
    auto made = std::make_unique<EventObject>(nullptr);
    Result<telemetry::EventPtr> event = object.queue->next(timeout_ms);
    if (!event) return std::move(event).error();
    made->event = std::move(*event);
    place.give(out, std::move(made));
    return {};
  });
}

int32_t smartvpn_events_fd(const smartvpn_events* events) {
  return call_for_number<EventsObject>(events,
                                       [](EventsObject& object) -> Result<int32_t> { return object.queue->fd(); });
}

smartvpn_status smartvpn_events_interrupt(smartvpn_events* events, smartvpn_error** err) {
  return call<EventsObject>(events, err, [](EventsObject& object) -> Result<void> {
    object.queue->interrupt();
    return {};
  });
}

smartvpn_status smartvpn_events_close(smartvpn_events* events, smartvpn_error** err) {
  return call<EventsObject>(events, err, [](EventsObject& object) -> Result<void> {
    object.queue->close();
    return {};
  });
}

smartvpn_status smartvpn_events_free(smartvpn_events* events) { return free_handle<EventsObject>(events); }

int32_t smartvpn_event_type(const smartvpn_event* event) {
  return call_for_number<EventObject>(
      event, [](EventObject& object) -> Result<int32_t> { return static_cast<int32_t>(object.event->type()); });
}

const char* smartvpn_event_text(const smartvpn_event* event, const char* key) {
  return call_for_text<EventObject>(event, nullptr,
                                    [&](EventObject& object) { return key ? object.event->text(key) : nullptr; });
}

smartvpn_status smartvpn_event_u64(const smartvpn_event* event, const char* key, uint64_t* value) {
  return call<EventObject>(event, nullptr, [&](EventObject& object) -> Result<void> {
    if (!key || !value) return null_argument("key and value");
    std::optional<uint64_t> number = object.event->u64(key);
    if (!number) return make_error(Status::NOT_FOUND, "no such number");
    *value = *number;
    return {};
  });
}

const char* smartvpn_event_json(const smartvpn_event* event) {
  return call_for_text<EventObject>(event, nullptr, [](EventObject& object) { return object.json(); });
}

smartvpn_status smartvpn_event_free(smartvpn_event* event) { return free_handle<EventObject>(event); }
