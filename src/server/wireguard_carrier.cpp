// See wireguard_carrier.hpp.
#include "server/wireguard_carrier.hpp"

#include <algorithm>
#include <new>

namespace smartvpn::server {
namespace {

constexpr size_t kStampsAtOnce = 1024;

bool is_wireguard(const ListenerPlan& listener) noexcept {
  return listener.config.transport == config::Transport::wireguard;
}

// The keys under which a client may come, its present one first.
std::vector<PublicKey> keys_of(const registry::Client& client) {
  std::vector<PublicKey> out;
  if (client.wireguard_public_key) out.push_back(*client.wireguard_public_key);
  const bool former = client.rotation && client.rotation->wireguard_public_key;
  if (former && client.rotation->wireguard_public_key != client.wireguard_public_key)
    out.push_back(*client.rotation->wireguard_public_key);
  return out;
}

std::shared_ptr<const wireguard::Identity> identity_of(const Plan& plan) {
  return std::make_shared<const wireguard::Identity>(plan.config.keys.wireguard_private_key->clone());
}

}  // namespace

bool speaks_wireguard(const Plan& plan) noexcept {
  return std::any_of(plan.listeners.begin(), plan.listeners.end(), is_wireguard);
}

wireguard::ListenerOptions WireguardCarrier::listener_options(size_t index) const {
  const config::ListenConfig& config = parts_.plan.listeners[index].config;
  wireguard::ListenerOptions options;
  options.listener = static_cast<uint32_t>(index);
  options.address = config.address;
  options.fd = config.fd;
  options.proxy_header = config.proxy_protocol.mode != config::ProxyProtocolConfig::Mode::off;
  options.trusts = [this, index](const inet::IpAddress& ip) {
    return parts_.plan.listeners[index].trusted.contains(ip);
  };
  return options;
}

Result<void> WireguardCarrier::open(std::vector<BoundEndpoint>& endpoints) {
  if (!speaks_wireguard(parts_.plan)) return {};
  wireguard::DeviceOptions options;
  options.identity = identity_of(parts_.plan);
  options.mtu = parts_.plan.config.network.mtu;
  options.session_timeout = seconds(parts_.plan.config.wireguard.session_timeout_s);
  system_rng().fill(options.cookie_seed.span());
  wireguard::Surroundings around{parts_.loop, parts_.host,  parts_.aead,
                                 parts_.pool, system_rng(), parts_.next_connection_id};
  device_ = std::make_unique<wireguard::Device>(around, std::move(options));
  for (const auto& client : parts_.clients.registry().list()) set_peers(*client);
  for (size_t i = 0; i < parts_.plan.listeners.size(); ++i) {
    if (!is_wireguard(parts_.plan.listeners[i])) continue;
    auto bound = device_->listen(listener_options(i));
    if (!bound) return std::move(bound).error();
    endpoints.push_back({static_cast<uint32_t>(i), session::Transport::wireguard, *bound});
  }
  return {};
}

void WireguardCarrier::close() noexcept {
  tick();
  device_.reset();
}

void WireguardCarrier::set_peers(const registry::Client& client) {
  wireguard::PeerSettings settings;
  settings.psk = client.wireguard_preshared_key;
  settings.client_number = parts_.clients.find(client.id).number;
  const std::vector<PublicKey> keys = keys_of(client);
  if (client.rotation && client.rotation->wireguard_public_key && keys.size() == 2) former_[client.id] = keys[1];
  for (const PublicKey& key : keys) {
    settings.key = key;
    settings.greatest_timestamp = parts_.stamps.greatest(key);
    device_->set_peer(settings);
  }
}

// In the order of the steps, since a key may go from one client to the next.
void WireguardCarrier::apply(const registry::Draft& draft) {
  if (!device_) return;
  tick();  // a key that goes now may come back
  for (const auto& step : draft.steps) {
    const std::vector<PublicKey> stay = step.after ? keys_of(*step.after) : std::vector<PublicKey>();
    if (step.before) {
      for (const PublicKey& key : keys_of(*step.before))
        if (std::find(stay.begin(), stay.end(), key) == stay.end())
          device_->remove_peer(key, step.after ? Reason::unknown_client : Reason::client_removed);
      former_.erase(step.before->id);
    }
    if (step.after) set_peers(*step.after);
  }
}

void WireguardCarrier::end_rotation(const std::string& client_id) noexcept {
  auto it = former_.find(client_id);
  if (it == former_.end()) return;
  if (device_) device_->remove_peer(it->second, Reason::unknown_client);
  former_.erase(it);
}

WireguardCarrier::Change WireguardCarrier::prepare(const Plan& next) const {
  Change change;
  const auto& now = parts_.plan.config.keys.wireguard_private_key;
  const auto& then = next.config.keys.wireguard_private_key;
  if (device_ && !(*now == *then)) change.identity = identity_of(next);
  return change;
}

void WireguardCarrier::reconfigure(Change change) noexcept {
  if (change.identity) device_->set_identity(std::move(change.identity));
}

// What finds no memory is lost here, and comes again with the peer's next handshake.
void WireguardCarrier::tick() noexcept {
  if (!device_) return;
  try {
    do {
      grown_.clear();
      device_->take_new_timestamps(grown_, kStampsAtOnce);
      if (!grown_.empty()) parts_.stamps.note(grown_, wall_clock_ms());
    } while (grown_.size() == kStampsAtOnce);
  } catch (const std::bad_alloc&) {
    return;
  }
}

void WireguardCarrier::begin_drain() noexcept {
  if (device_) device_->begin_drain();
}

void WireguardCarrier::close_all(Reason reason) noexcept {
  if (device_) device_->close_all(reason);
}

std::optional<telemetry::WireguardStats> WireguardCarrier::stats() const {
  if (!device_) return std::nullopt;
  const wireguard::DeviceCounters& counters = device_->counters();
  telemetry::WireguardStats out;
#define X(name, help) out.name = counters.name;
  SMARTVPN_WIREGUARD_COUNTER_LIST(X)
#undef X
  out.peers = device_->peers();
  return out;
}

}  // namespace smartvpn::server
