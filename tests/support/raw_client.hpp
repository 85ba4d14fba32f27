// A client made of Noise and bytes only, written from docs/PROTOCOL.md without the machines: it can say
// what a well-behaved one never says, and its agreement with the server checks the document.
#pragma once

#include <optional>

#include "crypto/aead_oneshot.hpp"
#include "noise/handshake.hpp"
#include "support/session_pair.hpp"

namespace smartvpn::testing {

class RawClient {
 public:
  RawClient() : rng_(31) {
    SeededRng keys(99);
    key_ = crypto::generate_key_pair(keys);
    server_key_ = crypto::generate_key_pair(keys);
    config.super_packets = true;
    config.keys = std::make_shared<const StaticKeys>(StaticKeys{copy_of(server_key_), std::nullopt});
    handler.now = &now;
  }

  // Runs the handshake with `payload` in message 1. True when message 2 opened.
  bool connect(ByteView payload = {}) {
    Bytes standard{1};
    server.emplace(config, handler, engine_, pool, rng_);
    handler.machine = &*server;
    server->start(now);
    Packet hello = server->pull(now);
    Bytes prologue = {'s', 'm', 'a', 'r', 't', 'v', 'p', 'n', '/', '1', static_cast<uint8_t>(config.carrier)};
    append(prologue, hello.bytes().subspan(16));
    noise::Initiator noise(rng_, key_, server_key_.pub, prologue);
    Bytes message = initiation_header;
    noise.mix_hash(message);
    if (!noise.write_message(payload.empty() ? ByteView(standard) : payload, message)) return false;
    server->receive(message, now);
    Packet reply = server->pull(now);
    if (!reply || reply.size() < 16 || load_le32(reply.bytes().data() + 4) != 0x11223344) return false;
    remote_index = load_le32(reply.bytes().data() + 8);
    noise.mix_hash(reply.bytes().first(16));
    if (!noise.read_message(reply.bytes().subspan(16), response)) return false;
    keys_ = noise.split();
    return keys_.has_value();
  }

  // One data message with these records.
  void say(ByteView records) {
    Bytes message(16 + records.size() + 16);
    message[0] = 4;
    store_le32(message.data() + 4, remote_index);
    store_le64(message.data() + 8, counter);
    crypto::chacha20_poly1305_seal(keys_->send.view(), crypto::counter_nonce(counter), ByteView(message).first(16),
                                   records, message.data() + 16);
    ++counter;
    server->receive(message, now);
  }

  // The records of everything the server wants to send, one entry a message.
  std::vector<Bytes> hear() {
    std::vector<Bytes> out;
    while (Packet m = server->pull(now)) {
      Bytes plain(m.size() - 32);
      EXPECT_EQ(load_le64(m.bytes().data() + 8), heard_);
      EXPECT_TRUE(crypto::chacha20_poly1305_open(keys_->recv.view(), crypto::counter_nonce(heard_++),
                                                 m.bytes().first(16), m.bytes().subspan(16), plain.data()));
      out.push_back(std::move(plain));
    }
    return out;
  }

  static Bytes record(uint8_t kind, ByteView body) {
    Bytes out(4);
    store_le32(out.data(), static_cast<uint32_t>(body.size()) << 8 | kind);
    append(out, body);
    return out;
  }
  static Bytes ping(uint64_t token) {
    uint8_t body[8];
    store_le64(body, token);
    return record(3, body);
  }
  static Bytes packet(size_t size = 20) { return record(1, Bytes(size, 0x45)); }

  PacketPool pool;
  Time now = Time(seconds(5000));
  ResponderConfig config;
  ServerRecorder handler;
  std::optional<Responder> server;
  Bytes initiation_header = {1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0, 0};
  Bytes response;  // payload of message 2
  uint32_t remote_index = 0;
  uint64_t counter = 0;

 private:
  crypto::AeadEngine engine_;
  SeededRng rng_;
  crypto::KeyPair key_, server_key_;
  std::optional<noise::TransportKeys> keys_;
  uint64_t heard_ = 0;
};

inline Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}

}  // namespace smartvpn::testing
