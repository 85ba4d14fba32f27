// A socket of the device's: from the kernel's datagrams to messages with a path, through the PROXY header where there
// is one (version 2 with DGRAM, in every datagram; haproxy's proxy-protocol.txt, revision of 2026-04-27).
#include "net/reuseport.hpp"
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

}  // namespace

Device::Impl::Listener::Listener(Impl& device, ListenerOptions wanted)
    : options(std::move(wanted)), device_(device), retry_(device.around.loop, [this] { reopen(); }) {}

Device::Impl::Listener::~Listener() {
  if (socket) device_.sender.forget(*socket);
}

Result<void> Device::Impl::Listener::open() {
  net::UdpOptions udp;
  udp.address = local_ ? local_ : options.address;  // opened again: where it was
  udp.fd = options.fd;
  udp.reuse_port = device_.options.shards > 1;
  udp.gso = options.send_offload;
  udp.gro = options.receive_offload;
  udp.path = "/listen/" + std::to_string(options.listener) + (options.fd >= 0 ? "/fd" : "");
  auto opened = net::UdpSocket::open(device_.around.loop, udp, *this);
  if (!opened) return opened.error();
  socket = std::move(*opened);
  local_ = socket->local();
  // Sockets of shards are opened in the shards' order. Where the kernel cannot steer, or one had to be opened again,
  // what comes to the wrong shard is handed over.
  if (udp.reuse_port && udp.fd < 0) (void)net::steer_by_receiver(socket->fd(), device_.options.shards).ok();
  return {};
}

void Device::Impl::Listener::close() noexcept {
  retry_.stop();
  if (socket) socket->pause_reading();
}

void Device::Impl::Listener::on_datagrams(std::span<net::Datagram> batch) {
  if (device_.closing) return;
  Receiver& receiver = device_.receiver;
  receiver.begin();
  for (net::Datagram& datagram : batch) {
    if (!datagram.from || datagram.from.port == 0) {
      ++device_.counters.malformed;
      continue;
    }
    Path path = path_of(datagram, options.listener);
    if (!options.proxy_header)
      receiver.take(datagram.bytes, datagram.segment_size, path, datagram.ecn);
    else if (options.trusts && options.trusts(path.peer.ip))
      take_behind_proxy(datagram, path);
    else
      ++device_.counters.untrusted_proxy;
  }
  receiver.finish();
}

// Each has a header of its own, also where the kernel has put several together.
void Device::Impl::Listener::take_behind_proxy(const net::Datagram& datagram, Path& path) {
  const size_t step = datagram.segment_size == 0 ? datagram.bytes.size() : datagram.segment_size;
  for (size_t at = 0; at < datagram.bytes.size(); at += step) {
    ByteSpan message;
    const ByteSpan one = datagram.bytes.subspan(at, std::min(step, datagram.bytes.size() - at));
    const ProxyDatagram::Result result = proxy_.strip(one, &message);
    path.behind_proxy = true;
    path.real = proxy_.real();
    if (result == ProxyDatagram::Result::message) device_.receiver.take(message, 0, path, datagram.ecn);
    if (result == ProxyDatagram::Result::malformed) ++device_.counters.bad_proxy_header;
  }
}

void Device::Impl::Listener::on_udp_writable() { device_.sender.flush(); }

// A socket of our own is opened again at the same address, once a second until that works; one of the host's is gone.
void Device::Impl::Listener::on_udp_error(const Error& error) {
  device_.around.host.on_log(3, "/listen/" + std::to_string(options.listener) + ": " + error.text);
  device_.sender.forget(*socket);
  socket.reset();
  if (options.fd < 0 && !device_.closing) retry_.start_in(kRetry);
}

void Device::Impl::Listener::reopen() {
  if (auto opened = open(); !opened) return retry_.start_in(kRetry);
  device_.around.host.on_log(2, "/listen/" + std::to_string(options.listener) + ": open again");
}

}  // namespace smartvpn::wireguard
