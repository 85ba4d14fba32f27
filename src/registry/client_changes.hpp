// What a client's entry becomes by each kind of change. Pure: keys come from the Rng, the time is given;
// what other clients have is the registry's business, and none of it takes effect here.
#pragma once

#include "base/rng.hpp"
#include "registry/client.hpp"

namespace smartvpn::registry {

struct KeyRules {
  bool wireguard = false;     // clients without a WireGuard key get one
  bool keep_private = false;  // private keys that are made stay in the entry
};

// INVALID with a path inside the client's JSON. A client of several sessions, or one that may not use
// WireGuard, gets no WireGuard key by itself: it needs fixed addresses, and so one session.
Result<CreatedClient> new_client(const ClientSpec& spec, const KeyRules& rules, Rng& rng);

// `wanted` names everything, also what stays. INVALID as above, and without a `noise_public_key`. With
// another public key a rotation is over, and a kept private key that no longer belongs to it is gone.
Result<Client> updated_client(const Client& present, const ClientSpec& wanted);

struct RotateOptions {
  uint32_t overlap_seconds = 86400;                                 // 0: the old keys are gone at once
  std::optional<PublicKey> noise_public_key, wireguard_public_key;  // absent: made
};
// Overlap until `now_ms` (wall clock) plus its length. BAD_STATE while an earlier rotation overlaps; INVALID for a
// key that nobody can have or that is the present one.
Result<CreatedClient> rotated_client(const Client& present, const RotateOptions& options, const KeyRules& rules,
                                     int64_t now_ms, Rng& rng);
// Without the old keys, or back to them. BAD_STATE if no rotation overlaps.
Result<Client> committed_client(const Client& present, int64_t now_ms);
Result<Client> rolled_back_client(const Client& present, int64_t now_ms);

}  // namespace smartvpn::registry
