// The key of a benchmark client by its number: server and swarm make the same ones.
#pragma once

#include "crypto/x25519.hpp"
#include "support/fixed_rng.hpp"

namespace smartvpn::bench {

inline crypto::KeyPair swarm_key(size_t index) {
  testing::SeededRng rng(1000 + index);
  return crypto::generate_key_pair(rng);
}

}  // namespace smartvpn::bench
