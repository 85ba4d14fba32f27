// See cookie.hpp.
#include "transport/wireguard/cookie.hpp"

#include "crypto/aead_oneshot.hpp"
#include "crypto/blake2s.hpp"

namespace smartvpn::wireguard {
namespace {

constexpr size_t kMac = 16;
constexpr size_t kNonceAt = 8, kCookieAt = kNonceAt + crypto::kXNonceSize;
static_assert(kCookieAt + kMac + crypto::kTagSize == kCookieReplySize);

ByteView before_mac1(ByteView message) noexcept { return message.first(message.size() - kMacs); }
ByteView before_mac2(ByteView message) noexcept { return message.first(message.size() - kMac); }
ByteView mac1_of(ByteView message) noexcept { return message.subspan(message.size() - kMacs, kMac); }
ByteView mac2_of(ByteView message) noexcept { return message.last(kMac); }

std::span<const uint8_t, crypto::kXNonceSize> nonce_of(ByteView reply) noexcept {
  return std::span<const uint8_t, crypto::kXNonceSize>(reply.data() + kNonceAt, crypto::kXNonceSize);
}

}  // namespace

CookieChecker::CookieChecker(const Identity& own, SecretKey seed) noexcept : own_(&own), seed_(std::move(seed)) {}

void CookieChecker::set_identity(const Identity& own) noexcept { own_ = &own; }

bool CookieChecker::mac1_ok(ByteView message) const noexcept {
  return equal_constant_time(crypto::blake2s_mac16(own_->mac1_key, before_mac1(message)), mac1_of(message));
}

bool CookieChecker::mac2_ok(ByteView message, const inet::Endpoint& from, Time now) noexcept {
  return equal_constant_time(crypto::blake2s_mac16(cookie_for(from, now), before_mac2(message)), mac2_of(message));
}

Cookie CookieChecker::cookie_for(const inet::Endpoint& from, Time now) noexcept {
  const int64_t period = now.time_since_epoch() / kCookieLifetime;
  if (period != period_) {
    uint8_t number[8];
    store_le64(number, static_cast<uint64_t>(period));
    crypto::hmac_blake2s(secret_.span(), seed_.view(), number);
    period_ = period;
  }
  uint8_t address[18];
  const ByteView ip = from.ip.bytes();
  std::copy(ip.begin(), ip.end(), address);
  store_be16(address + ip.size(), from.port);
  return crypto::blake2s_mac16(secret_.view(), {address, ip.size() + 2});
}

std::array<uint8_t, kCookieReplySize> CookieChecker::reply(ByteView message, const inet::Endpoint& from, Time now,
                                                           Rng& rng) noexcept {
  std::array<uint8_t, kCookieReplySize> out{};
  store_le32(out.data(), static_cast<uint32_t>(MessageType::cookie_reply));
  store_le32(out.data() + 4, sender_index(message));
  rng.fill({out.data() + kNonceAt, crypto::kXNonceSize});
  crypto::xchacha20_poly1305_seal(own_->cookie_key, nonce_of(out), mac1_of(message), cookie_for(from, now),
                                  out.data() + kCookieAt);
  return out;
}

CookieGenerator::CookieGenerator(const PublicKey& peer) noexcept
    : mac1_key_(mac1_key_of(peer)), cookie_key_(cookie_key_of(peer)) {}

bool CookieGenerator::has_cookie(Time now) const noexcept { return cookie_until_ != Time{} && now < cookie_until_; }

void CookieGenerator::add_macs(ByteSpan message, Time now) noexcept {
  uint8_t* macs = message.data() + message.size() - kMacs;
  last_mac1_ = crypto::blake2s_mac16(mac1_key_, before_mac1(message));
  std::copy(last_mac1_->begin(), last_mac1_->end(), macs);
  Cookie mac2{};
  if (has_cookie(now)) mac2 = crypto::blake2s_mac16(cookie_, before_mac2(message));
  std::copy(mac2.begin(), mac2.end(), macs + kMac);
}

bool CookieGenerator::take_reply(ByteView reply, Time now) noexcept {
  if (!last_mac1_ || reply.size() != kCookieReplySize) return false;
  Cookie cookie;
  if (!crypto::xchacha20_poly1305_open(cookie_key_, nonce_of(reply), *last_mac1_, reply.subspan(kCookieAt),
                                       cookie.data()))
    return false;
  cookie_ = cookie;
  cookie_until_ = now + kCookieLifetime;
  last_mac1_.reset();  // one reply to a message
  return true;
}

}  // namespace smartvpn::wireguard
