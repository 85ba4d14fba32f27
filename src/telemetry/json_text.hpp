// Writes JSON by hand: events and snapshots are flat and frequent, and the JSON library stays in
// config/. Any bytes give valid JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace smartvpn::telemetry {

// The text with every byte that is not part of well-formed UTF-8 (RFC 3629) replaced by U+FFFD, and
// cut at a character's border so that it has at most `max_bytes`.
std::string clean_utf8(std::string_view text, size_t max_bytes);

// Appends `"text"` with escapes; `text` must be well-formed UTF-8.
void append_json_string(std::string& out, std::string_view text);

// An object being written: `{` at construction, `}` by close().
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  void number(std::string_view key, uint64_t value);
  void signed_number(std::string_view key, int64_t value);
  void text(std::string_view key, std::string_view value);
  // The value's text follows by the caller.
  void key(std::string_view key);
  void close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

// Appends an object of texts, which may hold any bytes and are cut to `max_bytes`; of more than `max_items`
// the first. A name that comes again gets "#2", "#3" behind it.
void append_json_texts(std::string& out, const std::vector<std::pair<std::string, std::string>>& items,
                       size_t max_items, size_t max_bytes);

}  // namespace smartvpn::telemetry
