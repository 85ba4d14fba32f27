// One table a model: every configuration key with its type, range, default, documentation, secrecy
// and whether this version has it. Validation walks it, `Document` consults it, and the reference
// (docs/CONFIGURATION.md) is printed from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smartvpn::config {

enum class Kind : uint8_t { server, tunnel };

enum class Type : uint8_t {
  object,
  array,  // elements at "<path>/*"
  boolean,
  integer,       // min..max
  text,          // min..max bytes, no control characters
  choice,        // one of `values`
  address,       // an IP address
  bind_address,  // an IP address, or an endpoint with its port
  endpoint,      // address and port
  cidr,          // a prefix without host bits
  acl_entry,     // shape only; acl/ compiles it
  private_key,   // base64 of 32 bytes
  public_key,    // base64 of 32 bytes
  pem,           // path of a file, or PEM text
  url_path,      // begins with '/'
  url,           // ws:// or wss://
  sha256,        // 64 hex digits, colons allowed
  time,          // RFC 3339 text, or ms since 1970
  routes,        // true, false, or a list of prefixes
};

struct KeySpec {
  std::string_view path;  // JSON Pointer pattern, '*' for any array index: "/listen/*/port"
  Type type = Type::text;
  int64_t min = 0, max = 0;      // integers: value; texts: bytes; arrays: elements
  std::string_view fallback;     // the default as JSON text; "" : none
  std::string_view doc;          // one line
  std::string_view values;       // choices, separated by '|'
  std::string_view unsupported;  // choices that exist but are not built, separated by '|'; "*" : the whole key
  bool secret = false;
  bool required = false;  // inside its parent, where the parent is present
};

std::span<const KeySpec> key_table(Kind kind) noexcept;
// The entry of a concrete pointer's pattern ("/listen/0/port" is given as "/listen/*/port"), or null.
const KeySpec* find_key(Kind kind, std::string_view pattern) noexcept;
// Names of the keys directly below an object's pattern, unsupported ones included.
std::vector<std::string_view> child_keys(Kind kind, std::string_view pattern);

// The key among `known` that `word` most likely meant, or "" if none is near.
std::string_view nearest_key(std::string_view word, std::span<const std::string_view> known);

// The reference of all keys as Markdown: a table for each model.
std::string describe_keys();

}  // namespace smartvpn::config
