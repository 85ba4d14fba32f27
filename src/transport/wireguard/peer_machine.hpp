// One peer of ours: handshakes in both roles, the previous, current and next keys, and all timers (white paper,
// sections 5 and 6). Takes messages and times, gives messages and what is to be done. It does not seal or open data
// messages: the data path does that in batches, with the keys it gets here, and reports back once per batch. Endpoints,
// queues and inner packets are the owner's. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "transport/wireguard/cookie.hpp"
#include "transport/wireguard/index_table.hpp"
#include "transport/wireguard/initiation.hpp"
#include "transport/wireguard/keypair.hpp"
#include "transport/wireguard/timing.hpp"

namespace smartvpn::wireguard {

// What the peers of a shard share; everything outlives them.
struct PeerShared {
  const Identity* own = nullptr;
  IndexTable* indices = nullptr;
  Rng* rng = nullptr;
};

// What its owner has to do now.
struct Actions {
  bool initiate = false;    // write_initiation() and send it
  bool keepalive = false;   // send an empty data message under sending_keys()
  bool give_up = false;     // nobody answers: drop what waits for a session
  bool keys_wiped = false;  // 540 s without a handshake: nothing is left of the session
  bool any() const noexcept { return initiate || keepalive || give_up || keys_wiped; }
};

enum class Accepted : uint8_t {
  ok,
  not_newer,  // its timestamp is not above the greatest one seen: a replay
  too_often,  // within initiation_gap of the last
  failed      // it is another peer's
};

class PeerMachine {
 public:
  // `psk`: null for none; a copy is kept. `timing` is copied.
  PeerMachine(const PeerShared& shared, const PublicKey& peer, const SecretKey* psk, const Timing& timing);
  ~PeerMachine();
  PeerMachine(const PeerMachine&) = delete;
  PeerMachine& operator=(const PeerMachine&) = delete;

  const PublicKey& key() const noexcept { return peer_; }
  // For handshakes that begin from now on.
  void set_psk(const SecretKey* psk) noexcept;
  // 0: none. One goes out at once when it is turned on.
  Actions set_persistent_keepalive(Duration interval, Time now);
  Duration persistent_keepalive() const noexcept { return timing_.persistent_keepalive; }
  // Another key of ours: everything that was begun with the former one ends.
  void set_identity(const Identity& own) noexcept;
  // What the store remembers; handshakes must be newer.
  void set_greatest_timestamp(const Tai64n& stamp) noexcept { greatest_ = std::max(greatest_, stamp); }
  const Tai64n& greatest_timestamp() const noexcept { return greatest_; }

  // --- Handshake, as responder. `stamp` is what prove() gave. With ok the timestamp counts from now on, whether a
  // response is sent or not, and respond() is due, now or later (the host may be asked in between); a further
  // initiation takes this one's place.
  Accepted accept(OpenedInitiation opened, const Tai64n& stamp, Time now);
  bool owes_response() const noexcept { return incoming_ != nullptr; }
  void forget_initiation() noexcept;
  // Message 2, macs included; the next keys are there afterwards. Nothing on failure.
  std::optional<std::array<uint8_t, kResponseSize>> respond(Time now);

  // --- Handshake, as initiator.
  // Message 1, macs included. Nothing within rekey_timeout of the last. `unix_ns`: the wall clock.
  std::optional<std::array<uint8_t, kInitiationSize>> write_initiation(Time now, int64_t unix_ns);
  // A response whose mac1 was right. True: there are current keys now, and a data message, or a keepalive if none waits
  // (`actions->keepalive`), should go out at once, because the peer may use its own keys only after one.
  bool take_response(ByteView message, Time now, Actions* actions);
  // Never makes a peer roam, never sends anything.
  bool take_cookie_reply(ByteView message, Time now) noexcept { return cookie_.take_reply(message, now); }

  // --- Data. Null: none that may seal now; want_session() then begins a handshake as far as one is due.
  Keypair* sending_keys(Time now) noexcept;
  // Packets wait for a session.
  Actions want_session(Time now) noexcept;
  // The keys of a data message's receiver index, if they may still open; null otherwise.
  Keypair* receiving_keys(uint32_t index, Time now) noexcept;

  struct Received {
    bool confirmed = false;  // the first message under the next keys: they are the current ones from now on
    Duration rtt{-1};        // with `confirmed`: from our response to it; negative: none
    Actions actions;
  };
  // `keys` opened at least one message that was no replay; `payload`: at least one was not a keepalive.
  Received on_received(Keypair& keys, bool payload, Time now) noexcept;
  // Messages have been sealed under `keys` and handed to the socket.
  Actions on_sent(Keypair& keys, bool payload, Time now) noexcept;

  // --- Time.
  Time next_deadline() const noexcept;  // kNever: none
  Actions on_time(Time now) noexcept;

  // All keys and handshakes go; what the peer sends finds nothing. The timestamp stays.
  void end_session() noexcept;
  // Keys that the peer has shown to have, and that may still be used.
  bool has_session(Time now) const noexcept;
  // When the last handshake was completed: confirmed by the peer. Time{}: none.
  Time last_handshake() const noexcept { return last_handshake_; }
  // When a response of ours went out whose keys the peer has not used yet. Time{}: there is none.
  Time unconfirmed_since() const noexcept { return next_ ? response_sent_ : Time{}; }
  // The last round trip that a handshake has shown; negative: none.
  Duration last_rtt() const noexcept { return last_rtt_; }

 private:
  struct Outgoing;  // an initiation of ours that waits for its response
  struct Incoming;  // one of the peer's that waits for ours

  bool may_initiate(Time now) const noexcept;
  bool begin(Time now, bool retry) noexcept;
  Duration jitter() noexcept;
  void release(std::unique_ptr<Keypair>& keys) noexcept;
  void forget_outgoing() noexcept;
  void forget_keys() noexcept;
  std::unique_ptr<Keypair> make_keys(noise::Handshake& handshake, uint32_t local, uint32_t remote, Time now);
  void promote() noexcept;
  void freshen_after_send(const Keypair& keys, Time now, Actions& actions) noexcept;
  void freshen_after_receive(const Keypair& keys, Time now, Actions& actions) noexcept;
  void traversed(Time now) noexcept;

  PeerShared shared_;
  const PublicKey peer_;
  SecretKey psk_;  // zero: none, which is what the pattern mixes in then
  Timing timing_;
  CookieGenerator cookie_;
  Tai64n greatest_, sent_;  // of the peer's initiations; of ours
  std::unique_ptr<Outgoing> outgoing_;
  std::unique_ptr<Incoming> incoming_;
  std::unique_ptr<Keypair> previous_, current_, next_;
  // Timers; kNever: not running.
  Time retry_at_ = kNever;      // no response to our initiation
  Time answer_at_ = kNever;     // no data in answer to ours: a new handshake
  Time keepalive_at_ = kNever;  // data came, nothing went out
  Time persistent_at_ = kNever;
  Time forget_at_ = kNever;
  Time last_sent_handshake_{};  // either role's message; Time{}: none
  Time last_accepted_{};
  Time last_handshake_{};
  Time response_sent_{};
  Duration last_rtt_{-1};
  uint32_t tries_ = 0;
  bool last_minute_ = false;  // the receiving end has begun a handshake for these keys
};

}  // namespace smartvpn::wireguard
