// The two handshakes the product speaks, both ends: Noise_IK_25519_ChaChaPoly_BLAKE2s for the native
// protocol and IKpsk2, the pattern under WireGuard (Noise specification, sections 5.3, 7.5, 9).
//
//   -> e, es, s, ss        message 1: 96 bytes and the payload
//   <- e, ee, se [, psk]   message 2: 48 bytes and the payload
//
// Everything fails closed: after any false the object is finished, its keys are wiped and every
// further call gives false. Calls out of order are such a failure. Nothing here reads a clock or
// keeps a view of the caller's bytes.
#pragma once

#include <optional>

#include "crypto/x25519.hpp"
#include "noise/symmetric_state.hpp"

namespace smartvpn::noise {

enum class Pattern : uint8_t { ik, ikpsk2 };
const char* protocol_name(Pattern pattern) noexcept;

constexpr size_t kMessage1Overhead = 32 + 48 + 16;
constexpr size_t kMessage2Overhead = 32 + 16;

// What a finished handshake leaves: keys for crypto::AeadKey or CipherState, counters from zero.
struct TransportKeys {
  SecretKey send;
  SecretKey recv;
};

// What both roles share. Not used by itself.
class Handshake {
 public:
  Handshake(Handshake&&) noexcept = default;
  Handshake& operator=(Handshake&&) = delete;

  // Binds bytes that travel beside a message (a carrier's header) into the hash: on both sides before
  // that message is written or read. Without effect once the handshake is finished or has failed.
  void mix_hash(ByteView bytes) noexcept;
  // For ikpsk2 only, any time before message 2; a copy is kept. Message 2 fails without it.
  void set_psk(const SecretKey& psk) noexcept;

  bool finished() const noexcept { return stage_ == Stage::finished; }
  bool failed() const noexcept { return stage_ == Stage::failed; }
  // The hash over all that was said; final, and safe to publish, once finished().
  const std::array<uint8_t, 32>& handshake_hash() const noexcept { return symmetric_.hash(); }
  // Once, after finished(); nothing otherwise. Wipes what is left of the handshake's keys.
  std::optional<TransportKeys> split() noexcept;

 protected:
  enum class Stage : uint8_t { message1, payload1, message2, finished, split, failed };
  Handshake(Rng& rng, const crypto::KeyPair& own, Pattern pattern, bool initiator) noexcept;
  Handshake(const Handshake& other) noexcept;  // for clone() alone
  ~Handshake() = default;

  bool mix_dh(const SecretKey& secret, const PublicKey& theirs) noexcept;
  void mix_ephemeral(const PublicKey& key) noexcept;
  bool mix_psk() noexcept;
  bool finish() noexcept;  // true
  bool fail() noexcept;    // false

  Rng* rng_;
  const crypto::KeyPair* own_;
  SymmetricState symmetric_;
  crypto::KeyPair ephemeral_;
  PublicKey their_ephemeral_{};
  PublicKey their_static_{};
  std::optional<SecretKey> psk_;
  Pattern pattern_;
  bool initiator_;
  Stage stage_ = Stage::message1;
};

// `rng` and `own` must outlive the handshake; the prologue is hashed at once.
class Initiator : public Handshake {
 public:
  Initiator(Rng& rng, const crypto::KeyPair& own, const PublicKey& responder, ByteView prologue,
            Pattern pattern = Pattern::ik) noexcept;

  // Message 1, appended to `out`: kMessage1Overhead + payload, at most kMaxMessage.
  [[nodiscard]] bool write_message(ByteView payload, Bytes& out);
  // Message 2; `payload` is replaced, and empty on failure. Then finished().
  [[nodiscard]] bool read_message(ByteView message, Bytes& payload);
  // Datagram carriers try a message 2 on a copy: one that somebody has forged must not end the handshake.
  Initiator clone() const noexcept { return *this; }

 private:
  Initiator(const Initiator&) noexcept = default;

 public:
  Initiator(Initiator&&) noexcept = default;
};

class Responder : public Handshake {
 public:
  Responder(Rng& rng, const crypto::KeyPair& own, ByteView prologue, Pattern pattern = Pattern::ik) noexcept;

  // The first half of message 1: who is it? Costs one exchange, so that strangers can be turned away
  // before the second. The key is not proven yet: act on it only after read_payload(). A responder
  // with two static keys makes a second Responder with the other key when this gives nothing.
  [[nodiscard]] std::optional<PublicKey> read_static(ByteView message);
  // The second half: proves the key and opens the payload. `payload` is replaced, empty on failure. `shared`: what
  // own_public() and the key of read_static() make together, where somebody has computed it before; null: now.
  [[nodiscard]] bool read_payload(Bytes& payload, const SecretKey* shared = nullptr);
  const PublicKey& own_public() const noexcept { return own_->pub; }
  // Both halves.
  [[nodiscard]] bool read_message(ByteView message, Bytes& payload);
  // Message 2, appended to `out`: kMessage2Overhead + payload, at most kMaxMessage. Then finished().
  [[nodiscard]] bool write_message(ByteView payload, Bytes& out);

 private:
  Bytes payload_ciphertext_;  // between the two halves
};

}  // namespace smartvpn::noise
