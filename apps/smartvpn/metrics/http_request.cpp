// See http_request.hpp.
#include "metrics/http_request.hpp"

#include <algorithm>

namespace smartvpn::cli {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";
constexpr std::string_view kScheme = "http://";

bool token_character(char c) {
  bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return letter_or_digit || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), token_character); }

bool visible(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool equal_but_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// A target in absolute form has a scheme and an authority before its path (RFC 9112, 3.2.2).
std::string_view path_of(std::string_view target) {
  if (target.substr(0, kScheme.size()) == kScheme) {
    target.remove_prefix(kScheme.size());
    size_t slash = target.find('/');
    target = slash == std::string_view::npos ? std::string_view() : target.substr(slash);
  }
  if (target.empty() || target[0] != '/') return {};
  return target.substr(0, target.find('?'));
}

// "GET /metrics HTTP/1.1"; sets `needs_host`.
bool read_request_line(std::string_view line, HttpRequest& request, bool& needs_host) {
  size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return false;
  std::string_view version = line.substr(last + 1), target = line.substr(first + 1, last - first - 1);
  request.method = line.substr(0, first);
  request.path = path_of(target);
  needs_host = version == "HTTP/1.1";
  return is_token(request.method) && visible(target) && (needs_host || version == "HTTP/1.0");
}

// Fields are not used but for Host; what is no field makes the request bad all the same. Nobody sends
// a body with what we answer, and one would be read as nothing: the connection ends after the answer.
bool read_field(std::string_view line, int& hosts) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  hosts += equal_but_case(line.substr(0, colon), "host");
  return std::none_of(line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool read_head(std::string_view head, HttpRequest& request) {
  bool needs_host = false;
  int hosts = 0;
  size_t end = head.find("\r\n");
  if (!read_request_line(head.substr(0, end), request, needs_host)) return false;
  while (end != std::string_view::npos) {
    head.remove_prefix(end + 2);
    end = head.find("\r\n");
    if (!read_field(head.substr(0, end), hosts)) return false;
    if (end == std::string_view::npos) break;
  }
  return hosts == 1 || (hosts == 0 && !needs_host);
}

}  // namespace

HttpRequest read_http_request(std::string_view input) {
  HttpRequest request;
  size_t end = input.substr(0, kMaxHttpHead).find(kEnd);
  if (end == std::string_view::npos) {
    if (input.size() >= kMaxHttpHead) request.state = HttpRequest::State::too_long;
    return request;
  }
  request.size = end + kEnd.size();
  request.state = read_head(input.substr(0, end), request) ? HttpRequest::State::complete : HttpRequest::State::bad;
  return request;
}

}  // namespace smartvpn::cli
