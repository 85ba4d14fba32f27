// Which route a connection takes. Immutable once compiled; any thread.
//
// Of the routes that match, the one with the highest priority; then the one whose domain is the most specific
// (`a.example.com`, `*.example.com`, `*.com`, `*`, none); then one that names client addresses, TLS versions, ports;
// then the one that was written first.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "acl/address_set.hpp"
#include "base/result.hpp"
#include "config/relay_config.hpp"
#include "relay/tls_ends.hpp"

namespace smartvpn::relay {

struct RouteQuery {
  uint16_t port = 0;                                       // that the client came to
  std::string_view host;                                   // as normalise_host gives it; "": not known
  const std::optional<inet::IpAddress>* client = nullptr;  // real address; null or nothing: not known
  uint16_t tls_version = 0;                                // newest that the client offers; 0: no TLS
  config::RelayProtocol protocol = config::RelayProtocol::tcp;
};

struct Route {
  config::RelayRouteConfig config;
  uint32_t index = 0;  // in the configuration
  acl::AddressSet clients;
  std::vector<uint16_t> tls_versions;
  std::shared_ptr<const TlsEnds> tls;  // null where TLS does not end here
};

class RouteTable {
 public:
  // INVALID with the path of the domain, address or route at fault.
  static Result<RouteTable> compile(const std::vector<config::RelayRouteConfig>& routes);

  // Null: none matches.
  const Route* match(const RouteQuery& query) const noexcept;
  // Whether the answer for a connection of this port and client may hang on what the client says first.
  bool needs_first_bytes(uint16_t port, const std::optional<inet::IpAddress>& client) const noexcept;
  // Where `chosen` was matched for this query and its TLS has ended, with `alpn` agreed on ("": nothing): whether a
  // Host inside may lead to another route. Not where the name in the ClientHello has chosen a domain: that name binds.
  bool host_may_lead_on(const Route& chosen, const RouteQuery& query, std::string_view alpn) const noexcept;
  // The route that this Host, `query.host`, leads to: what the client would have got by asking for it in its
  // ClientHello, if that ends TLS too and knows the protocol agreed on; else `chosen`.
  const Route& lead_on(const Route& chosen, const RouteQuery& query, std::string_view alpn) const noexcept;
  const std::vector<Route>& routes() const noexcept { return routes_; }

 private:
  struct Entry {
    uint32_t route = 0;
    bool has_domain = false;
    std::array<int64_t, 6> rank{};  // the smaller, the better
  };
  Result<void> add(const Route& route, const std::string& at);
  bool fits(const Entry& entry, const RouteQuery& query) const noexcept;
  bool fits_place(const Route& route, const RouteQuery& query) const noexcept;

  std::vector<Route> routes_;
  std::vector<Entry> entries_;  // best first
  // Places in entries_, ascending, by domain: "a.example.com", "*.example.com", "*", and "" for none.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::vector<uint32_t>, Hash, std::equal_to<>> by_domain_;
  std::vector<std::string> keys_;  // of entries_, while compiling
};

// 0x0303 for "TLSv1.2"; 0 for what is no version.
uint16_t tls_version_number(std::string_view name) noexcept;

}  // namespace smartvpn::relay
