// Whatever may arrive before and during a handshake. First byte: where the rest goes. Messages in a
// list are u16 lengths and bytes.
#include <cstdint>
#include <optional>

#include "crypto/aead_oneshot.hpp"
#include "fuzz/session_fuzz.hpp"
#include "session/initiator.hpp"
#include "session/responder.hpp"

using namespace smartvpn;
using namespace smartvpn::session;
using fuzz::CountingRng;
using smartvpn::fuzz::require;

namespace {

struct Server final : ResponderHandler {
  Responder* machine = nullptr;
  Time now{};
  int closes = 0, confirmations = 0, identities = 0;
  uint64_t packets = 0;
  bool known = false;
  void alive() const { require(closes == 0); }
  void on_packets(std::span<const PacketView> batch) override {
    alive();
    require(confirmations == 1 && !batch.empty() && batch.size() <= 64);
    for (const auto& p : batch) require(!p.bytes.empty() && p.session == 5);
    packets += batch.size();
  }
  void on_drop(Drop, uint64_t count) override { alive(), require(count > 0); }
  void on_rtt(Duration) override { alive(); }
  void on_liveness(Liveness) override { alive(); }
  void on_close(const CloseInfo&) override { alive(), ++closes; }
  bool on_static_key(const PublicKey&) override { return alive(), known; }
  void on_identity(const Identity& identity) override {
    alive();
    require(known && identity.wanted_addresses.size() <= kMaxAddresses);
    ++identities;
    machine->decide({}, now);
  }
  uint64_t on_confirmed(Reason*) override { return alive(), ++confirmations, 5; }
};

struct Client final : InitiatorHandler {
  int closes = 0;
  void alive() const { require(closes == 0); }
  void on_packets(std::span<const PacketView>) override { require(false); }
  void on_drop(Drop, uint64_t) override { alive(); }
  void on_rtt(Duration) override { require(false); }
  void on_liveness(Liveness) override { alive(); }
  void on_close(const CloseInfo&) override { alive(), ++closes; }
  void on_configured(const SessionParameters&) override { require(false); }
  void on_confirmed() override { require(false); }
  void on_reconfigured(const SessionParameters&) override { require(false); }
};

struct World {
  PacketPool pool;
  crypto::AeadEngine engine;
  CountingRng rng;
  crypto::KeyPair server_key = crypto::generate_key_pair(rng), client_key = crypto::generate_key_pair(rng);
};

template <class Machine>
void feed(Machine& machine, ByteReader input, PacketPool& pool) {
  Time now{};
  while (!input.at_end()) {
    ByteView part = input.take(std::min<size_t>(input.le16(), input.remaining()));
    Bytes message(part.begin(), part.end());
    machine.receive(message, now);
    while (machine.pull(now)) {
    }
    require(pool.bytes_in_use() == 0);
    now += seconds(1);
    machine.tick(now);
  }
}

// A stranger with nothing but bytes.
void feed_responder(ByteView input) {
  World w;
  ResponderConfig config;
  config.keys =
      std::make_shared<const StaticKeys>(StaticKeys{{w.server_key.secret.clone(), w.server_key.pub}, std::nullopt});
  Server handler;
  Responder machine(config, handler, w.engine, w.pool, w.rng);
  handler.machine = &machine;
  machine.start(Time{});
  machine.pull(Time{});
  feed(machine, ByteReader(input), w.pool);
  require(handler.identities == 0 && handler.confirmations == 0 && !machine.authenticated());
}

void feed_initiator(ByteView input) {
  World w;
  InitiatorConfig config;
  config.static_key =
      std::make_shared<const crypto::KeyPair>(crypto::KeyPair{w.client_key.secret.clone(), w.client_key.pub});
  config.server_key = w.server_key.pub;
  Client handler;
  Initiator machine(config, handler, w.engine, w.pool, w.rng);
  machine.start(Time{});
  feed(machine, ByteReader(input), w.pool);
  require(!machine.established());
}

// A client with a good key and arbitrary payload and records: u16 length of the payload first.
void authenticated_client(ByteView input) {
  World w;
  ResponderConfig config;
  config.super_packets = true;
  config.keys =
      std::make_shared<const StaticKeys>(StaticKeys{{w.server_key.secret.clone(), w.server_key.pub}, std::nullopt});
  Server handler;
  handler.known = true;
  Responder machine(config, handler, w.engine, w.pool, w.rng);
  handler.machine = &machine;
  machine.start(Time{});
  Packet hello = machine.pull(Time{});
  Bytes prologue{'s', 'm', 'a', 'r', 't', 'v', 'p', 'n', '/', '1', 1};
  append(prologue, hello.bytes().subspan(kHeaderSize));
  noise::Initiator noise(w.rng, w.client_key, w.server_key.pub, prologue);
  ByteReader reader(input);
  ByteView payload = reader.take(std::min<size_t>(reader.le16() % 900, reader.remaining()));
  Bytes message(kHeaderSize);
  write_header(message.data(), {MessageType::initiation, 7, 0});
  noise.mix_hash(message);
  require(noise.write_message(payload, message));
  machine.receive(message, Time{});
  require(handler.identities == (decode_initiation(payload) ? 1 : 0));
  Packet reply = machine.pull(Time{});
  if (!reply) return require(machine.closed() && handler.identities == 0);
  noise.mix_hash(reply.bytes().first(kHeaderSize));
  Bytes plain;
  require(noise.read_message(reply.bytes().subspan(kHeaderSize), plain));
  require(decode_response(plain).has_value());
  auto keys = noise.split();
  ByteView records = reader.rest();
  Bytes data(kHeaderSize + records.size() + kTagSize);
  write_header(data.data(), {MessageType::data, load_le32(reply.bytes().data() + 8), 0});
  crypto::chacha20_poly1305_seal(keys->send.view(), crypto::counter_nonce(0), ByteView(data).first(kHeaderSize),
                                 records, data.data() + kHeaderSize);
  machine.receive(data, Time{});
  require(handler.confirmations == (data.size() <= kMaxMessage ? 1 : 0));
}

void decoders(ByteView input) {
  static_cast<void>(decode_initiation(input));
  static_cast<void>(decode_response(input));
  auto p = decode_parameters(input);
  if (!p) return;
  require(p->addresses.size() <= kMaxAddresses && p->dns.size() <= kMaxDns && p->routes.size() <= kMaxRoutes);
  Bytes again;
  require(encode(*p, again));
  require(decode_parameters(again) == p);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] & 3) {
    case 0:
      decoders(rest);
      break;
    case 1:
      feed_responder(rest);
      break;
    case 2:
      feed_initiator(rest);
      break;
    default:
      authenticated_client(rest);
      break;
  }
  return 0;
}
