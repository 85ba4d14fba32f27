// classify() on arbitrary bytes: no read outside them, and what it accepts has consistent lengths. What
// is accepted goes on through the functions that trust classify()'s answer.
#include "fuzz/require.hpp"
#include "inet/fragment.hpp"
#include "inet/fragment_table.hpp"
#include "inet/icmp.hpp"
#include "inet/inner_packet.hpp"
#include "inet/ip_header.hpp"
#include "inet/mss.hpp"
#include "router/router.hpp"

using namespace smartvpn;
using namespace smartvpn::inet;

namespace {

using smartvpn::fuzz::require;

void check_lengths(ByteView packet, const InnerPacket& p, bool padded) {
  require(p.version == ip_version(packet));
  require(p.total_length <= packet.size() && (padded || p.total_length == packet.size()));
  require(p.transport_offset >= (p.version == 4 ? 20 : 40) && p.transport_offset <= p.payload_offset);
  require(p.payload_offset <= p.total_length);
  require(!p.has_ports || p.payload_offset >= p.transport_offset + 8);
  require(!p.fragment || (p.fragment_data_offset >= 20 && p.fragment_data_offset <= p.transport_offset));
  require(p.fragment_offset + p.total_length - p.transport_offset <= 65535 + 40);
  require(p.extension_headers <= 4);
  require(p.src.is_v4() == (p.version == 4) && p.dst.is_v4() == (p.version == 4));
  require(!p.has_quote || (p.quoted.src == p.dst && p.has_icmp));
}

void use(ByteView packet, const InnerPacket& p) {
  uint8_t error[kMaxIcmpError];
  const auto gateway = p.version == 4 ? IpAddress::v4(0x0a080001) : *IpAddress::parse("fd00:8::1");
  const size_t size = write_too_big(packet, p, 1280, gateway, error);
  InnerPacket answer;
  if (size != 0) require(classify(ByteView(error, size), answer) == Drop::none);

  Bytes copy(packet.begin(), packet.end());
  if (echo_reply_in_place(copy, p)) require(classify(copy, answer, {.allow_padding = true}) == Drop::none);
  copy.assign(packet.begin(), packet.end());
  clamp_mss(copy, p, 1280);

  FragmentPlan plan;
  if (p.version == 4 && plan_fragments(packet, 200, plan) == Drop::none) {
    static PacketPool pool;
    fragment(packet, plan, pool, [&](Packet&& piece) {
      const Drop drop = classify(piece.bytes(), answer, {.allow_padding = true});
      // Cutting can split a TCP header that was whole, or an ICMP quotation, and nothing else.
      require(drop == Drop::none || drop == Drop::bad_fragment || drop == Drop::malformed_packet);
      require(plan.fragments == 1 || piece.size() <= 200);
    });
  }

  static router::Router router(router::RouterOptions{}, 7);
  static const bool ready = [] {
    router.table().set_network({{*Cidr::parse("10.8.0.0/24"), *Cidr::parse("fd00:8::/64")},
                                {*IpAddress::parse("10.8.0.1"), *IpAddress::parse("fd00:8::1")},
                                {}});
    router.table().attach(*Cidr::parse("10.8.0.2"), 5, 1);
    router.table().attach(*Cidr::parse("fd00:8::2"), 5, 1);
    return true;
  }();
  (void)ready;
  static Time now{};
  now += milliseconds(50);
  for (const auto& v : {router.from_client(5, p, now), router.from_engine(p, now)}) {
    require((v.drop == Drop::none) == (int{v.to_engine} + int{v.to_all} + int{v.session != 0} == 1));
    require(v.drop == Drop::none || (!v.to_engine && !v.to_all && !v.to_host && v.session == 0));
  }
}

void try_one(const Bytes& packet, ClassifyOptions options) {
  InnerPacket p;
  if (classify(packet, p, options) != Drop::none) return;
  check_lengths(packet, p, options.allow_padding);
  use(packet, p);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes packet(data, data + size);
  try_one(packet, {});
  try_one(packet, {.allow_padding = true, .port_rules = true});
  // Few random headers have a right checksum: give them one.
  if (size >= 20 && data[0] >> 4 == 4) {
    const size_t header = (data[0] & 15u) * 4u;
    if (header < 20 || header > size) return 0;
    if (size <= 65535) store_be16(packet.data() + 2, static_cast<uint16_t>(size));
    refresh_ipv4_checksum(packet.data(), header);
    try_one(packet, {});
  }
  return 0;
}
