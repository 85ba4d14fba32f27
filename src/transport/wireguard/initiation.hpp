// The responder's view of message 1, in two steps that cost one exchange each, so that a stranger is turned away after
// the first. Whoever opened it may hand it to the peer's home shard before the second step.
#pragma once

#include <memory>
#include <optional>

#include "noise/handshake.hpp"
#include "transport/wireguard/identity.hpp"
#include "transport/wireguard/message_codec.hpp"
#include "transport/wireguard/tai64n.hpp"

namespace smartvpn::wireguard {

class OpenedInitiation {
 public:
  // First step; `message` is an initiation whose mac1 was right. Nothing if it was not made for `own`. `own` and `rng`
  // outlive the object.
  static std::optional<OpenedInitiation> open(const Identity& own, ByteView message, Rng& rng);
  // Whose key it claims, not yet proven.
  const PublicKey& peer() const noexcept { return peer_; }
  uint32_t sender() const noexcept { return sender_; }
  // Second step: proves the key. `shared`: our static key and theirs, where it is at hand; null: computed. Nothing if
  // false.
  std::optional<Tai64n> prove(const SecretKey* shared);
  noise::Responder& handshake() noexcept { return *handshake_; }

 private:
  std::unique_ptr<noise::Responder> handshake_;
  PublicKey peer_{};
  uint32_t sender_ = 0;
};

}  // namespace smartvpn::wireguard
