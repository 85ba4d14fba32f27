// What the `wg` tool asks a shard for: figures of its peers, and where they are to be reached.
#include "base/features.hpp"
#include "server/shard.hpp"

namespace smartvpn::server {

#if SMARTVPN_WITH_WIREGUARD

void Shard::add_wireguard_figures(std::vector<wireguard::PeerFigures>& all) const {
  if (!wireguard_) return;
  auto own = wireguard_->figures();
  all.insert(all.end(), own.begin(), own.end());
}

void Shard::set_wireguard_wishes(const std::vector<UapiWish>& wishes) {
  if (!wireguard_) return;
  for (const UapiWish& wish : wishes)
    if (wireguard_->has_peer(wish.key)) set_wireguard_wish(wish);
}

void Shard::set_wireguard_wish(const UapiWish& wish) {
  UapiWish& known = wireguard_wishes_[wish.key];
  known.key = wish.key;
  if (wish.endpoint) known.endpoint = wish.endpoint;
  if (wish.persistent_keepalive) known.persistent_keepalive = wish.persistent_keepalive;
  std::optional<wireguard::PeerSettings> settings;
  with_clients([&](const ClientDirectory& clients) {
    const auto found = clients.find_by_wireguard_key(wish.key);
    if (found.client) settings = wireguard_settings(wish.key, *found.client, found.number);
  });
  if (!settings) return;
  // A peer follows its client; the same wish again leads it back.
  if (wish.endpoint) {
    wireguard::PeerSettings nowhere = *settings;
    nowhere.endpoint.reset();
    wireguard_->set_peer(nowhere);
  }
  wireguard_->set_peer(*settings);
}

#else

void Shard::add_wireguard_figures(std::vector<wireguard::PeerFigures>&) const {}
void Shard::set_wireguard_wishes(const std::vector<UapiWish>&) {}

#endif

}  // namespace smartvpn::server
