// See wireguard_far_end.h.
#include "wireguard_far_end.h"

#include <algorithm>
#include <deque>
#include <sstream>

#include "net/timer.hpp"
#include "support/wireguard_client.hpp"

using namespace smartvpn;

struct far_end {
  // False where the configuration is not complete.
  bool open(const char* conf) {
    std::istringstream lines(conf);
    for (std::string line; std::getline(lines, line);)
      if (!read(line)) return false;
    auto loop = net::Loop::create();
    if (!loop || options_.private_key.is_zero() || !options_.server) return false;
    loop_ = std::move(*loop);
    auto made = testing::WireguardClient::create(*loop_, pool_, options_, [this](std::span<const PacketView> batch) {
      for (const PacketView& packet : batch) received.emplace_back(packet.bytes.begin(), packet.bytes.end());
    });
    if (!made) return false;
    client_ = std::move(*made);
    loop_->set_turn_hook([this] { client_->flush(); });
    // Labels of handshakes grow every 17 ms: an end that takes the place of another with its key comes later.
    turn(milliseconds(40), [] { return false; });
    return true;
  }

  void send(ByteView packet) {
    client_->send(pool_.copy_of(packet));
    client_->flush();
  }

  template <class Done>
  bool turn(Duration limit, Done&& done) {
    bool late = false;
    net::Timer guard(*loop_, [&late] { late = true; });
    guard.start_in(limit);
    while (!done() && !late) loop_->run_turn();
    return done();
  }

  std::deque<Bytes> received;
  inet::IpAddress address;

 private:
  bool read(const std::string& line) {
    const size_t at = line.find(" = ");
    if (at == std::string::npos) return true;
    const std::string key = line.substr(0, at), value = line.substr(at + 3);
    if (key == "PrivateKey") return take(parse_secret_key(value), options_.private_key);
    if (key == "PublicKey") return take(parse_public_key(value), options_.server_key);
    if (key == "Endpoint") return take(inet::Endpoint::parse(value), options_.server);
    if (key == "Address") return take(inet::IpAddress::parse(value.substr(0, value.find('/'))), address);
    return true;
  }
  template <class Parsed, class Value>
  static bool take(Parsed parsed, Value& out) {
    if (!parsed) return false;
    out = std::move(*parsed);
    return true;
  }

  std::unique_ptr<net::Loop> loop_;
  PacketPool pool_;
  testing::WireguardClientOptions options_;
  std::unique_ptr<testing::WireguardClient> client_;
};

far_end* far_end_new(const char* conf) {
  auto end = std::make_unique<far_end>();
  return end->open(conf) ? end.release() : nullptr;
}

void far_end_send(far_end* end, const uint8_t* packet, size_t length) { end->send({packet, length}); }

size_t far_end_next(far_end* end, uint8_t* buf, size_t cap, int timeout_ms) {
  if (!end->turn(milliseconds(timeout_ms), [end] { return !end->received.empty(); })) return 0;
  const Bytes packet = std::move(end->received.front());
  end->received.pop_front();
  if (packet.size() > cap) return 0;
  std::copy(packet.begin(), packet.end(), buf);
  return packet.size();
}

void far_end_address(const far_end* end, uint8_t out[4]) {
  const auto bytes = end->address.bytes();
  std::copy(bytes.begin(), bytes.begin() + 4, out);
}

void far_end_free(far_end* end) { delete end; }
