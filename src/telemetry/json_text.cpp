// JSON strings from arbitrary bytes: peers choose some of them (TLVs, host names).
#include "telemetry/json_text.hpp"

#include <map>

namespace smartvpn::telemetry {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// Length of the well-formed sequence at the start of `text`, 0 if there is none (RFC 3629 table).
size_t sequence_length(std::string_view text) {
  auto at = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  uint8_t a = at(0), b = at(1);
  if (a < 0x80) return 1;
  if (a >= 0xc2 && a <= 0xdf) return is_continuation(b) ? 2 : 0;
  if (a >= 0xe0 && a <= 0xef) {
    bool overlong = a == 0xe0 && b < 0xa0, surrogate = a == 0xed && b > 0x9f;
    return is_continuation(b) && is_continuation(at(2)) && !overlong && !surrogate ? 3 : 0;
  }
  if (a >= 0xf0 && a <= 0xf4) {
    bool overlong = a == 0xf0 && b < 0x90, too_high = a == 0xf4 && b > 0x8f;
    return is_continuation(b) && is_continuation(at(2)) && is_continuation(at(3)) && !overlong && !too_high ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string clean_utf8(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    size_t length = sequence_length(text);
    std::string_view piece = length ? text.substr(0, length) : kReplacement;
    if (out.size() + piece.size() > max_bytes) break;
    out += piece;
    text.remove_prefix(length ? length : 1);
  }
  return out;
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void JsonObject::key(std::string_view key) {
  if (!first_) out_ += ',';
  first_ = false;
  append_json_string(out_, key);
  out_ += ':';
}

void JsonObject::number(std::string_view name, uint64_t value) {
  key(name);
  out_ += std::to_string(value);
}

void JsonObject::signed_number(std::string_view name, int64_t value) {
  key(name);
  out_ += std::to_string(value);
}

void JsonObject::text(std::string_view name, std::string_view value) {
  key(name);
  append_json_string(out_, value);
}

void append_json_texts(std::string& out, const std::vector<std::pair<std::string, std::string>>& items,
                       size_t max_items, size_t max_bytes) {
  JsonObject object(out);
  std::map<std::string, unsigned> seen;
  for (size_t i = 0; i < items.size() && i < max_items; ++i) {
    std::string name = clean_utf8(items[i].first, 64);
    // A peer may send the same TLV twice; JSON readers would keep only one of two equal keys.
    unsigned times = ++seen[name];
    if (times > 1) name += '#' + std::to_string(times);
    object.text(name, clean_utf8(items[i].second, max_bytes));
  }
  object.close();
}

}  // namespace smartvpn::telemetry
