// Key material as a type: wiped on destruction and on move, never copied by accident, never
// printable, compared in constant time. Text forms go through libsodium's constant-time codecs.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace smartvpn {

void wipe(ByteSpan bytes) noexcept;
bool equal_constant_time(ByteView a, ByteView b) noexcept;

template <size_t N>
class Secret {
 public:
  static constexpr size_t kSize = N;
  Secret() noexcept = default;
  explicit Secret(std::span<const uint8_t, N> bytes) noexcept { std::copy(bytes.begin(), bytes.end(), bytes_.begin()); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.clear(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.clear();
    }
    return *this;
  }
  ~Secret() { clear(); }

  // An explicit second copy, for the few places that need one.
  Secret clone() const noexcept { return Secret(std::span<const uint8_t, N>(bytes_)); }
  void clear() noexcept { wipe(bytes_); }
  bool is_zero() const noexcept {
    uint8_t acc = 0;
    for (uint8_t b : bytes_) acc |= b;
    return acc == 0;
  }
  std::span<const uint8_t, N> view() const noexcept { return bytes_; }
  std::span<uint8_t, N> span() noexcept { return bytes_; }
  friend bool operator==(const Secret& a, const Secret& b) noexcept { return equal_constant_time(a.bytes_, b.bytes_); }

 private:
  std::array<uint8_t, N> bytes_{};
};

using SecretKey = Secret<32>;               // X25519 private key, AEAD key, preshared key
using PublicKey = std::array<uint8_t, 32>;  // X25519 public key

// 44 characters of base64 with padding, as `wg genkey` prints; anything else is refused.
std::optional<PublicKey> parse_public_key(std::string_view text) noexcept;
std::optional<SecretKey> parse_secret_key(std::string_view text) noexcept;
std::string format_key(std::span<const uint8_t, 32> key);
void wipe(std::string& text) noexcept;

}  // namespace smartvpn
