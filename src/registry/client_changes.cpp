// See client_changes.hpp.
#include "registry/client_changes.hpp"

#include "crypto/x25519.hpp"

namespace smartvpn::registry {
namespace {

constexpr uint8_t kWireguardTransport = 2;  // session::Transport::wireguard

SharedSecret kept(const SecretKey& key, const KeyRules& rules) {
  return rules.keep_private ? std::make_shared<const SecretKey>(key.clone()) : nullptr;
}

void make_noise_key(CreatedClient& out, const KeyRules& rules, Rng& rng) {
  auto pair = crypto::generate_key_pair(rng);
  out.client.noise_public_key = pair.pub;
  out.client.noise_private_key = kept(pair.secret, rules);
  out.noise_private_key = std::move(pair.secret);
}

void make_wireguard_key(CreatedClient& out, const KeyRules& rules, Rng& rng) {
  auto pair = crypto::generate_key_pair(rng);
  out.client.wireguard_public_key = pair.pub;
  out.client.wireguard_private_key = kept(pair.secret, rules);
  out.wireguard_private_key = std::move(pair.secret);
}

Error no_rotation() { return make_error(Status::BAD_STATE, "no rotation overlaps"); }

Result<void> check_new_key(const PublicKey& key, bool is_present, const char* path) {
  if (!crypto::is_usable_public_key(key)) return make_error(Status::INVALID, "not a key anybody can have", path);
  if (is_present) return make_error(Status::INVALID, "is the present key", path);
  return {};
}

Result<void> check_new_keys(const Client& present, const RotateOptions& options) {
  if (const auto& key = options.noise_public_key)
    if (auto ok = check_new_key(*key, *key == present.noise_public_key, "/noise_public_key"); !ok) return ok;
  if (const auto& key = options.wireguard_public_key)
    if (auto ok = check_new_key(*key, *key == present.wireguard_public_key, "/wireguard_public_key"); !ok) return ok;
  return {};
}

// The entry with its present keys put aside. Not inlined: gcc 12 would warn of members that are there in both cases.
[[gnu::noinline]] Client with_overlap(const Client& present, int64_t now_ms, uint32_t overlap_seconds) {
  Client out = present;
  out.rotation.reset();
  if (overlap_seconds == 0) return out;
  Rotation& old = out.rotation.emplace();
  old.noise_public_key = present.noise_public_key;
  old.noise_private_key = present.noise_private_key;
  old.wireguard_public_key = present.wireguard_public_key;
  old.wireguard_private_key = present.wireguard_private_key;
  old.until_ms = now_ms + int64_t{overlap_seconds} * 1000;
  return out;
}

}  // namespace

Result<CreatedClient> new_client(const ClientSpec& spec, const KeyRules& rules, Rng& rng) {
  if (auto valid = validate_client(spec); !valid) return valid.error();
  CreatedClient out;
  static_cast<ClientSettings&>(out.client) = spec;
  out.client.id = spec.id;
  out.client.wireguard_public_key = spec.wireguard_public_key;
  out.client.wireguard_preshared_key = spec.wireguard_preshared_key;
  if (spec.noise_public_key)
    out.client.noise_public_key = *spec.noise_public_key;
  else
    make_noise_key(out, rules, rng);
  const bool wants_wireguard = spec.max_sessions == 1 && out.client.takes_transport(kWireguardTransport);
  if (rules.wireguard && !spec.wireguard_public_key && wants_wireguard) make_wireguard_key(out, rules, rng);
  return out;
}

Result<Client> updated_client(const Client& present, const ClientSpec& wanted) {
  if (wanted.id != present.id) return make_error(Status::INVALID, "an id cannot change", "/id");
  if (!wanted.noise_public_key) return make_error(Status::INVALID, "is required", "/noise_public_key");
  if (auto valid = validate_client(wanted); !valid) return valid.error();
  Client out = present;
  static_cast<ClientSettings&>(out) = wanted;
  out.wireguard_preshared_key = same_secret(wanted.wireguard_preshared_key, present.wireguard_preshared_key)
                                    ? present.wireguard_preshared_key
                                    : wanted.wireguard_preshared_key;
  const bool noise = *wanted.noise_public_key != present.noise_public_key;
  const bool wireguard = wanted.wireguard_public_key != present.wireguard_public_key;
  if (noise) out.noise_private_key.reset();
  if (wireguard) out.wireguard_private_key.reset();
  if (noise || wireguard) out.rotation.reset();
  out.noise_public_key = *wanted.noise_public_key;
  out.wireguard_public_key = wanted.wireguard_public_key;
  return out;
}

Result<CreatedClient> rotated_client(const Client& present, const RotateOptions& options, const KeyRules& rules,
                                     int64_t now_ms, Rng& rng) {
  if (present.rotating(now_ms)) return make_error(Status::BAD_STATE, "an earlier rotation still overlaps");
  if (auto ok = check_new_keys(present, options); !ok) return ok.error();
  CreatedClient out;
  out.client = with_overlap(present, now_ms, options.overlap_seconds);
  if (options.noise_public_key) {
    out.client.noise_public_key = *options.noise_public_key;
    out.client.noise_private_key.reset();
  } else {
    make_noise_key(out, rules, rng);
  }
  if (options.wireguard_public_key) {
    out.client.wireguard_public_key = options.wireguard_public_key;
    out.client.wireguard_private_key.reset();
  } else if (present.wireguard_public_key) {
    make_wireguard_key(out, rules, rng);
  }
  return out;
}

Result<Client> committed_client(const Client& present, int64_t now_ms) {
  if (!present.rotating(now_ms)) return no_rotation();
  Client out = present;
  out.rotation.reset();
  return out;
}

Result<Client> rolled_back_client(const Client& present, int64_t now_ms) {
  if (!present.rotating(now_ms)) return no_rotation();
  Client out = present;
  out.noise_public_key = present.rotation->noise_public_key;
  out.noise_private_key = present.rotation->noise_private_key;
  out.wireguard_public_key = present.rotation->wireguard_public_key;
  out.wireguard_private_key = present.rotation->wireguard_private_key;
  out.rotation.reset();
  return out;
}

}  // namespace smartvpn::registry
