// The writing half of a WebSocket carrier, the same for both ends: pulls sealed messages from the
// session only as fast as the socket takes them, puts the frame header into their headroom, passes
// them through TLS if there is any, and gives a turn's frames to the socket in one write.
#pragma once

#include <memory>
#include <vector>

#include "net/tcp_stream.hpp"
#include "net/tls_machine.hpp"
#include "session/session_machine.hpp"
#include "transport/ws/message_machine.hpp"

namespace smartvpn::ws {

class Outlet {
 public:
  // What a flush left behind.
  enum class Left : uint8_t {
    nothing,  // all there was is with the socket
    some,     // the socket is full; on_stream_writable() will follow
  };

  explicit Outlet(PacketPool& pool) noexcept : pool_(pool) {}

  // Plain bytes outside of any frame: a PROXY header, an HTTP head. `tls` null: straight to the socket.
  // False when memory is out.
  [[nodiscard]] bool write_raw(net::TcpStream& stream, net::TlsMachine* tls, ByteView bytes);
  // Pending ciphertext (handshake records, alerts).
  Left flush_tls(net::TcpStream& stream, net::TlsMachine& tls);
  // Control frames, then messages while the WebSocket is open. `session` may be null (only what the
  // machine owes is written). When TLS fails, tls->state() tells.
  Left flush(net::TcpStream& stream, net::TlsMachine* tls, Machine& machine, session::SessionMachine* session,
             Time now);

  uint64_t bytes_out() const noexcept { return bytes_out_; }
  uint64_t messages_out() const noexcept { return messages_out_; }

 private:
  static constexpr size_t kBatchPackets = 16;
  static constexpr size_t kTlsPending = 64 * 1024;

  bool next_frame(Machine& machine, session::SessionMachine* session, Time now, Packet& out);
  Left flush_plain(net::TcpStream& stream, Machine& machine, session::SessionMachine* session, Time now);

  PacketPool& pool_;
  uint64_t bytes_out_ = 0, messages_out_ = 0;
};

}  // namespace smartvpn::ws
