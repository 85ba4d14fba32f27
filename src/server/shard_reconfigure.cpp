// What a running shard does with a changed configuration: new connections see it at once, live sessions
// as far as it concerns them.
#include <algorithm>

#include "server/shard.hpp"

namespace smartvpn::server {

using ProxyMode = config::ProxyProtocolConfig::Mode;

void Shard::reconfigure(const std::shared_ptr<const Plan>& next) {
  // What needs memory first: a server that has none stays what it was.
  auto keys = static_keys(next->config.keys);
  auto routing = router_options(next->config.network);
  std::vector<ws::ListenerOptions> options;
  for (size_t i = 0; i < listeners_.size(); ++i) options.push_back(listener_options(*next, keys, i));
  TlsContexts tls;
  for (const auto& listener : next->listeners) tls.push_back(listener.tls);
  const session::NetworkUpdate update{next->config.network.routes, next->config.network.dns};
  std::vector<uint64_t> blocked;
  blocked.reserve(sessions_.size());
  std::shared_ptr<const wireguard::Identity> identity;
  if (wireguard_ && !(*plan_->config.keys.wireguard_private_key == *next->config.keys.wireguard_private_key))
    identity = std::make_shared<const wireguard::Identity>(next->config.keys.wireguard_private_key->clone());
  if (is_first()) {
    auto wireguard_secrets_key = wireguard_ ? wireguard_key(next->config.keys) : nullptr;
    MutexLock lock(control_.mutex);
    control_.clients->set_static_keys(next->config.keys.noise_private_key ? keys : nullptr);
    control_.clients->set_wireguard_key(std::move(wireguard_secrets_key));
    control_.clients->set_registry_options(
        {.wireguard_addresses = next->config.keys.wireguard_private_key.has_value()});
  }
  plan_ = next;
  keys_ = std::move(keys);
  for (size_t i = 0; i < listeners_.size(); ++i)
    if (listeners_[i]) listeners_[i]->set_options(std::move(options[i]));
  set_tls_contexts(std::move(tls));
  for (size_t i = 0; wireguard_ && i < plan_->listeners.size(); ++i)
    wireguard_->set_proxy_header(static_cast<uint32_t>(i),
                                 plan_->listeners[i].config.proxy_protocol.mode != ProxyMode::off);
  if (identity) wireguard_->set_identity(std::move(identity));
  router_.set_options(std::move(routing));
  reconfigured_ = true;
  if (is_first()) {
    gatekeeper_->reconfigured();
    prepare_secrets();
  }
  memory_.set_ceiling(plan_->config.limits.memory_bytes);
  sessions_.for_each([&](LiveSession& session) {
    std::optional<inet::IpAddress> real;
    if (session.peer.real_addr) real = session.peer.real_addr->ip;
    if (plan_->connection_policy.judge(real) != Reason::none) return blocked.push_back(session.id);
    session.link->update(update);
    data_path_.judge_waiting(session);
  });
  for (uint64_t id : blocked) end_session(id, Reason::ip_block_list);
}

}  // namespace smartvpn::server
