// See initiation.hpp.
#include "transport/wireguard/initiation.hpp"

namespace smartvpn::wireguard {
namespace {

constexpr size_t kNoiseAt = 8, kNoiseSize = 108;  // ephemeral, static, timestamp

}  // namespace

std::optional<OpenedInitiation> OpenedInitiation::open(const Identity& own, ByteView message, Rng& rng) {
  OpenedInitiation out;
  out.handshake_ = std::make_unique<noise::Responder>(rng, own.key, as_bytes(kPrologue), noise::Pattern::ikpsk2);
  auto peer = out.handshake_->read_static(message.subspan(kNoiseAt, kNoiseSize));
  if (!peer) return std::nullopt;
  out.peer_ = *peer;
  out.sender_ = sender_index(message);
  return out;
}

std::optional<Tai64n> OpenedInitiation::prove(const SecretKey* shared) {
  Bytes payload;
  Tai64n stamp;
  if (!handshake_->read_payload(payload, shared) || payload.size() != stamp.bytes.size()) return std::nullopt;
  std::copy(payload.begin(), payload.end(), stamp.bytes.begin());
  return stamp;
}

}  // namespace smartvpn::wireguard
