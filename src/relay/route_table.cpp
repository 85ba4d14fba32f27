// See route_table.hpp. Routes are entered once for each of their domains and sorted; a name is looked up whole, then
// with each of its parents as `*.parent`, then `*`, then without a domain, and the best of these is taken.
#include "relay/route_table.hpp"

#include <algorithm>
#include <numeric>

#include "relay/domain_pattern.hpp"
#include "relay/host_name.hpp"

namespace smartvpn::relay {
namespace {

std::string item(std::string_view list, size_t index) { return std::string(list) + "/" + std::to_string(index); }

bool in_ranges(const std::vector<config::PortRange>& ranges, uint16_t port) noexcept {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](auto& range) { return range.contains(port); });
}

// The form under which names are looked up; `pattern` has been parsed.
std::string key_of(std::string_view pattern) {
  if (pattern == "*") return "*";
  const bool wild = pattern.substr(0, 2) == "*.";
  auto host = normalise_host(wild ? pattern.substr(2) : pattern);
  return (wild ? "*." : "") + host.value_or(std::string());
}

// What was decrypted goes nowhere but where it would have been decrypted too.
bool takes_over(const Route& route, std::string_view alpn) noexcept {
  const auto& known = route.config.action.tls.alpn;
  return route.tls && (alpn.empty() || std::find(known.begin(), known.end(), alpn) != known.end());
}

// Versions 2 and 3 have the host in a form that is not read here.
bool reads_as_http1(std::string_view alpn) noexcept { return alpn.empty() || alpn.substr(0, 7) == "http/1."; }

}  // namespace

uint16_t tls_version_number(std::string_view name) noexcept {
  constexpr std::string_view prefix = "TLSv1.";
  const bool known = name.size() == prefix.size() + 1 && name.substr(0, prefix.size()) == prefix;
  const char minor = known ? name.back() : '9';
  return minor >= '0' && minor <= '3' ? static_cast<uint16_t>(0x0301 + (minor - '0')) : 0;
}

Result<RouteTable> RouteTable::compile(const std::vector<config::RelayRouteConfig>& routes) {
  RouteTable table;
  for (size_t i = 0; i < routes.size(); ++i) {
    const std::string at = item("/routes", i);
    Route route{routes[i], static_cast<uint32_t>(i), {}, {}, {}};
    auto tls = TlsEnds::make(routes[i].action, at + "/action/tls");
    if (!tls) return std::move(tls).error();
    route.tls = std::move(*tls);
    auto clients = acl::AddressSet::compile(routes[i].match.client_ip, at + "/match/client_ip");
    if (!clients) return std::move(clients).error();
    route.clients = std::move(*clients);
    for (const auto& name : routes[i].match.tls_versions) route.tls_versions.push_back(tls_version_number(name));
    if (auto added = table.add(route, at); !added) return std::move(added).error();
    table.routes_.push_back(std::move(route));
  }
  std::vector<uint32_t> order(table.entries_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return table.entries_[a].rank < table.entries_[b].rank; });
  std::vector<Entry> sorted;
  for (uint32_t at : order) {
    table.by_domain_[table.keys_[at]].push_back(static_cast<uint32_t>(sorted.size()));
    sorted.push_back(table.entries_[at]);
  }
  table.entries_ = std::move(sorted);
  std::vector<std::string>().swap(table.keys_);
  return table;
}

Result<void> RouteTable::add(const Route& route, const std::string& at) {
  const auto& match = route.config.match;
  auto enter = [&](std::string key, int64_t specificity) {
    if (!route.config.enabled) return;
    entries_.push_back({route.index,
                        !key.empty(),
                        {-int64_t{route.config.priority}, -specificity, match.client_ip.empty(),
                         match.tls_versions.empty(), match.ports.empty(), int64_t{route.index}}});
    keys_.push_back(std::move(key));
  };
  for (size_t i = 0; i < match.domains.size(); ++i) {
    auto pattern = DomainPattern::parse(match.domains[i], item(at + "/match/domains", i));
    if (!pattern) return std::move(pattern).error();
    enter(key_of(match.domains[i]), int64_t{pattern->specificity()} + 1);
  }
  if (match.domains.empty()) enter({}, 0);
  return {};
}

// By all that is known before the client has said anything. A VPN server takes connections only.
bool RouteTable::fits_place(const Route& route, const RouteQuery& query) const noexcept {
  const auto& match = route.config.match;
  if (match.protocol ? *match.protocol != query.protocol
                     : query.protocol == config::RelayProtocol::udp && route.config.action.vpn)
    return false;
  if (!in_ranges(match.ports, query.port)) return false;
  if (match.client_ip.empty()) return true;
  return query.client && *query.client && route.clients.contains(**query.client);
}

bool RouteTable::fits(const Entry& entry, const RouteQuery& query) const noexcept {
  const Route& route = routes_[entry.route];
  if (!fits_place(route, query)) return false;
  const auto& versions = route.tls_versions;
  return versions.empty() || std::find(versions.begin(), versions.end(), query.tls_version) != versions.end();
}

const Route* RouteTable::match(const RouteQuery& query) const noexcept {
  size_t best = entries_.size();
  auto look = [&](std::string_view key) {
    const auto found = by_domain_.find(key);
    if (found == by_domain_.end()) return;
    for (uint32_t at : found->second) {
      if (at >= best) return;
      if (fits(entries_[at], query)) best = at;
    }
  };
  if (!query.host.empty()) {
    look(query.host);
    std::array<char, 256> wild{'*'};
    for (size_t dot = query.host.find('.'); dot != std::string_view::npos; dot = query.host.find('.', dot + 1)) {
      const std::string_view parent = query.host.substr(dot);  // with its dot
      if (parent.size() >= wild.size()) continue;
      std::copy(parent.begin(), parent.end(), wild.begin() + 1);
      look({wild.data(), parent.size() + 1});
    }
    look("*");
  }
  look("");
  return best < entries_.size() ? &routes_[entries_[best].route] : nullptr;
}

bool RouteTable::needs_first_bytes(uint16_t port, const std::optional<inet::IpAddress>& client) const noexcept {
  for (const Entry& entry : entries_) {
    const Route& route = routes_[entry.route];
    if (!fits_place(route, {port, {}, &client})) continue;
    // The first that could match: if nothing more is asked of it, it does.
    return entry.has_domain || !route.tls_versions.empty() || route.tls;
  }
  return false;
}

bool RouteTable::host_may_lead_on(const Route& chosen, const RouteQuery& query, std::string_view alpn) const noexcept {
  if (!chosen.config.match.domains.empty() || !reads_as_http1(alpn)) return false;
  for (const Entry& entry : entries_) {
    if (entry.route == chosen.index) return false;  // and all that follow come after it
    if (entry.has_domain && fits(entry, query) && takes_over(routes_[entry.route], alpn)) return true;
  }
  return false;
}

const Route& RouteTable::lead_on(const Route& chosen, const RouteQuery& query, std::string_view alpn) const noexcept {
  const Route* route = match(query);
  return route && takes_over(*route, alpn) ? *route : chosen;
}

}  // namespace smartvpn::relay
