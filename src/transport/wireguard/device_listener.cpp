// A socket of the device's: from the kernel's datagrams to messages with a path, through the PROXY header where there is
// one (version 2 with DGRAM, in every datagram; haproxy's proxy-protocol.txt, revision of 2026-04-27).
#include "proxyproto/parser.hpp"
#include "transport/wireguard/device_impl.hpp"

namespace smartvpn::wireguard {
namespace {

Path path_of(const net::Datagram& datagram, uint32_t listener) {
  Path path;
  path.listener = listener;
  path.peer = datagram.from;
  path.real = datagram.from;
  path.local = datagram.to;
  path.interface = datagram.interface;
  return path;
}

enum class Unwrapped : uint8_t { message, nothing, malformed };

// Takes the header off one datagram. A health check (LOCAL) holds no message for us.
Unwrapped unwrap(ByteSpan datagram, Path& path, ByteSpan& message) {
  proxyproto::Header header;
  size_t size = 0;
  if (proxyproto::parse_datagram(datagram, header, size) != proxyproto::ParseResult::done) return Unwrapped::malformed;
  if (header.is_local()) return Unwrapped::nothing;
  if (header.source && header.transport != proxyproto::Transport::dgram) return Unwrapped::malformed;
  path.behind_proxy = true;
  path.real = header.source;
  message = datagram.subspan(size);
  return Unwrapped::message;
}

}  // namespace

void Device::Impl::Listener::on_datagrams(std::span<net::Datagram> batch) {
  if (device_.closing) return;
  Receiver& receiver = device_.receiver;
  for (net::Datagram& datagram : batch) {
    if (!datagram.from || datagram.from.port == 0) {
      ++device_.counters.malformed;
      continue;
    }
    Path path = path_of(datagram, options.listener);
    if (!options.proxy_header) {
      receiver.take(datagram.bytes, datagram.segment_size, path, datagram.ecn);
      continue;
    }
    if (!options.trusts || !options.trusts(path.peer.ip)) {
      ++device_.counters.untrusted_proxy;
      continue;
    }
    const size_t step = datagram.segment_size == 0 ? datagram.bytes.size() : datagram.segment_size;
    for (size_t at = 0; at < datagram.bytes.size(); at += step) {
      ByteSpan message;
      const ByteSpan one = datagram.bytes.subspan(at, std::min(step, datagram.bytes.size() - at));
      const Unwrapped unwrapped = unwrap(one, path, message);
      if (unwrapped == Unwrapped::message) receiver.take(message, 0, path, datagram.ecn);
      if (unwrapped == Unwrapped::malformed) ++device_.counters.bad_proxy_header;
    }
  }
  receiver.finish();
}

void Device::Impl::Listener::on_udp_writable() {
  blocked = false;
  for (auto& [key, peer] : device_.peers)
    if (peer->session() != 0) peer->resume();
  device_.sender.flush();
}

void Device::Impl::Listener::on_udp_error(const Error& error) {
  device_.around.host.on_log(3, "/listen/" + std::to_string(options.listener) + ": " + error.text);
}

}  // namespace smartvpn::wireguard
