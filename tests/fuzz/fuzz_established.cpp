// Whoever has proven a key may still be hostile: an authenticated server's answer, configuration updates and records at
// the dialling end, and an authenticated client's messages at the server. Input: a byte of options, a u16 length and
// what stands in the handshake's payload, then data messages: a byte that says what is odd about the message, a u16
// length, the records.
#include "crypto/aead_oneshot.hpp"
#include "fuzz/session_fuzz.hpp"
#include "session/initiator.hpp"
#include "session/responder.hpp"

using namespace smartvpn;
using namespace smartvpn::session;
using fuzz::CountingRng;
using smartvpn::fuzz::require;

namespace {

// What both roles promise their owners.
template <class Base>
struct Watcher : Base {
  int closes = 0, confirmations = 0;
  void alive() const { require(closes == 0); }
  void on_packets(std::span<const PacketView> batch) override {
    alive();
    require(confirmations == 1 && !batch.empty() && batch.size() <= 64);
    for (const auto& p : batch) require(!p.bytes.empty() && p.bytes.size() <= kMaxPacket);
  }
  void on_drop(Drop, uint64_t count) override { alive(), require(count > 0); }
  void on_rtt(Duration rtt) override { alive(), require(rtt >= Duration{}); }
  void on_liveness(Liveness) override { alive(); }
  void on_close(const CloseInfo&) override { alive(), ++closes; }
};

struct Server final : Watcher<ResponderHandler> {
  Responder* machine = nullptr;
  Time now{};
  bool on_static_key(const PublicKey&) override { return alive(), true; }
  void on_identity(const Identity&) override {
    alive();
    machine->decide({}, now);
  }
  uint64_t on_confirmed(Reason*) override { return alive(), ++confirmations, 5; }
};

struct Client final : Watcher<InitiatorHandler> {
  int configured = 0;
  void check(const SessionParameters& p) {
    alive();
    require(p.addresses.size() <= kMaxAddresses && p.routes.size() <= kMaxRoutes && p.dns.size() <= kMaxDns);
  }
  void on_configured(const SessionParameters& p) override { check(p), ++configured; }
  void on_confirmed() override { alive(), require(configured == 1 && ++confirmations == 1); }
  void on_reconfigured(const SessionParameters& p) override { check(p), require(configured == 1); }
};

struct World {
  PacketPool pool;
  crypto::AeadEngine engine;
  CountingRng rng;
  crypto::KeyPair server_key = crypto::generate_key_pair(rng), client_key = crypto::generate_key_pair(rng);
};

ByteView take_sized(ByteReader& in) { return in.take(std::min<size_t>(in.le16(), in.remaining())); }

Bytes prologue(ByteView challenge) {
  Bytes out{'s', 'm', 'a', 'r', 't', 'v', 'p', 'n', '/', '1', 1};
  append(out, challenge);
  return out;
}

// Data messages from the one who holds `key`, some of them replayed, damaged, with another index or counter.
template <class Machine>
void send_data(World& w, Machine& machine, const SecretKey& key, uint32_t receiver, ByteReader in) {
  uint64_t counter = 0;
  Time now{};
  Bytes last;
  for (int i = 0; !in.at_end() && i < 64; ++i) {
    const uint8_t odd = in.u8();
    const ByteView records = take_sized(in);
    if (odd & 0x40) counter += uint64_t{1} << (odd & 0x3f);
    Bytes message(kHeaderSize + records.size() + kTagSize);
    write_header(message.data(), {MessageType::data, receiver ^ (odd == 0x81), counter++});
    crypto::chacha20_poly1305_seal(key.view(), crypto::counter_nonce(counter - 1), ByteView(message).first(kHeaderSize),
                                   records, message.data() + kHeaderSize);
    if (odd == 0x82) message.back() ^= 1;
    Bytes copy = odd == 0x83 && !last.empty() ? last : message;  // opened in place
    last = message;
    machine.receive(copy, now);
    for (int sent = 0; sent < 1000 && machine.pull(now); ++sent) {
    }
    require(w.pool.bytes_in_use() <= 4u << 20);
    now += seconds(odd & 0x20 ? 40 : 1);
    machine.tick(now);
  }
  machine.tick(now + seconds(100000));
}

void hostile_server(ByteReader in, uint8_t options) {
  World w;
  InitiatorConfig config;
  config.static_key =
      std::make_shared<const crypto::KeyPair>(crypto::KeyPair{w.client_key.secret.clone(), w.client_key.pub});
  config.server_key = w.server_key.pub;
  config.super_packets = (options & 2) != 0;
  Client handler;
  Initiator machine(config, handler, w.engine, w.pool, w.rng);
  machine.start(Time{});
  Bytes hello(kHeaderSize + kChallengeSize, 9);
  write_header(hello.data(), {MessageType::hello, 0, 0});
  machine.receive(hello, Time{});
  Packet first = machine.pull(Time{});
  require(first && !machine.closed());
  noise::Responder noise(w.rng, w.server_key, prologue(Bytes(kChallengeSize, 9)));
  noise.mix_hash(first.bytes().first(kHeaderSize));
  Bytes payload;
  require(noise.read_static(first.bytes().subspan(kHeaderSize)) && noise.read_payload(payload));
  require(decode_initiation(payload).has_value());
  Bytes answer(kHeaderSize);
  const uint32_t own = load_le32(first.bytes().data() + 4), mine = 77;
  write_header(answer.data(), {MessageType::response, own, mine});
  noise.mix_hash(answer);
  const ByteView said = take_sized(in);
  require(noise.write_message(said, answer));
  auto keys = noise.split();
  machine.receive(answer, Time{});
  if (!decode_response(said)) require(handler.configured == 0);
  if (handler.configured == 0) return;
  send_data(w, machine, keys->send, own, in);
}

void hostile_client(ByteReader in, uint8_t options) {
  World w;
  ResponderConfig config;
  config.super_packets = (options & 2) != 0;
  config.keys =
      std::make_shared<const StaticKeys>(StaticKeys{{w.server_key.secret.clone(), w.server_key.pub}, std::nullopt});
  Server handler;
  Responder machine(config, handler, w.engine, w.pool, w.rng);
  handler.machine = &machine;
  machine.start(Time{});
  Packet hello = machine.pull(Time{});
  noise::Initiator noise(w.rng, w.client_key, w.server_key.pub, prologue(hello.bytes().subspan(kHeaderSize)));
  Bytes payload, message(kHeaderSize);
  require(encode(InitiationPayload{}, payload));
  write_header(message.data(), {MessageType::initiation, 7, 0});
  noise.mix_hash(message);
  require(noise.write_message(payload, message));
  machine.receive(message, Time{});
  Packet reply = machine.pull(Time{});
  noise.mix_hash(reply.bytes().first(kHeaderSize));
  Bytes plain;
  require(noise.read_message(reply.bytes().subspan(kHeaderSize), plain) && decode_response(plain));
  auto keys = noise.split();
  static_cast<void>(take_sized(in));
  send_data(w, machine, keys->send, load_le32(reply.bytes().data() + 8), in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteReader in(ByteView(data + 1, size - 1));
  if (data[0] & 1)
    hostile_client(in, data[0]);
  else
    hostile_server(in, data[0]);
  return 0;
}
