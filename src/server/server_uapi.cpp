// The `wg` tool's requests, between its socket's thread, the registry and the shards.
#include <algorithm>
#include <cerrno>

#include "server/server_impl.hpp"

namespace smartvpn::server {
namespace {

constexpr int kTries = 5;  // while others change the registry, too

uint16_t seconds_of(Duration interval) {
  return static_cast<uint16_t>(
      std::clamp<int64_t>(std::chrono::duration_cast<std::chrono::seconds>(interval).count(), 0, 65535));
}

}  // namespace

Result<void> Server::Impl::start_uapi() {
  const std::string& socket = shards_[0]->config().wireguard.uapi_socket;
  if (socket.empty()) return {};
  UapiBackend backend;
  backend.get = [this](std::string& out) { return uapi_get(out); };
  backend.set = [this](const wireguard::UapiRequest& request) { return uapi_set(request); };
  auto service = UapiService::start(socket, std::move(backend));
  if (!service) return std::move(service).error();
  uapi_ = std::move(*service);
  return {};
}

Result<UapiFacts> Server::Impl::uapi_facts() {
  UapiFacts facts;
  auto taken = command([&facts](Shard& shard) -> Result<void> {
    shard.with_clients([&facts](const ClientDirectory& clients) {
      facts.clients = clients.registry().list();
      facts.revision = clients.registry().revision();
    });
    facts.own_key = shard.facts().wireguard_public_key;
    facts.addresses = shard.config().network.subnets;
    facts.device = shard.config().forwarding.mode == config::ForwardingConfig::Mode::tun;
    for (const BoundEndpoint& bound : shard.endpoints())
      if (bound.transport == session::Transport::wireguard) facts.ports.push_back(bound.address.port);
    return {};
  });
  if (!taken) return taken.error();
  return facts;
}

int Server::Impl::uapi_get(std::string& out) {
  auto facts = uapi_facts();
  if (!facts) return uapi_errno(facts.error());
  std::vector<wireguard::PeerFigures> figures;
  auto taken = command_everywhere([&figures](Shard& shard) -> Result<void> {
    shard.add_wireguard_figures(figures);
    return {};
  });
  if (!taken) return uapi_errno(taken.error());
  auto before = [](const wireguard::PeerFigures& a, const wireguard::PeerFigures& b) { return a.key < b.key; };
  std::sort(figures.begin(), figures.end(), before);

  std::vector<std::vector<inet::Cidr>> allowed;
  std::vector<wireguard::UapiPeerState> peers;
  allowed.reserve(facts->clients.size());
  peers.reserve(facts->clients.size());
  size_t size = 64;
  for (const auto& client : facts->clients) {
    if (!client->wireguard_public_key) continue;
    wireguard::UapiPeerState& peer = peers.emplace_back();
    peer.key = *client->wireguard_public_key;
    peer.preshared_key = client->wireguard_preshared_key.get();
    peer.allowed_ips = allowed.emplace_back(uapi_allowed_ips(*client));
    wireguard::PeerFigures wanted;
    wanted.key = peer.key;
    const auto found = std::lower_bound(figures.begin(), figures.end(), wanted, before);
    if (found != figures.end() && found->key == peer.key) {
      peer.endpoint = found->endpoint;
      peer.last_handshake_ms = found->last_handshake_ms;
      peer.bytes_in = found->bytes_in;
      peer.bytes_out = found->bytes_out;
      peer.persistent_keepalive_s = seconds_of(found->persistent_keepalive);
    }
    size += wireguard::uapi_peer_size(peer);
  }
  out.reserve(size);  // it holds preshared keys, which must not stay behind in smaller pieces of memory
  wireguard::append_uapi_device(out, facts->ports.empty() ? uint16_t{0} : facts->ports.front());
  for (const auto& peer : peers) wireguard::append_uapi_peer(out, peer);
  return 0;
}

int Server::Impl::uapi_set(const wireguard::UapiRequest& request) {
  UapiChanges changes;
  for (int tries = 0;; ++tries) {
    auto facts = uapi_facts();
    if (!facts) return uapi_errno(facts.error());
    changes = UapiChanges();
    if (const int error = plan_uapi_changes(request, *facts, changes); error != 0) return error;
    if (changes.registry.empty()) break;
    auto applied = registry_.apply(changes.registry, facts->revision);
    if (applied) break;
    if (applied.error().status != Status::CONFLICT || tries == kTries) return uapi_errno(applied.error());
  }
  if (changes.wishes.empty()) return 0;
  auto wished = registry_.insist_everywhere([&changes](Shard& shard) -> Result<void> {
    shard.set_wireguard_wishes(changes.wishes);
    return {};
  });
  return wished ? 0 : uapi_errno(wished.error());
}

}  // namespace smartvpn::server
