// See json_value.hpp. Trees are at most kMaxJsonDepth deep, so recursion is bounded.
#include "config/json_value.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace smartvpn::config {
namespace {

void dump_text(std::string& out, std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    constexpr std::string_view kNamed = "\b\f\n\r\t\"\\", kNames = "bfnrt\"\\";
    if (size_t at = kNamed.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kNames[at];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

Json::Json() noexcept = default;
Json::Json(Exactly, bool value) noexcept : value_(value) {}
Json::Json(Exactly, int64_t value) noexcept : value_(value) {}
Json::Json(Exactly, uint64_t value) noexcept : value_(value) {}
Json::Json(double value) noexcept : value_(value) {}
Json::Json(std::string text) noexcept : value_(std::move(text)) {}
Json::Json(const char* text) : value_(std::string(text)) {}
Json::Json(const std::vector<std::string>& texts) : value_(Array(texts.begin(), texts.end())) {}
// Piece by piece, because a variant of libstdc++ that runs out of memory while it is copied destroys what it has not
// made yet (gcc 12). Here the copy is made first, and moved in.
Json::Json(const Json& other) {
  if (const auto* text = std::get_if<std::string>(&other.value_)) {
    value_ = std::string(*text);
  } else if (const auto* list = std::get_if<Array>(&other.value_)) {
    value_ = Array(*list);
  } else if (const auto* object = std::get_if<Object>(&other.value_)) {
    value_ = Object(*object);
  } else if (const auto* number = std::get_if<int64_t>(&other.value_)) {
    value_ = *number;
  } else if (const auto* natural = std::get_if<uint64_t>(&other.value_)) {
    value_ = *natural;
  } else if (const auto* real = std::get_if<double>(&other.value_)) {
    value_ = *real;
  } else if (const auto* truth = std::get_if<bool>(&other.value_)) {
    value_ = *truth;
  }
}

Json::Json(Json&& other) noexcept = default;
Json::~Json() = default;

Json& Json::operator=(Json other) noexcept {
  value_.swap(other.value_);
  return *this;
}

Json Json::array() {
  Json out;
  out.value_.emplace<Array>();
  return out;
}

Json Json::object() {
  Json out;
  out.value_.emplace<Object>();
  return out;
}

bool Json::is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
bool Json::is_boolean() const noexcept { return std::holds_alternative<bool>(value_); }
bool Json::is_number() const noexcept { return is_integer() || std::holds_alternative<double>(value_); }
bool Json::is_integer() const noexcept {
  return std::holds_alternative<int64_t>(value_) || std::holds_alternative<uint64_t>(value_);
}
bool Json::is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
bool Json::is_array() const noexcept { return std::holds_alternative<Array>(value_); }
bool Json::is_object() const noexcept { return std::holds_alternative<Object>(value_); }

bool Json::boolean() const noexcept { return *std::get_if<bool>(&value_); }

int64_t Json::integer() const noexcept {
  if (const auto* number = std::get_if<int64_t>(&value_)) return *number;
  return static_cast<int64_t>(std::min<uint64_t>(*std::get_if<uint64_t>(&value_), INT64_MAX));
}

bool Json::exceeds_int64() const noexcept {
  const auto* number = std::get_if<uint64_t>(&value_);
  return number && *number > INT64_MAX;
}

std::string& Json::text() noexcept { return *std::get_if<std::string>(&value_); }
const std::string& Json::text() const noexcept { return *std::get_if<std::string>(&value_); }

size_t Json::size() const noexcept {
  if (const auto* list = std::get_if<Array>(&value_)) return list->size();
  return members().size();
}

const Json* Json::begin() const noexcept {
  const auto* list = std::get_if<Array>(&value_);
  return list ? list->data() : nullptr;
}

const Json* Json::end() const noexcept {
  const auto* list = std::get_if<Array>(&value_);
  return list ? list->data() + list->size() : nullptr;
}

Json& Json::operator[](size_t index) noexcept { return begin()[index]; }
const Json& Json::operator[](size_t index) const noexcept { return begin()[index]; }

Json& Json::push_back(Json value) { return std::get_if<Array>(&value_)->emplace_back(std::move(value)); }

const Json::Object& Json::members() const noexcept {
  static constexpr Object none;
  const auto* object = std::get_if<Object>(&value_);
  return object ? *object : none;
}

const Json* Json::find(std::string_view name) const noexcept {
  for (const Member& member : members())
    if (member.name == name) return &member.value;
  return nullptr;
}

Json& Json::operator[](std::string_view name) {
  if (Json* found = find(name)) return *found;
  return std::get_if<Object>(&value_)->emplace_back(Member{std::string(name), {}}).value;
}

Json& Json::append(std::string name, Json value) {
  return std::get_if<Object>(&value_)->emplace_back(Member{std::move(name), std::move(value)}).value;
}

void Json::erase(size_t index) noexcept {
  auto* list = std::get_if<Array>(&value_);
  list->erase(list->begin() + static_cast<std::ptrdiff_t>(index));
}

void Json::erase(std::string_view name) noexcept {
  if (auto* object = std::get_if<Object>(&value_))
    std::erase_if(*object, [name](const Member& member) { return member.name == name; });
}

void Json::merge_patch(const Json& patch) {
  if (!patch.is_object()) {
    *this = patch;
    return;
  }
  if (!is_object()) *this = object();
  for (const Member& member : patch.members()) {
    if (member.value.is_null())
      erase(member.name);
    else
      (*this)[member.name].merge_patch(member.value);
  }
}

std::string Json::dump() const {
  std::string out;
  dump(out, 0);
  return out;
}

void Json::dump(std::string& out, size_t indent) const {
  const bool list = is_array();
  if (list || is_object()) {
    out += list ? '[' : '{';
    bool first = true;
    auto begin_item = [&] {
      out += first ? "\n" : ",\n";
      out.append(indent + 2, ' ');
      first = false;
    };
    for (const Json& element : *this) {
      begin_item();
      element.dump(out, indent + 2);
    }
    for (const Member& member : members()) {
      begin_item();
      dump_text(out, member.name);
      out += ": ";
      member.value.dump(out, indent + 2);
    }
    if (!first) out.append(1, '\n').append(indent, ' ');
    out += list ? ']' : '}';
  } else if (is_string()) {
    dump_text(out, text());
  } else if (is_boolean()) {
    out += boolean() ? "true" : "false";
  } else if (const auto* number = std::get_if<int64_t>(&value_)) {
    out += std::to_string(*number);
  } else if (const auto* natural = std::get_if<uint64_t>(&value_)) {
    out += std::to_string(*natural);
  } else if (const auto* real = std::get_if<double>(&value_)) {
    out += std::to_string(*real);
  } else {
    out += "null";
  }
}

bool operator==(const Json& a, const Json& b) {
  if (a.is_integer() && b.is_integer())
    return a.exceeds_int64() && b.exceeds_int64()
               ? a.value_ == b.value_
               : a.exceeds_int64() == b.exceeds_int64() && a.integer() == b.integer();
  if (!a.is_object() || !b.is_object()) return a.value_ == b.value_;
  return a.size() == b.size() && std::all_of(a.members().begin(), a.members().end(), [&](const Json::Member& member) {
           const Json* other = b.find(member.name);
           return other && *other == member.value;
         });
}

}  // namespace smartvpn::config
