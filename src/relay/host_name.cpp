// The grammar of host names and authorities. Addresses are asked for first: the grammar of names would
// let a dotted quad pass.
#include "relay/host_name.hpp"

#include <charconv>

#include "inet/address.hpp"

namespace smartvpn::relay {
namespace {

constexpr size_t kMaxHostName = 253;  // RFC 1035 section 2.3.4: 255 octets on the wire
constexpr size_t kMaxLabel = 63;

// The byte in lower case, or 0 where it has no place in a label.
constexpr char label_char(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? c : '\0';
}

std::optional<uint16_t> authority_port(std::string_view digits) noexcept {
  uint32_t port = 0;
  const char* end = digits.data() + digits.size();
  if (digits.empty() || digits.size() > 5) return std::nullopt;
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || stop != end || port > UINT16_MAX) return std::nullopt;
  return static_cast<uint16_t>(port);
}

// What stands in front of the port; `rest` becomes what follows it.
std::optional<std::string> authority_literal(std::string_view& rest) {
  const size_t close = rest.find(']');
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view inside = rest.substr(1, close - 1);
  rest.remove_prefix(close + 1);
  if (inside.find(':') == std::string_view::npos) return std::nullopt;  // brackets are for IPv6
  const auto address = inet::IpAddress::parse(inside);
  return address ? std::optional(address->text()) : std::nullopt;
}

std::optional<std::string> authority_name(std::string_view& rest) {
  const std::string_view name = rest.substr(0, rest.find(':'));
  rest.remove_prefix(name.size());
  if (const auto address = inet::IpAddress::parse(name)) return address->text();
  return normalise_host(name);
}

}  // namespace

std::optional<std::string> normalise_host(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxHostName) return std::nullopt;
  std::string host(text);
  size_t label = 0;  // bytes of the current one
  for (char& c : host) {
    if (c == '.') {
      if (label == 0) return std::nullopt;
      label = 0;
      continue;
    }
    c = label_char(c);
    if (c == '\0' || ++label > kMaxLabel) return std::nullopt;
  }
  if (label == 0 || inet::IpAddress::parse(host)) return std::nullopt;
  return host;
}

std::optional<Authority> parse_authority(std::string_view text) {
  auto host = text.starts_with('[') ? authority_literal(text) : authority_name(text);
  if (!host) return std::nullopt;
  Authority out{std::move(*host), std::nullopt};
  if (text.empty()) return out;
  if (!text.starts_with(':')) return std::nullopt;
  out.port = authority_port(text.substr(1));
  return out.port ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::string> host_of_authority(std::string_view authority) {
  auto parsed = parse_authority(authority);
  return parsed ? std::optional(std::move(parsed->host)) : std::nullopt;
}

}  // namespace smartvpn::relay
