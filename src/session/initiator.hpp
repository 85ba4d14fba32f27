// The dialling end of one connection: waits for the hello, proves itself, learns its parameters,
// carries packets, and renews the keys in time. docs/PROTOCOL.md, "Handshake", "Rekey".
#pragma once

#include <memory>
#include <optional>

#include "session/session_machine.hpp"

namespace smartvpn::session {

struct InitiatorConfig : SessionConfig {
  InitiatorConfig() { close_when_dead = true; }  // the tunnel dials again
  std::shared_ptr<const crypto::KeyPair> static_key;
  PublicKey server_key{};
  uint16_t wanted_mtu = 0;                        // 0: the server's
  std::optional<Duration> keepalive_interval;     // of our own pings; the server's if not set
  std::vector<inet::IpAddress> wanted_addresses;  // what it had before; at most kMaxAddresses
};

class Initiator final : public SessionMachine {
 public:
  // Handler, engine, pool and rng must outlive the initiator.
  Initiator(const InitiatorConfig& config, InitiatorHandler& handler, crypto::AeadEngine& engine, PacketPool& pool,
            Rng& rng) noexcept;

  // The carrier is up; the server speaks first.
  void start(Time now) noexcept;
  // For the rekeys of this session, after the server announced another key.
  void set_server_key(const PublicKey& key) noexcept { server_key_ = key; }
  // Meaningful once established.
  const SessionParameters& parameters() const noexcept { return parameters_; }

  size_t max_incoming() const noexcept override;

 private:
  enum class State : uint8_t { idle, waiting_hello, waiting_response, configured, confirmed };
  struct Pending {
    std::optional<noise::Initiator> noise;
    uint32_t local_index = 0;
  };

  void on_handshake_message(const MessageHeader& header, ByteView message, Time now) override;
  void on_new_keys(Time now) override;
  void on_configuration(const SessionParameters& parameters) override;
  Time role_deadline() const noexcept override;
  void role_tick(Time now) override;

  void read_hello(const MessageHeader& header, ByteView message, Time now);
  void read_response(const MessageHeader& header, ByteView message, Time now);
  void begin(std::span<const uint8_t, 32> binding, Time now);
  void accept(const ResponsePayload& payload, KeyMaterial&& material, Time now);
  void apply(const SessionParameters& parameters) noexcept;
  Time rekey_at() const noexcept;
  Time give_up_at() const noexcept;

  InitiatorHandler& initiator_handler_;
  const std::shared_ptr<const crypto::KeyPair> static_key_;
  const std::vector<inet::IpAddress> wanted_addresses_;
  const uint16_t wanted_mtu_;
  const std::optional<Duration> keepalive_interval_;
  PublicKey server_key_;
  std::unique_ptr<Pending> pending_;
  SessionParameters parameters_;
  Time step_deadline_ = kNever;
  Time first_attempt_{}, last_attempt_{};  // meaningful while rekeying_
  bool rekeying_ = false;
  State state_ = State::idle;
};

}  // namespace smartvpn::session
