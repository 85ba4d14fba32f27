// One line of the control protocol, read (docs/CONTROL.md). Pure: bytes in, a request or what is wrong
// with it out. The sender may be anybody who got at the socket, so every size and depth is bounded.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace smartvpn::cli {

inline constexpr size_t kMaxControlLine = 1 << 20;  // bytes with the newline
inline constexpr size_t kMaxControlDepth = 16;      // of objects and lists
inline constexpr size_t kMaxControlId = 64;         // bytes of an id that is a text

struct ControlRequest {
  std::string id = "null";  // as JSON text: a number, a text, or null
  std::string method;
  nlohmann::json params = nlohmann::json::object();
};

// "" and the request; or a sentence that says why it is none, and as much of the request as was good.
std::string read_control_request(std::string_view line, ControlRequest& request);

// {"id": <id>, "result": <result>} and a newline.
std::string control_result(std::string_view id, std::string_view result);
// {"id": <id>, "error": {"status": "...", "path": "...", "text": "..."}} and a newline. Bytes that are
// not UTF-8 are replaced.
std::string control_error(std::string_view id, std::string_view status, std::string_view path, std::string_view text);

}  // namespace smartvpn::cli
