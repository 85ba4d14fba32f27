// The device's face: peers come and go, listeners open, verdicts and strays arrive. See device.hpp.
#include "transport/wireguard/device.hpp"

#include <algorithm>

#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {

Device::Impl::Impl(const Surroundings& surroundings, DeviceOptions wanted)
    : around(surroundings),
      options(std::move(wanted)),
      indices(around.rng, options.shard, options.shards),
      cookies(*options.identity, options.cookie_seed.clone()),
      limiter(options.limiter ? options.limiter : std::make_shared<HandshakeLimiter>()),
      peers(16, KeyHash{around.rng.u64()}),
      handshake_timer(around.loop, [this] { handshake_turn.request(); }),
      handshake_turn(around.loop, [this] { run_handshakes(); }),
      receiver(*this),
      sender(*this) {
  shared.own = options.identity.get();
  shared.indices = &indices;
  shared.rng = &around.rng;
}

Device::Impl::~Impl() {
  listeners.clear();
  peers.clear();
}

Device::Impl::Listener* Device::Impl::listener(uint32_t index) noexcept {
  for (auto& listener : listeners)
    if (listener->options.listener == index) return listener.get();
  return listeners.empty() ? nullptr : listeners.front().get();
}

// Not one behind proxies, if there is another: answers to what left there would come without a header.
uint32_t Device::Impl::listener_for(const inet::Endpoint& to) const noexcept {
  for (const bool behind_proxy : {false, true}) {
    for (const auto& listener : listeners) {
      const inet::IpAddress bound = listener->socket ? listener->socket->local().ip : listener->options.address.ip;
      const bool both = bound.is_v6() && bound.is_unspecified();
      if (listener->options.proxy_header == behind_proxy && (both || bound.is_v4() == to.ip.is_v4()))
        return listener->options.listener;
    }
  }
  return listeners.empty() ? 0 : listeners.front()->options.listener;
}

Peer* Device::Impl::peer(const PublicKey& key) noexcept {
  auto it = peers.find(key);
  return it == peers.end() ? nullptr : it->second.get();
}

void Device::Impl::timestamp_grew(Peer& peer) noexcept {
  if (!std::exchange(peer.stamp_listed, true)) grown.push_back(&peer);
}

void Device::Impl::make_room_for_peers(size_t count) {
  if (grown.capacity() < count) grown.reserve(std::max(count, 2 * grown.capacity()));
  sender.make_room_for_peers(count);
}

int64_t Device::Impl::wall_clock_ns() const noexcept { return wall_clock_ms() * 1'000'000; }

void Device::Impl::send_message(ByteView message, const Path& to, bool* source_gone) noexcept {
  Listener* out = listener(to.listener);
  if (!out || !out->socket) return;
  const ByteView pieces[] = {message};
  net::OutDatagram datagram;
  datagram.pieces = pieces;
  datagram.to = to.peer;
  datagram.from = to.local;
  datagram.interface = to.interface;
  out->socket->send({&datagram, 1});
  if (source_gone) *source_gone = datagram.source_gone;
}

Device::Device(const Surroundings& around, DeviceOptions options)
    : impl_(std::make_unique<Impl>(around, std::move(options))) {}

Device::~Device() = default;

Result<inet::Endpoint> Device::listen(ListenerOptions options) {
  auto listener = std::make_unique<Impl::Listener>(*impl_, std::move(options));
  if (auto opened = listener->open(); !opened) return opened.error();
  impl_->listeners.push_back(std::move(listener));
  return impl_->listeners.back()->socket->local();
}

void Device::set_proxy_header(uint32_t listener, bool on) noexcept {
  for (auto& known : impl_->listeners)
    if (known->options.listener == listener) known->options.proxy_header = on;
}

void Device::set_peer(const PeerSettings& settings) {
  if (Peer* known = impl_->peer(settings.key)) {
    impl_->by_number[settings.client_number] = known;
    auto former = impl_->by_number.find(known->client_number());
    if (former != impl_->by_number.end() && former->second == known && settings.client_number != known->client_number())
      impl_->by_number.erase(former);
    return known->change(settings);
  }
  impl_->make_room_for_peers(impl_->peers.size() + 1);
  auto peer = std::make_unique<Peer>(*impl_, settings);
  Peer& added = *peer;
  auto [number, fresh] = impl_->by_number.try_emplace(settings.client_number, &added);
  try {
    impl_->peers.emplace(settings.key, std::move(peer));
  } catch (...) {
    if (fresh) impl_->by_number.erase(number);
    throw;
  }
  number->second = &added;
}

void Device::remove_peer(const PublicKey& key, Reason reason) noexcept {
  auto it = impl_->peers.find(key);
  if (it == impl_->peers.end()) return;
  Peer& peer = *it->second;
  peer.end(reason);
  auto number = impl_->by_number.find(peer.client_number());
  if (number != impl_->by_number.end() && number->second == &peer) impl_->by_number.erase(number);
  if (peer.stamp_listed) std::erase(impl_->grown, &peer);
  impl_->peers.erase(it);
}

bool Device::has_peer(const PublicKey& key) const noexcept { return impl_->peer(key) != nullptr; }
size_t Device::peers() const noexcept { return impl_->peers.size(); }
uint64_t Device::client_of(const PublicKey& key) const noexcept {
  const Peer* peer = impl_->peer(key);
  return peer ? peer->client_number() : 0;
}

std::vector<PublicKey> Device::keys() const {
  std::vector<PublicKey> out;
  out.reserve(impl_->peers.size());
  for (const auto& [key, peer] : impl_->peers) out.push_back(key);
  return out;
}

void Device::set_identity(std::shared_ptr<const Identity> identity) {
  for (auto& [key, peer] : impl_->peers) {
    peer->end(Reason::disconnected);
    peer->PeerMachine::set_identity(*identity);
  }
  impl_->handshakes.clear();
  impl_->cookies.set_identity(*identity);
  impl_->shared.own = identity.get();
  impl_->options.identity = std::move(identity);
}

bool Device::deliver_verdict(uint64_t connection, const session::IdentityVerdict& verdict) noexcept {
  auto it = impl_->by_connection.find(connection);
  if (it == impl_->by_connection.end()) return false;
  it->second->decide(verdict);
  return true;
}

Drop Device::wake(uint64_t client_number, Packet&& packet) noexcept {
  auto it = impl_->by_number.find(client_number);
  return it == impl_->by_number.end() ? Drop::no_route : it->second->wake(std::move(packet));
}

void Device::take_new_timestamps(std::vector<std::pair<PublicKey, Tai64n>>& out, size_t max) {
  for (; max > 0 && !impl_->grown.empty(); --max) {
    Peer* peer = impl_->grown.back();
    out.emplace_back(peer->key(), peer->greatest_timestamp());
    peer->stamp_listed = false;
    impl_->grown.pop_back();
  }
}

void Device::begin_drain() noexcept { impl_->draining = true; }

void Device::close_all(Reason reason) noexcept {
  impl_->closing = true;
  impl_->handshakes.clear();
  for (auto& listener : impl_->listeners) listener->close();
  for (auto& [key, peer] : impl_->peers) peer->end(reason);
}

size_t Device::connections() const noexcept { return impl_->by_connection.size(); }

void Device::flush() noexcept { impl_->sender.flush(); }

void Device::on_stray(std::function<void(unsigned, const StrayNote&, ByteView)> hand_over) {
  impl_->hand_over = std::move(hand_over);
}

void Device::take_strays(std::span<Stray> strays) {
  if (impl_->closing) return;
  impl_->receiver.begin();
  for (Stray& stray : strays) {
    impl_->admitted = stray.note.admitted;
    impl_->receiver.take(stray.message.bytes(), 0, stray.note.from, stray.note.ecn);
  }
  impl_->admitted = false;
  impl_->receiver.finish();
}

std::vector<PeerFigures> Device::figures() const {
  std::vector<PeerFigures> out;
  out.reserve(impl_->peers.size());
  for (const auto& [key, peer] : impl_->peers) out.push_back(peer->peer_figures());
  return out;
}

const DeviceCounters& Device::counters() const noexcept { return impl_->counters; }

unsigned home_of(const PublicKey& key, unsigned shards) noexcept {
  return shards <= 1 ? 0 : static_cast<unsigned>(load_le64(key.data() + 8) % shards);
}

}  // namespace smartvpn::wireguard
