// Sec-WebSocket-Key and Sec-WebSocket-Accept. SHA-1 is what the RFC names; nothing rests on it but
// telling a WebSocket server from one that echoes headers.
#include "transport/ws/accept_key.hpp"

#include "crypto/sha1.hpp"

namespace smartvpn::ws {

bool is_valid_key(std::string_view key) {
  if (key.size() != 24) return false;
  auto decoded = from_base64(key);
  return decoded && decoded->size() == 16;
}

std::string make_key(Rng& rng) {
  std::array<uint8_t, 16> nonce;
  rng.fill(nonce);
  return to_base64(nonce);
}

std::string accept_for_key(std::string_view key) {
  std::string input(key);
  input += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  return to_base64(crypto::sha1(as_bytes(input)));
}

}  // namespace smartvpn::ws
