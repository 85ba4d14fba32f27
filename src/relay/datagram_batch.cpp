// See datagram_batch.hpp.
#include "relay/datagram_batch.hpp"

namespace smartvpn::relay {
namespace {

using net::UdpSocket;

}  // namespace

bool DatagramBatch::add(ByteView head, ByteView payload, uint8_t ecn) noexcept {
  if (join(head, payload, ecn)) return true;
  if (count_ == kMaxMessages) return false;
  Part& part = parts_[count_];
  part.count = part.datagrams = part.payload = part.size = 0;
  part.closed = false;
  messages_[count_] = net::OutDatagram();
  messages_[count_].ecn = ecn;
  ++count_;
  put(head, payload);
  return true;
}

// As one more segment of the last message.
bool DatagramBatch::join(ByteView head, ByteView payload, uint8_t ecn) noexcept {
  if (count_ == 0) return false;
  const Part& part = parts_[count_ - 1];
  const net::OutDatagram& message = messages_[count_ - 1];
  const size_t size = head.size() + payload.size();
  const size_t segment = message.segment_size != 0 ? message.segment_size : part.size;
  const bool fits = size != 0 && size <= segment && segment <= UINT16_MAX &&
                    part.size + size <= UdpSocket::kMaxGsoBytes && part.datagrams < UdpSocket::kMaxSegments &&
                    part.count + 2 <= UdpSocket::kMaxPieces;
  if (!fits || part.closed || message.ecn != ecn) return false;
  messages_[count_ - 1].segment_size = static_cast<uint16_t>(segment);
  parts_[count_ - 1].closed = size < segment;
  put(head, payload);
  return true;
}

void DatagramBatch::put(ByteView head, ByteView payload) noexcept {
  Part& part = parts_[count_ - 1];
  if (!head.empty()) part.pieces[part.count++] = head;
  part.pieces[part.count++] = payload;
  ++part.datagrams;
  part.payload += payload.size();
  part.size += head.size() + payload.size();
  messages_[count_ - 1].pieces = {part.pieces.data(), part.count};
}

}  // namespace smartvpn::relay
