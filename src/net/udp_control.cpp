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

struct Message {
  int level, type;
  ByteView value;
};

// The message at the front of `control`, which it is taken off; false at the end, or where lengths contradict each
// other.
bool next_message(ByteView& control, Message& out) noexcept {
  cmsghdr header;
  if (control.size() < sizeof header) return false;
  std::memcpy(&header, control.data(), sizeof header);
  if (header.cmsg_len < CMSG_LEN(0) || header.cmsg_len > control.size()) return false;
  out = {header.cmsg_level, header.cmsg_type, control.subspan(CMSG_LEN(0), header.cmsg_len - CMSG_LEN(0))};
  control = control.subspan(std::min(control.size(), size_t{CMSG_ALIGN(header.cmsg_len)}));
  return true;
}

template <class T>
bool read_value(const Message& message, T& out) noexcept {
  if (message.value.size() < sizeof out) return false;
  std::memcpy(&out, message.value.data(), sizeof out);
  return true;
}

void read_ipv4(const Message& message, Datagram& out) noexcept {
  in_pktinfo info;
  uint8_t tos;
  if (message.type == IP_PKTINFO && read_value(message, info)) {
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &info.ipi_addr, bytes.size());
    out.to = inet::IpAddress::v4(bytes);
    out.interface = static_cast<uint32_t>(info.ipi_ifindex);
  } else if (message.type == IP_TOS && read_value(message, tos)) {
    out.ecn = tos & 3;
  }
}

void read_ipv6(const Message& message, Datagram& out) noexcept {
  in6_pktinfo info;
  int traffic_class;
  if (message.type == IPV6_PKTINFO && read_value(message, info)) {
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
    out.to = inet::IpAddress::v6(bytes);
    out.interface = info.ipi6_ifindex;
  } else if (message.type == IPV6_TCLASS && read_value(message, traffic_class)) {
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
  const bool link_local = message.from.is_link_local() || message.to.ip.is_link_local();
  const uint32_t interface = link_local ? message.interface : 0;
  if (message.from.is_v4()) {
    in_pktinfo info{};
    info.ipi_ifindex = static_cast<int>(interface);
    std::memcpy(&info.ipi_spec_dst, message.from.bytes().data(), 4);
    out.put(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    info.ipi6_ifindex = interface;
    std::memcpy(&info.ipi6_addr, message.from.bytes().data(), 16);
    out.put(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

static_assert(CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t)) <= kControlSize);

}  // namespace

void read_control(ByteView control, Datagram& out) noexcept {
  Message message;
  while (next_message(control, message)) {
    if (message.level == IPPROTO_IP) read_ipv4(message, out);
    if (message.level == IPPROTO_IPV6) read_ipv6(message, out);
    int size = 0;
    const bool gro = message.level == IPPROTO_UDP && message.type == UDP_GRO;
    if (gro && read_value(message, size) && size > 0 && size <= UINT16_MAX)
      out.segment_size = static_cast<uint16_t>(size);
  }
}

size_t write_control(const OutDatagram& message, const inet::IpAddress& to, bool segmented, bool with_source,
                     uint8_t* control) noexcept {
  Writer out(control);
  // Of another family than the destination it could not be used.
  const bool source = with_source && message.from && message.from.is_v4() == to.is_v4();
  if (source) put_source(message, out);
  if (message.ecn != 0) {
    const int value = message.ecn & 3;
    if (to.is_v4())
      out.put(IPPROTO_IP, IP_TOS, value);
    else
      out.put(IPPROTO_IPV6, IPV6_TCLASS, value);
  }
  if (segmented) out.put(IPPROTO_UDP, UDP_SEGMENT, message.segment_size);
  return out.size();
}

}  // namespace smartvpn::net
