// Packets of the embedding program (smartvpn.h, section 11).
#include "capi/call.hpp"
#include "capi/packets.hpp"
#include "capi/server_object.hpp"

namespace smartvpn::capi {

Result<void> check_packet_arrays(const void* arena, size_t arena_len, const void* meta, size_t meta_stride,
                                 size_t count) {
  if (!arena && arena_len != 0) return null_argument("arena");
  if (!meta && count != 0) return null_argument("meta");
  if (meta_stride < kFirstSize<smartvpn_packet>) return make_error(Status::INVALID, "meta_stride is too small");
  if (count > SIZE_MAX / meta_stride) return make_error(Status::INVALID, "too many packets");
  return {};
}

void give_packets(std::span<const forward::HostPacket> batch, smartvpn_packet* meta, size_t meta_stride) noexcept {
  auto* element = reinterpret_cast<char*>(meta);
  for (const forward::HostPacket& packet : batch) {
    smartvpn_packet out{};
    out.offset = packet.offset;
    out.session_id = packet.session_id;
    out.length = packet.length;
    out.segment_size = packet.segment_size;
    write_struct(out, element, meta_stride);
    element += meta_stride;
  }
}

Result<void> take_packets(const smartvpn_packet* meta, size_t meta_stride, size_t first, size_t count, size_t arena_len,
                          std::span<forward::HostPacket> batch) {
  const auto* element = reinterpret_cast<const char*>(meta) + first * meta_stride;
  for (size_t i = 0; i < count; ++i, element += meta_stride) {
    auto packet = read_struct<smartvpn_packet>(element, meta_stride, "meta");
    if (!packet) return std::move(packet).error();
    if (packet->flags != 0) return struct_too_new("flags of meta");
    if (packet->length == 0 || packet->length > 65535 || packet->offset > arena_len ||
        packet->length > arena_len - packet->offset)
      return make_error(Status::INVALID,
                        "packet " + std::to_string(first + i) + " is empty, too long or not in the arena");
    batch[i] = forward::HostPacket{packet->offset, packet->length, packet->segment_size, 0};
  }
  return {};
}

}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_packets_read(smartvpn_server* server, uint8_t* arena, size_t arena_len, smartvpn_packet* meta,
                                      size_t meta_stride, size_t max, size_t* count, int32_t timeout_ms,
                                      smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) {
    return read_packets(*object.server, arena, arena_len, meta, meta_stride, max, count, timeout_ms);
  });
}

smartvpn_status smartvpn_packets_write(smartvpn_server* server, const uint8_t* arena, size_t arena_len,
                                       const smartvpn_packet* meta, size_t meta_stride, size_t count, size_t* taken,
                                       smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) {
    return write_packets(*object.server, arena, arena_len, meta, meta_stride, count, taken);
  });
}

int32_t smartvpn_packets_fd(const smartvpn_server* server) {
  return call_for_number<ServerObject>(
      server, [](ServerObject& object) -> Result<int32_t> { return object.server->packets_fd(); });
}
