// The keys of one session and what belongs to them. The data path seals and opens with them directly.
#pragma once

#include "crypto/aead.hpp"
#include "session/replay_window.hpp"
#include "transport/wireguard/timing.hpp"

namespace smartvpn::wireguard {

struct Keypair {
  crypto::AeadKey send, recv;
  session::ReplayWindow window;  // asked only after a message has opened
  uint64_t next_counter = 0;     // of the next message we send; a batch takes its numbers at once
  uint32_t local_index = 0, remote_index = 0;
  Time born{};
  bool initiator = false;  // we began its handshake

  bool expired(Time now, const Timing& timing) const noexcept { return now - born >= timing.reject_after; }
  // Numbers for `count` messages; false when the key's are used up. `*first` is the first of them.
  bool reserve(uint64_t count, uint64_t* first) noexcept {
    if (next_counter >= kRejectAfterMessages || kRejectAfterMessages - next_counter < count) return false;
    *first = next_counter;
    next_counter += count;
    return true;
  }
};

}  // namespace smartvpn::wireguard
