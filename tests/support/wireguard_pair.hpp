// Two WireGuard machines over a virtual wire with a clock of its own: time goes from deadline to deadline and from
// datagram to datagram, so that a week passes in seconds. What each end seals and opens is held to the protocol's rules
// as it happens (white paper, section 6): a broken one is counted in `violations`, and the last is described.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>

#include "crypto/aead_oneshot.hpp"
#include "support/fixed_rng.hpp"
#include "transport/wireguard/peer_machine.hpp"

namespace smartvpn::testing {

inline SecretKey seeded_secret(uint64_t seed) {
  SeededRng rng(seed);
  SecretKey out;
  rng.fill(out.span());
  return out;
}

// An inner packet's worth of bytes; a keepalive is empty.
inline Bytes seal_data(wireguard::Keypair& keys, uint64_t counter, ByteView payload) {
  Bytes out(wireguard::kDataHeader + payload.size() + wireguard::kTag);
  wireguard::write_data_header(out.data(), keys.remote_index, counter);
  crypto::chacha20_poly1305_seal(keys.send.view(), crypto::counter_nonce(counter), {}, payload,
                                 out.data() + wireguard::kDataHeader);
  return out;
}

inline std::optional<Bytes> open_data(const wireguard::Keypair& keys, ByteView message) {
  const ByteView sealed = message.subspan(wireguard::kDataHeader);
  Bytes out(sealed.size() - wireguard::kTag);
  if (!crypto::chacha20_poly1305_open(keys.recv.view(), crypto::counter_nonce(wireguard::data_counter(message)), {},
                                      sealed, out.data()))
    return std::nullopt;
  return out;
}

struct WireguardEnd {
  WireguardEnd(uint64_t key_seed, Rng& random)
      : own(seeded_secret(key_seed)), checker(own, seeded_secret(key_seed + 1000)), indices(random), rng(random) {}
  void meet(const PublicKey& peer, const SecretKey* psk, const wireguard::Timing& timing) {
    machine = std::make_unique<wireguard::PeerMachine>(wireguard::PeerShared{&own, &indices, &rng}, peer, psk, timing);
  }

  wireguard::Identity own;
  wireguard::CookieChecker checker;
  wireguard::IndexTable indices;
  Rng& rng;
  std::unique_ptr<wireguard::PeerMachine> machine;  // goes before its table
  size_t waiting = 0;                               // packets for which there is no session yet, of 64 bytes each
  bool under_load = false;
  // What has happened.
  uint64_t initiations = 0, responses = 0, cookies = 0, data = 0, keepalives = 0;  // sent
  uint64_t delivered = 0, empty = 0, replays = 0, refused = 0, gave_up = 0, wiped = 0, confirmed = 0;
  Time last_delivered{};
  Bytes last_sent;
};

class WireguardPair {
 public:
  struct Wire {
    uint32_t lost_permille = 0, doubled_permille = 0;
    Duration latency = milliseconds(10), jitter{0};
  };
  explicit WireguardPair(const wireguard::Timing& timing = {}, const SecretKey* psk_a = nullptr,
                         const SecretKey* psk_b = nullptr, uint64_t seed = 1)
      : rng(seed), a(11, rng), b(22, rng) {
    a.meet(b.own.key.pub, psk_a, timing);
    b.meet(a.own.key.pub, psk_b, timing);
  }

  WireguardEnd& other(WireguardEnd& end) { return &end == &a ? b : a; }
  int64_t wall() const { return kWall + now.time_since_epoch().count() + wall_offset; }

  void send(WireguardEnd& end) {
    ++end.waiting;
    if (flush(end) == 0) perform(end, end.machine->want_session(now));
  }

  // Seals what waits, or with `keepalive` an empty message; gives how many.
  size_t flush(WireguardEnd& end, bool keepalive = false) {
    wireguard::Keypair* keys = end.machine->sending_keys(now);
    if (!keys || (end.waiting == 0 && !keepalive)) return 0;
    const bool payload = end.waiting > 0;
    const size_t count = payload ? end.waiting : 1;
    uint64_t counter = 0;
    if (!keys->reserve(count, &counter)) return 0;
    check(now - keys->born < seconds(180), "sealed under a key of 180 seconds");
    for (size_t i = 0; i < count; ++i) {
      auto [it, fresh] = sealed_.try_emplace(keys->remote_index, counter + i);
      check(fresh || counter + i > it->second, "a counter was used twice");
      it->second = counter + i;
      ++(payload ? end.data : end.keepalives);
      put(end, seal_data(*keys, counter + i, payload ? ByteView(payload_) : ByteView()));
    }
    end.waiting = 0;
    perform(end, end.machine->on_sent(*keys, payload, now));
    return count;
  }

  void perform(WireguardEnd& end, const wireguard::Actions& actions) {
    if (actions.give_up) {
      ++end.gave_up;
      end.waiting = 0;
    }
    if (actions.keys_wiped) ++end.wiped;
    if (actions.keepalive && flush(end, true) == 0) perform(end, end.machine->want_session(now));
    if (actions.initiate) initiate(end);
  }

  bool initiate(WireguardEnd& end) {
    auto message = end.machine->write_initiation(now, wall());
    if (!message) return false;
    ++end.initiations;
    put(end, Bytes(message->begin(), message->end()));
    return true;
  }

  // As a datagram comes from the wire.
  void receive(WireguardEnd& end, ByteView message) {
    using wireguard::MessageType;
    const MessageType type = wireguard::message_type(message);
    if (type == MessageType::initiation) return take_initiation(end, message);
    if (type == MessageType::invalid) return refuse(end);
    const uint32_t index = wireguard::receiver_index(message, type);
    if (end.indices.find(index) != end.machine.get()) return refuse(end);
    if (type == MessageType::data) return take_data(end, message, index);
    if (type == MessageType::cookie_reply) {
      if (!end.machine->take_cookie_reply(message, now)) refuse(end);
      return;
    }
    wireguard::Actions actions;
    if (!admitted(end, message) || !end.machine->take_response(message, now, &actions)) return refuse(end);
    perform(end, actions);
  }

  // Runs all that is due up to `until`.
  void run_until(Time until) {
    for (;;) {
      const Time deadline = std::min(a.machine->next_deadline(), b.machine->next_deadline());
      const Time arrival = wire_.empty() ? kNever : wire_.top().at;
      const Time next = std::min(deadline, arrival);
      if (next > until) break;
      now = std::max(now, next);
      if (arrival <= deadline) {
        const Datagram datagram = wire_.top();
        wire_.pop();
        receive(*datagram.to, datagram.bytes);
      } else {
        for (auto* end : {&a, &b})
          if (end->machine->next_deadline() <= now) perform(*end, end->machine->on_time(now));
      }
      check(a.indices.size() <= 4 && b.indices.size() <= 4, "more indices than keys and a handshake");
    }
    now = until;
  }
  void run_for(Duration time) { run_until(now + time); }
  size_t on_the_wire() const { return wire_.size(); }
  void cut_off() { wire_ = {}; }

  // A session that both ends have confirmed, begun by a.
  bool connect() {
    send(a);
    run_for(seconds(1));
    return a.machine->has_session(now) && b.machine->has_session(now) && b.delivered > 0;
  }

  SeededRng rng;
  WireguardEnd a, b;
  Wire wire;
  Time now{seconds(100'000)};
  int64_t wall_offset = 0;
  // Sees every datagram that is sent; false: it is lost.
  std::function<bool(WireguardEnd& from, ByteView)> filter;
  uint64_t violations = 0;
  std::string last_violation;

 private:
  static constexpr int64_t kWall = 1'700'000'000'000'000'000;
  struct Datagram {
    Time at;
    uint64_t order;
    WireguardEnd* to;
    Bytes bytes;
    bool operator>(const Datagram& o) const { return std::tie(at, order) > std::tie(o.at, o.order); }
  };

  void check(bool holds, const char* rule) {
    if (holds) return;
    ++violations;
    last_violation = rule;
  }
  void refuse(WireguardEnd& end) { ++end.refused; }

  void put(WireguardEnd& from, const Bytes& bytes) {
    from.last_sent = bytes;
    if (filter && !filter(from, bytes)) return;
    if (rng.u32() % 1000 < wire.lost_permille) return;
    const int copies = rng.u32() % 1000 < wire.doubled_permille ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const auto late = wire.jitter.count() == 0 ? 0 : rng.u64() % static_cast<uint64_t>(wire.jitter.count());
      wire_.push({now + wire.latency + Duration(static_cast<int64_t>(late)), order_++, &other(from), bytes});
    }
  }

  inet::Endpoint address_of(const WireguardEnd& end) const {
    return {inet::IpAddress::v4(&end == &a ? 0x0a000001u : 0x0a000002u), 51820};
  }

  bool admitted(WireguardEnd& end, ByteView message) {
    if (!end.checker.mac1_ok(message)) return false;
    const inet::Endpoint from = address_of(other(end));
    if (!end.under_load || end.checker.mac2_ok(message, from, now)) return true;
    const auto reply = end.checker.reply(message, from, now, rng);
    ++end.cookies;
    put(end, Bytes(reply.begin(), reply.end()));
    return false;
  }

  void take_initiation(WireguardEnd& end, ByteView message) {
    if (!admitted(end, message)) return refuse(end);
    auto opened = wireguard::OpenedInitiation::open(end.own, message, rng);
    if (!opened || opened->peer() != end.machine->key()) return refuse(end);
    const auto stamp = opened->prove(nullptr);
    if (!stamp || end.machine->accept(std::move(*opened), *stamp, now) != wireguard::Accepted::ok) return refuse(end);
    auto response = end.machine->respond(now);
    if (!response) return refuse(end);
    ++end.responses;
    put(end, Bytes(response->begin(), response->end()));
  }

  void take_data(WireguardEnd& end, ByteView message, uint32_t index) {
    wireguard::Keypair* keys = end.machine->receiving_keys(index, now);
    if (!keys) return refuse(end);
    check(now - keys->born < seconds(180), "opened under a key of 180 seconds");
    const auto payload = open_data(*keys, message);
    if (!payload) return refuse(end);
    if (!keys->window.accept(wireguard::data_counter(message))) {
      ++end.replays;
      return;
    }
    const auto received = end.machine->on_received(*keys, !payload->empty(), now);
    if (received.confirmed) ++end.confirmed;
    ++(payload->empty() ? end.empty : end.delivered);
    if (!payload->empty()) end.last_delivered = now;
    perform(end, received.actions);
    flush(end);
  }

  std::priority_queue<Datagram, std::vector<Datagram>, std::greater<>> wire_;
  uint64_t order_ = 0;
  std::map<uint32_t, uint64_t> sealed_;  // by the receiver's index: the highest counter
  const Bytes payload_ = Bytes(64, 0x45);
};

}  // namespace smartvpn::testing
