// See udp_flow.hpp. Here: datagrams both ways. What a socket does not take at once is dropped, as a router would; both
// ends of what is carried know that datagrams get lost.
#include <cerrno>

#include "relay/udp_flow.hpp"
#include "relay/udp_side.hpp"
#include "relay/worker.hpp"

namespace smartvpn::relay {
namespace {

// What says that the target is not there, rather than that this datagram was wrong.
bool is_nobody_there(int error) noexcept {
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENONET:
    case ENOPROTOOPT:
      return true;
    default:
      return false;
  }
}

UdpDrop drop_of(int error) noexcept {
  if (error == EMSGSIZE) return UdpDrop::too_big;
  return error == ENOBUFS || error == ENOMEM ? UdpDrop::target_full : UdpDrop::unreachable;
}

size_t count_datagrams(const net::Datagram& datagram) noexcept {
  if (datagram.segment_size == 0) return 1;
  return (datagram.bytes.size() + datagram.segment_size - 1) / datagram.segment_size;
}

}  // namespace

void UdpFlow::heard(const net::Datagram& datagram) noexcept {
  answer_from_ = datagram.to;
  answer_interface_ = datagram.interface;
  last_datagram_ = side_.worker().loop().now();
}

bool UdpFlow::knows_header(ByteView header) const noexcept {
  return !known_header_.empty() && std::equal(header.begin(), header.end(), known_header_.begin(), known_header_.end());
}

void UdpFlow::learn_header(ByteView header) {
  if (header.size() > kMaxKnownHeader) return known_header_.clear();
  known_header_.assign(header.begin(), header.end());
}

void UdpFlow::hold(ByteView payload, uint8_t ecn) {
  if (over()) return side_.drop(UdpDrop::unreachable);
  if (held_.size() >= kMaxHeld || !side_.lend(payload.size())) return side_.drop(UdpDrop::target_full);
  try {
    held_.push_back({Bytes(payload.begin(), payload.end()), ecn});
  } catch (...) {
    side_.give_back(payload.size());
    throw;
  }
}

void UdpFlow::release_held() {
  if (held_.empty()) return;
  const std::vector<Held> held = std::move(held_);
  held_.clear();
  auto batch = std::make_unique<DatagramBatch>();
  for (const Held& one : held) {
    side_.give_back(one.payload.size());
    static_assert(kMaxHeld <= DatagramBatch::kMaxMessages);
    batch->add(head_, one.payload, one.ecn);
  }
  send(*batch);
}

void UdpFlow::send(DatagramBatch& batch) {
  const auto messages = batch.messages();
  const size_t done = over() ? 0 : socket_->send(messages);
  int nobody_there = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const size_t datagrams = batch.datagrams_of(i);
    if (i >= done) {
      side_.drop(over() ? UdpDrop::unreachable : UdpDrop::target_full, datagrams);
    } else if (messages[i].error != 0) {
      side_.drop(drop_of(messages[i].error), datagrams);
      if (is_nobody_there(messages[i].error)) nobody_there = messages[i].error;
    } else {
      bytes_in_ += batch.payload_of(i);
      side_.worker().datagrams_sent(datagrams, 0);
    }
  }
  if (nobody_there != 0) on_udp_refused(nobody_there);
}

void UdpFlow::on_datagrams(std::span<net::Datagram> batch) {
  last_datagram_ = side_.worker().loop().now();
  if (!answered_) on_first_answer();
  std::array<ByteView, DatagramBatch::kMaxMessages> pieces;
  std::array<net::OutDatagram, DatagramBatch::kMaxMessages> out;
  while (!batch.empty()) {
    const size_t count = std::min(batch.size(), out.size());
    for (size_t i = 0; i < count; ++i) {
      pieces[i] = batch[i].bytes;
      out[i] = net::OutDatagram();
      out[i].pieces = {&pieces[i], 1};
      out[i].segment_size = batch[i].segment_size;
      out[i].to = key().peer;
      out[i].from = answer_from_;
      out[i].interface = answer_interface_;
      out[i].ecn = batch[i].ecn;
    }
    const size_t done = listener_.answer({out.data(), count});
    for (size_t i = 0; i < count; ++i) {
      if (i >= done || out[i].error != 0) {
        side_.drop(UdpDrop::client_lost, count_datagrams(batch[i]));
        continue;
      }
      bytes_out_ += pieces[i].size();
      side_.worker().datagrams_sent(0, count_datagrams(batch[i]));
    }
    batch = batch.subspan(count);
  }
}

// The target is there, and the client is somebody that it talks to.
void UdpFlow::on_first_answer() {
  answered_ = true;
  side_.table().answered(*this);
  if (targets_->balancer.succeeded(target_)) side_.worker().target_changed(*route_state_, *targets_, target_, true, {});
}

void UdpFlow::on_udp_refused(int error) {
  if (over()) return;
  target_failed(system_error(error, "cannot reach " + socket_->peer().text()).text);
  end(Reason::target_unreachable);
}

void UdpFlow::on_udp_error(const Error& error) {
  if (over()) return;
  target_failed(error.text);
  end(Reason::target_unreachable);
}

void UdpFlow::settle() {
  const uint64_t more_in = bytes_in_ - settled_in_, more_out = bytes_out_ - settled_out_;
  if (more_in == 0 && more_out == 0) return;
  settled_in_ = bytes_in_;
  settled_out_ = bytes_out_;
  route_state_->counters.bytes_in += more_in;
  route_state_->counters.bytes_out += more_out;
  side_.worker().moved(facts_, more_in, more_out);
}

}  // namespace smartvpn::relay
