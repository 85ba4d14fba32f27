// What a session tells its owner. Called inside receive(), tick(), decide(), close() and pull(), on
// the shard's thread. A handler may call the machine back (send, decide, close), but must not destroy
// it before the call that led here has returned.
#pragma once

#include <span>

#include "base/clock.hpp"
#include "base/packet.hpp"
#include "base/reason.hpp"
#include "session/admission.hpp"
#include "session/close_code.hpp"
#include "session/keepalive.hpp"
#include "session/payloads.hpp"

namespace smartvpn::session {

class SessionHandler {
 public:
  virtual ~SessionHandler() = default;
  // Inner packets, not yet looked into; the views are valid during the call. At most 64; a message with
  // more of them makes several calls. `segment_size` is the peer's word: inet::inspect() judges it.
  virtual void on_packets(std::span<const PacketView> batch) = 0;
  // Messages, records or segments given up, by name.
  virtual void on_drop(Drop drop, uint64_t count) = 0;
  // A round trip measured by a ping.
  virtual void on_rtt(Duration sample) = 0;
  // The peer was found dead, or is alive again (never `waiting`). Being dead does not end a session by
  // itself unless `close_when_dead` is set.
  virtual void on_liveness(Liveness liveness) = 0;
  // Exactly once, whatever ends the session; nothing else is called afterwards. What pull() still
  // gives (a refusal, a close record) should be written before the carrier closes.
  virtual void on_close(const CloseInfo& info) = 0;
};

class ResponderHandler : public SessionHandler {
 public:
  // Somebody claims this key and has not proven it: is it in the registry? Quick, and without effect.
  virtual bool on_static_key(const PublicKey& key) = 0;
  // What our key `own` and theirs make together, if it is at hand; null: it is computed. Whether there is one must
  // not depend on whether the key is in the registry. Used at once.
  virtual const SecretKey* shared_secret(const PublicKey& /*own*/, const PublicKey& /*theirs*/) { return nullptr; }
  // Proven. Answer with Responder::decide(), inside this call or later.
  virtual void on_identity(const Identity& identity) = 0;
  // The first data message opened. Gives the session id that stamps its packets, or 0 with `*why` when
  // the grant no longer holds: the peer is told and the session closes.
  virtual uint64_t on_confirmed(Reason* why) = 0;
};

class InitiatorHandler : public SessionHandler {
 public:
  // Message 2 said ok. The server may still refuse until on_confirmed().
  virtual void on_configured(const SessionParameters& parameters) = 0;
  // The first data message from the server opened: the session stands.
  virtual void on_confirmed() = 0;
  // The server changed the parameters; these replace the former ones.
  virtual void on_reconfigured(const SessionParameters& parameters) = 0;
};

}  // namespace smartvpn::session
