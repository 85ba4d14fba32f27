// Version 1 lines. Stricter than most receivers: exactly one space between fields, no leading zeros,
// both addresses of the announced family. One form beyond the specification's hex groups is taken,
// `::ffff:a.b.c.d` in TCP6, because HAProxy sends it from listeners that serve both families.
#include "proxyproto/v1_codec.hpp"

#include <array>
#include <charconv>

namespace smartvpn::proxyproto {
namespace {

constexpr std::string_view kTcp4 = "PROXY TCP4 ";
constexpr std::string_view kTcp6 = "PROXY TCP6 ";
constexpr std::string_view kUnknown = "PROXY UNKNOWN";

bool agree(std::string_view text, std::string_view with) noexcept {
  size_t n = std::min(text.size(), with.size());
  return text.substr(0, n) == with.substr(0, n);
}

std::optional<uint16_t> parse_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 65535) return std::nullopt;
  return static_cast<uint16_t>(value);
}

std::optional<inet::IpAddress> parse_address(std::string_view text, Family family) noexcept {
  bool colons = text.find(':') != std::string_view::npos;
  if (colons != (family == Family::inet6)) return std::nullopt;
  auto ip = inet::IpAddress::parse(text);
  bool dotted_v6 = colons && text.find('.') != std::string_view::npos;
  if (ip && dotted_v6 && !ip->is_v4()) return std::nullopt;
  return ip;
}

// Cuts at every space. False unless that gives exactly four parts; an empty part fails later.
bool split_fields(std::string_view text, std::array<std::string_view, 4>& fields) noexcept {
  for (size_t i = 0; i < 3; ++i) {
    size_t space = text.find(' ');
    if (space == std::string_view::npos) return false;
    fields[i] = text.substr(0, space);
    text.remove_prefix(space + 1);
  }
  fields[3] = text;
  return text.find(' ') == std::string_view::npos;
}

}  // namespace

bool may_begin_v1(std::string_view text) noexcept {
  if (agree(text, kTcp4) || agree(text, kTcp6)) return true;
  if (!agree(text, kUnknown)) return false;
  std::string_view after = text.substr(std::min(text.size(), kUnknown.size()));
  return after.empty() || after[0] == ' ' || agree(after, "\r\n");
}

const char* decode_v1(std::string_view line, Header& header) {
  header.version = Version::v1;
  header.command = Command::proxy;
  // What follows UNKNOWN is to be ignored, whatever it is (section 2.1).
  if (line.starts_with(kUnknown)) return nullptr;
  if (!line.starts_with(kTcp4) && !line.starts_with(kTcp6)) return "v1: not a PROXY line";

  std::array<std::string_view, 4> fields;
  Family family = line.starts_with(kTcp4) ? Family::inet4 : Family::inet6;
  if (!split_fields(line.substr(kTcp4.size()), fields)) return "v1: wrong number of fields";
  auto source = parse_address(fields[0], family);
  auto destination = parse_address(fields[1], family);
  if (!source || !destination) return "v1: bad address";
  auto source_port = parse_port(fields[2]);
  auto destination_port = parse_port(fields[3]);
  if (!source_port || !destination_port) return "v1: bad port";

  header.family = family;
  header.transport = Transport::stream;
  header.source = inet::Endpoint{*source, *source_port};
  header.destination = inet::Endpoint{*destination, *destination_port};
  return nullptr;
}

}  // namespace smartvpn::proxyproto
