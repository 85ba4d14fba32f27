// See params.hpp.
#include "control/params.hpp"

namespace smartvpn::cli {
namespace {

[[noreturn]] void invalid(const std::string& key, const char* text) {
  throw Failure{kExitUsage, "/" + key, text, SMARTVPN_INVALID};
}

bool lists(std::string_view words, std::string_view wanted) {
  while (!words.empty()) {
    size_t blank = words.find(' ');
    if (words.substr(0, blank) == wanted) return true;
    words.remove_prefix(blank == std::string_view::npos ? words.size() : blank + 1);
  }
  return false;
}

}  // namespace

const nlohmann::json& Params::at(const char* key) const {
  auto found = object_.find(key);
  if (found == object_.end()) invalid(key, "is required");
  return *found;
}

std::string Params::text(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_string()) invalid(key, "is a text");
  const auto& text = value.get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) invalid(key, "has a zero byte");
  return text;
}

uint64_t Params::number(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_number_unsigned()) invalid(key, "is a whole number, 0 or more");
  return value.get<uint64_t>();
}

bool Params::flag(const char* key) const {
  if (!has(key)) return false;
  const nlohmann::json& value = at(key);
  if (!value.is_boolean()) invalid(key, "is true or false");
  return value.get<bool>();
}

SecretText Params::json(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_object() && !value.is_array()) invalid(key, "is an object or a list");
  return SecretText(value.dump());
}

SecretText Params::json() const { return SecretText(object_.dump()); }

void Params::check_keys(std::string_view allowed) const {
  if (allowed == "*") return;
  for (const auto& [key, value] : object_.items())
    if (!lists(allowed, key)) invalid(key, "is no parameter of this method");
}

}  // namespace smartvpn::cli
