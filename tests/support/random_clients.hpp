// Registry entries with everything in them that an entry may have, from a seed: the same seed, the same entries.
#pragma once

#include <random>

#include "registry/client.hpp"

namespace smartvpn::testing {

class RandomClients {
 public:
  explicit RandomClients(uint32_t seed) : random_(seed) {}

  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool coin() { return below(2) != 0; }

  // `spread`: how many different keys and addresses there are; few make clients collide.
  registry::Client client(const std::string& id, uint64_t spread = UINT64_MAX) {
    registry::Client out;
    out.id = id;
    fill_settings(out, spread);
    out.noise_public_key = key(spread);
    if (coin()) out.wireguard_public_key = key(spread);
    out.wireguard_preshared_key = secret();
    out.noise_private_key = secret();
    out.wireguard_private_key = secret();
    if (coin()) out.rotation = rotation(spread);
    return out;
  }

  // Any bytes: the store is no judge of texts.
  std::string text(size_t max) {
    std::string out(below(max + 1), '\0');
    for (char& c : out) c = static_cast<char>(below(256));
    return out;
  }

 private:
  uint64_t u64() { return coin() ? random_() : below(3) == 0 ? UINT64_MAX : below(1000); }

  PublicKey key(uint64_t spread) {
    PublicKey out{};
    store_le64(out.data(), below(spread));
    return out;
  }
  registry::SharedSecret secret() {
    if (coin()) return nullptr;
    SecretKey out;
    for (uint8_t& byte : out.span()) byte = static_cast<uint8_t>(below(256));
    return std::make_shared<const SecretKey>(std::move(out));
  }
  registry::Rotation rotation(uint64_t spread) {
    registry::Rotation out;
    out.noise_public_key = key(spread);
    if (coin()) out.wireguard_public_key = key(spread);
    out.noise_private_key = secret();
    out.wireguard_private_key = secret();
    out.until_ms = static_cast<int64_t>(random_());
    out.seen = coin();
    return out;
  }
  inet::IpAddress address(bool v4, uint64_t spread) {
    if (v4) return inet::IpAddress::v4(static_cast<uint32_t>(0x0a000000 + below(std::min<uint64_t>(spread, 1u << 24))));
    std::array<uint8_t, 16> bytes{0xfd, 0x08};
    store_be64(bytes.data() + 8, below(spread));
    return inet::IpAddress::v6(bytes);
  }
  std::vector<std::string> texts() {
    std::vector<std::string> out(below(4));
    for (auto& value : out) value = text(64);
    return out;
  }
  void fill_settings(registry::Client& out, uint64_t spread) {
    out.enabled = coin();
    out.expires_at_ms = static_cast<int64_t>(u64());
    if (coin()) out.addresses.push_back(address(true, spread));
    if (coin()) out.addresses.push_back(address(false, spread));
    for (size_t n = below(4); n > 0; --n) {
      const bool v4 = coin();
      const auto prefix = static_cast<uint8_t>(below(v4 ? 33 : 129));
      out.subnets.push_back({address(v4, UINT64_MAX).masked(prefix), prefix});
    }
    out.allow_overlap = coin();
    out.transports = static_cast<registry::TransportMask>(below(256));
    out.max_sessions = static_cast<uint32_t>(random_());
    out.session_policy = coin() ? registry::SessionPolicy::refuse_new : registry::SessionPolicy::drop_oldest;
    out.priority = static_cast<uint32_t>(random_());
    out.description = text(1024);
    out.tags = texts();
    out.security = {texts(), texts(), texts(), texts(), {u64(), u64(), u64(), u64()}};
  }

  std::mt19937_64 random_;
};

}  // namespace smartvpn::testing
