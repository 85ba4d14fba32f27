// See session_limits.hpp.
#include "server/session_limits.hpp"

namespace smartvpn::server {

SessionLimits::SessionLimits(net::Loop& loop, std::shared_ptr<ClientAccount> account, uint32_t seed,
                             std::function<void()> release)
    : account_(std::move(account)),
      timer_(loop, std::move(release)),
      from_client(account_->from_client),
      to_client(account_->to_client),
      held(seed) {
  held.set_gate(&from_client);
}

void SessionLimits::set(const registry::RateLimit& client, const std::optional<registry::RateLimit>& granted,
                        Time now) {
  const registry::RateLimit own = granted.value_or(registry::RateLimit{});
  account_->from_client.set(client.from_client_bytes_per_second, client.from_client_burst_bytes, now);
  account_->to_client.set(client.to_client_bytes_per_second, client.to_client_burst_bytes, now);
  from_client.own.set(own.from_client_bytes_per_second, own.from_client_burst_bytes, now);
  to_client.own.set(own.to_client_bytes_per_second, own.to_client_burst_bytes, now);
  if (!held.empty()) await_release();
}

}  // namespace smartvpn::server
