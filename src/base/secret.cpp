#include "base/secret.hpp"

#include <sodium.h>

namespace smartvpn {
namespace {

bool decode_key(std::string_view text, std::span<uint8_t, 32> out) noexcept {
  size_t length = 0;
  const char* end = nullptr;
  if (text.size() != 44) return false;
  if (sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &length, &end,
                        sodium_base64_VARIANT_ORIGINAL) != 0)
    return false;
  return length == 32 && end == text.data() + text.size();
}

}  // namespace

void wipe(ByteSpan bytes) noexcept {
  if (!bytes.empty()) sodium_memzero(bytes.data(), bytes.size());
}

void wipe(std::string& text) noexcept {
  if (!text.empty()) sodium_memzero(text.data(), text.size());
  text.clear();
}

bool equal_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && (a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0);
}

std::optional<PublicKey> parse_public_key(std::string_view text) noexcept {
  PublicKey key{};
  if (!decode_key(text, key)) return std::nullopt;
  return key;
}

std::optional<SecretKey> parse_secret_key(std::string_view text) noexcept {
  SecretKey key;
  if (!decode_key(text, key.span())) return std::nullopt;
  return key;
}

std::string format_key(std::span<const uint8_t, 32> key) {
  char text[45];
  sodium_bin2base64(text, sizeof text, key.data(), key.size(), sodium_base64_VARIANT_ORIGINAL);
  std::string out(text, 44);
  sodium_memzero(text, sizeof text);
  return out;
}

}  // namespace smartvpn
