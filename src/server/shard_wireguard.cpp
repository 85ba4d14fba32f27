// The shard's WireGuard carrier: its sockets, and its peers as the registry's changes leave them.
#include <algorithm>
#include <new>

#include "base/features.hpp"
#include "server/shard.hpp"
#include "transport/wireguard/device.hpp"

namespace smartvpn::server {
namespace {

constexpr size_t kStampsAtOnce = 1024;

}  // namespace

#if SMARTVPN_WITH_WIREGUARD

Result<void> Shard::open_wireguard(size_t index) {
  const config::KeysConfig& keys = plan_.config.keys;
  if (!wireguard_) {
    wireguard::DeviceOptions options;
    options.identity = std::make_shared<const wireguard::Identity>(keys.wireguard_private_key->clone());
    options.mtu = plan_.config.network.mtu;
    options.session_timeout = seconds(plan_.config.wireguard.session_timeout_s);
    system_rng().fill(options.cookie_seed.span());
    wireguard::Surroundings around{*loop_, *this, aead_, packets_, system_rng(), next_connection_id_};
    wireguard_ = std::make_unique<wireguard::Device>(around, std::move(options));
    clients_->for_each_wireguard_key(
        [this](const PublicKey& key, const registry::Client& client) { set_wireguard_peer(key, client); });
    data_path_.on_offline(
        [this](uint64_t client, Packet&& packet) { return wireguard_->wake(client, std::move(packet)); });
  }
  const config::ListenConfig& config = plan_.listeners[index].config;
  wireguard::ListenerOptions options;
  options.listener = static_cast<uint32_t>(index);
  options.address = config.address;
  options.fd = config.fd;
  options.proxy_header = config.proxy_protocol.mode != config::ProxyProtocolConfig::Mode::off;
  options.trusts = [this, index](const inet::IpAddress& ip) { return plan_.listeners[index].trusted.contains(ip); };
  auto bound = wireguard_->listen(std::move(options));
  if (!bound) return bound.error();
  endpoints_.push_back({static_cast<uint32_t>(index), session::Transport::wireguard, *bound});
  return {};
}

void Shard::set_wireguard_peer(const PublicKey& key, const registry::Client& client) {
  wireguard::PeerSettings settings;
  settings.key = key;
  settings.psk = client.wireguard_preshared_key;
  settings.client_number = clients_->find(client.id).number;
  settings.greatest_timestamp = stamps_->greatest(key);
  wireguard_->set_peer(settings);
}

// After a change of the registry: what is there is set, what is gone goes. Sessions have been judged already.
void Shard::update_wireguard_peers(const registry::Draft& draft) {
  if (!wireguard_) return;
  note_wireguard_stamps();  // a key that goes now may come back
  for (const auto& step : draft.steps) {
    if (step.before) {
      for (const auto& key : {step.before->wireguard_public_key,
                              step.before->rotation ? step.before->rotation->wireguard_public_key : std::nullopt}) {
        if (key && !clients_->find_by_wireguard_key(*key).client) wireguard_->remove_peer(*key, Reason::client_removed);
      }
    }
    if (!step.after) continue;
    const registry::Client* client = clients_->find(step.after->id).client;
    if (!client) continue;  // a later step has removed it
    if (client->wireguard_public_key) set_wireguard_peer(*client->wireguard_public_key, *client);
    if (client->rotation && client->rotation->wireguard_public_key)
      set_wireguard_peer(*client->rotation->wireguard_public_key, *client);
  }
}

// Keys whose overlap is over.
void Shard::drop_stale_wireguard_peers() {
  if (!wireguard_) return;
  for (const PublicKey& key : wireguard_->keys())
    if (!clients_->find_by_wireguard_key(key).client) wireguard_->remove_peer(key, Reason::client_removed);
}

// What finds no memory is lost here, and comes again with the peer's next handshake.
void Shard::note_wireguard_stamps() noexcept {
  if (!wireguard_) return;
  try {
    do {
      grown_stamps_.clear();
      wireguard_->take_new_timestamps(grown_stamps_, kStampsAtOnce);
      if (!grown_stamps_.empty()) stamps_->note(grown_stamps_, wall_clock_ms());
    } while (grown_stamps_.size() == kStampsAtOnce);
  } catch (const std::bad_alloc&) {
    return;
  }
}

std::optional<telemetry::WireguardStats> Shard::wireguard_stats() const {
  if (!wireguard_) return std::nullopt;
  const wireguard::DeviceCounters& counters = wireguard_->counters();
  telemetry::WireguardStats out;
#define X(name, help) out.name = counters.name;
  SMARTVPN_WIREGUARD_COUNTER_LIST(X)
#undef X
  out.peers = wireguard_->peers();
  return out;
}

#else

Result<void> Shard::open_wireguard(size_t index) {
  return make_error(Status::UNSUPPORTED, "this build has no WireGuard", "/listen/" + std::to_string(index));
}
void Shard::set_wireguard_peer(const PublicKey&, const registry::Client&) {}
void Shard::update_wireguard_peers(const registry::Draft&) {}
void Shard::drop_stale_wireguard_peers() {}
void Shard::note_wireguard_stamps() noexcept {}
std::optional<telemetry::WireguardStats> Shard::wireguard_stats() const { return std::nullopt; }

#endif

bool Shard::speaks_wireguard() const {
  return std::any_of(plan_.listeners.begin(), plan_.listeners.end(), [](const ListenerPlan& listener) {
    return listener.config.transport == config::Transport::wireguard;
  });
}

void Shard::on_roamed(uint64_t session, const session::Connection& connection) {
  LiveSession* live = sessions_.find(session);
  if (!live) return;
  live->peer.listener = connection.listener;
  live->peer.peer_addr = connection.peer_addr;
  live->peer.real_addr = connection.real_addr;
  live->roamed = true;
  tell_roamed(*live);
}

// At most once a second for each session; tick() tells what is left.
void Shard::tell_roamed(LiveSession& session) noexcept {
  const Time now = loop_->now();
  if (!session.roamed || now < session.roaming_told + seconds(1)) return;
  session.roamed = false;
  session.roaming_told = now;
  reporter_.session_roamed(session);
}

void Shard::on_awaited(uint64_t session, Packet&& packet) {
  if (LiveSession* live = sessions_.find(session)) data_path_.deliver_awaited(*live, std::move(packet));
}

}  // namespace smartvpn::server
