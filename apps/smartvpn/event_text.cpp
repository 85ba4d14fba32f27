// See event_text.hpp.
#include "event_text.hpp"

#include <nlohmann/json.hpp>

namespace smartvpn::cli {
namespace {

class Keys {
 public:
  explicit Keys(const smartvpn_event* event) : event_(event) {}

  bool has(const char* key) const { return smartvpn_event_text(event_, key) != nullptr; }
  std::string text(const char* key) const {
    const char* found = smartvpn_event_text(event_, key);
    return found ? found : "";
  }
  uint64_t number(const char* key) const {
    uint64_t value = 0;
    return smartvpn_event_u64(event_, key, &value) == SMARTVPN_OK ? value : 0;
  }
  // The texts of a list, with blanks between.
  std::string list(const char* key) const {
    std::string out;
    auto json = nlohmann::json::parse(text(key), nullptr, false);
    if (!json.is_array()) return out;
    for (const auto& item : json) {
      if (!item.is_string()) continue;
      if (!out.empty()) out += ' ';
      out += item.get_ref<const std::string&>();
    }
    return out;
  }
  // ": reason (detail)", as far as there is any.
  std::string why() const {
    std::string out = has("reason") ? ": " + text("reason") : "";
    if (has("detail")) out += " (" + text("detail") + ")";
    return out;
  }
  // Where somebody comes from, and through whom.
  std::string origin() const {
    if (!has("remote_addr")) return has("peer_addr") ? "unknown, through " + text("peer_addr") : "unknown";
    bool direct = !has("peer_addr") || text("peer_addr") == text("remote_addr");
    return direct ? text("remote_addr") : text("remote_addr") + " through " + text("peer_addr");
  }

 private:
  const smartvpn_event* event_;
};

std::string session_up(const Keys& keys) {
  if (keys.has("client_id"))
    return keys.text("client_id") + " connected from " + keys.origin() + ", inner " + keys.list("addresses");
  std::string line = "connected to " + keys.text("peer_addr") + ", inner " + keys.list("addresses");
  if (keys.has("device")) line += ", device " + keys.text("device");
  return line;
}

std::string session_down(const Keys& keys) {
  std::string who = keys.has("client_id") ? keys.text("client_id") + " disconnected" : "disconnected";
  return who + " after " + std::to_string(keys.number("duration_ms") / 1000) + " s" + keys.why();
}

std::string rejected(const Keys& keys) {
  std::string line = "refused " + keys.origin() + keys.why();
  if (uint64_t count = keys.number("count")) line += ", " + std::to_string(count) + " times since the last report";
  return line;
}

std::string relayed(const Keys& keys) {
  std::string line = keys.origin() + " to " + (keys.has("target") ? keys.text("target") : "no target");
  if (keys.has("route")) line += " by " + keys.text("route");
  line += " after " + std::to_string(keys.number("duration_ms")) + " ms, " + std::to_string(keys.number("bytes_in"));
  return line + " bytes in, " + std::to_string(keys.number("bytes_out")) + " out" + keys.why();
}

std::string target(const Keys& keys) {
  return "target " + keys.text("target") + " of " + keys.text("route") + " is " + keys.text("health") + keys.why();
}

std::string health(const Keys& keys) {
  std::string who = keys.has("client_id") ? keys.text("client_id") + ": " : "";
  return who + "health " + keys.text("health") + ", round trip " + std::to_string(keys.number("rtt_us") / 1000) + " ms";
}

// "reconfigured: /network/dns applied, /listen/0/path needs_listener_restart".
std::string reconfigured(const Keys& keys) {
  std::string line;
  auto changes = nlohmann::json::parse(keys.text("changes"), nullptr, false);
  if (!changes.is_array()) return "reconfigured";
  for (const auto& change : changes)
    line += (line.empty() ? ": " : ", ") + change.value("path", "") + " " + change.value("result", "");
  return "reconfigured" + line;
}

std::string line_of(const smartvpn_event* event) {
  Keys keys(event);
  switch (smartvpn_event_type(event)) {
    case SMARTVPN_EVENT_LISTENING:
      return "listening on " + keys.text("address") + " (" + keys.text("transport") + ")";
    case SMARTVPN_EVENT_CONNECTION_REJECTED:
      return rejected(keys);
    case SMARTVPN_EVENT_SESSION_UP:
      return session_up(keys);
    case SMARTVPN_EVENT_SESSION_DOWN:
      return session_down(keys);
    case SMARTVPN_EVENT_SESSION_ROAMED:
      return keys.text("client_id") + " goes on " + keys.origin();
    case SMARTVPN_EVENT_HEALTH_CHANGED:
      return health(keys);
    case SMARTVPN_EVENT_CLIENT_CHANGED:
      return "client " + keys.text("client_id") + ": " + keys.text("change");
    case SMARTVPN_EVENT_CONNECTION_CLOSED:
      return relayed(keys);
    case SMARTVPN_EVENT_TARGET_CHANGED:
      return target(keys);
    case SMARTVPN_EVENT_RECONFIGURED:
      return reconfigured(keys);
    case SMARTVPN_EVENT_LOG:
      return keys.text("level") + ": " + keys.text("message") + keys.why();
    case SMARTVPN_EVENT_LOST:
      return std::to_string(keys.number("count")) + " events were lost";
    default:
      return {};
  }
}

}  // namespace

std::string describe(const smartvpn_event* event) {
  std::string line = line_of(event);
  // Details may quote a stranger, and a terminal obeys control characters.
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return line;
}

}  // namespace smartvpn::cli
