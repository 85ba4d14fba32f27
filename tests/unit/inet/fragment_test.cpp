#include "inet/fragment.hpp"

#include <gtest/gtest.h>

#include "inet/inner_packet.hpp"
#include "support/inet_packets.hpp"

namespace smartvpn::inet {
namespace {

using namespace smartvpn::test;

Bytes udp_without_df(size_t data) {
  Bytes packet = udp_packet("10.8.0.2", 1, "192.0.2.9", 2, pattern(data));
  packet[6] = 0;
  refresh_ipv4_checksum(packet.data(), 20);
  return packet;
}

std::vector<Bytes> cut(const Bytes& packet, uint16_t mtu) {
  FragmentPlan plan;
  EXPECT_EQ(plan_fragments(packet, mtu, plan), Drop::none);
  std::vector<Bytes> out;
  PacketPool pool;
  fragment(packet, plan, pool, [&](Packet&& p) { out.emplace_back(p.bytes().begin(), p.bytes().end()); });
  EXPECT_EQ(out.size(), plan.fragments);
  return out;
}

// Puts the data of fragments together by their own offsets; `base` is that of the original packet.
Bytes reassembled(const std::vector<Bytes>& pieces, size_t base = 0) {
  Bytes out;
  for (const Bytes& piece : pieces) {
    InnerPacket info;
    EXPECT_EQ(classify(piece, info), Drop::none) << to_hex(ByteView(piece).first(24));
    const size_t at = info.fragment_offset - base, size = piece.size() - info.fragment_data_offset;
    EXPECT_EQ(at, out.size());
    out.insert(out.end(), piece.end() - static_cast<long>(size), piece.end());
  }
  return out;
}

TEST(Fragment, PiecesFitTheMtuAndCarryTheWholeDatagram) {
  for (uint16_t mtu : {68, 576, 1280, 1419, 1420}) {
    const Bytes packet = udp_without_df(4000);
    const auto pieces = cut(packet, mtu);
    ASSERT_GT(pieces.size(), 2u);
    for (size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_LE(pieces[i].size(), mtu);
      InnerPacket info;
      ASSERT_EQ(classify(pieces[i], info), Drop::none);
      EXPECT_EQ(info.more_fragments, i + 1 < pieces.size());
      EXPECT_EQ(info.fragment_id, 7u);
    }
    EXPECT_EQ(reassembled(pieces), Bytes(packet.begin() + 20, packet.end()));
  }
}

TEST(Fragment, WhatFitsStaysWhole) {
  const Bytes packet = udp_without_df(100);
  const auto pieces = cut(packet, 128);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0], packet);
}

TEST(Fragment, RefusesDfIpv6AndTinyMtus) {
  FragmentPlan plan;
  EXPECT_EQ(plan_fragments(udp_packet("10.8.0.2", 1, "192.0.2.9", 2, pattern(2000)), 1420, plan), Drop::too_big);
  EXPECT_EQ(plan_fragments(udp_packet("fd00::2", 1, "fd00::3", 2, pattern(2000)), 1420, plan), Drop::too_big);
  EXPECT_EQ(plan_fragments(udp_without_df(100), 27, plan), Drop::too_big);
}

TEST(Fragment, AFragmentIsCutFurther) {
  for (bool more : {true, false}) {
    const Bytes piece = as_fragment_v4(udp_without_df(1992), 2960, more);
    const auto pieces = cut(piece, 576);
    EXPECT_EQ(reassembled(pieces, 2960), Bytes(piece.begin() + 20, piece.end()));
    InnerPacket last;
    ASSERT_EQ(classify(pieces.back(), last), Drop::none);
    EXPECT_EQ(last.more_fragments, more);
  }
}

TEST(Fragment, LaterFragmentsCarryOnlyCopiedOptions) {
  Bytes packet = udp_without_df(2000);
  // Record route (not copied), no-op, then router alert (copied).
  const Bytes options{7, 3, 4, 1, 148, 4, 0, 0};
  packet.insert(packet.begin() + 20, options.begin(), options.end());
  packet[0] = 0x47;
  store_be16(packet.data() + 2, static_cast<uint16_t>(packet.size()));
  refresh_ipv4_checksum(packet.data(), 28);
  const auto pieces = cut(packet, 1000);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0][0], 0x47);
  EXPECT_EQ(Bytes(pieces[0].begin() + 20, pieces[0].begin() + 28), options);
  EXPECT_EQ(pieces[1][0], 0x46);
  EXPECT_EQ(Bytes(pieces[1].begin() + 20, pieces[1].begin() + 24), (Bytes{148, 4, 0, 0}));
  EXPECT_EQ(reassembled(pieces), Bytes(packet.begin() + 28, packet.end()));
}

}  // namespace
}  // namespace smartvpn::inet
