// Two WireGuard devices on one loop that talk over loopback, each with a host that writes down what it is told and says
// what the test wants; and a relay between them that a test can bend.
#pragma once

#include <map>
#include <vector>

#include "net/udp_socket.hpp"
#include "support/inet_packets.hpp"
#include "support/loop_runner.hpp"
#include "transport/wireguard/device.hpp"

namespace smartvpn::testing {

class RecordingHost final : public session::Host, public session::Admission {
 public:
  struct Closed {
    uint64_t connection = 0;
    Reason reason = Reason::none;
  };
  // What the test wants.
  Reason send_reason = Reason::none, accept_reason = Reason::none, address_reason = Reason::none;
  std::optional<session::IdentityVerdict> verdict = session::IdentityVerdict{};  // nothing: later
  std::function<Reason(const session::Connection&)> roam = [](const auto&) { return Reason::none; };
  std::function<Reason(const session::Connection&)> hands = [](const auto&) { return Reason::none; };
  int handshakes_left = 1 << 20;
  bool keep_packets = true;
  std::function<void(uint64_t)> after_packets = [](uint64_t) {};
  uint64_t confirm_as = 1;  // 0: refused
  // What it was told.
  session::Link* link = nullptr;
  uint64_t session = 0;
  std::vector<session::Connection> accepted, confirmed, roamed;
  std::vector<session::Identity> identities;
  std::vector<Closed> closed;
  std::vector<Bytes> packets;
  size_t packets_seen = 0, batches = 0, largest_batch = 0, judged = 0;
  std::map<Drop, uint64_t> drops;
  std::vector<Duration> rtts;
  std::vector<bool> silences;
  std::string log;

  bool connected() const { return link != nullptr; }
  uint64_t dropped(Drop drop) const {
    auto it = drops.find(drop);
    return it == drops.end() ? 0 : it->second;
  }

  session::Admission& admission() override { return *this; }
  uint64_t on_confirmed(const session::Connection& connection, session::Link& what, Reason* why) override {
    confirmed.push_back(connection);
    if (confirm_as == 0) {
      *why = Reason::client_removed;
      return 0;
    }
    link = &what;
    return session = confirm_as++;
  }
  void on_packets(uint64_t id, std::span<const PacketView> batch) override {
    packets_seen += batch.size();
    ++batches;
    largest_batch = std::max(largest_batch, batch.size());
    if (keep_packets)
      for (const PacketView& packet : batch) packets.emplace_back(packet.bytes.begin(), packet.bytes.end());
    after_packets(id);
  }
  void on_drop(uint64_t, Drop drop, uint64_t count) override { drops[drop] += count; }
  void on_rtt(uint64_t, Duration rtt, Time) override { rtts.push_back(rtt); }
  void on_roamed(uint64_t, const session::Connection& connection) override { roamed.push_back(connection); }
  void on_awaited(uint64_t, Packet&& packet) override { link->send(std::move(packet)); }
  void on_silence(uint64_t, bool silent) override { silences.push_back(silent); }
  void on_log(int, std::string text) override { log += text + "\n"; }
  bool draining() const override { return false; }

  Reason on_accept(const session::Connection& connection) override {
    accepted.push_back(connection);
    return accept_reason;
  }
  Reason on_http_proxy(const session::Connection&) override { return Reason::none; }
  Reason on_real_address(const session::Connection&) override { return address_reason; }
  bool may_start_handshake(const session::Connection&) override { return handshakes_left-- > 0; }
  bool knows_key(const PublicKey&) override { return true; }
  const SecretKey* shared_secret(const PublicKey&, const PublicKey&) override { return nullptr; }
  std::optional<session::IdentityVerdict> on_identity(const session::Connection&,
                                                      const session::Identity& identity) override {
    identities.push_back(identity);
    return verdict;
  }
  Reason may_send(const session::Connection&) override {
    ++judged;
    return send_reason;
  }
  Reason may_shake_hands(const session::Connection& there, const PublicKey&) override { return hands(there); }
  Reason may_roam(const session::Connection& connection) override { return roam(connection); }
  void on_closed(const session::Connection& connection, Reason reason, const std::string&) noexcept override {
    closed.push_back({connection.id, reason});
    if (link && session != 0 && !confirmed.empty() && confirmed.back().id == connection.id) {
      link = nullptr;
      session = 0;
    }
  }
};

inline SecretKey secret_of(uint8_t seed) {
  std::array<uint8_t, 32> bytes{};
  bytes.fill(seed);
  return SecretKey(std::span<const uint8_t, 32>(bytes));
}

// A device with all it needs. Flushed by whoever turns the loop.
struct DeviceEnd {
  static wireguard::DeviceOptions options_for(uint8_t seed) {
    wireguard::DeviceOptions options;
    options.identity = std::make_shared<const wireguard::Identity>(secret_of(seed));
    options.cookie_seed = secret_of(200);
    return options;
  }
  DeviceEnd(net::Loop& loop, wireguard::DeviceOptions options)
      : key(options.identity->key.pub),
        device({loop, host, aead, pool, system_rng(), next_connection_id}, std::move(options)) {}
  DeviceEnd(net::Loop& loop, uint8_t seed) : DeviceEnd(loop, options_for(seed)) {}

  inet::Endpoint listen(wireguard::ListenerOptions options = {}) {
    if (!options.address.ip) options.address.ip = inet::IpAddress::v4(0x7f000001);
    auto bound = device.listen(std::move(options));
    EXPECT_TRUE(bound.ok()) << bound.error().text;
    return *bound;
  }
  void know(const DeviceEnd& other, std::optional<inet::Endpoint> endpoint = {}) {
    wireguard::PeerSettings peer;
    peer.key = other.key;
    peer.endpoint = endpoint;
    peer.client_number = 1;
    device.set_peer(peer);
  }
  Drop send(const Bytes& bytes, uint16_t segment_size = 0, uint16_t segments = 1) {
    Packet packet = pool.copy_of(bytes);
    packet.segment_size = segment_size;
    packet.segments = segments;
    return host.link ? host.link->send(std::move(packet)) : device.wake(1, std::move(packet));
  }
  wireguard::PeerFigures figures() const { return device.figures().front(); }

  PublicKey key;
  PacketPool pool;
  crypto::AeadEngine aead;
  RecordingHost host;
  uint64_t next_connection_id = 1;
  wireguard::Device device;
};

// Stands between a client and a server: the client knows it as the server, and the server sees the sources it has.
class WireguardRelay {
 public:
  WireguardRelay(net::Loop& loop, const inet::Endpoint& server) : loop_(loop), server_(server) {
    front_ = open(server.ip, [this](const net::Datagram& datagram) { from_client(datagram); });
    add_source(server.ip);
  }
  inet::Endpoint address() const { return front_->socket->local(); }
  // Another place for the client to be at. Give the address of a source, or take a new port of it.
  size_t add_source(const inet::IpAddress& ip) {
    const size_t index = backs_.size();
    backs_.push_back(open(ip, [this, index](const net::Datagram& datagram) { from_server(index, datagram); }));
    return index;
  }
  inet::Endpoint source(size_t index) const { return backs_[index]->socket->local(); }
  void to_server(const Bytes& message, size_t from) {
    Bytes whole = prefix;
    append(whole, message);
    send(*backs_[from]->socket, whole, server_);
  }
  void to_client(const Bytes& message) { send(*front_->socket, message, client_); }

  size_t use = 0;                    // the source that what the client sends comes from
  Bytes prefix;                      // in front of all that goes to the server
  uint8_t ecn = 0;                   // outer mark of what goes on
  bool hold = false;                 // nothing goes on, but all is seen
  std::vector<Bytes> seen, answers;  // of the client's, of the server's
  std::vector<size_t> answered_at;   // which source each answer came to
  std::vector<uint8_t> answer_ecn;
  std::vector<inet::Endpoint> answer_from;

 private:
  struct End final : net::UdpHandler {
    std::function<void(const net::Datagram&)> on;
    std::unique_ptr<net::UdpSocket> socket;
    void on_datagrams(std::span<net::Datagram> batch) override {
      for (const auto& datagram : batch) on(datagram);
    }
    void on_udp_writable() override {}
    void on_udp_error(const Error& error) override { ADD_FAILURE() << error.text; }
  };
  std::unique_ptr<End> open(const inet::IpAddress& ip, std::function<void(const net::Datagram&)> on) {
    auto end = std::make_unique<End>();
    end->on = std::move(on);
    net::UdpOptions options;
    options.address.ip = ip;
    options.gro = false;  // a message is a message
    auto socket = net::UdpSocket::open(loop_, options, *end);
    EXPECT_TRUE(socket.ok());
    end->socket = std::move(*socket);
    return end;
  }
  void send(net::UdpSocket& socket, ByteView bytes, const inet::Endpoint& to) {
    net::OutDatagram out;
    out.pieces = {&bytes, 1};
    out.to = to;
    out.ecn = ecn;
    EXPECT_EQ(socket.send({&out, 1}), 1u);
  }
  void from_client(const net::Datagram& datagram) {
    client_ = datagram.from;
    seen.emplace_back(datagram.bytes.begin(), datagram.bytes.end());
    if (!hold) to_server(seen.back(), use);
  }
  void from_server(size_t index, const net::Datagram& datagram) {
    answers.emplace_back(datagram.bytes.begin(), datagram.bytes.end());
    answer_ecn.push_back(datagram.ecn);
    answer_from.push_back(datagram.from);
    answered_at.push_back(index);
    if (!hold) to_client(answers.back());
  }

  net::Loop& loop_;
  const inet::Endpoint server_;
  inet::Endpoint client_;
  std::unique_ptr<End> front_;
  std::vector<std::unique_ptr<End>> backs_;
};

// A server and a client that knows where it is, with or without a relay between them.
struct DevicePair {
  explicit DevicePair(const char* address = "127.0.0.1", bool relayed = false,
                      wireguard::DeviceOptions server_options = DeviceEnd::options_for(1),
                      wireguard::DeviceOptions client_options = DeviceEnd::options_for(2),
                      wireguard::ListenerOptions listener = {})
      : server(*loop, std::move(server_options)), client(*loop, std::move(client_options)) {
    listener.address.ip = test::ip(address);
    at = server.listen(std::move(listener));
    wireguard::ListenerOptions plain;
    plain.address.ip = test::ip(address);
    client_at = client.listen(std::move(plain));
    if (relayed) relay = std::make_unique<WireguardRelay>(*loop, at);
    server.know(client);
    client.know(server, relay ? relay->address() : at);
    loop->set_turn_hook([this] {
      server.device.flush();
      client.device.flush();
      for (DeviceEnd* other : others) other->device.flush();
    });
  }
  ~DevicePair() { loop->set_turn_hook({}); }

  template <class Done>
  bool until(Done&& done) {
    return run_until(*loop, std::forward<Done>(done));
  }
  // Turns the loop as long as it has something to do at once.
  void settle() {
    for (int i = 0; i < 20; ++i) {
      loop->post([] {});
      loop->run_turn();
    }
  }
  bool connect() {
    client.send(packet(0));
    return until([this] { return server.host.connected() && client.host.connected() && !server.host.packets.empty(); });
  }
  // `number` makes it unlike others.
  static Bytes packet(uint16_t number, size_t data = 100) {
    return test::udp_packet("10.0.0.2", 1000, "10.0.0.1", number, test::pattern(data));
  }
  static Bytes answer(uint16_t number, size_t data = 100) {
    return test::udp_packet("10.0.0.1", 2000, "10.0.0.2", number, test::pattern(data));
  }
  bool client_says(const Bytes& bytes) {
    const size_t before = server.host.packets_seen;
    EXPECT_EQ(client.send(bytes), Drop::none);
    return until([&] { return server.host.packets_seen > before; });
  }
  bool server_says(const Bytes& bytes) {
    const size_t before = client.host.packets_seen;
    EXPECT_EQ(server.send(bytes), Drop::none);
    return until([&] { return client.host.packets_seen > before; });
  }

  std::unique_ptr<net::Loop> loop = make_loop();
  DeviceEnd server, client;
  std::vector<DeviceEnd*> others;  // of the test's, flushed like the two
  inet::Endpoint at, client_at;
  std::unique_ptr<WireguardRelay> relay;
};

}  // namespace smartvpn::testing
