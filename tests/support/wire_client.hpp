// A client on a raw socket whose steps a test takes one by one: upgrade, hello, message 1, message 2,
// first data. Between any two it may say something else, or nothing.
#pragma once

#include <optional>

#include "session/initiator.hpp"
#include "support/stranger.hpp"
#include "transport/ws/frame_codec.hpp"

namespace smartvpn::testing_support {

struct WireFrame {
  ws::Opcode opcode = ws::Opcode::continuation;
  Bytes payload;
  uint16_t close_code() const { return payload.size() >= 2 ? load_be16(payload.data()) : 1005; }
};

class WireClient final : private session::InitiatorHandler {
 public:
  // `key` is the client's secret; nothing: a key that nobody knows. `wanted`: addresses it asks for.
  WireClient(RawSocket socket, const PublicKey& server_key, std::optional<SecretKey> key = {},
             std::vector<inet::IpAddress> wanted = {})
      : socket(std::move(socket)) {
    auto own = std::make_shared<crypto::KeyPair>(crypto::generate_key_pair(system_rng()));
    if (key) {
      own->secret = std::move(*key);
      own->pub = crypto::public_key_of(own->secret);
    }
    session::InitiatorConfig config;
    config.static_key = std::move(own);
    config.server_key = server_key;
    config.wanted_addresses = std::move(wanted);
    session::InitiatorHandler& self = *this;
    initiator_.emplace(config, self, aead_, pool_, system_rng());
  }

  // Sends `before` (a PROXY header) and the request in one piece; true when the answer is 101.
  bool upgrade(ByteView before = {}) {
    Bytes first(before.begin(), before.end());
    append(first, as_bytes(kUpgradeRequest));
    socket.send(first);
    return socket.read_through("\r\n\r\n").starts_with("HTTP/1.1 101 ");
  }
  // Reads the hello. Message 1 waits then.
  bool hear_hello() {
    initiator_->start(monotonic_now());
    return hear();
  }
  // Reads one binary message and lets the initiator have it.
  bool hear() {
    auto frame = read_frame();
    if (!frame || frame->opcode != ws::Opcode::binary) return false;
    initiator_->receive(frame->payload, monotonic_now());
    return true;
  }
  // The next message that the initiator has to say, without sending it.
  Bytes next_message() {
    Packet packet = initiator_->pull(monotonic_now());
    return packet ? Bytes(packet.bytes().begin(), packet.bytes().end()) : Bytes();
  }
  // Sends it; false when there was none.
  bool say_next() {
    Bytes message = next_message();
    if (message.empty()) return false;
    send_frame(ws::Opcode::binary, message);
    return true;
  }
  // An inner packet for the next data message, which say_next() sends.
  bool give(ByteView packet, uint16_t segment_size = 0) {
    Packet own = pool_.copy_of(packet);
    own.segment_size = segment_size;
    return initiator_->send(std::move(own), monotonic_now()) == Drop::none;
  }
  // All of the handshake up to the first data message.
  bool connect(ByteView before = {}) {
    return upgrade(before) && hear_hello() && say_next() && hear() && initiator_->established() && say_next();
  }

  void send_frame(ws::Opcode opcode, ByteView payload) { socket.send(frame(opcode, payload)); }
  static Bytes frame(ws::Opcode opcode, ByteView payload) {
    const ws::MaskKey mask{1, 2, 3, 4};
    Bytes out;
    ws::append_frame(out, opcode, true, payload, &mask);
    return out;
  }
  std::optional<WireFrame> read_frame() {
    std::string head = socket.read(2);
    if (head.size() < 2) return std::nullopt;
    size_t size = static_cast<uint8_t>(head[1]) & 0x7f, more = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (more != 0) size = 0;
    for (char byte : socket.read(more)) size = size << 8 | static_cast<uint8_t>(byte);
    std::string body = socket.read(size);
    if (body.size() < size) return std::nullopt;
    return WireFrame{static_cast<ws::Opcode>(head[0] & 0x0f), Bytes(body.begin(), body.end())};
  }
  // Frames until the Close frame; nothing if the stream ends without one.
  std::optional<WireFrame> read_close() {
    while (auto frame = read_frame())
      if (frame->opcode == ws::Opcode::close) return frame;
    return std::nullopt;
  }

  session::Initiator& initiator() { return *initiator_; }
  RawSocket socket;
  std::optional<session::CloseInfo> closed;  // what ended the protocol, once it has
  std::vector<Bytes> packets;                // that came for it

 private:
  void on_packets(std::span<const PacketView> batch) override {
    for (const auto& packet : batch) packets.emplace_back(packet.bytes.begin(), packet.bytes.end());
  }
  void on_drop(Drop, uint64_t) override {}
  void on_rtt(Duration) override {}
  void on_liveness(session::Liveness) override {}
  void on_close(const session::CloseInfo& info) override { closed = info; }
  void on_configured(const session::SessionParameters&) override {}
  void on_confirmed() override {}
  void on_reconfigured(const session::SessionParameters&) override {}

  crypto::AeadEngine aead_;
  PacketPool pool_;
  std::optional<session::Initiator> initiator_;
};

// The private key in a configuration that create_client gave. The mode is one that every build has.
inline SecretKey key_of(const std::string& json) {
  auto config = config::parse_tunnel_config(client_config(json, "testing"));
  EXPECT_TRUE(config) << config.error().text;
  return std::move(config->keys.noise_private_key);
}

}  // namespace smartvpn::testing_support
