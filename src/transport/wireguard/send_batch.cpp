// Collecting: how packets come to lie. send_batch_flush.cpp has the rest.
#include "transport/wireguard/send_batch.hpp"

#include "inet/ip_header.hpp"
#include "inet/super_packet.hpp"
#include "transport/wireguard/inner_ecn.hpp"
#include "transport/wireguard/message_codec.hpp"

namespace smartvpn::wireguard {
namespace {

constexpr size_t kAround = kDataHeader + kTag;
// More than a super-packet's segments need beyond its own bytes.
constexpr size_t kCutting = inet::kMaxSegments * (inet::kMaxPlainHeader + kAround + kPadding);

void pad(uint8_t* packet, size_t size, size_t padded) noexcept {
  std::fill(packet + size, packet + padded, uint8_t{0});
}

}  // namespace

SendBatch::SendBatch(crypto::AeadEngine& aead)
    : aead_(aead),
      arena_(std::make_unique_for_overwrite<uint8_t[]>(kArena)),
      entries_(std::make_unique<std::array<Entry, kMaxEntries>>()) {}

SendBatch::~SendBatch() = default;

bool SendBatch::has_room() const noexcept {
  return !blocked() && entries_used_ + inet::kMaxSegments <= kMaxEntries &&
         arena_used_ + PacketPool::kLarge + kCutting <= kArena;
}

Drop SendBatch::add(Part& part, Packet&& packet, size_t mtu) noexcept {
  if (packet.segment_size != 0) return add_super(part, packet, mtu);
  const size_t padded = padded_size(packet.size(), mtu);
  if (padded + kAround > kMaxWire) return Drop::too_big;
  return add_single(part, std::move(packet), padded);
}

Drop SendBatch::add_single(Part& part, Packet&& packet, size_t padded) noexcept {
  const size_t size = packet.size(), wire_size = padded + kAround;
  const uint8_t ecn = ecn_of(packet.bytes());
  if (packet.headroom() >= kDataHeader && packet.tailroom() >= padded - size + kTag) {
    uint8_t* bytes = packet.bytes().data();
    pad(bytes, size, padded);
    append(part, bytes - kDataHeader, wire_size, ecn, std::move(packet));
    return Drop::none;
  }
  uint8_t* wire = take(wire_size);
  std::memcpy(wire + kDataHeader, packet.bytes().data(), size);
  pad(wire + kDataHeader, size, padded);
  append(part, wire, wire_size, ecn, Packet{});
  return Drop::none;
}

Drop SendBatch::add_super(Part& part, const Packet& packet, size_t mtu) noexcept {
  inet::SuperInfo info;
  if (inet::parse_super(packet.bytes(), packet.segment_size, info) != Drop::none || info.segments > inet::kMaxSegments)
    return Drop::bad_super_packet;
  if (padded_size(inet::segment_length(info, 0), mtu) + kAround > kMaxWire) return Drop::too_big;
  const uint8_t ecn = ecn_of(packet.bytes());
  for (uint16_t i = 0; i < info.segments; ++i) {
    const size_t size = inet::segment_length(info, i), padded = padded_size(size, mtu);
    uint8_t* wire = take(padded + kAround);
    inet::write_segment(packet.bytes(), info, i, wire + kDataHeader);
    pad(wire + kDataHeader, size, padded);
    append(part, wire, padded + kAround, ecn, Packet{});
  }
  return Drop::none;
}

uint8_t* SendBatch::take(size_t size) noexcept {
  uint8_t* bytes = arena_.get() + arena_used_;
  arena_used_ += size;
  return bytes;
}

void SendBatch::append(Part& part, uint8_t* wire, size_t size, uint8_t ecn, Packet&& block) noexcept {
  const auto index = static_cast<uint16_t>(entries_used_++);
  Entry& entry = (*entries_)[index];
  entry.wire = wire;
  entry.size = static_cast<uint32_t>(size);
  entry.next = kNone;
  entry.ecn = ecn;
  entry.block = std::move(block);
  if (part.first == kNone)
    part.first = index;
  else
    (*entries_)[part.last].next = index;
  part.last = index;
  ++part.segments;
  if (part.listed) return;
  part.listed = true;
  parts_[parts_used_++] = &part;
}

size_t SendBatch::forget(Part& part) noexcept {
  const size_t segments = part.segments;
  if (part.listed)
    for (size_t i = 0; i < parts_used_; ++i)
      if (parts_[i] == &part) parts_[i] = nullptr;
  part = Part{};
  return segments;
}

}  // namespace smartvpn::wireguard
