// Control messages: what is written is read again, and what contradicts itself is left out.
#include "net/udp_control.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace smartvpn::net {
namespace {

struct Area {
  alignas(cmsghdr) uint8_t bytes[kControlSize] = {};
  size_t size = 0;
  template <class T>
  void put(int level, int type, const T& value, size_t claimed = sizeof(T)) {
    cmsghdr header{};
    header.cmsg_level = level;
    header.cmsg_type = type;
    header.cmsg_len = CMSG_LEN(claimed);
    std::memcpy(bytes + size, &header, sizeof header);
    std::memcpy(bytes + size + CMSG_LEN(0), &value, sizeof value);
    size += CMSG_SPACE(sizeof value);
  }
  ByteView view() const { return {bytes, size}; }
};

OutDatagram answer(const char* to, const char* from) {
  OutDatagram out;
  out.to = {*inet::IpAddress::parse(to), 51820};
  out.from = *inet::IpAddress::parse(from);
  out.interface = 7;
  out.ecn = 2;
  out.segment_size = 1452;
  return out;
}

TEST(UdpControl, SourceAndEcnThatAreWrittenAreReadAgain) {
  struct Case {
    const char *to, *from;
    uint32_t interface;
  };
  for (const Case& at : {Case{"192.0.2.1", "198.51.100.7", 0}, Case{"2001:db8::1", "2001:db8::7", 0},
                         Case{"169.254.3.4", "169.254.3.5", 7}, Case{"fe80::1", "fe80::7", 7}}) {
    Area area;
    area.size = write_control(answer(at.to, at.from), *inet::IpAddress::parse(at.to), true, true, area.bytes);
    Datagram in;
    read_control(area.view(), in);
    if (answer(at.to, at.from).from.is_v6()) {
      EXPECT_EQ(in.to.text(), at.from);
      EXPECT_EQ(in.interface, at.interface);
    }
    in_pktinfo info{};
    if (in.to.is_v4()) {
      std::memcpy(&info, area.bytes + CMSG_LEN(0), sizeof info);
      EXPECT_EQ(static_cast<uint32_t>(info.ipi_ifindex), at.interface);
      EXPECT_EQ(std::memcmp(&info.ipi_spec_dst, answer(at.to, at.from).from.bytes().data(), 4), 0);
    }
    EXPECT_EQ(in.ecn, 2);
  }
}

TEST(UdpControl, NothingIsSaidThatIsNotWanted) {
  uint8_t bytes[kControlSize];
  OutDatagram plain;
  plain.to = {*inet::IpAddress::parse("192.0.2.1"), 51820};
  EXPECT_EQ(write_control(plain, plain.to.ip, false, true, bytes), 0u);
  OutDatagram other_family = answer("192.0.2.1", "2001:db8::7");
  other_family.ecn = 0;
  EXPECT_EQ(write_control(other_family, other_family.to.ip, false, true, bytes), 0u);
  OutDatagram full = answer("2001:db8::1", "2001:db8::7");
  EXPECT_LT(write_control(full, full.to.ip, true, false, bytes), write_control(full, full.to.ip, true, true, bytes));
  EXPECT_LE(write_control(full, full.to.ip, true, true, bytes), kControlSize);
}

TEST(UdpControl, WhatContradictsItselfIsLeftOut) {
  constexpr int kGro = 104;
  for (int size : {0, -1, 65536}) {
    Area area;
    area.put(IPPROTO_UDP, kGro, size);
    Datagram in;
    read_control(area.view(), in);
    EXPECT_EQ(in.segment_size, 0) << size;
  }
  Area area;
  area.put(SOL_SOCKET, 29, uint64_t{1} << 40);  // somebody's time stamp
  area.put(IPPROTO_UDP, kGro, int{1452});
  area.put(IPPROTO_IP, IP_TOS, uint8_t{3}, 1000);  // claims more than there is: the end
  area.put(IPPROTO_UDP, kGro, int{99});
  Datagram in;
  read_control(area.view(), in);
  EXPECT_EQ(in.segment_size, 1452);
  EXPECT_EQ(in.ecn, 0);
}

TEST(UdpControl, CutAtAnyPlaceGivesThePartsBeforeIt) {
  Area area;
  area.put(IPPROTO_UDP, 104, int{1452});
  in6_pktinfo info{};
  info.ipi6_addr.s6_addr[15] = 1;
  info.ipi6_ifindex = 3;
  area.put(IPPROTO_IPV6, IPV6_PKTINFO, info);
  for (size_t size = 0; size <= area.size; ++size) {
    Datagram in;
    read_control(area.view().first(size), in);
    EXPECT_EQ(in.segment_size, size >= CMSG_LEN(sizeof(int)) ? 1452 : 0) << size;
    EXPECT_EQ(in.interface, size >= CMSG_SPACE(sizeof(int)) + CMSG_LEN(sizeof info) ? 3u : 0u) << size;
  }
}

}  // namespace
}  // namespace smartvpn::net
