// See relay_plan.hpp.
#include "relay/relay_plan.hpp"

namespace smartvpn::relay {
namespace {

proxyproto::Mode mode_of(config::RelayListenConfig::Accept accept) noexcept {
  using Accept = config::RelayListenConfig::Accept;
  if (accept == Accept::v1) return proxyproto::Mode::v1;
  return accept == Accept::v2 ? proxyproto::Mode::v2 : proxyproto::Mode::any;
}

Result<ListenerPlan> plan_listener(const config::RelayListenConfig& config, const std::string& at) {
  ListenerPlan plan{config, {}, {}, mode_of(config.accept_proxy_protocol)};
  if (config.accept_proxy_protocol == config::RelayListenConfig::Accept::off) return plan;
  auto trusted = acl::TrustedProxies::compile(config.trusted_proxies, at + "/trusted_proxies");
  if (!trusted) return std::move(trusted).error();
  plan.trusted = std::move(*trusted);
  if (config.may_assert_identity.empty()) return plan;
  auto identity = acl::TrustedProxies::compile(config.may_assert_identity, at + "/may_assert_identity");
  if (!identity) return std::move(identity).error();
  plan.identity = std::move(*identity);
  return plan;
}

void plan_sockets(const config::RelayListenConfig& config, uint32_t listener, std::vector<SocketPlan>& out) {
  const std::string at = "/listen/" + std::to_string(listener);
  for (const auto& range : config.ports)
    for (uint32_t port = range.from; port <= range.to; ++port) {
      SocketKey key{config.address, static_cast<uint16_t>(port), port == 0 ? listener : 0, config.protocol};
      out.push_back({key, listener, at});
    }
}

}  // namespace

ListenerPlan::Header ListenerPlan::expects(const inet::IpAddress& peer) const noexcept {
  if (config.accept_proxy_protocol == config::RelayListenConfig::Accept::off) return Header::forbidden;
  if (trusted.contains(peer)) return Header::required;
  return config.untrusted == config::RelayListenConfig::Untrusted::direct ? Header::forbidden : Header::refused;
}

bool is_served_by(const inet::Endpoint& own, const inet::Endpoint& at) noexcept {
  const bool address = own.ip == at.ip || (own.ip.is_unspecified() && (own.ip.is_v6() || at.ip.is_v4()));
  return address && own.port == at.port;
}

Result<PlanPtr> RelayPlan::compile(const config::RelayConfig& config) {
  auto plan = std::make_shared<RelayPlan>();
  for (size_t i = 0; i < config.listen.size(); ++i) {
    auto listener = plan_listener(config.listen[i], "/listen/" + std::to_string(i));
    if (!listener) return std::move(listener).error();
    plan->listeners.push_back(std::move(*listener));
    plan_sockets(config.listen[i], static_cast<uint32_t>(i), plan->sockets);
  }
  auto routes = RouteTable::compile(config.routes);
  if (!routes) return std::move(routes).error();
  plan->routes = std::move(*routes);
  auto sources = acl::SourcePolicy::compile(config.security.ip_block_list, "/security/ip_block_list",
                                            config.security.ip_allow_list, "/security/ip_allow_list",
                                            {Reason::ip_block_list, Reason::client_ip_not_allowed});
  if (!sources) return std::move(sources).error();
  plan->sources = std::move(*sources);
  plan->timeouts = config.timeouts;
  plan->limits = config.limits;
  return PlanPtr(std::move(plan));
}

}  // namespace smartvpn::relay
