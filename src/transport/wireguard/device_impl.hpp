// What a device holds; for the sources of this folder alone.
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "net/udp_socket.hpp"
#include "transport/wireguard/handshake_limiter.hpp"
#include "transport/wireguard/peer.hpp"
#include "transport/wireguard/proxy_datagram.hpp"
#include "transport/wireguard/receiver.hpp"
#include "transport/wireguard/sender.hpp"

namespace smartvpn::wireguard {

struct Device::Impl {
  Impl(const Surroundings& surroundings, DeviceOptions wanted);
  ~Impl();

  // A socket, and what its datagrams are led through.
  class Listener final : public net::UdpHandler {
   public:
    Listener(Impl& device, ListenerOptions wanted);
    ~Listener() override;
    Result<void> open();
    void close() noexcept;  // nothing is read any more
    void on_datagrams(std::span<net::Datagram> batch) override;
    void on_udp_writable() override;
    void on_udp_error(const Error& error) override;

    ListenerOptions options;
    std::unique_ptr<net::UdpSocket> socket;  // null: it broke, and will be opened again

   private:
    void take_behind_proxy(const net::Datagram& datagram, Path& path);
    void reopen();
    static constexpr Duration kRetry = seconds(1);
    Impl& device_;
    inet::Endpoint local_;  // once bound
    ProxyDatagram proxy_;
    net::Timer retry_;
  };

  struct KeyHash {
    uint64_t seed;
    size_t operator()(const PublicKey& key) const noexcept {
      return static_cast<size_t>((load_le64(key.data()) ^ seed) * 0x9e3779b97f4a7c15u >> 7);
    }
  };

  // A handshake message of a stranger's that waits for its turn.
  struct Waiting {
    std::array<uint8_t, kInitiationSize> message;  // a response is shorter
    MessageType type = MessageType::initiation;
    Path from;
  };

  void timestamp_grew(Peer& peer) noexcept;
  void make_room_for_peers(size_t count);
  Time now() const noexcept { return around.loop.now(); }
  session::Admission& admission() noexcept { return around.host.admission(); }
  Listener* listener(uint32_t index) noexcept;
  // One from whose socket that address can be reached; the first where none can.
  uint32_t listener_for(const inet::Endpoint& to) const noexcept;
  Peer* peer(const PublicKey& key) noexcept;

  // handshake_intake.cpp: messages of types 1 to 3.
  bool is_welcome(ByteView message, MessageType type, const Path& from);
  void take_handshake(ByteView message, MessageType type, const Path& from);
  bool may_begin(ByteView message, const Path& from);
  void run_handshakes();
  void run_handshake(const Waiting& waiting);
  void open_initiation(const Waiting& waiting);
  bool under_load() noexcept;
  void hand_to(unsigned shard, ByteView message, const Path& from, uint8_t ecn, bool counted = false);

  // One datagram, answered or begun outside of batches.
  void send_message(ByteView message, const Path& to, bool* source_gone = nullptr) noexcept;
  int64_t wall_clock_ns() const noexcept;

  static constexpr size_t kMaxWaitingHandshakes = 1024;
  static constexpr size_t kLoadedAt = 64;  // so many waiting handshakes are more than usual
  static constexpr Duration kLoadLasts = seconds(1);
  static constexpr size_t kMaxWaitingPackets = 128;  // of a peer, for its session
  static constexpr size_t kMaxWaitingInAll = 8192;
  static constexpr size_t kMaxWaitingBytes = 8 << 20;

  Surroundings around;
  DeviceOptions options;
  IndexTable indices;
  CookieChecker cookies;
  const std::shared_ptr<HandshakeLimiter> limiter;
  bool admitted = false;  // the message at hand has been counted by another shard
  PeerShared shared;
  std::unordered_map<PublicKey, std::unique_ptr<Peer>, KeyHash> peers;
  std::unordered_map<uint64_t, Peer*> by_number;
  std::unordered_map<uint64_t, Peer*> by_connection;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::deque<Waiting> handshakes;
  net::Timer handshake_timer;
  net::TurnEnd handshake_turn;
  Time loaded_until{};
  Receiver receiver;
  Sender sender;
  std::function<void(unsigned, const StrayNote&, ByteView)> hand_over;
  std::vector<Peer*> grown;  // whose timestamps the store has not; with room for all
  DeviceCounters counters;
  size_t waiting_packets = 0, waiting_bytes = 0;  // of all peers, for sessions to come
  bool draining = false, closing = false;
};

}  // namespace smartvpn::wireguard
