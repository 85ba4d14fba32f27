// The shard's WireGuard carrier: its sockets, and its peers as the registry's changes leave them.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/features.hpp"
#include "server/shard.hpp"
#include "transport/wireguard/device.hpp"

namespace smartvpn::server {
namespace {

constexpr size_t kStampsAtOnce = 1024;

}  // namespace

#if SMARTVPN_WITH_WIREGUARD

Result<void> Shard::open_wireguard(size_t index, const Shard* first) {
  if (!wireguard_) make_wireguard();
  const config::ListenConfig& config = plan_->listeners[index].config;
  wireguard::ListenerOptions options;
  options.listener = static_cast<uint32_t>(index);
  options.address = config.address;
  if (first) options.address.port = first->endpoints_[index].address.port;
  options.fd = config.fd;
  options.proxy_header = config.proxy_protocol.mode != config::ProxyProtocolConfig::Mode::off;
  options.trusts = [this, index](const inet::IpAddress& ip) { return plan_->listeners[index].trusted.contains(ip); };
  auto bound = wireguard_->listen(std::move(options));
  if (!bound) return bound.error();
  endpoints_.push_back({static_cast<uint32_t>(index), session::Transport::wireguard, *bound});
  return {};
}

void Shard::make_wireguard() {
  wireguard::DeviceOptions options;
  options.identity = std::make_shared<const wireguard::Identity>(plan_->config.keys.wireguard_private_key->clone());
  options.mtu = plan_->config.network.mtu;
  options.session_timeout = seconds(plan_->config.wireguard.session_timeout_s);
  options.shard = static_cast<unsigned>(this->index());
  options.shards = static_cast<unsigned>(control_.shards);
  options.cookie_seed = control_.cookie_seed.clone();
  options.limiter = control_.handshake_limiter;
  wireguard::Surroundings around{*loop_, *this, aead_, packets_, system_rng(), next_connection_id_};
  wireguard_ = std::make_unique<wireguard::Device>(around, std::move(options));
  std::vector<wireguard::PeerSettings> former, peers;
  with_clients([&](const ClientDirectory& clients) {
    clients.for_each_wireguard_key([&](const PublicKey& key, const registry::Client& client) {
      auto& kind = key == client.wireguard_public_key ? peers : former;
      kind.push_back(wireguard_settings(key, client, clients.find(client.id).number));
    });
  });
  // Present keys last: who is to be woken is looked for under the key that came last.
  for (const auto& peer : former) set_wireguard_peer(peer);
  for (const auto& peer : peers) set_wireguard_peer(peer);
  data_path_.on_offline([this](uint64_t client, Packet&& packet) { return wake_client(client, std::move(packet)); });
  if (!crossing_) return;
  strays_.reserve(DataPath::kBatch);
  data_path_.on_carrier_bytes([this](ByteView bytes) { collect_stray(bytes); });
  wireguard_->on_stray(
      [this](unsigned shard, const wireguard::StrayNote& note, ByteView message) { hand_over(shard, note, message); });
}

wireguard::PeerSettings Shard::wireguard_settings(const PublicKey& key, const registry::Client& client,
                                                  uint64_t number) const {
  wireguard::PeerSettings settings;
  settings.key = key;
  settings.psk = client.wireguard_preshared_key;
  settings.client_number = number;
  settings.greatest_timestamp = stamps_->greatest(key);
  if (const auto wish = wireguard_wishes_.find(key); wish != wireguard_wishes_.end()) {
    settings.endpoint = wish->second.endpoint;
    settings.persistent_keepalive = wish->second.persistent_keepalive.value_or(Duration{0});
  }
  return settings;
}

// Each shard has the peers whose home it is, and knows of the others where that is.
void Shard::set_wireguard_peer(const wireguard::PeerSettings& peer) {
  const unsigned home = wireguard::home_of(peer.key, static_cast<unsigned>(control_.shards));
  if (crossing_) wireguard_homes_[peer.client_number] = home;
  if (home == index()) wireguard_->set_peer(peer);
}

void Shard::remove_wireguard_peer(const PublicKey& key) noexcept {
  wireguard_->remove_peer(key, Reason::client_removed);
  wireguard_wishes_.erase(key);
}

// After a change of the registry: what is there is set, what is gone goes. Sessions have been judged already.
void Shard::update_wireguard_peers(const registry::Draft& draft) {
  if (!wireguard_) return;
  note_wireguard_stamps();  // a key that goes now may come back
  std::vector<PublicKey> gone;
  std::vector<wireguard::PeerSettings> there;
  with_clients([&](const ClientDirectory& clients) {
    for (const auto& step : draft.steps) {
      if (step.before) {
        for (const auto& key : {step.before->wireguard_public_key,
                                step.before->rotation ? step.before->rotation->wireguard_public_key : std::nullopt}) {
          if (key && !clients.find_by_wireguard_key(*key).client) gone.push_back(*key);
        }
      }
      if (!step.after) continue;
      const ClientDirectory::Found found = clients.find(step.after->id);
      if (!found.client) continue;  // a later step has removed it
      const registry::Client& client = *found.client;
      if (client.rotation && client.rotation->wireguard_public_key)
        there.push_back(wireguard_settings(*client.rotation->wireguard_public_key, client, found.number));
      if (client.wireguard_public_key)
        there.push_back(wireguard_settings(*client.wireguard_public_key, client, found.number));
    }
  });
  // A key that has another client now was removed and came again: nothing of before is left.
  for (const auto& peer : there)
    if (const uint64_t former = wireguard_->client_of(peer.key); former != 0 && former != peer.client_number)
      gone.push_back(peer.key);
  // Without the lock: a peer that goes ends its session, which asks for it.
  for (const PublicKey& key : gone) remove_wireguard_peer(key);
  for (const auto& peer : there) set_wireguard_peer(peer);
  forget_wireguard_homes();
}

// Of clients that were removed; now and then, because nobody asks for them.
void Shard::forget_wireguard_homes() {
  with_clients([&](const ClientDirectory& clients) {
    if (wireguard_homes_.size() <= 2 * clients.size() + 64) return;
    std::unordered_map<uint64_t, unsigned> left;
    clients.for_each_wireguard_key([&](const PublicKey&, const registry::Client& client) {
      const uint64_t number = clients.find(client.id).number;
      if (auto known = wireguard_homes_.find(number); known != wireguard_homes_.end()) left.insert(*known);
    });
    wireguard_homes_.swap(left);
  });
}

// Keys whose overlap is over.
void Shard::drop_stale_wireguard_peers() {
  if (!wireguard_) return;
  std::vector<PublicKey> stale = wireguard_->keys();
  with_clients([&](const ClientDirectory& clients) {
    std::erase_if(stale, [&](const PublicKey& key) { return clients.find_by_wireguard_key(key).client != nullptr; });
  });
  for (const PublicKey& key : stale) remove_wireguard_peer(key);
}

// A packet for a client without a session, which its home may know how to reach.
Drop Shard::wake_client(uint64_t client, Packet&& packet) noexcept {
  const auto home = wireguard_homes_.find(client);
  if (!crossing_ || (home != wireguard_homes_.end() && home->second == index()))
    return wireguard_->wake(client, std::move(packet));
  if (home == wireguard_homes_.end()) return Drop::no_route;
  return data_path_.to_offline_elsewhere(home->second, client, packet);
}

// Another shard's message; most come to the right one by the kernel's steering. It is published with the turn's end.
void Shard::hand_over(unsigned shard, const wireguard::StrayNote& note, ByteView message) noexcept {
  const ByteView head(reinterpret_cast<const uint8_t*>(&note), sizeof note);
  const ShardRing::Record record{static_cast<uint32_t>(head.size() + message.size()), 0, 1, Crossing::kToCarrier, 0};
  if (!crossing_->push(shard, record, head, message)) reporter_.unowned().drop(Drop::queue_full, 1);
}

// From the ring, where they may not be opened in place.
void Shard::collect_stray(ByteView bytes) noexcept {
  wireguard::Stray stray;
  if (bytes.size() < sizeof stray.note) return;
  std::memcpy(&stray.note, bytes.data(), sizeof stray.note);
  stray.message = packets_.copy_of(bytes.subspan(sizeof stray.note));
  if (strays_.size() == strays_.capacity()) take_strays();
  if (stray.message)
    strays_.push_back(std::move(stray));
  else
    reporter_.unowned().drop(Drop::queue_full, 1);
}

void Shard::take_strays() noexcept {
  if (strays_.empty()) return;
  try {
    wireguard_->take_strays(strays_);
  } catch (const std::bad_alloc&) {
    reporter_.unowned().drop(Drop::queue_full, strays_.size());
  }
  strays_.clear();
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

Result<void> Shard::open_wireguard(size_t index, const Shard*) {
  return make_error(Status::UNSUPPORTED, "this build has no WireGuard", "/listen/" + std::to_string(index));
}
void Shard::update_wireguard_peers(const registry::Draft&) {}
void Shard::drop_stale_wireguard_peers() {}
void Shard::note_wireguard_stamps() noexcept {}
void Shard::take_strays() noexcept {}
std::optional<telemetry::WireguardStats> Shard::wireguard_stats() const { return std::nullopt; }

#endif

bool Shard::speaks_wireguard() const {
  return std::any_of(plan_->listeners.begin(), plan_->listeners.end(), [](const ListenerPlan& listener) {
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
