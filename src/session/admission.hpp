// The one interface through which a transport asks whether somebody may come in. `server/`
// implements it over the lists, the registry and the limits, so phase 1 and phase 2 are the same
// code whatever the carrier. A transport calls, in this order, on its shard's thread:
//   on_accept [-> on_http_proxy] -> on_real_address -> knows_key, shared_secret -> on_identity -> Host::on_confirmed
//   (link.hpp), and on_closed exactly once at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/reason.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "inet/address.hpp"

namespace smartvpn::session {

enum class Transport : uint8_t { websocket = 0, quic = 1, wireguard = 2 };
const char* transport_name(Transport transport) noexcept;

// A TLV of a PROXY header as events show it: name (or "0xE3") and printable text or hex.
struct ProxyTlvText {
  std::string name;
  std::string value;
};

// What is known of one carrier connection. The listener fills it as it learns; ids have a generation.
struct Connection {
  uint64_t id = 0;
  uint32_t listener = 0;  // index into the configuration's `listen`
  Transport transport = Transport::websocket;
  inet::Endpoint peer_addr;                 // the socket's peer: the proxy, or the client itself
  std::optional<inet::Endpoint> real_addr;  // the client; absent for an address-less PROXY header
  bool behind_proxy = false;                // a PROXY header was read
  bool adopted = false;                     // a relay of this process handed it over, and its word is taken
  std::vector<ProxyTlvText> tlvs;
};

// What an admitted client gets; message 2 of the native handshake carries it.
struct Grant {
  std::string client_id;
  std::vector<inet::IpAddress> addresses;  // tentative until on_confirmed
  std::vector<inet::Cidr> routes;          // what the client should send into the tunnel
  std::vector<inet::IpAddress> dns;
  uint16_t mtu = 1420;
};

struct IdentityVerdict {
  Reason reason = Reason::none;  // none: admitted
  uint32_t retry_after_s = 0;    // for busy answers
  Grant grant;                   // meaningful if admitted
};

// Who came through message 1. `rekey` asks again for a live session: the key must be the same entry's.
struct Identity {
  PublicKey static_key{};
  std::vector<inet::IpAddress> wanted_addresses;  // what the client had before, a wish
  uint16_t wanted_mtu = 0;                        // 0: no wish; the session clamps the grant by itself
  uint32_t capabilities = 0;                      // session/payloads.hpp, kCap...
  bool rekey = false;
};

class Admission {
 public:
  virtual ~Admission() = default;
  // Before a byte is read. For listeners behind proxies: is the peer trusted? Otherwise limits too.
  virtual Reason on_accept(const Connection& connection) = 0;
  // On listeners where an HTTP header names the client, before a byte of HTTP or TLS: may whoever is there say
  // who somebody else is? That is `real_addr` if a PROXY header was read, else the socket's peer.
  // on_real_address follows once the header was read.
  virtual Reason on_http_proxy(const Connection& connection) = 0;
  // Phase 1: `real_addr` is final. Before the upgrade's answer and any crypto of ours; without on_http_proxy
  // also before TLS and a byte of HTTP.
  virtual Reason on_real_address(const Connection& connection) = 0;
  // An asymmetric operation is about to be paid for. False: later (the loop turn's share is used up).
  virtual bool may_start_handshake(const Connection& connection) = 0;
  // A key that somebody claims and has not proven yet: is it registered? Quick, and without effect.
  virtual bool knows_key(const PublicKey& key) = 0;
  // As ResponderHandler::shared_secret (handler.hpp).
  virtual const SecretKey* shared_secret(const PublicKey& own, const PublicKey& theirs) = 0;
  // Phase 2, and the limits. A grant, or a refusal; nothing: the answer comes later, to the transport's
  // `deliver_verdict` with the same connection id.
  virtual std::optional<IdentityVerdict> on_identity(const Connection& connection, const Identity& identity) = 0;
  // Datagram carriers; these three count nothing and have no effect. Whoever sends from there (`there.id` is none), may
  // it say anything at all? By the lists alone, before any crypto, for every source that is new to the carrier. No real
  // address: an address-less PROXY header.
  virtual Reason may_send(const Connection& there) = 0;
  // A handshake message from there has been shown to be this key's, or answers one of ours to it. Before anything is
  // made of it: by the client's entry and its lists.
  virtual Reason may_shake_hands(const Connection& there, const PublicKey& key) = 0;
  // A packet of a live session's has come from elsewhere. Phase 1 and the client's lists for `connection`, whose
  // addresses are the new ones already. No effect; before the packet is opened. None: Host::on_roamed may follow.
  virtual Reason may_roam(const Connection& connection) = 0;
  // The connection ended, whatever stage it had reached; `reason` says why. Also after one of the calls
  // above threw std::bad_alloc.
  virtual void on_closed(const Connection& connection, Reason reason, const std::string& detail) noexcept = 0;
};

}  // namespace smartvpn::session
