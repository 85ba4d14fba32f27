// The head of an HTTP/1.x request (RFC 9112), as far as a page of metrics needs it. Pure and strict:
// bytes in, what to answer out. The sender may be anybody who reaches the port.
#pragma once

#include <cstddef>
#include <string_view>

namespace smartvpn::cli {

inline constexpr size_t kMaxHttpHead = 8192;  // bytes up to and with the empty line

struct HttpRequest {
  enum class State { incomplete, complete, bad, too_long };
  State state = State::incomplete;
  size_t size = 0;          // complete: of the head in the input
  std::string_view method;  // complete: views into the input
  std::string_view path;    // without the query; "" for a target that is no path
};

// `input` begins with a request. Gives the same verdict however the bytes were cut: `incomplete` until
// the empty line is there or the head is longer than allowed.
HttpRequest read_http_request(std::string_view input);

}  // namespace smartvpn::cli
