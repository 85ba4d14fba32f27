// The WireGuard carrier of one shard: its peers, its receiver indices and its sockets. Peers are the registry's
// clients; the server tells about them, and is asked (session::Admission) before anybody becomes a session. Runs to
// completion on its shard's thread: a batch of datagrams is opened, judged and handed to the host in one go, and what
// the host sends is cut, sealed and sent in one go at the end of the turn, or sooner when a batch is full.
//
// A peer's *session* in the server's sense begins with the first data message under new keys, and ends when no
// handshake has been completed for `session_timeout`, when the server closes it, or when the peer is removed. Rekeys in
// between ask Admission::on_identity with `rekey` set.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/rng.hpp"
#include "crypto/aead.hpp"
#include "net/loop.hpp"
#include "net/timer.hpp"
#include "session/link.hpp"
#include "transport/wireguard/handshake_limiter.hpp"
#include "transport/wireguard/path.hpp"
#include "transport/wireguard/peer_machine.hpp"

namespace smartvpn::wireguard {

// What the device shares with its shard. Everything outlives it.
struct Surroundings {
  net::Loop& loop;
  session::Host& host;
  crypto::AeadEngine& aead;
  PacketPool& pool;
  Rng& rng;
  uint64_t& next_connection_id;
};

struct DeviceOptions {
  std::shared_ptr<const Identity> identity;
  uint16_t mtu = 1420;
  Timing timing;
  Duration session_timeout = seconds(180);    // without a completed handshake a session ends after this
  unsigned shard = 0, shards = 1;             // shards <= 64
  SecretKey cookie_seed;                      // the same for all shards
  std::shared_ptr<HandshakeLimiter> limiter;  // likewise; null: its own
};

struct ListenerOptions {
  uint32_t listener = 0;      // index into the configuration's `listen`
  inet::Endpoint address;     // port 0: the kernel chooses
  int fd = -1;                // a bound UDP socket of the host's, instead of `address`
  bool proxy_header = false;  // PROXY v2 (DGRAM) in front of every datagram, from trusted proxies only
  std::function<bool(const inet::IpAddress&)> trusts;
  bool send_offload = true, receive_offload = true;  // UDP_SEGMENT and UDP_GRO, where the kernel has them
};

// What the registry says about one client. `psk` is shared with the entry.
struct PeerSettings {
  PublicKey key{};
  std::shared_ptr<const SecretKey> psk;
  Duration persistent_keepalive{0};
  std::optional<inet::Endpoint> endpoint;  // where to begin handshakes before it was heard of; servers rarely know
  Tai64n greatest_timestamp;               // of the store, for a new peer
  uint64_t client_number = 0;              // ClientDirectory::Found::number, for wake()
};

// A WireGuard message that came to one shard and belongs to another. The note is plain bytes, so that both may lie in a
// ring.
struct StrayNote {
  Path from;
  uint8_t ecn = 0;
  bool admitted = false;  // an initiation that was counted against its source already
};
static_assert(std::is_trivially_copyable_v<StrayNote>);
struct Stray {
  StrayNote note;
  Packet message;
};

struct PeerFigures {
  PublicKey key{};
  std::optional<inet::Endpoint> endpoint;  // where packets go
  int64_t last_handshake_ms = 0;           // wall clock; 0: never
  uint64_t bytes_in = 0, bytes_out = 0;    // UDP payload, all of its sessions
  Duration persistent_keepalive{0};
  Tai64n greatest_timestamp;
  bool live = false;
};

struct DeviceCounters {  // what belongs to no peer
  uint64_t handshakes_in = 0, responses_out = 0, cookie_replies_out = 0, initiations_out = 0;
  uint64_t bad_mac1 = 0, unknown_peer = 0, unknown_index = 0, malformed = 0, limited = 0, not_newer = 0;
  uint64_t blocked_source = 0, untrusted_proxy = 0, bad_proxy_header = 0;
};

class Device {
 public:
  Device(const Surroundings& around, DeviceOptions options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Binds a socket; errors carry "/listen/<index>". All listeners serve all peers.
  Result<inet::Endpoint> listen(ListenerOptions options);
  // From the next datagram on. Without effect on an index that listens not here.
  void set_proxy_header(uint32_t listener, bool on) noexcept;

  // Adds or changes a peer. A changed key is another peer. Throws std::bad_alloc with nothing changed.
  void set_peer(const PeerSettings& settings);
  // Its session, if there is one, ends with `reason` (Admission::on_closed comes before this returns).
  void remove_peer(const PublicKey& key, Reason reason) noexcept;
  bool has_peer(const PublicKey& key) const noexcept;
  // Whose it is, by the number; 0: nobody's here.
  uint64_t client_of(const PublicKey& key) const noexcept;
  size_t peers() const noexcept;
  std::vector<PublicKey> keys() const;
  // Our own static key is another one from now on: all sessions end with Reason::disconnected.
  void set_identity(std::shared_ptr<const Identity> identity);

  // The answer to Admission::on_identity that came later. False: not, or no longer, a connection of this device.
  bool deliver_verdict(uint64_t connection, const session::IdentityVerdict& verdict) noexcept;

  // A packet for a client that has no session: if its endpoint is known, a handshake begins and the packet waits
  // (at most 128 do). `no_route` otherwise. The client by its number.
  Drop wake(uint64_t client_number, Packet&& packet) noexcept;

  // Timestamps that have grown since the last call, for the store. Appends; at most `max`.
  void take_new_timestamps(std::vector<std::pair<PublicKey, Tai64n>>& out, size_t max);

  // No session begins any more.
  void begin_drain() noexcept;
  // Ends every session with this reason, and takes nothing any more.
  void close_all(Reason reason) noexcept;
  size_t connections() const noexcept;  // sessions and what may become one

  // Seals and sends what waits. The shard's turn hook calls it after the engine's flush.
  void flush() noexcept;

  // More than one shard: where strays go, and where they come in, as one batch. Without a hook they are dropped by
  // name; must not throw.
  void on_stray(std::function<void(unsigned shard, const StrayNote& note, ByteView message)> hand_over);
  void take_strays(std::span<Stray> strays);

  std::vector<PeerFigures> figures() const;
  const DeviceCounters& counters() const noexcept;

 private:
  friend class Peer;
  friend class Receiver;
  friend class Sender;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The shard that owns a peer, by its key. `shards` as in DeviceOptions.
unsigned home_of(const PublicKey& key, unsigned shards) noexcept;

}  // namespace smartvpn::wireguard
