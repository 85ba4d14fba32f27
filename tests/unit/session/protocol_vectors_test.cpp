// tests/vectors/smartvpn_protocol.json: whole conversations as bytes, for other implementers. The test
// plays them again with both machines, fixed keys and scripted randomness, and every byte must agree.
// After a change of the protocol: unit_session --gtest_also_run_disabled_tests --gtest_filter='*Write*'
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "crypto/aead_oneshot.hpp"
#include "support/session_pair.hpp"

namespace smartvpn::testing {
namespace {

using Json = nlohmann::ordered_json;
const char* kFile = SMARTVPN_VECTORS_DIR "/smartvpn_protocol.json";

Bytes repeated(uint8_t value, size_t size = 32) { return Bytes(size, value); }
Bytes counting(uint8_t first, size_t size = 32) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(first + i);
  return out;
}
crypto::KeyPair pair_of(const Bytes& secret) {
  crypto::KeyPair out;
  out.secret = SecretKey(std::span<const uint8_t, 32>(secret.data(), 32));
  out.pub = crypto::public_key_of(out.secret);
  return out;
}

// One conversation. The two machines talk directly; everything said is written down.
class Conversation {
 public:
  Conversation(std::string name, Carrier carrier) : carrier_(carrier) {
    json_["name"] = std::move(name);
    json_["carrier"] = static_cast<int>(carrier);
    client_config_.carrier = server_config_.carrier = carrier;
    client_config_.super_packets = server_config_.super_packets = true;
    client_config_.static_key = std::make_shared<const crypto::KeyPair>(pair_of(client_secret_));
    client_config_.server_key = pair_of(server_secret_).pub;
    client_config_.wanted_mtu = 1400;
    client_config_.wanted_addresses = {*inet::IpAddress::parse("10.8.0.2")};
    server_config_.keys = std::make_shared<const StaticKeys>(StaticKeys{pair_of(server_secret_), std::nullopt});
    Grant& grant = server_handler_.verdict.grant;
    grant.addresses = {*inet::IpAddress::parse("10.8.0.2"), *inet::IpAddress::parse("fd00::2")};
    grant.dns = {*inet::IpAddress::parse("10.8.0.1")};
    grant.routes = {*inet::Cidr::parse("0.0.0.0/0"), *inet::Cidr::parse("2000::/3")};
    server_handler_.now = &now_;
    json_["client_static"] = keys_json(client_secret_);
    json_["server_static"] = keys_json(server_secret_);
  }

  IdentityVerdict& verdict() { return server_handler_.verdict; }

  void handshake() {
    const Bytes challenge = counting(0xc0);
    json_["challenge"] = to_hex(challenge);
    client_rng_.expect(repeated(0, 4));  // seed of the send queue: not seen on the wire
    server_rng_.expect(repeated(0, 4));
    server_rng_.expect(challenge);
    expect_handshake(0x11, 0x21);
    client_.emplace(client_config_, client_handler_, engine_, pool_, client_rng_);
    server_.emplace(server_config_, server_handler_, engine_, pool_, server_rng_);
    server_handler_.machine = &*server_;
    client_->start(now_);
    server_->start(now_);
    binding_ = challenge;
    talk();
  }
  void rekey() {
    now_ = Time(seconds(1120));
    expect_handshake(0x31, 0x41);
    client_->tick(now_);
    talk();
  }
  void packet(Side from, size_t size, uint16_t segment_size = 0) {
    Packet p = pool_.take(size);
    for (size_t i = 0; i < size; ++i) p.bytes()[i] = static_cast<uint8_t>(i);
    p.bytes()[0] = 0x45;
    p.segment_size = segment_size;
    machine(from).send(std::move(p), now_);
  }
  void reconfigure() {
    SessionParameters p = server_->parameters();
    p.mtu = 1300;
    p.next_server_key = pair_of(repeated(0x77)).pub;
    ASSERT_TRUE(server_->reconfigure(p));
    talk();
  }
  void close(Reason reason) {
    server_->close(reason, now_, 30);
    talk();
  }
  void talk() {
    for (bool more = true; more;) {
      more = speak(Side::server);
      more = speak(Side::client) || more;
    }
  }
  Json finish() {
    EXPECT_TRUE(client_rng_.satisfied() && server_rng_.satisfied());
    json_["messages"] = std::move(messages_);
    return std::move(json_);
  }

 private:
  static Json keys_json(const Bytes& secret) {
    return {{"secret", to_hex(secret)}, {"public", to_hex(pair_of(secret).pub)}};
  }
  SessionMachine& machine(Side side) {
    if (side == Side::client) return *client_;
    return *server_;
  }
  void expect_handshake(uint8_t client, uint8_t server) {
    client_ephemeral_ = counting(client);
    server_ephemeral_ = counting(server);
    client_rng_.expect(repeated(client, 4));
    client_rng_.expect(client_ephemeral_);
    server_rng_.expect(repeated(server, 4));
    server_rng_.expect(server_ephemeral_);
  }

  bool speak(Side from) {
    bool any = false;
    while (Packet p = machine(from).pull(now_)) {
      any = true;
      Bytes message(p.bytes().begin(), p.bytes().end());
      Json entry;
      entry["from"] = from == Side::client ? "client" : "server";
      entry["hex"] = to_hex(message);
      write_down(message, entry);
      messages_.push_back(std::move(entry));
      machine(other(from)).receive(message, now_);
    }
    return any;
  }

  // Adds what is inside, from a Noise handshake of its own.
  void write_down(const Bytes& message, Json& entry) {
    const ByteView header = ByteView(message).first(16), body = ByteView(message).subspan(16);
    switch (message[0]) {
      case 1: {
        Bytes prologue{'s', 'm', 'a', 'r', 't', 'v', 'p', 'n', '/', '1', static_cast<uint8_t>(carrier_)};
        append(prologue, binding_);
        observer_rng_.expect(server_ephemeral_);
        observer_.emplace(observer_rng_, server_config_.keys->current, prologue);
        observer_->mix_hash(header);
        Bytes payload;
        ASSERT_TRUE(observer_->read_message(body, payload));
        entry["prologue"] = to_hex(prologue);
        entry["ephemeral_secret"] = to_hex(client_ephemeral_);
        entry["payload"] = to_hex(payload);
        initiation_ = entry;
        return;
      }
      case 2: {
        // The payload is not known before it is read, so the client's side of the handshake reads it.
        ScriptedRng rng;
        rng.expect(client_ephemeral_);
        const crypto::KeyPair own = pair_of(client_secret_);
        Bytes prologue = *from_hex(initiation_["prologue"].get<std::string>());
        noise::Initiator reader(rng, own, client_config_.server_key, prologue);
        const Bytes first = *from_hex(initiation_["hex"].get<std::string>());
        Bytes again, payload;
        reader.mix_hash(ByteView(first).first(16));
        ASSERT_TRUE(reader.write_message(*from_hex(initiation_["payload"].get<std::string>()), again));
        ASSERT_EQ(again, Bytes(first.begin() + 16, first.end()));
        reader.mix_hash(header);
        ASSERT_TRUE(reader.read_message(body, payload));
        entry["ephemeral_secret"] = to_hex(server_ephemeral_);
        entry["payload"] = to_hex(payload);
        entry["handshake_hash"] = to_hex(reader.handshake_hash());
        binding_.assign(reader.handshake_hash().begin(), reader.handshake_hash().end());
        auto keys = reader.split();
        ASSERT_TRUE(keys);
        entry["client_to_server_key"] = to_hex(keys->send.view());
        entry["server_to_client_key"] = to_hex(keys->recv.view());
        keys_.insert_or_assign(load_le32(message.data() + 4), std::move(keys->recv));
        keys_.insert_or_assign(load_le32(message.data() + 8), std::move(keys->send));
        return;
      }
      case 4: {
        Bytes plain(body.size() - 16);
        const SecretKey& key = keys_.at(load_le32(message.data() + 4));
        ASSERT_TRUE(crypto::chacha20_poly1305_open(key.view(), crypto::counter_nonce(load_le64(message.data() + 8)),
                                                   header, body, plain.data()));
        entry["records"] = to_hex(plain);
        return;
      }
      default:
        return;
    }
  }

  const Bytes client_secret_ = repeated(0x0c), server_secret_ = repeated(0x05);
  Carrier carrier_;
  PacketPool pool_;
  crypto::AeadEngine engine_;
  ScriptedRng client_rng_, server_rng_, observer_rng_;
  InitiatorConfig client_config_;
  ResponderConfig server_config_;
  ClientRecorder client_handler_;
  ServerRecorder server_handler_;
  std::optional<Initiator> client_;
  std::optional<Responder> server_;
  Time now_ = Time(seconds(1000));
  Bytes client_ephemeral_, server_ephemeral_, binding_;
  std::optional<noise::Responder> observer_;
  std::map<uint32_t, SecretKey> keys_;  // by the receiver's index
  Json json_, initiation_, messages_ = Json::array();
};

Json play_all() {
  Json out;
  out["description"] =
      "Conversations of the native protocol smartvpn/1, see docs/PROTOCOL.md. All values are hexadecimal. With the "
      "given static and ephemeral secrets, challenge and indices every message must come out byte for byte. "
      "`payload` and `records` are the plaintext inside.";
  Json all = Json::array();
  {
    Conversation c("whole session on a WebSocket", Carrier::websocket);
    c.handshake();
    c.packet(Side::client, 40);
    c.talk();
    c.packet(Side::server, 60);
    c.packet(Side::server, 33);
    c.talk();
    c.packet(Side::client, 3000, 1360);
    c.talk();
    c.rekey();
    c.packet(Side::server, 20);
    c.talk();
    c.reconfigure();
    c.close(Reason::replaced);
    all.push_back(c.finish());
  }
  {
    Conversation c("handshake on QUIC", Carrier::quic);
    c.handshake();
    all.push_back(c.finish());
  }
  {
    Conversation c("a disabled client is told", Carrier::websocket);
    c.verdict().reason = Reason::client_disabled;
    c.handshake();
    all.push_back(c.finish());
  }
  {
    Conversation c("a busy server", Carrier::websocket);
    c.verdict().reason = Reason::too_many_sessions;
    c.verdict().retry_after_s = 60;
    c.handshake();
    all.push_back(c.finish());
  }
  out["conversations"] = std::move(all);
  return out;
}

TEST(ProtocolVectors, EveryByteIsReproduced) {
  std::ifstream file(kFile);
  ASSERT_TRUE(file);
  const Json expected = Json::parse(file);
  const Json played = play_all();
  ASSERT_EQ(played["conversations"].size(), expected["conversations"].size());
  for (size_t c = 0; c < played["conversations"].size(); ++c) {
    const Json &mine = played["conversations"][c], &theirs = expected["conversations"][c];
    ASSERT_EQ(mine["messages"].size(), theirs["messages"].size()) << mine["name"];
    for (size_t m = 0; m < mine["messages"].size(); ++m)
      EXPECT_EQ(mine["messages"][m], theirs["messages"][m]) << mine["name"] << " message " << m;
  }
  EXPECT_EQ(played, expected);
}

TEST(ProtocolVectors, DISABLED_WriteFile) {
  std::ofstream file(kFile);
  file << play_all().dump(1) << "\n";
}

}  // namespace
}  // namespace smartvpn::testing
