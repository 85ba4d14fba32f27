// Block list, then allow list.
#include "acl/source_policy.hpp"

namespace smartvpn::acl {

Result<SourcePolicy> SourcePolicy::compile(std::span<const std::string> block, std::string_view block_path,
                                           std::span<const std::string> allow, std::string_view allow_path,
                                           SourceReasons reasons) {
  auto blocked = AddressSet::compile(block, block_path);
  if (!blocked) return blocked.error();
  auto allowed = AddressSet::compile(allow, allow_path);
  if (!allowed) return allowed.error();
  SourcePolicy policy;
  policy.block_ = std::move(*blocked);
  policy.allow_ = std::move(*allowed);
  policy.reasons_ = reasons;
  return policy;
}

Reason SourcePolicy::judge(const std::optional<inet::IpAddress>& real) const noexcept {
  inet::IpAddress ip = real.value_or(inet::IpAddress());
  if (block_.contains(ip)) return reasons_.blocked;
  if (!allow_.empty() && !allow_.contains(ip)) return reasons_.not_allowed;
  return Reason::none;
}

}  // namespace smartvpn::acl
