// See control_request.hpp.
#include "control/control_request.hpp"

namespace smartvpn::cli {
namespace {

using nlohmann::json;

// Before anything is built of it: deep nesting costs memory to hold and stack to print.
bool too_deep(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '{' || c == '[')) {
      if (++depth > kMaxControlDepth) return true;
    } else if (!quoted && (c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

bool good_id(const json& id) {
  if (id.is_string()) return id.get_ref<const std::string&>().size() <= kMaxControlId;
  return id.is_number() || id.is_null();
}

std::string print(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

std::string read_control_request(std::string_view line, ControlRequest& request) {
  if (too_deep(line)) return "the request is nested too deeply";
  json parsed = json::parse(line, nullptr, false);
  if (!parsed.is_object()) return "a request is one JSON object in one line";
  if (auto id = parsed.find("id"); id != parsed.end()) {
    if (!good_id(*id)) return "`id` is a number or a short text";
    request.id = print(*id);
  }
  for (const auto& [key, value] : parsed.items())
    if (key != "id" && key != "method" && key != "params") return "a request has `id`, `method` and `params` only";
  auto method = parsed.find("method");
  if (method == parsed.end() || !method->is_string()) return "`method` is a text and is required";
  request.method = method->get<std::string>();
  if (auto params = parsed.find("params"); params != parsed.end()) {
    if (!params->is_object()) return "`params` is an object";
    request.params = std::move(*params);
  }
  return {};
}

std::string control_result(std::string_view id, std::string_view result) {
  constexpr std::string_view kBefore = "{\"id\":", kBetween = ",\"result\":", kAfter = "}\n";
  std::string out;
  // At once: results may hold keys, and a text that grows leaves copies behind.
  out.reserve(kBefore.size() + id.size() + kBetween.size() + result.size() + kAfter.size());
  out.append(kBefore).append(id).append(kBetween).append(result).append(kAfter);
  return out;
}

std::string control_error(std::string_view id, std::string_view status, std::string_view path, std::string_view text) {
  json error = {{"status", status}, {"path", path}, {"text", text}};
  return "{\"id\":" + std::string(id) + ",\"error\":" + print(error) + "}\n";
}

}  // namespace smartvpn::cli
