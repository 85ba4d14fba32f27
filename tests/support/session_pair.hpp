// A client and a server machine over a virtual wire and a virtual clock, with handlers that write
// everything down. The tests of session/ and whoever carries it stand on this.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "session/initiator.hpp"
#include "session/responder.hpp"
#include "support/fixed_rng.hpp"
#include "support/virtual_wire.hpp"

namespace smartvpn::testing {

using namespace session;

struct ReceivedPacket {
  Bytes bytes;
  uint16_t segment_size;
  uint64_t session;
};

// What both handlers write down.
template <class Base>
class Recorder : public Base {
 public:
  void on_packets(std::span<const PacketView> batch) override {
    ++batches;
    for (const auto& p : batch) {
      ++packets_seen;
      if (keep_packets) packets.push_back({Bytes(p.bytes.begin(), p.bytes.end()), p.segment_size, p.session});
    }
  }
  void on_drop(Drop drop, uint64_t count) override { drops[static_cast<size_t>(drop)] += count; }
  void on_rtt(Duration sample) override { rtts.push_back(sample); }
  void on_liveness(Liveness liveness) override { liveness_changes.push_back(liveness); }
  void on_close(const CloseInfo& info) override {
    ++closes;
    closed = info;
  }
  uint64_t dropped(Drop drop) const { return drops[static_cast<size_t>(drop)]; }
  uint64_t all_dropped() const {
    uint64_t sum = 0;
    for (uint64_t d : drops) sum += d;
    return sum;
  }

  bool keep_packets = true;
  uint64_t packets_seen = 0, batches = 0;
  std::vector<ReceivedPacket> packets;
  std::array<uint64_t, kDropCount> drops{};
  std::vector<Duration> rtts;
  std::vector<Liveness> liveness_changes;
  int closes = 0;
  CloseInfo closed;
};

class ServerRecorder : public Recorder<ResponderHandler> {
 public:
  bool on_static_key(const PublicKey& key) override {
    claimed.push_back(key);
    return known;
  }
  void on_identity(const Identity& identity) override {
    identities.push_back(identity);
    if (answer_at_once) machine->decide(verdict, *now);
  }
  uint64_t on_confirmed(Reason* why) override {
    ++confirmations;
    if (refuse_confirmation != Reason::none) *why = refuse_confirmation;
    return refuse_confirmation == Reason::none ? session_id : 0;
  }

  Responder* machine = nullptr;
  const Time* now = nullptr;
  bool known = true, answer_at_once = true;
  IdentityVerdict verdict;
  Reason refuse_confirmation = Reason::none;
  uint64_t session_id = 77;
  std::vector<PublicKey> claimed;
  std::vector<Identity> identities;
  int confirmations = 0;
};

class ClientRecorder : public Recorder<InitiatorHandler> {
 public:
  void on_configured(const SessionParameters& p) override { configured.push_back(p); }
  void on_confirmed() override { ++confirmations; }
  void on_reconfigured(const SessionParameters& p) override { reconfigured.push_back(p); }
  std::vector<SessionParameters> configured, reconfigured;
  int confirmations = 0;
};

inline crypto::KeyPair copy_of(const crypto::KeyPair& pair) { return {pair.secret.clone(), pair.pub}; }

class SessionPair {
 public:
  explicit SessionPair(Carrier carrier = Carrier::websocket, VirtualWire::Options wire_options = {})
      : wire(wire_options), client_rng_(1), server_rng_(2) {
    SeededRng keys(99);
    client_key = crypto::generate_key_pair(keys);
    server_key = crypto::generate_key_pair(keys);
    next_key = crypto::generate_key_pair(keys);
    client_config.carrier = server_config.carrier = carrier;
    client_config.super_packets = server_config.super_packets = true;
    client_config.static_key = std::make_shared<const crypto::KeyPair>(copy_of(client_key));
    client_config.server_key = server_key.pub;
    server_config.keys = std::make_shared<const StaticKeys>(StaticKeys{copy_of(server_key), std::nullopt});
    if (carrier == Carrier::quic) client_config.batch_bytes = server_config.batch_bytes = 1200;
    Grant& grant = server_handler.verdict.grant;
    grant.client_id = "laptop";
    grant.addresses = {*inet::IpAddress::parse("10.8.0.2"), *inet::IpAddress::parse("fd00::2")};
    grant.dns = {*inet::IpAddress::parse("10.8.0.1")};
    grant.routes = {*inet::Cidr::parse("0.0.0.0/0"), *inet::Cidr::parse("::/0")};
    server_handler.now = &now;
  }

  // Makes both machines (after the configurations were set as wanted) and starts them.
  void start() {
    client.emplace(client_config, client_handler, engine_, pool, client_rng_);
    server.emplace(server_config, server_handler, engine_, pool, server_rng_);
    server_handler.machine = &*server;
    client->start(now);
    server->start(now);
    pump();
  }
  // start() and run until the session stands on both sides.
  bool connect() {
    start();
    run_for(milliseconds(200));
    return client->established() && server->established();
  }

  void run_until(Time end) {
    pump();
    while (true) {
      Time next = std::min(wire.next_due(), server->next_deadline());
      if (!client_asleep) next = std::min(next, client->next_deadline());
      if (next > end) break;
      now = std::max(now, next);
      step();
    }
    now = end;
  }
  void run_for(Duration d) { run_until(now + d); }

  void wake_client() {
    client_asleep = false;
    for (Bytes& message : held_) client->receive(message, now);
    held_.clear();
    client->tick(now);
    pump();
  }

  void pump() {
    if (!client_asleep) pump_one(*client, Side::server);
    pump_one(*server, Side::client);
  }

  Packet packet(size_t size, uint8_t fill = 0xab, uint16_t segment_size = 0) {
    Packet p = pool.take(size);
    std::fill(p.bytes().begin(), p.bytes().end(), fill);
    p.bytes()[0] = 0x45;
    p.segment_size = segment_size;
    if (segment_size) p.segments = static_cast<uint16_t>((size + segment_size - 1) / segment_size);
    return p;
  }
  Drop send(Side from, size_t size, uint8_t fill = 0xab, uint16_t segment_size = 0) {
    SessionMachine& machine = from == Side::client ? static_cast<SessionMachine&>(*client) : *server;
    return machine.send(packet(size, fill, segment_size), now);
  }

  PacketPool pool;  // outlives the machines
  Time now = Time(seconds(1000));
  VirtualWire wire;
  crypto::KeyPair client_key, server_key, next_key;
  InitiatorConfig client_config;
  ResponderConfig server_config;
  ClientRecorder client_handler;
  ServerRecorder server_handler;
  std::optional<Initiator> client;
  std::optional<Responder> server;
  bool client_asleep = false;
  size_t largest_message = 0;

 private:
  void step() {
    while (auto delivery = wire.take(now)) {
      if (delivery->to == Side::server) {
        server->receive(delivery->message, now);
      } else if (client_asleep) {
        held_.push_back(std::move(delivery->message));
      } else {
        client->receive(delivery->message, now);
      }
      pump();
    }
    if (!client_asleep && client->next_deadline() <= now) client->tick(now);
    if (server->next_deadline() <= now) server->tick(now);
    pump();
  }
  void pump_one(SessionMachine& machine, Side to) {
    bool reliable = true;
    while (Packet message = machine.pull(now, &reliable)) {
      largest_message = std::max(largest_message, message.size());
      const bool on_stream = reliable || client_config.carrier == Carrier::websocket || message.size() > 1350;
      wire.put(to, message.bytes(), on_stream, now);
    }
  }

  crypto::AeadEngine engine_;
  SeededRng client_rng_, server_rng_;
  std::vector<Bytes> held_;
};

}  // namespace smartvpn::testing
