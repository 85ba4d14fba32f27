// Flat batches of packets between the caller's arrays, whose elements may be of another version's
// size, and the core's. Servers and tunnels share it.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "base/bytes.hpp"
#include "capi/arguments.hpp"
#include "forward/host/host_packet.hpp"

namespace smartvpn::capi {

constexpr size_t kPacketsPerCall = 256;  // what one call of the core takes; the array is on the stack
using PacketBatch = std::array<forward::HostPacket, kPacketsPerCall>;

// INVALID for arguments that cannot be meant.
Result<void> check_packet_arrays(const void* arena, size_t arena_len, const void* meta, size_t meta_stride,
                                 size_t count);
// Writes `batch` to the caller's array.
void give_packets(std::span<const forward::HostPacket> batch, smartvpn_packet* meta, size_t meta_stride) noexcept;
// Reads elements [first, first + count) of the caller's array, each checked against the arena.
Result<void> take_packets(const smartvpn_packet* meta, size_t meta_stride, size_t first, size_t count, size_t arena_len,
                          std::span<forward::HostPacket> batch);

// `face` is a server or a tunnel.
template <class Face>
Result<void> read_packets(Face& face, uint8_t* arena, size_t arena_len, smartvpn_packet* meta, size_t meta_stride,
                          size_t max, size_t* count, int32_t timeout_ms) {
  if (!count) return null_argument("count");
  if (max == 0) return make_error(Status::INVALID, "max is 0");
  if (auto fine = check_packet_arrays(arena, arena_len, meta, meta_stride, max); !fine) return fine;
  PacketBatch batch;
  auto got =
      face.packets_read(ByteSpan(arena, arena_len), std::span(batch).first(std::min(max, batch.size())), timeout_ms);
  if (!got) return std::move(got).error();
  give_packets(std::span(batch).first(*got), meta, meta_stride);
  *count = *got;
  return {};
}

template <class Face>
Result<void> write_packets(Face& face, const uint8_t* arena, size_t arena_len, const smartvpn_packet* meta,
                           size_t meta_stride, size_t count, size_t* taken) {
  if (taken) *taken = 0;
  if (auto fine = check_packet_arrays(arena, arena_len, meta, meta_stride, count); !fine) return fine;
  PacketBatch batch;
  // All are judged before the first is taken.
  for (size_t first = 0; first < count; first += batch.size()) {
    auto some = std::span(batch).first(std::min(count - first, batch.size()));
    if (auto fine = take_packets(meta, meta_stride, first, some.size(), arena_len, some); !fine) return fine;
  }
  for (size_t first = 0; first < count;) {
    auto some = std::span(batch).first(std::min(count - first, batch.size()));
    if (auto fine = take_packets(meta, meta_stride, first, some.size(), arena_len, some); !fine) return fine;
    auto went = face.packets_write(ByteView(arena, arena_len), some);
    if (!went) return first == 0 ? Result<void>(std::move(went).error()) : Result<void>();
    first += *went;
    if (taken) *taken = first;
    if (*went < some.size()) break;
  }
  return {};
}

}  // namespace smartvpn::capi
