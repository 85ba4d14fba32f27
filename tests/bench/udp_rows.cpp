// UDP over loopback, both ends on one thread: what a datagram costs to send and receive, plain and with the kernel's
// segmentation on the sending side, the receiving side, and both.
#include <benchmark/benchmark.h>

#include <vector>

#include "net/loop.hpp"
#include "net/udp_socket.hpp"

namespace smartvpn::bench {
namespace {

struct End : net::UdpHandler {
  uint64_t datagrams = 0;
  std::unique_ptr<net::UdpSocket> socket;
  void on_datagrams(std::span<net::Datagram> batch) override {
    for (const net::Datagram& d : batch)
      datagrams += d.segment_size == 0 ? 1 : (d.bytes.size() + d.segment_size - 1) / d.segment_size;
  }
  void on_udp_writable() override {}
  void on_udp_error(const Error&) override {}
  bool open(net::Loop& loop, bool gso, bool gro) {
    net::UdpOptions options;
    options.address = *inet::Endpoint::parse("127.0.0.1:0");
    options.gso = gso;
    options.gro = gro;
    auto made = net::UdpSocket::open(loop, options, *this);
    if (made) socket = std::move(*made);
    return socket != nullptr;
  }
};

// An item is a datagram of the Argument's size.
void udp_loopback(benchmark::State& state, bool gso, bool gro) {
  constexpr size_t kMessages = 4, kSegments = 44;
  auto loop = net::Loop::create();
  End sender, receiver;
  if (!loop || !sender.open(**loop, gso, false) || !receiver.open(**loop, false, gro))
    return state.SkipWithError("no sockets");
  const auto size = static_cast<uint16_t>(state.range(0));
  const Bytes payload(size_t{size} * kSegments);
  std::vector<ByteView> pieces;
  for (size_t i = 0; i < kSegments; ++i) pieces.push_back(ByteView(payload).subspan(i * size, size));
  std::array<net::OutDatagram, kMessages> batch;
  for (net::OutDatagram& message : batch) {
    message.pieces = pieces;
    message.segment_size = size;
    message.to = receiver.socket->local();
  }
  uint64_t sent = 0;
  for (auto _ : state) {
    if (sender.socket->send(batch) != kMessages) return state.SkipWithError("the socket is full");
    sent += kMessages * kSegments;
    while (receiver.datagrams < sent) (*loop)->run_turn();
  }
  state.SetItemsProcessed(static_cast<int64_t>(sent));
  state.SetBytesProcessed(static_cast<int64_t>(sent * size));
}
BENCHMARK_CAPTURE(udp_loopback, plain, false, false)->Arg(1452)->Arg(128);
BENCHMARK_CAPTURE(udp_loopback, gso, true, false)->Arg(1452)->Arg(128);
BENCHMARK_CAPTURE(udp_loopback, gso_gro, true, true)->Arg(1452)->Arg(128);

}  // namespace
}  // namespace smartvpn::bench
