// Which packets may stand in one super-packet without anybody behind the engine being able to tell
// (the kernel's GRO rules, performance.md section 7 item 10). Used by coalesce.cpp only.
#pragma once

#include "inet/ip_header.hpp"
#include "inet/super_packet.hpp"

namespace smartvpn::inet {

struct FlowKey {
  bool v6 = false;
  uint8_t protocol = 0;
  uint16_t transport = 0;              // offset of the TCP/UDP header
  uint32_t ports = 0;                  // both, as they stand in the packet
  const uint8_t* addresses = nullptr;  // both, 8 or 32 bytes inside the packet
  uint64_t hash = 0;
};

enum class FlowShape : uint8_t {
  flow,     // TCP or UDP behind a plain IP header: `FlowKey` is filled
  unclear,  // may be part of such a flow but cannot be told (fragment, options, extension headers)
  other,    // certainly not
};
FlowShape read_flow(ByteView packet, FlowKey& out) noexcept;

// A packet of a flow that may start or join a run.
struct JoinPacket {
  uint16_t header = 0;  // IP + TCP/UDP
  ByteView payload;     // not empty
  uint32_t seq = 0;     // TCP
  uint8_t tcp_flags = 0;
  bool ends_run = false;  // FIN or PSH: nothing joins behind it
};
// False for what always travels alone: no payload, SYN, RST, URG, CWR, no ACK, lengths that differ.
bool read_candidate(ByteView packet, const FlowKey& flow, JoinPacket& out) noexcept;

struct RunState {
  FlowKey flow;
  uint16_t header = 0, segment_size = 0, segments = 0;
  uint32_t payload_length = 0;
  uint32_t next_seq = 0;
  uint8_t last_flags = 0;  // FIN and PSH of the last packet
  bool verified = false;   // the first packet's checksum, read only once a second one wants to join
};

void start_rules(RunState& run, const FlowKey& flow, const JoinPacket& first, bool joinable) noexcept;
bool same_flow(const RunState& run, const FlowKey& flow) noexcept;

enum class Join : uint8_t { no, yes, yes_and_close };
// Compares headers first and reads payload (checksums) only if they fit.
Join try_join(RunState& run, ByteView first, ByteView packet, const JoinPacket& candidate) noexcept;

// Writes the super-packet's header (room: kMaxPlainHeader) with lengths, flags and partial checksum.
SuperInfo write_run_header(const RunState& run, ByteView first, uint8_t* out) noexcept;

}  // namespace smartvpn::inet
