// See control.hpp.
#include "server/control.hpp"

#include "base/rng.hpp"

namespace smartvpn::server {

acl::RateLimits rate_limits(const config::SecurityConfig& security) {
  acl::RateLimits limits;
  limits.connections_per_source = security.max_connections_per_ip;
  limits.new_per_minute = security.new_connections_per_ip_per_minute;
  return limits;
}

Result<std::unique_ptr<Control>> Control::create(const Plan& plan, size_t shards) {
  auto pool = registry::AddressPool::create(plan.config.network.subnets);
  if (!pool) return pool.error();
  std::shared_ptr<RequestQueue> queue;
  if (plan.config.security.authorize) {
    auto requests = RequestQueue::create();
    if (!requests) return requests.error();
    queue = std::move(*requests);
  }
  std::unique_ptr<Control> control(new Control(plan, shards, std::move(*pool), std::move(queue)));
  MutexLock lock(control->mutex);
  const bool wireguard = plan.config.keys.wireguard_private_key.has_value();
  auto directory = ClientDirectory::open(control->addresses, control->routes, {.wireguard_addresses = wireguard});
  if (!directory) return directory.error();
  control->clients = std::move(*directory);
  return control;
}

Control::Control(const Plan& plan, size_t count, registry::AddressPool pool, std::shared_ptr<RequestQueue> queue)
    : shards(count),
      addresses(std::move(pool)),
      routes(count),
      sessions(count),
      limiter(rate_limits(plan.config.security), system_rng().u64()),
      handshakes(plan.config.security.max_handshakes_in_progress),
      verdicts(count),
      requests(std::move(queue)),
      memory(count),
      ports_(count) {
  system_rng().fill(cookie_seed.span());
  if (!requests) return;
  auto deliver = [this](uint64_t connection, const Authorizer::Outcome& outcome) { settle(connection, outcome); };
  authorizer.emplace(requests, std::move(deliver), system_rng().u32());
}

// Called by the authorizer, which is called under the lock only.
NO_THREAD_SAFETY_ANALYSIS void Control::settle(uint64_t connection, const Authorizer::Outcome& outcome) noexcept {
  verdicts.settle(connection, outcome);
}

void Control::wake_others(size_t shard) noexcept {
  for (size_t other = 0; other < shards; ++other)
    if (other != shard) wake(other);
}

void Control::send_mail(size_t shard) noexcept {
  ports_[shard].mail.store(true, std::memory_order_release);
  wake(shard);
}

void Control::send_verdicts(size_t shard) noexcept {
  for (size_t other = 0; other < shards; ++other)
    if (other != shard && verdicts.any(other)) send_mail(other);
}

}  // namespace smartvpn::server
