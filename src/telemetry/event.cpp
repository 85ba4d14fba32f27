// Events as values. Texts are made well-formed and short on the way in, so that whatever a peer
// chose (host names, TLVs) can be printed, queued and handed through C as it is.
#include "telemetry/event.hpp"

#include "telemetry/json_text.hpp"

namespace smartvpn::telemetry {

const char* event_type_name(EventType type) noexcept {
  switch (type) {
#define X(name, number) \
  case EventType::name: \
    return #name;
    SMARTVPN_EVENT_LIST(X)
#undef X
  }
  return "unknown";
}

Event::Event(EventType type, int64_t time_ms) : type_(type), time_ms_(time_ms) {
  set("type", event_type_name(type));
  set("time", time_ms < 0 ? 0 : static_cast<uint64_t>(time_ms));
}

const Event::Item* Event::find(std::string_view key) const noexcept {
  for (const auto& item : items_)
    if (item.key == key) return &item;
  return nullptr;
}

Event::Item* Event::slot(std::string_view key) {
  if (auto* item = const_cast<Item*>(find(key))) return item;
  if (items_.size() >= kMaxKeys) return nullptr;
  items_.emplace_back();
  items_.back().key = clean_utf8(key, 64);
  return &items_.back();
}

Event& Event::set(std::string_view key, std::string_view text) {
  if (auto* item = slot(key)) {
    item->text = clean_utf8(text, kMaxTextBytes);
    item->form = Form::text;
  }
  return *this;
}

Event& Event::set(std::string_view key, uint64_t number) {
  if (auto* item = slot(key)) {
    item->text.clear();
    item->number = number;
    item->form = Form::number;
  }
  return *this;
}

Event& Event::set_list(std::string_view key, const std::vector<std::string>& items) {
  auto* item = slot(key);
  if (!item) return *this;
  item->form = Form::json;
  item->text.assign(1, '[');
  for (size_t i = 0; i < items.size() && i < kMaxItems; ++i) {
    if (i != 0) item->text += ',';
    append_json_string(item->text, clean_utf8(items[i], kMaxTextBytes));
  }
  item->text += ']';
  return *this;
}

Event& Event::set_object(std::string_view key, const std::vector<std::pair<std::string, std::string>>& items) {
  auto* item = slot(key);
  if (!item) return *this;
  item->form = Form::json;
  item->text.clear();
  append_json_texts(item->text, items, kMaxItems, kMaxTextBytes);
  return *this;
}

const char* Event::text(std::string_view key) const noexcept {
  const auto* item = find(key);
  return item && item->form != Form::number ? item->text.c_str() : nullptr;
}

std::optional<uint64_t> Event::u64(std::string_view key) const noexcept {
  const auto* item = find(key);
  if (!item || item->form != Form::number) return std::nullopt;
  return item->number;
}

std::string Event::json() const {
  std::string out;
  JsonObject object(out);
  for (const auto& item : items_) {
    if (item.form == Form::number) {
      object.number(item.key, item.number);
    } else if (item.form == Form::text) {
      object.text(item.key, item.text);
    } else {
      object.key(item.key);
      out += item.text;
    }
  }
  object.close();
  return out;
}

}  // namespace smartvpn::telemetry
