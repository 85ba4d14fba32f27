// What the WebSocket tests share: a handler that writes down every callback, frames as a peer would
// send them, and a generator that repeats itself.
#pragma once

#include <string>
#include <vector>

#include "base/rng.hpp"
#include "transport/ws/message_machine.hpp"

namespace smartvpn::ws::test {

class CountingRng final : public Rng {
 public:
  void fill(ByteSpan out) noexcept override {
    for (uint8_t& b : out) b = static_cast<uint8_t>(state_ = state_ * 1103515245 + 12345, state_ >> 16);
  }

 private:
  uint32_t state_ = 1;
};

// Events as text: "binary 3 616263", "ping 61", "close 1000 'bye' peer".
class Recorder : public Handler {
 public:
  void on_message(bool binary, ByteSpan message) override {
    add((binary ? "binary " : "text ") + std::to_string(message.size()) + " " + to_hex(message));
    last_message = message.data();
    // The bytes are the handler's: scribbling must do no harm.
    std::fill(message.begin(), message.end(), uint8_t{0xee});
  }
  void on_ping(ByteView payload) override { add("ping " + to_hex(payload)); }
  void on_pong(ByteView payload) override { add("pong " + to_hex(payload)); }
  void on_close(const CloseEvent& event) override {
    add("close " + std::to_string(event.code) + " '" + std::string(event.reason) + "' " +
        (event.by_peer ? "peer" : "us"));
  }

  std::vector<std::string> events;
  const uint8_t* last_message = nullptr;

 private:
  void add(std::string event) { events.push_back(std::move(event)); }
};

// A frame as the peer of `role` sends it: masked towards a server, bare towards a client.
inline Bytes peer_frame(Machine::Role role, Opcode opcode, ByteView payload, bool fin = true) {
  const MaskKey mask = {0x37, 0xfa, 0x21, 0x3d};
  Bytes out;
  append_frame(out, opcode, fin, payload, role == Machine::Role::server ? &mask : nullptr);
  return out;
}
inline Bytes peer_frame(Machine::Role role, Opcode opcode, std::string_view payload, bool fin = true) {
  return peer_frame(role, opcode, as_bytes(payload), fin);
}
inline Bytes peer_close(Machine::Role role, uint16_t code, std::string_view reason = {}) {
  Bytes body(2);
  store_be16(body.data(), code);
  append(body, as_bytes(reason));
  return peer_frame(role, Opcode::close, ByteView(body));
}

// Feeds a piece as a socket's reader does, which puts what it can where the machine wants it.
inline void feed_as_socket(Machine& machine, ByteView piece, Handler& handler) {
  ByteSpan gap = machine.gap();
  const size_t n = std::min(gap.size(), piece.size());
  std::copy_n(piece.begin(), n, gap.begin());
  Bytes rest(piece.begin() + static_cast<std::ptrdiff_t>(n), piece.end());
  n > 0 ? machine.feed_gap(n, rest, handler) : machine.feed(rest, handler);
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}

}  // namespace smartvpn::ws::test
