// Something that happened, as the host sees it: a type, a time and an ordered list of keys with
// texts, numbers, lists or name-to-text objects. Built once, then immutable and shared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace smartvpn::telemetry {

// Numbers are never changed; bit n of a subscription's mask is type n.
// X(name, number)
#define SMARTVPN_EVENT_LIST(X) \
  X(listening, 0)              \
  X(connection_accepted, 1)    \
  X(connection_rejected, 2)    \
  X(session_up, 3)             \
  X(session_down, 4)           \
  X(health_changed, 5)         \
  X(client_changed, 6)         \
  X(log, 7)                    \
  X(lost, 8)                   \
  X(reconfigured, 9)           \
  X(session_roamed, 10)        \
  X(connection_closed, 11)     \
  X(target_changed, 12)

enum class EventType : uint8_t {
#define X(name, number) name = number,
  SMARTVPN_EVENT_LIST(X)
#undef X
};
constexpr uint64_t event_bit(EventType type) noexcept { return uint64_t{1} << static_cast<unsigned>(type); }
constexpr uint64_t kAllEvents = ~uint64_t{0};
const char* event_type_name(EventType type) noexcept;

// Keys: `type` and `time` (ms since 1970) always; then as they apply `listener` (number), `transport`,
// `address` (listening), `remote_addr` (real; absent if unknown), `peer_addr`, `client_id`, `session_id`
// (number), `connection_id` (number), `route`, `host`, `target`, `bytes_in`, `bytes_out`, `duration_ms` (numbers),
// `addresses` (list), `reason`, `detail`, `tlvs` (object), `health`, `change` (client_changed), `changes` (object,
// reconfigured), `level` and `message` (log), `count` (lost, throttled rejections), `lane` (lost).
class Event {
 public:
  static constexpr size_t kMaxKeys = 32;         // further keys are ignored
  static constexpr size_t kMaxTextBytes = 4096;  // longer texts are cut at a character's border
  static constexpr size_t kMaxItems = 64;        // of a list or object; further ones are ignored

  Event(EventType type, int64_t time_ms);

  // A key that is set again takes the new value. Invalid UTF-8 becomes U+FFFD. Chainable.
  Event& set(std::string_view key, std::string_view text);
  Event& set(std::string_view key, uint64_t number);
  Event& set(std::string_view key, const char* text) { return set(key, std::string_view(text)); }
  // As set(), but leaves the key out when the text is empty.
  Event& set_if(std::string_view key, std::string_view text) { return text.empty() ? *this : set(key, text); }
  Event& set_list(std::string_view key, const std::vector<std::string>& items);
  // A name that comes again gets "#2", "#3" behind it.
  Event& set_object(std::string_view key, const std::vector<std::pair<std::string, std::string>>& items);

  EventType type() const noexcept { return type_; }
  int64_t time_ms() const noexcept { return time_ms_; }
  // The text of a key; lists and objects give their JSON text, "type" its name. Null for absent keys
  // and for numbers. Valid as long as the event.
  const char* text(std::string_view key) const noexcept;
  // The number of a key; nothing for absent keys and for texts.
  std::optional<uint64_t> u64(std::string_view key) const noexcept;
  // One line without its newline; keys in the order they were set, after `type` and `time`.
  std::string json() const;

 private:
  enum class Form : uint8_t { text, number, json };
  struct Item {
    std::string key;
    std::string text;  // of number: empty
    uint64_t number = 0;
    Form form = Form::text;
  };
  Item* slot(std::string_view key);
  const Item* find(std::string_view key) const noexcept;

  EventType type_;
  int64_t time_ms_;
  std::vector<Item> items_;
};

using EventPtr = std::shared_ptr<const Event>;

}  // namespace smartvpn::telemetry
