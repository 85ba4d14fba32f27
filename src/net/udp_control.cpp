// See udp_control.hpp.
#include "net/udp_control.hpp"

#include <netinet/udp.h>

#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace smartvpn::net {
namespace {

template <class T>
bool read_value(const cmsghdr* header, T& out) noexcept {
  if (header->cmsg_len < CMSG_LEN(sizeof out)) return false;
  std::memcpy(&out, CMSG_DATA(header), sizeof out);
  return true;
}

void read_ipv4(const cmsghdr* header, Datagram& out) noexcept {
  in_pktinfo info;
  uint8_t tos;
  if (header->cmsg_type == IP_PKTINFO && read_value(header, info)) {
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &info.ipi_addr, bytes.size());
    out.to = inet::IpAddress::v4(bytes);
    out.interface = static_cast<uint32_t>(info.ipi_ifindex);
  } else if (header->cmsg_type == IP_TOS && read_value(header, tos)) {
    out.ecn = tos & 3;
  }
}

void read_ipv6(const cmsghdr* header, Datagram& out) noexcept {
  in6_pktinfo info;
  int traffic_class;
  if (header->cmsg_type == IPV6_PKTINFO && read_value(header, info)) {
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
    out.to = inet::IpAddress::v6(bytes);
    out.interface = info.ipi6_ifindex;
  } else if (header->cmsg_type == IPV6_TCLASS && read_value(header, traffic_class)) {
    out.ecn = static_cast<uint8_t>(traffic_class & 3);
  }
}

// Control messages behind each other in a buffer that is large enough for all.
class Writer {
 public:
  explicit Writer(uint8_t* control) noexcept : at_(control), begin_(control) {}
  template <class T>
  void put(int level, int type, const T& value) noexcept {
    static_assert(sizeof(T) <= 32);
    cmsghdr header{};
    header.cmsg_level = level;
    header.cmsg_type = type;
    header.cmsg_len = CMSG_LEN(sizeof value);
    std::memset(at_, 0, CMSG_SPACE(sizeof value));
    std::memcpy(at_, &header, sizeof header);
    std::memcpy(at_ + CMSG_LEN(0), &value, sizeof value);
    at_ += CMSG_SPACE(sizeof value);
  }
  size_t size() const noexcept { return static_cast<size_t>(at_ - begin_); }

 private:
  uint8_t* at_;
  uint8_t* begin_;
};

void put_source(const OutDatagram& message, Writer& out) noexcept {
  if (message.from.is_v4()) {
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(message.interface);
    std::memcpy(&info.ipi_spec_dst, message.from.bytes().data(), 4);
    out.put(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    info.ipi6_ifindex = message.interface;
    std::memcpy(&info.ipi6_addr, message.from.bytes().data(), 16);
    out.put(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

static_assert(CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t)) <= kControlSize);

}  // namespace

void read_control(const msghdr& message, Datagram& out) noexcept {
  auto& mutable_message = const_cast<msghdr&>(message);  // CMSG_NXTHDR takes no other
  for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header;
       header = CMSG_NXTHDR(&mutable_message, const_cast<cmsghdr*>(header))) {
    if (header->cmsg_level == IPPROTO_IP) read_ipv4(header, out);
    if (header->cmsg_level == IPPROTO_IPV6) read_ipv6(header, out);
    int size = 0;
    const bool gro = header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO;
    if (gro && read_value(header, size) && size > 0 && size <= UINT16_MAX)
      out.segment_size = static_cast<uint16_t>(size);
  }
}

size_t write_control(const OutDatagram& message, bool segmented, bool with_source, uint8_t* control) noexcept {
  Writer out(control);
  // Of another family than the destination it could not be used.
  const bool source = with_source && message.from && message.from.is_v4() == message.to.ip.is_v4();
  if (source) put_source(message, out);
  if (message.ecn != 0) {
    const int value = message.ecn & 3;
    if (message.to.ip.is_v4())
      out.put(IPPROTO_IP, IP_TOS, value);
    else
      out.put(IPPROTO_IPV6, IPV6_TCLASS, value);
  }
  if (segmented) out.put(IPPROTO_UDP, UDP_SEGMENT, message.segment_size);
  return out.size();
}

}  // namespace smartvpn::net
