// The list of proxies, refused while it is configuration rather than regretted later.
#include "acl/trusted_proxies.hpp"

#include "acl/address_key.hpp"

namespace smartvpn::acl {

Result<TrustedProxies> TrustedProxies::compile(std::span<const std::string> entries, std::string_view path) {
  if (entries.empty())
    return make_error(Status::INVALID, "no trusted proxies: every connection would be refused", std::string(path));
  TrustedProxies out;
  for (size_t i = 0; i < entries.size(); ++i) {
    auto cidr = inet::Cidr::parse(entries[i]);
    if (!cidr) return entry_error(path, i, entries[i], "is not an address or a prefix (10.0.0.0/8, 2001:db8::/32)");
    add_range(out.v4_, out.v6_, cidr->base, cidr->last());
  }
  out.v4_.seal();
  out.v6_.seal();
  for (auto [half, family] : {std::pair(out.v4_.covers_half(), "IPv4"), std::pair(out.v6_.covers_half(), "IPv6")})
    if (half)
      return make_error(Status::INVALID,
                        std::string("trusted proxies cover half of all ") + family +
                            " addresses or more: anybody could claim any address",
                        std::string(path));
  return out;
}

bool TrustedProxies::contains(const inet::IpAddress& peer) const noexcept { return acl::contains(v4_, v6_, peer); }

}  // namespace smartvpn::acl
