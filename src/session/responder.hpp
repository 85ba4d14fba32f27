// The server's end of one connection: greets with a challenge, finds out who is there, asks its owner,
// answers, and then carries packets. docs/PROTOCOL.md, "Handshake", "Rekey".
#pragma once

#include <memory>
#include <optional>

#include "session/session_machine.hpp"

namespace smartvpn::session {

// Immutable; a rotation makes a new one.
struct StaticKeys {
  crypto::KeyPair current;
  std::optional<crypto::KeyPair> next;  // accepted already, and announced to clients
};

struct ResponderConfig : SessionConfig {
  std::shared_ptr<const StaticKeys> keys;
};

class Responder final : public SessionMachine {
 public:
  // Handler, engine, pool and rng must outlive the responder.
  Responder(const ResponderConfig& config, ResponderHandler& handler, crypto::AeadEngine& engine, PacketPool& pool,
            Rng& rng) noexcept;

  // The carrier is up: the hello with its challenge waits in pull().
  void start(Time now) noexcept;
  // The answer to on_identity, first time or rekey; a rekey's grant is not looked at. Without effect
  // when no answer is due.
  void decide(const IdentityVerdict& verdict, Time now) noexcept;
  // Tells an established client its new parameters, all of them. False when a list is over its bound,
  // they do not fit a message the client reads, or there is no session.
  bool reconfigure(const SessionParameters& parameters) noexcept;
  // What the client was told in message 2.
  const SessionParameters& parameters() const noexcept { return parameters_; }
  // For handshakes that begin from now on, rekeys of this session included.
  void set_keys(std::shared_ptr<const StaticKeys> keys) noexcept { keys_ = std::move(keys); }
  // The one to come, if there is one.
  std::optional<PublicKey> next_key() const noexcept {
    return keys_->next ? std::optional<PublicKey>(keys_->next->pub) : std::nullopt;
  }

  size_t max_incoming() const noexcept override;

 private:
  enum class State : uint8_t { idle, greeted, deciding, answered, confirmed };
  // One message 1 that was proven and waits for a verdict. Lives only so long.
  struct Pending {
    std::shared_ptr<const StaticKeys> keys;  // the handshake points into them
    std::optional<noise::Responder> noise;
    InitiationPayload payload;
    PublicKey client_key{};
    uint32_t remote_index = 0;
  };

  void on_handshake_message(const MessageHeader& header, ByteView message, Time now) override;
  void on_new_keys(Time now) override;
  Time role_deadline() const noexcept override;
  void role_tick(Time now) override;

  bool may_rekey(Time now) const noexcept;
  Reason read_initiation(const MessageHeader& header, ByteView message);
  std::optional<PublicKey> read_static(Pending& pending, ByteView message);
  void ask_owner(Time now);
  void answer(const IdentityVerdict& verdict, Time now);
  SessionParameters make_parameters(const Grant& grant, const InitiationPayload& payload) const;

  ResponderHandler& responder_handler_;
  std::shared_ptr<const StaticKeys> keys_;
  std::unique_ptr<Pending> pending_;
  SessionParameters parameters_;
  std::array<uint8_t, kChallengeSize> challenge_{};
  Time step_deadline_ = kNever;
  Time last_handshake_{};
  State state_ = State::idle;
};

}  // namespace smartvpn::session
