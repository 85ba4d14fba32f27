// In what two registry entries differ, in words: entries themselves cannot be printed, and must not be.
#pragma once

#include <string>
#include <vector>

#include "registry/client.hpp"

namespace smartvpn::testing {

// "" if they are equal.
inline std::string difference(const registry::Client& a, const registry::Client& b) {
  if (a == b) return "";
  std::string out;
  const auto note = [&](bool same, const char* name) {
    if (!same) out += std::string(out.empty() ? "" : ", ") + name;
  };
  note(a.id == b.id, "id");
  note(a.revision == b.revision, "revision");
  note(a.enabled == b.enabled, "enabled");
  note(a.expires_at_ms == b.expires_at_ms, "expires_at_ms");
  note(a.addresses == b.addresses, "addresses");
  note(a.subnets == b.subnets, "subnets");
  note(a.description == b.description, "description");
  note(a.tags == b.tags, "tags");
  note(a.security == b.security, "security");
  note(a.noise_public_key == b.noise_public_key, "noise_public_key");
  note(a.wireguard_public_key == b.wireguard_public_key, "wireguard_public_key");
  note(a.rotation == b.rotation, "rotation");
  return a.id + " and " + b.id + " differ: " + (out.empty() ? "in something else" : out);
}

inline std::string difference(const std::vector<registry::Client>& a, const std::vector<registry::Client>& b) {
  for (size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (std::string text = difference(a[i], b[i]); !text.empty()) return text;
  return a.size() == b.size() ? "" : std::to_string(a.size()) + " entries and " + std::to_string(b.size());
}

}  // namespace smartvpn::testing
