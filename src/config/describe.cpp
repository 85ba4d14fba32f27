// The key tables as Markdown, for docs/CONFIGURATION.md.
#include "config/key_tree.hpp"

namespace smartvpn::config {
namespace {

std::string range_text(const KeySpec& spec) { return std::to_string(spec.min) + " to " + std::to_string(spec.max); }

std::string words_text(std::string_view words) {
  std::string out;
  for (char c : words) out += c == '|' ? std::string("`, `") : std::string(1, c);
  return "`" + out + "`";
}

std::string type_text(const KeySpec& spec) {
  switch (spec.type) {
    case Type::object:
      return "object";
    case Type::array:
      return "list, at most " + std::to_string(spec.max);
    case Type::boolean:
      return "true or false";
    case Type::integer:
      return "integer, " + range_text(spec);
    case Type::text:
      return "text, " + range_text(spec) + " bytes";
    case Type::choice:
      return "one of " + words_text(spec.values);
    case Type::address:
      return "IP address";
    case Type::bind_address:
      return "IP address or `address:port`";
    case Type::endpoint:
      return "`address:port`";
    case Type::cidr:
      return "prefix";
    case Type::acl_entry:
      return "address pattern";
    case Type::private_key:
    case Type::public_key:
      return "key, 44 characters of base64";
    case Type::pem:
      return "path or PEM text";
    case Type::url_path:
      return "URL path";
    case Type::url:
      return "`ws://` or `wss://` URL";
    case Type::sha256:
      return "64 hexadecimal digits";
    case Type::time:
      return "RFC 3339 text or milliseconds since 1970";
    case Type::routes:
      return "true, false or a list of prefixes";
    case Type::ports:
      return "port, or list of ports and ranges";
    case Type::target_port:
      return "port or `\"preserve\"`";
  }
  return {};
}

std::string notes(const KeySpec& spec) {
  std::string out(spec.doc);
  if (spec.required) out += " **Required.**";
  if (spec.secret) out += " **Secret.**";
  if (spec.unsupported == "*")
    out += spec.fallback.empty() ? " *Not in this build.*" : " *Only the default is in this build.*";
  else if (!spec.unsupported.empty())
    out += " *Not in this build: " + words_text(spec.unsupported) + ".*";
  return out;
}

std::string_view effect_text(const KeySpec& spec) {
  switch (spec.effect) {
    case Effect::applied:
      return "applied";
    case Effect::listener_restart:
      return "listener restart";
    case Effect::server_restart:
      break;
  }
  return spec.type == Type::object ? "" : "server restart";
}

// `live`: a column that says what a running server does with a change.
void describe(std::string& out, std::string_view title, std::span<const KeySpec> table, bool live) {
  out += "## ";
  out += title;
  out += "\n\n| key | value | default | ";
  out += live ? "a change | meaning |\n| --- | --- | --- | --- | --- |\n" : "meaning |\n| --- | --- | --- | --- |\n";
  for (const auto& spec : table) {
    std::string fallback = spec.fallback.empty() ? std::string() : "`" + std::string(spec.fallback) + "`";
    out += "| `" + std::string(spec.path) + "` | " + type_text(spec) + " | " + fallback + " | ";
    if (live) out += std::string(effect_text(spec)) + " | ";
    out += notes(spec) + " |\n";
  }
}

}  // namespace

std::string describe_keys() {
  std::string out;
  describe(out, "Server", server_key_table(), true);
  out += '\n';
  describe(out, "Tunnel (the dialling end)", tunnel_key_table(), false);
  out += '\n';
  describe(out, "Relay", relay_key_table(), true);
  return out;
}

}  // namespace smartvpn::config
