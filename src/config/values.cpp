// What a single value may be, by the type of its key. Texts of errors never quote a key's value.
#include <algorithm>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "config/json_tree.hpp"
#include "config/rfc3339.hpp"
#include "config/server_config.hpp"
#include "config/server_url.hpp"
#include "config/value_forms.hpp"
#include "inet/address.hpp"

namespace smartvpn::config {
namespace {

using Wrong = std::optional<std::string>;

std::string range(const KeySpec& spec) { return std::to_string(spec.min) + " to " + std::to_string(spec.max); }

Wrong wrong_integer(const KeySpec& spec, const Json& value) {
  if (!value.is_integer()) return "must be an integer";
  if (value.exceeds_int64() || value.integer() < spec.min || value.integer() > spec.max)
    return "must be from " + range(spec);
  return std::nullopt;
}

Wrong wrong_text(const KeySpec& spec, const std::string& text) {
  auto size = static_cast<int64_t>(text.size());
  if (size < spec.min || size > spec.max) return "must have " + range(spec) + " bytes";
  bool controls =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  return controls ? Wrong("must not hold control characters") : std::nullopt;
}

Wrong wrong_pem(const KeySpec& spec, const std::string& text) {
  auto size = static_cast<int64_t>(text.size());
  if (size < spec.min || size > spec.max) return "must have " + range(spec) + " bytes";
  if (is_pem_text(text)) return text.find('\0') == std::string::npos ? std::nullopt : Wrong("must not hold a NUL");
  return wrong_text(spec, text);
}

Wrong wrong_choice(const KeySpec& spec, const std::string& text) {
  if (!text.empty() && has_word(spec.values, text)) return std::nullopt;
  std::string choices;
  for (char c : spec.values) choices += c == '|' ? std::string(", ") : std::string(1, c);
  return "must be one of " + choices;
}

Wrong wrong_cidr(const std::string& text) {
  if (inet::Cidr::parse(text, false)) return std::nullopt;
  auto lenient = inet::Cidr::parse(text);
  return lenient ? "has host bits set; the prefix is " + lenient->text() : Wrong("is not a prefix such as 10.8.0.0/24");
}

// Whatever acl/ may understand; it compiles the entry and has the last word.
Wrong wrong_acl_entry(const std::string& text) {
  bool shaped =
      !text.empty() && text.size() <= 96 && text.find_first_not_of("0123456789abcdefABCDEF.:/*- ") == std::string::npos;
  return shaped ? std::nullopt : Wrong("is not an address, prefix, range or wildcard");
}

Wrong wrong_private_key(const std::string& text) {
  if (text.empty()) return "is empty";
  auto key = parse_secret_key(text);
  return key && !key->is_zero() ? std::nullopt : Wrong("is not a key (44 characters of base64)");
}

Wrong wrong_public_key(const std::string& text) {
  auto key = parse_public_key(text);
  return key && *key != PublicKey{} ? std::nullopt : Wrong("is not a key (44 characters of base64)");
}

Wrong wrong_time(const KeySpec& spec, const Json& value) {
  if (value.is_number()) return wrong_integer(spec, value);
  bool valid = value.is_string() && parse_rfc3339_ms(value.text());
  return valid ? std::nullopt : Wrong("is neither RFC 3339 text (2026-12-31T23:59:59Z) nor milliseconds since 1970");
}

Wrong wrong_routes(const KeySpec& spec, const Json& value) {
  if (value.is_boolean()) return std::nullopt;
  if (!value.is_array()) return "must be true, false or a list of prefixes";
  if (static_cast<int64_t>(value.size()) > spec.max) return "has more than " + std::to_string(spec.max) + " entries";
  for (const auto& entry : value) {
    if (!entry.is_string()) return "must be true, false or a list of prefixes";
    if (auto wrong = wrong_cidr(entry.text())) return "holds an entry that " + *wrong;
  }
  return std::nullopt;
}

bool is_port(const Json& value) {
  return value.is_integer() && !value.exceeds_int64() && value.integer() >= 1 && value.integer() <= 65535;
}

bool is_port_range(const Json& value) {
  if (!value.is_object() || value.size() != 2) return false;
  const Json *from = value.find("from"), *to = value.find("to");
  return from && to && is_port(*from) && is_port(*to) && from->integer() <= to->integer();
}

Wrong wrong_ports(const KeySpec& spec, const Json& value) {
  if (is_port(value)) return std::nullopt;
  if (!value.is_array()) return "must be a port (1 to 65535) or a list of ports";
  const auto size = static_cast<int64_t>(value.size());
  if (size < spec.min || size > spec.max) return "must have " + range(spec) + " entries";
  for (const auto& entry : value)
    if (!is_port(entry) && !is_port_range(entry))
      return "holds an entry that is neither a port (1 to 65535) nor {\"from\": …, \"to\": …}";
  return std::nullopt;
}

Wrong wrong_target_port(const Json& value) {
  const bool right = is_port(value) || (value.is_string() && value.text() == "preserve");
  return right ? std::nullopt : Wrong("must be a port (1 to 65535) or \"preserve\"");
}

Wrong wrong_form(const KeySpec& spec, const std::string& text) {
  auto unless = [](bool valid, const char* wrong) { return valid ? std::nullopt : Wrong(wrong); };
  switch (spec.type) {
    case Type::choice:
      return wrong_choice(spec, text);
    case Type::address:
      return unless(inet::IpAddress::parse(text).has_value(), "is not an IP address");
    case Type::bind_address:
      return unless(inet::IpAddress::parse(text) || inet::Endpoint::parse(text),
                    "is not an IP address or address:port");
    case Type::endpoint:
      return unless(inet::Endpoint::parse(text).has_value(), "is not address:port");
    case Type::cidr:
      return wrong_cidr(text);
    case Type::acl_entry:
      return wrong_acl_entry(text);
    case Type::private_key:
      return wrong_private_key(text);
    case Type::public_key:
      return wrong_public_key(text);
    case Type::pem:
      return wrong_pem(spec, text);
    case Type::url_path:
      return unless(is_valid_path(text),
                    "must begin with / and hold at most 256 visible ASCII characters without ? and #");
    case Type::url:
      return unless(ServerUrl::parse(text).has_value(), "is not a ws:// or wss:// URL");
    case Type::sha256:
      return unless(parse_sha256(text).has_value(), "is not 64 hexadecimal digits");
    default:
      return wrong_text(spec, text);
  }
}

}  // namespace

bool is_pem_text(std::string_view text) noexcept { return text.find("-----BEGIN ") != std::string_view::npos; }

std::optional<std::array<uint8_t, 32>> parse_sha256(std::string_view text) {
  std::string digits;
  for (char c : text.substr(0, 100))
    if (c != ':') digits += c;
  auto bytes = text.size() <= 100 ? from_hex(digits) : std::nullopt;
  if (!bytes || bytes->size() != 32) return std::nullopt;
  std::array<uint8_t, 32> out{};
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

std::optional<std::string> wrong_value(const KeySpec& spec, const Json& value) {
  switch (spec.type) {
    case Type::boolean:
      return value.is_boolean() ? std::nullopt : Wrong("must be true or false");
    case Type::integer:
      return wrong_integer(spec, value);
    case Type::time:
      return wrong_time(spec, value);
    case Type::routes:
      return wrong_routes(spec, value);
    case Type::ports:
      return wrong_ports(spec, value);
    case Type::target_port:
      return wrong_target_port(value);
    default:
      return value.is_string() ? wrong_form(spec, value.text()) : Wrong("must be a text");
  }
}

}  // namespace smartvpn::config
