// Lists are walked from the right, and no further than the client: what is left of it may be garbage. Quotes
// forbid that for Forwarded, whose lines are read whole, each for itself.
#include "transport/ws/forwarded.hpp"

#include <charconv>
#include <vector>

namespace smartvpn::ws {
namespace {

using Client = Result<inet::Endpoint>;

Error refused(const char* text) { return make_error(Status::INVALID, text); }
Error missing() { return refused("the header that names the client is missing"); }
Error no_address() { return refused("the header names no address where the client's should be"); }
Error too_long() { return refused("the header that names the client lists too many proxies"); }

bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the last element of a comma-separated list off its end.
std::string_view take_last(std::string_view& list) noexcept {
  const size_t comma = list.rfind(',');
  const std::string_view element = comma == std::string_view::npos ? list : list.substr(comma + 1);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
  return trim(element);
}

std::optional<uint16_t> parse_port(std::string_view text, bool hidden) noexcept {
  if (hidden && text.size() > 1 && text[0] == '_') return uint16_t{0};
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_possible(const inet::IpAddress& ip) noexcept {
  return !ip.is_unspecified() && !ip.is_multicast() && !(ip.is_v4() && ip.v4_host_order() == 0xffffffff);
}

// One line of Forwarded: elements between commas, pairs between semicolons, values that may be quoted.
class ForwardedLine {
 public:
  explicit ForwardedLine(std::string_view text) : rest_(text) {}

  // Appends the `for` of each element, "" for one that has none. False when the line is malformed.
  bool read(std::vector<std::string>& nodes) {
    for (;;) {
      if (nodes.size() > kMaxHops || !read_element(nodes.emplace_back())) return false;
      if (rest_.empty()) return true;
      rest_.remove_prefix(1);  // the comma
    }
  }

 private:
  bool read_element(std::string& node) {
    bool found = false;
    for (;;) {
      skip_spaces();
      if (!rest_.empty() && rest_[0] != ';' && rest_[0] != ',' && !read_pair(node, found)) return false;
      skip_spaces();
      if (rest_.empty() || rest_[0] == ',') return true;
      if (rest_[0] != ';') return false;
      rest_.remove_prefix(1);
    }
  }
  bool read_pair(std::string& node, bool& found) {
    const std::string_view name = take_token();
    if (name.empty() || rest_.empty() || rest_[0] != '=') return false;
    rest_.remove_prefix(1);
    std::string value;
    if (!read_value(value)) return false;
    if (!equal_any_case(name, "for")) return true;
    if (found) return false;
    found = true;
    node = std::move(value);
    return true;
  }
  bool read_value(std::string& value) {
    if (rest_.empty() || rest_[0] != '"') {
      value = take_token();
      return !value.empty();
    }
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (rest_[i] == '\\' && ++i == rest_.size()) return false;
      value += rest_[i];
    }
    return false;
  }
  std::string_view take_token() {
    size_t size = 0;
    while (size < rest_.size() && is_token(rest_.substr(size, 1))) ++size;
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return token;
  }
  void skip_spaces() {
    while (!rest_.empty() && is_space(rest_[0])) rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

}  // namespace

RealIpHeader RealIpHeader::named(std::string_view name) {
  if (name == "off") return {};
  const Kind kind = name == "x-forwarded-for" ? Kind::x_forwarded_for
                    : name == "forwarded"     ? Kind::forwarded
                                              : Kind::single;
  return {kind, std::string(name)};
}

std::optional<inet::Endpoint> parse_node(std::string_view text, bool bare_v6, bool hidden_ports) noexcept {
  std::string_view host = text, rest;
  const bool bracketed = !text.empty() && text[0] == '[';
  if (bracketed) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else if (const size_t colon = text.find(':'); colon != text.rfind(':')) {
    if (!bare_v6) return std::nullopt;
  } else if (colon != std::string_view::npos) {
    host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  // Brackets are for IPv6 alone, though a mapped address in them is IPv4.
  if (bracketed && host.find(':') == std::string_view::npos) return std::nullopt;
  auto ip = inet::IpAddress::parse(host);
  if (!ip || !is_possible(*ip)) return std::nullopt;
  if (rest.empty()) return inet::Endpoint{*ip, 0};
  auto port = rest[0] == ':' ? parse_port(rest.substr(1), hidden_ports) : std::nullopt;
  if (!port) return std::nullopt;
  return inet::Endpoint{*ip, *port};
}

Result<inet::Endpoint> client_of_x_forwarded_for(std::span<const std::string_view> lines,
                                                 const TrustedAddress& trusted) {
  if (lines.empty()) return missing();
  Client left_most = no_address();
  size_t hops = 0;
  for (size_t i = lines.size(); i-- > 0;) {
    std::string_view list = lines[i];
    do {
      if (++hops > kMaxHops) return too_long();
      auto node = parse_node(take_last(list), true, false);
      if (!node) return no_address();
      if (!trusted(node->ip)) return *node;
      left_most = *node;
    } while (!list.empty());
  }
  return left_most;
}

Result<inet::Endpoint> client_of_forwarded(std::span<const std::string_view> lines, const TrustedAddress& trusted) {
  if (lines.empty()) return missing();
  std::vector<std::string> nodes;
  for (std::string_view line : lines)
    if (!ForwardedLine(line).read(nodes)) return refused("the header Forwarded is malformed");
  if (nodes.size() > kMaxHops) return too_long();
  Client left_most = no_address();
  for (size_t i = nodes.size(); i-- > 0;) {
    auto node = parse_node(nodes[i], false, true);
    if (!node) return no_address();
    if (!trusted(node->ip)) return *node;
    left_most = *node;
  }
  return left_most;
}

Result<inet::Endpoint> client_of_single(std::span<const std::string_view> lines) {
  if (lines.empty()) return missing();
  if (lines.size() > 1) return refused("the header that names the client comes more than once");
  auto node = parse_node(trim(lines[0]), true, false);
  if (!node) return no_address();
  return *node;
}

Result<inet::Endpoint> find_client(const HttpHead& request, const RealIpHeader& header, const TrustedAddress& trusted) {
  const std::vector<std::string_view> lines = request.values(header.name);
  switch (header.kind) {
    case RealIpHeader::Kind::x_forwarded_for:
      return client_of_x_forwarded_for(lines, trusted);
    case RealIpHeader::Kind::forwarded:
      return client_of_forwarded(lines, trusted);
    case RealIpHeader::Kind::single:
      return client_of_single(lines);
    case RealIpHeader::Kind::off:
      break;
  }
  return missing();
}

}  // namespace smartvpn::ws
