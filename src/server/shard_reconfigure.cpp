// What a running shard does with a changed configuration: new connections see it at once, live sessions
// as far as it concerns them.
#include <algorithm>

#include "server/shard.hpp"

namespace smartvpn::server {

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
  if (is_first()) {
    MutexLock lock(control_.mutex);
    control_.clients->set_static_keys(keys);
  }
  plan_ = next;
  keys_ = std::move(keys);
  for (size_t i = 0; i < listeners_.size(); ++i)
    if (listeners_[i]) listeners_[i]->set_options(std::move(options[i]));
  set_tls_contexts(std::move(tls));
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
