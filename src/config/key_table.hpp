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

enum class Kind : uint8_t { server, tunnel, relay };

enum class Type : uint8_t {
  object,
  array,         // elements at "<path>/*"
  boolean,       //
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
  ports,         // a port, or a list of ports and of {"from", "to"}
  target_port,   // a port, or "preserve"
};

// What a running server does with a changed value. New connections, at the latest, see what is applied.
enum class Effect : uint8_t { server_restart, listener_restart, applied };
const char* effect_name(Effect effect) noexcept;  // "applied", "needs_listener_restart", ...

struct KeySpec {
  // JSON Pointer pattern, '*' for any array index: "/listen/*/port".
  std::string_view path = {};
  Type type = Type::text;
  // Integers: the value. Texts: bytes. Arrays: elements.
  int64_t min = 0;
  int64_t max = 0;
  // The default as JSON text; "" for none.
  std::string_view fallback = {};
  // One line of Markdown.
  std::string_view doc = {};
  // Choices, separated by '|'.
  std::string_view values = {};
  // Choices that this build has not, separated by '|'; "*" for any value but the default.
  std::string_view unsupported = {};
  bool secret = false;
  // In its parent, where the parent is present.
  bool required = false;
  // Meaningful in the server's table. Of an array: of its being longer, shorter, or (applied) any different.
  Effect effect = Effect::server_restart;
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
