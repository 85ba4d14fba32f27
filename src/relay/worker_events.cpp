// See worker.hpp. Here: what is counted and told. An event for which there is no memory counts as lost and changes
// nothing else.
#include "relay/worker.hpp"
#include "telemetry/event.hpp"

namespace smartvpn::relay {
namespace {

using telemetry::Event;
using telemetry::EventType;

void set_addresses(Event& event, const ConnectionFacts& facts) {
  event.set("connection_id", facts.id).set("listener", facts.listener);
  event.set("transport", config::relay_protocol_name(facts.protocol));
  event.set("peer_addr", facts.peer.text());
  if (facts.real) event.set("remote_addr", facts.real->text());
  if (facts.identity) event.set("client_id", facts.identity->client_id);
  if (facts.header && !facts.header->tlvs.empty()) event.set_object("tlvs", tlv_texts(facts));
}

std::string target_text(const config::RelayTargetConfig& target) {
  return target.host + ":" + (target.port != 0 ? std::to_string(target.port) : "preserve");
}

}  // namespace

template <class Fill>
void Worker::tell(EventType type, Fill&& fill) noexcept {
  if (!shared_.hub.wanted(type)) return;
  const int64_t now = wall_clock_ms();
  try {
    Event event(type, now);
    fill(event);
    shared_.hub.publish(std::move(event));
  } catch (const std::bad_alloc&) {
    shared_.hub.note_lost(type, now);
  }
}

void Worker::listening(uint32_t listener, config::RelayProtocol protocol, const inet::Endpoint& at) noexcept {
  tell(EventType::listening, [&](Event& event) {
    event.set("listener", listener).set("transport", config::relay_protocol_name(protocol)).set("address", at.text());
  });
}

void Worker::accepted(const ConnectionFacts& facts) {
  addresses_.opened(facts.judged());
  tell(EventType::connection_accepted, [&](Event& event) { set_addresses(event, facts); });
}

void Worker::moved(const ConnectionFacts& facts, uint64_t in, uint64_t out) noexcept {
  total_.bytes_in += in;
  total_.bytes_out += out;
  addresses_.moved(facts.judged(), in, out);
}

void Worker::ended(const ConnectionFacts& facts, const ConnectionInfo& info, Reason why, bool refused,
                   bool admitted) noexcept {
  if (admitted) addresses_.closed(facts.judged());
  ++(refused ? rejections_ : ended_)[static_cast<size_t>(why)];
  if (refused && !admitted && !is_first(facts, why)) return;
  tell(refused ? EventType::connection_rejected : EventType::connection_closed, [&](Event& event) {
    set_addresses(event, facts);
    event.set("reason", reason_name(why)).set_if("host", info.host).set_if("route", info.route);
    if (info.target) event.set("target", info.target.text());
    if (refused) return;
    event.set("bytes_in", info.bytes_in).set("bytes_out", info.bytes_out);
    const auto lasted = std::chrono::duration_cast<milliseconds>(loop_->now() - facts.accepted).count();
    event.set("duration_ms", static_cast<uint64_t>(std::max<int64_t>(lasted, 0)));
  });
}

void Worker::target_changed(const RouteState& route, const TargetSet& set, size_t target, bool up,
                            const std::string& detail) noexcept {
  tell(EventType::target_changed, [&](Event& event) {
    event.set("route", route.name).set("target", target_text(set.targets[target]));
    event.set("health", up ? "up" : "down").set_if("detail", detail);
  });
}

// A flood of refused strangers is told by count.
bool Worker::is_first(const ConnectionFacts& facts, Reason why) noexcept {
  try {
    MutexLock lock(shared_.throttle_mutex);
    return shared_.throttle.count(why, inet::limit_key(facts.judged()).text(), loop_->now());
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Worker::report_rejections(Time now) noexcept {
  std::vector<telemetry::RejectionSummary> due;
  try {
    MutexLock lock(shared_.throttle_mutex);
    shared_.throttle.tick(now, due);
  } catch (const std::bad_alloc&) {
    return;
  }
  for (const auto& summary : due)
    tell(EventType::connection_rejected, [&](Event& event) {
      event.set_if("remote_addr", summary.address)
          .set("reason", reason_name(summary.reason))
          .set("count", summary.count);
    });
}

}  // namespace smartvpn::relay
