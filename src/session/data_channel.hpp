// Keys and counters of one session: which key seals, which ones open, and when each is too old. Knows
// nothing of records. docs/PROTOCOL.md, "Data messages" and "Rekey".
#pragma once

#include <array>
#include <memory>

#include "base/reason.hpp"
#include "crypto/aead.hpp"
#include "noise/handshake.hpp"
#include "session/message_codec.hpp"
#include "session/replay_window.hpp"
#include "session/timing.hpp"

namespace smartvpn::session {

using HandshakeHash = std::array<uint8_t, 32>;

// What a handshake leaves behind.
struct KeyMaterial {
  noise::TransportKeys keys;
  uint32_t local_index = 0;   // in messages to us
  uint32_t remote_index = 0;  // in messages from us
  HandshakeHash hash{};
  Time born{};
};

class DataChannel {
 public:
  enum class Role : uint8_t { initiator, responder };
  enum class Opened : uint8_t {
    ok,
    first,    // ok, and the first message under the newest keys
    dropped,  // ignore it, counted under `drop`
    fatal,    // on an ordered carrier this cannot happen by accident: close
  };

  DataChannel(Role role, Carrier carrier, const Timing& timing, crypto::AeadEngine& engine) noexcept;

  // The initiator seals with new keys at once; a responder only after it opened a message under them.
  // False when memory is out.
  [[nodiscard]] bool install(KeyMaterial&& material) noexcept;
  // There are keys to seal with, young enough and not used up.
  bool can_send(Time now) const noexcept;
  // `message` is header, plaintext and room for the tag; header and tag are written, the plaintext is
  // sealed in place. Only if can_send().
  void seal(ByteSpan message) noexcept;
  // Opens in place; `plaintext` is then a view into `message`.
  Opened open(const MessageHeader& header, ByteSpan message, Time now, ByteSpan& plaintext, Drop& drop) noexcept;

  // Of the newest handshake that both sides are known to have finished: what the next one is bound to.
  bool established() const noexcept { return current_.live; }
  const HandshakeHash& hash() const noexcept { return current_.hash; }
  Time born() const noexcept { return current_.born; }
  // Either direction has used these keys for `rekey_after_messages`.
  bool used_up() const noexcept;
  bool uses_index(uint32_t index) const noexcept;
  // Wipes keys that can open nothing any more.
  void purge(Time now) noexcept;

 private:
  struct Epoch {
    crypto::AeadKey send, recv;
    uint32_t local_index = 0, remote_index = 0;
    uint64_t sent = 0, expected = 0;
    std::unique_ptr<ReplayWindow> window;  // unordered carriers only
    HandshakeHash hash{};
    Time born{};
    bool live = false;
  };
  Epoch* find(uint32_t index) noexcept;
  bool stale(const Epoch& epoch, Time now) const noexcept { return now - epoch.born >= timing_.reject_after; }

  const Role role_;
  const bool ordered_;
  const Timing& timing_;
  crypto::AeadEngine& engine_;
  Epoch previous_, current_, next_;
  bool current_heard_ = false;
};

}  // namespace smartvpn::session
