// What a relay can do with connections and not with datagrams. Each error names the key to change.
#include <algorithm>

#include "config/build.hpp"

namespace smartvpn::config {
namespace {

Error no_datagrams(std::string path, std::string text) {
  return make_error(Status::INVALID, std::move(text), std::move(path));
}

bool share_a_port(const std::vector<PortRange>& some, const std::vector<PortRange>& others) {
  return std::any_of(some.begin(), some.end(), [&](const PortRange& a) {
    return std::any_of(others.begin(), others.end(),
                       [&](const PortRange& b) { return a.from <= b.to && b.from <= a.to; });
  });
}

// A port that the kernel is to choose may be any.
bool fits_listener(const RelayMatchConfig& match, const RelayListenConfig& listener) {
  const PortRange any{0, 0};
  return match.ports.empty() || share_a_port(listener.ports, {any}) || share_a_port(listener.ports, match.ports);
}

// Where a route can be for connections alone, it is no mistake that it has what they alone have; then datagrams pass
// it by.
Result<void> check_datagram_route(const RelayConfig& config, size_t index) {
  const RelayRouteConfig& route = config.routes[index];
  const std::string at = "/routes/" + std::to_string(index);
  if (route.match.protocol == RelayProtocol::udp) {
    if (!route.match.domains.empty()) return no_datagrams(at + "/match/domains", "is set, but protocol is udp");
    if (!route.match.tls_versions.empty())
      return no_datagrams(at + "/match/tls_versions", "is set, but protocol is udp");
    if (route.action.vpn) return no_datagrams(at + "/action/type", "is vpn, but protocol is udp");
  }
  if (!takes_datagrams(config, route)) return {};
  if (route.action.send_proxy_protocol == RelayActionConfig::Send::v1)
    return no_datagrams(at + "/action/send_proxy_protocol", "is v1, which has no datagrams: v2, or match/protocol tcp");
  if (route.action.tls.mode != RelayTlsConfig::Mode::passthrough)
    return no_datagrams(at + "/action/tls/mode", "ends TLS, but the route takes datagrams: match/protocol tcp");
  return {};
}

}  // namespace

bool takes_datagrams(const RelayConfig& config, const RelayRouteConfig& route) {
  const RelayMatchConfig& match = route.match;
  if (match.protocol) return *match.protocol == RelayProtocol::udp;
  if (!match.domains.empty() || !match.tls_versions.empty() || route.action.vpn) return false;
  return std::any_of(config.listen.begin(), config.listen.end(), [&](const RelayListenConfig& listener) {
    return listener.protocol == RelayProtocol::udp && fits_listener(match, listener);
  });
}

Result<void> check_relay_datagrams(const RelayConfig& config) {
  for (size_t i = 0; i < config.listen.size(); ++i)
    if (config.listen[i].protocol == RelayProtocol::udp &&
        config.listen[i].accept_proxy_protocol == RelayListenConfig::Accept::v1)
      return no_datagrams("/listen/" + std::to_string(i) + "/accept_proxy_protocol", "is v1, which has no datagrams");
  for (size_t i = 0; i < config.routes.size(); ++i)
    if (auto checked = check_datagram_route(config, i); !checked) return checked;
  return {};
}

}  // namespace smartvpn::config
