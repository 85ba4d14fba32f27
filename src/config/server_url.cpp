// ws:// and wss:// URLs, strictly.
#include "config/server_url.hpp"

#include <algorithm>
#include <charconv>

#include "inet/address.hpp"

namespace smartvpn::config {
namespace {

constexpr size_t kMaxHost = 253, kMaxUrlPath = 256;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool take_scheme(std::string_view& text, std::string_view scheme) {
  if (text.size() < scheme.size()) return false;
  for (size_t i = 0; i < scheme.size(); ++i)
    if (lower(text[i]) != scheme[i]) return false;
  text.remove_prefix(scheme.size());
  return true;
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > kMaxHost || host.back() == '.') return false;
  size_t label = 0;
  for (char c : host) {
    if (c == '.' ? label == 0 : !(is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_'))
      return false;
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return false;
  }
  return true;
}

// A host whose last label is a number is meant as an IPv4 address and has to be one.
bool is_name_or_ipv4(std::string_view host) {
  if (!is_host_name(host)) return false;
  std::string_view last = host.substr(host.rfind('.') + 1);
  return !std::all_of(last.begin(), last.end(), is_digit) || inet::IpAddress::parse(host).has_value();
}

std::optional<uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || text.size() > 5 || text[0] == '0' || value > 65535) return std::nullopt;
  return static_cast<uint16_t>(value);
}

// "[v6]" or a name up to ':' or the end; what follows stays in `text`.
std::optional<std::string> take_host(std::string_view& text) {
  if (!text.empty() && text[0] == '[') {
    size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(1, end - 1);
    auto ip = inet::IpAddress::parse(host);
    if (!ip || host.find(':') == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
    return ip->text();
  }
  std::string_view host = text.substr(0, text.find(':'));
  if (!is_name_or_ipv4(host)) return std::nullopt;
  text.remove_prefix(host.size());
  std::string out(host);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

}  // namespace

bool is_valid_path(std::string_view path) noexcept {
  if (path.empty() || path.size() > kMaxUrlPath || path[0] != '/') return false;
  return std::all_of(path.begin(), path.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '?' && c != '#'; });
}

std::optional<ServerUrl> ServerUrl::parse(std::string_view text) {
  ServerUrl url;
  if (take_scheme(text, "wss://"))
    url.tls = true;
  else if (!take_scheme(text, "ws://"))
    return std::nullopt;
  size_t slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash), path = text.substr(slash);
  if (!path.empty() && !is_valid_path(path)) return std::nullopt;
  if (!path.empty()) url.path = path;
  auto host = take_host(authority);
  if (!host) return std::nullopt;
  url.host = *host;
  url.port = url.tls ? 443 : 80;
  if (authority.empty()) return url;
  auto port = authority[0] == ':' ? parse_port(authority.substr(1)) : std::nullopt;
  if (!port) return std::nullopt;
  url.port = *port;
  return url;
}

std::string ServerUrl::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

std::string ServerUrl::text() const { return (tls ? "wss://" : "ws://") + authority() + path; }

}  // namespace smartvpn::config
