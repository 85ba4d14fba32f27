// What joins a client's connection and its target's until one ends: TcpPump where bytes pass as they are, TlsPump where
// TLS ends here. Loop thread only.
#pragma once

#include <string>

#include "base/bytes.hpp"
#include "base/clock.hpp"

namespace smartvpn::net {

enum class PumpSide : uint8_t { client, target };

struct PumpEnd {
  bool reset = false;                // or anything else but FIN; `error` says what
  PumpSide side = PumpSide::client;  // whose doing it was: of two who ended in order, the first
  int error = 0;
  bool tls = false;    // TLS failed there
  std::string detail;  // how, in OpenSSL's words
};

class Pump {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // Once. The pump is destroyed later, and not inside any of these.
    virtual void on_pump_end(const PumpEnd& end) = 0;
    // With half_open: that side has sent FIN, which was passed on behind its last byte. The other goes on.
    virtual void on_pump_half_closed(PumpSide /*side*/) {}
    // With look_first: the client's first bytes, at most kLook, which are still to be moved. Asked again with more
    // after `wait`.
    enum class Look : uint8_t { pass, wait, refuse };
    static constexpr size_t kLook = 16;
    virtual Look on_pump_first_bytes(ByteView /*bytes*/) { return Look::pass; }
    // After `refuse`; nothing of the client's has moved.
    virtual void on_pump_refused() {}
    // Of a TlsPump: the client's handshake is over.
    virtual void on_pump_secured() {}
    // Of a TlsPump, after that and until it has a target: the client may have said more.
    virtual void on_pump_said() {}
  };

  // Closes both: with FIN after an orderly end; else, or without an end, with RST.
  virtual ~Pump() = default;
  // Delivered to the other side; what the pump's owner sent by it first is among the client's.
  virtual uint64_t bytes_from_client() const noexcept = 0;
  virtual uint64_t bytes_from_target() const noexcept = 0;
  // The turn in which a byte was moved last.
  virtual Time last_activity() const noexcept = 0;
};

}  // namespace smartvpn::net
