// What a client's entry may say, judged by itself.
#include "registry/client.hpp"

#include <algorithm>

#include "crypto/x25519.hpp"

namespace smartvpn::registry {
namespace {

bool is_id_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '@' || c == '-';
}

Error invalid(std::string text, std::string path) {
  return make_error(Status::INVALID, std::move(text), std::move(path));
}

Result<void> validate_addresses(const ClientSpec& spec) {
  for (size_t i = 0; i < spec.addresses.size(); ++i) {
    const std::string path = "/addresses/" + std::to_string(i);
    if (!spec.addresses[i]) return invalid("not an address", path);
    for (size_t j = 0; j < i; ++j)
      if (spec.addresses[j].family() == spec.addresses[i].family())
        return invalid("a client has at most one fixed address of each family", path);
  }
  if (spec.max_sessions < 1 || spec.max_sessions > kMaxSessionsPerClient)
    return invalid("must be between 1 and " + std::to_string(kMaxSessionsPerClient), "/max_sessions");
  if (spec.max_sessions > 1 && !spec.addresses.empty())
    return invalid("more than one session needs leased addresses, but this client has a fixed one", "/max_sessions");
  if (spec.max_sessions > 1 && !spec.subnets.empty())
    return invalid("subnets are routed to one session, so there can be only one", "/max_sessions");
  return {};
}

// What others have is the registry's business.
Result<void> validate_subnets(const ClientSpec& spec) {
  if (spec.subnets.size() > kMaxSubnets)
    return invalid("more than " + std::to_string(kMaxSubnets) + " subnets", "/subnets");
  for (size_t i = 0; i < spec.subnets.size(); ++i)
    if (std::find(spec.subnets.begin(), spec.subnets.begin() + static_cast<ptrdiff_t>(i), spec.subnets[i]) !=
        spec.subnets.begin() + static_cast<ptrdiff_t>(i))
      return invalid("is there twice", "/subnets/" + std::to_string(i));
  return {};
}

Result<void> validate_keys(const ClientSpec& spec) {
  auto usable = [](const std::optional<PublicKey>& key) { return !key || crypto::is_usable_public_key(*key); };
  if (!usable(spec.noise_public_key)) return invalid("not a key anybody can have", "/noise_public_key");
  if (!usable(spec.wireguard_public_key)) return invalid("not a key anybody can have", "/wireguard_public_key");
  return {};
}

}  // namespace

bool is_valid_client_id(std::string_view id) noexcept {
  return !id.empty() && id.size() <= kMaxIdSize && std::all_of(id.begin(), id.end(), is_id_character);
}

Result<void> validate_client(const ClientSpec& spec) {
  if (!is_valid_client_id(spec.id)) return invalid("must be 1 to 64 characters of A-Z a-z 0-9 . _ @ -", "/id");
  if (spec.expires_at_ms < 0) return invalid("must be a time after 1970, or 0 for never", "/expires_at_ms");
  if (spec.description.size() > kMaxDescriptionSize)
    return invalid("longer than " + std::to_string(kMaxDescriptionSize) + " bytes", "/description");
  if (spec.tags.size() > kMaxTags) return invalid("more than " + std::to_string(kMaxTags) + " tags", "/tags");
  for (size_t i = 0; i < spec.tags.size(); ++i)
    if (spec.tags[i].empty() || spec.tags[i].size() > kMaxTagSize)
      return invalid("a tag has 1 to " + std::to_string(kMaxTagSize) + " bytes", "/tags/" + std::to_string(i));
  if (spec.priority > kMaxPriority)
    return invalid("must be between 0 and " + std::to_string(kMaxPriority), "/priority");
  if (auto valid = validate_addresses(spec); !valid) return valid;
  if (auto valid = validate_subnets(spec); !valid) return valid;
  return validate_keys(spec);
}

}  // namespace smartvpn::registry
