// One peer of ours: handshakes in both roles, the previous, current and next keys, and all timers (white paper,
// sections 5 and 6). Takes messages and times, gives messages and what is to be done. It does not seal or open data
// messages: the data path does that in batches, with the keys it gets here, and reports back once per batch. Endpoints,
// queues and inner packets are the owner's. One thread.
#pragma once

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
  failed      // no session comes of it: a key that proves nothing, memory
};

class PeerMachine {
 public:
  // `psk`: null for none; a copy is kept. `timing` is copied.
  PeerMachine(const PeerShared& shared, const PublicKey& peer, const SecretKey* psk, const Timing& timing);
  ~PeerMachine();
  PeerMachine(const PeerMachine&) = delete;
  PeerMachine& operator=(const PeerMachine&) = delete;

  const PublicKey& key() const noexcept;
  void set_psk(const SecretKey* psk);                             // for handshakes that begin from now on
  Actions set_persistent_keepalive(Duration interval, Time now);  // 0: none. Goes out at once when it is turned on
  void set_identity(const Identity& own);                         // another key of ours: all sessions end
  // What the store remembers; handshakes must be newer.
  void set_greatest_timestamp(const Tai64n& stamp) noexcept;
  const Tai64n& greatest_timestamp() const noexcept;

  // --- Handshake, as responder. `stamp` is what prove() gave. With ok the timestamp is taken (it counts from now on,
  // whether a response is sent or not) and respond() is due, now or later (the host may be asked in between); a
  // further initiation replaces it.
  Accepted accept(OpenedInitiation opened, const Tai64n& stamp, Time now);
  bool owes_response() const noexcept;
  // Message 2, macs included; the next keys are there afterwards. Nothing on failure.
  std::optional<std::array<uint8_t, kResponseSize>> respond(Time now);

  // --- Handshake, as initiator.
  // Message 1, macs included. Nothing within rekey_timeout of the last. `unix_ns`: the wall clock.
  std::optional<std::array<uint8_t, kInitiationSize>> write_initiation(Time now, int64_t unix_ns);
  // A response for `receiver` index (mac1 was right). True: there are current keys now, and a data message (or a
  // keepalive: `actions->keepalive`) should go out at once so that the peer may use its own.
  bool take_response(ByteView message, Time now, Actions* actions);
  // Never makes a peer roam, never sends anything.
  bool take_cookie_reply(ByteView message, Time now);

  // --- Data. Null: none that may seal now; want_session() then begins a handshake as far as one is due.
  Keypair* sending_keys(Time now) noexcept;
  // Packets wait for a session. `by_user`: they are new (a new attempt of 90 s may begin).
  Actions want_session(Time now, bool by_user);
  // The keys of a data message's receiver index, if they may still open; null otherwise.
  Keypair* receiving_keys(uint32_t index, Time now) noexcept;

  struct Received {
    bool confirmed = false;  // the first message under the next keys: the session stands, from now on it is sent under
    Duration rtt{-1};        // with `confirmed` or a response: message to answer; negative: none
    Actions actions;
  };
  // `keys` opened at least one message that was no replay; `payload`: at least one was not a keepalive.
  Received on_received(Keypair& keys, bool payload, Time now);
  // Messages have been sealed under `keys` and handed to the socket.
  Actions on_sent(Keypair& keys, bool payload, Time now);

  // --- Time.
  Time next_deadline() const noexcept;  // kNever: none
  Actions on_time(Time now);

  // All keys and handshakes go; what the peer sends finds nothing. The timestamp stays.
  void end_session() noexcept;
  bool has_session(Time now) const noexcept;  // confirmed keys that may still be used
  Time last_handshake() const noexcept;       // of the last completed (confirmed) one; Time{}: none
  // The last round trip that a handshake has shown; negative: none.
  Duration last_rtt() const noexcept;
};

}  // namespace smartvpn::wireguard
