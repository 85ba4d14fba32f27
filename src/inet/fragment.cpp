#include "inet/fragment.hpp"

#include "inet/ip_header.hpp"

namespace smartvpn::inet {
namespace {

constexpr uint8_t kCopied = 0x80;  // RFC 791: the option goes into every fragment

// Copies the options that later fragments carry to `out` (40 bytes), padded to 4. Gives their size.
size_t copied_options(ByteView options, uint8_t* out) noexcept {
  size_t size = 0;
  for (size_t i = 0; i < options.size() && options[i] != 0;) {
    const size_t length = options[i] == 1 ? 1 : i + 1 < options.size() ? options[i + 1] : 0;
    if (length == 0 || i + length > options.size()) break;
    if (options[i] & kCopied) {
      std::copy_n(options.begin() + static_cast<long>(i), length, out + size);
      size += length;
    }
    i += length;
  }
  while (size % 4 != 0) out[size++] = 0;
  return size;
}

size_t header_size(ByteView packet) noexcept { return (packet[0] & 0x0fu) * 4u; }

}  // namespace

Drop plan_fragments(ByteView packet, uint16_t mtu, FragmentPlan& out) noexcept {
  if (packet.size() < kIpv4HeaderSize || ip_version(packet) != 4) return Drop::too_big;
  const size_t header = header_size(packet), total = load_be16(packet.data() + 2);
  if (header < kIpv4HeaderSize || total < header || total > packet.size()) return Drop::malformed_packet;
  uint8_t options[40];
  out.first_header = static_cast<uint16_t>(header);
  out.later_header = static_cast<uint16_t>(
      kIpv4HeaderSize + copied_options(packet.subspan(kIpv4HeaderSize, header - kIpv4HeaderSize), options));
  out.data_length = static_cast<uint32_t>(total - header);
  out.fragments = 1;
  out.first_data = out.later_data = static_cast<uint16_t>(out.data_length);
  if (total <= mtu) return Drop::none;

  const bool dont_fragment = (load_be16(packet.data() + 6) & kIpv4DontFragment) != 0;
  if (dont_fragment || mtu < header + 8) return Drop::too_big;
  out.first_data = static_cast<uint16_t>((mtu - header) & ~size_t{7});
  out.later_data = static_cast<uint16_t>((mtu - out.later_header) & ~7);
  const uint32_t rest = out.data_length - out.first_data;
  out.fragments = static_cast<uint16_t>(1 + (rest + out.later_data - 1) / out.later_data);
  return Drop::none;
}

namespace {

uint32_t data_offset(const FragmentPlan& plan, uint16_t index) noexcept {
  return index == 0 ? 0 : plan.first_data + (index - 1u) * plan.later_data;
}

uint32_t data_size(const FragmentPlan& plan, uint16_t index) noexcept {
  const uint32_t most = index == 0 ? plan.first_data : plan.later_data;
  return std::min(most, plan.data_length - data_offset(plan, index));
}

}  // namespace

size_t fragment_length(const FragmentPlan& plan, uint16_t index) noexcept {
  return (index == 0 ? plan.first_header : plan.later_header) + data_size(plan, index);
}

size_t write_fragment(ByteView packet, const FragmentPlan& plan, uint16_t index, uint8_t* out) noexcept {
  const size_t length = fragment_length(plan, index);
  const uint32_t offset = data_offset(plan, index), size = data_size(plan, index);
  const size_t header = length - size;
  if (index == 0) {
    std::memcpy(out, packet.data(), header);
  } else {
    std::memcpy(out, packet.data(), kIpv4HeaderSize);
    copied_options(packet.subspan(kIpv4HeaderSize, plan.first_header - kIpv4HeaderSize), out + kIpv4HeaderSize);
    out[0] = static_cast<uint8_t>(0x40 | header / 4);
  }
  std::memcpy(out + header, packet.data() + plan.first_header + offset, size);
  store_be16(out + 2, static_cast<uint16_t>(length));
  const bool last = index + 1 == plan.fragments;
  const uint16_t field = load_be16(packet.data() + 6);
  const auto units = static_cast<uint16_t>((field & kIpv4OffsetMask) + offset / 8);
  const auto flags = static_cast<uint16_t>((field & ~kIpv4OffsetMask) | (last ? 0 : kIpv4MoreFragments));
  store_be16(out + 6, static_cast<uint16_t>(flags | units));
  refresh_ipv4_checksum(out, header);
  return length;
}

}  // namespace smartvpn::inet
