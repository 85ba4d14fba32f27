// What a client's entry may say, judged by itself.
#include "registry/client.hpp"

#include <algorithm>

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
  return validate_addresses(spec);
}

}  // namespace smartvpn::registry
