// mac1, mac2 and cookies (white paper, section 5.3 and 5.4.4). mac1 says that a sender knows whom it writes to; under
// load, mac2 says that it can also receive at the address it writes from. The checker keeps no state about strangers.
#pragma once

#include <optional>

#include "base/rng.hpp"
#include "inet/address.hpp"
#include "transport/wireguard/identity.hpp"
#include "transport/wireguard/message_codec.hpp"
#include "transport/wireguard/timing.hpp"

namespace smartvpn::wireguard {

using Cookie = std::array<uint8_t, 16>;

// For messages that come to us. One per shard; the secret, from `rng`, changes every two minutes. Shards may share
// secrets by taking the same `seed` and the same times (a cookie made by one must be good at another).
class CookieChecker {
 public:
  CookieChecker(const Identity& own, SecretKey seed) noexcept;
  void set_identity(const Identity& own) noexcept;
  // `message` is an initiation or response. Constant time.
  bool mac1_ok(ByteView message) const noexcept;
  bool mac2_ok(ByteView message, const inet::Endpoint& from, Time now) noexcept;
  // The cookie reply to `message` (whose mac1 was right) for `from`.
  std::array<uint8_t, kCookieReplySize> reply(ByteView message, const inet::Endpoint& from, Time now,
                                              Rng& rng) noexcept;

 private:
  Cookie cookie_for(const inet::Endpoint& from, Time now) noexcept;
  const Identity* own_;
  SecretKey seed_;    // the secret of a period is a keyed hash of its number
  SecretKey secret_;  // of `period_`
  int64_t period_ = INT64_MIN;
};

// For messages to one peer: adds both macs, and keeps the cookie that the peer has sent.
class CookieGenerator {
 public:
  explicit CookieGenerator(const PublicKey& peer) noexcept;
  // Fills the last 32 bytes of an initiation or response. Remembers mac1 for a cookie reply.
  void add_macs(ByteSpan message, Time now) noexcept;
  // True if it opened: the next message carries mac2. Nothing is sent at once (section 5.4.7).
  bool take_reply(ByteView reply, Time now) noexcept;
  bool has_cookie(Time now) const noexcept;

 private:
  std::array<uint8_t, 32> mac1_key_, cookie_key_;
  std::optional<std::array<uint8_t, 16>> last_mac1_;
  Cookie cookie_{};
  Time cookie_until_{};  // Time{}: none
};

}  // namespace smartvpn::wireguard
