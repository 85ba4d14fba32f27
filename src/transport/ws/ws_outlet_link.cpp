#include "transport/ws/ws_outlet_link.hpp"

#include <array>

namespace smartvpn::ws {

bool Outlet::write_raw(net::TcpStream& stream, net::TlsMachine* tls, ByteView bytes) {
  if (tls) {
    if (!tls->write(bytes)) return false;
    flush_tls(stream, *tls);
    return true;
  }
  // Heads are small; what the socket does not take at once waits in the stream.
  std::array<Packet, 1> batch{pool_.copy_of(bytes)};
  if (!batch[0]) return false;
  bytes_out_ += bytes.size();
  stream.write(batch);
  return true;
}

Outlet::Left Outlet::flush_tls(net::TcpStream& stream, net::TlsMachine& tls) {
  while (!tls.pending().empty()) {
    size_t sent = stream.try_write(tls.pending());
    tls.consume(sent);
    bytes_out_ += sent;
    if (sent == 0) break;
  }
  return tls.pending().empty() ? Left::nothing : Left::some;
}

bool Outlet::next_frame(Machine& machine, session::SessionMachine* session, Time now, Packet& out) {
  if (!machine.pending().empty()) {
    ByteView control = machine.pending();
    out = pool_.copy_of(control);
    if (!out) return false;
    machine.consume(control.size());
    return true;
  }
  // Once it closes, a message has nowhere to go.
  if (!session || machine.state() != Machine::State::open) return false;
  out = session->pull(now);
  if (!out || !machine.frame_packet(out)) return false;
  ++messages_out_;
  return true;
}

Outlet::Left Outlet::flush_plain(net::TcpStream& stream, Machine& machine, session::SessionMachine* session, Time now) {
  std::array<Packet, kBatchPackets> batch;
  for (;;) {
    if (stream.pending_bytes() > 0) return Left::some;
    size_t count = 0;
    while (count < batch.size() && next_frame(machine, session, now, batch[count])) bytes_out_ += batch[count++].size();
    if (count == 0) return Left::nothing;
    if (!stream.write(std::span(batch).first(count))) return stream.is_open() ? Left::some : Left::nothing;
  }
}

Outlet::Left Outlet::flush(net::TcpStream& stream, net::TlsMachine* tls, Machine& machine,
                           session::SessionMachine* session, Time now) {
  if (!tls) return flush_plain(stream, machine, session, now);
  for (;;) {
    if (flush_tls(stream, *tls) == Left::some) return Left::some;
    Packet frame;
    bool any = false;
    while (tls->pending().size() < kTlsPending && next_frame(machine, session, now, frame)) {
      if (!tls->write(frame.bytes())) return Left::nothing;
      any = true;
    }
    if (!any) return Left::nothing;
  }
}

}  // namespace smartvpn::ws
