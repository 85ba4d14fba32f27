// See tun_open.hpp. Fallbacks, best first: TSO and USO, TSO only, no virtio header; as many queues as wanted, or as the
// device has been made with.
#include "forward/tun/tun_open.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.hpp"
#include "forward/tun/netlink.hpp"
#include "forward/tun/virtio_header.hpp"

namespace smartvpn::forward {
namespace {

// Newer than the headers of the distributions we build on.
constexpr unsigned kUso4 = 0x20, kUso6 = 0x40;
constexpr unsigned kTso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
constexpr size_t kLargestVirtio = 12;

// Says which offloads we take; without any the virtio header would be for nothing.
void offer_offloads(OpenedTun& tun, bool udp) {
  if (udp && ioctl(tun.fd.get(), TUNSETOFFLOAD, kTso | kUso4 | kUso6) == 0) {
    tun.udp_offload = true;
  } else if (ioctl(tun.fd.get(), TUNSETOFFLOAD, kTso) != 0) {
    (void)ioctl(tun.fd.get(), TUNSETOFFLOAD, 0);
  }
}

struct Form {
  bool virtio, multi_queue;
};

Result<void> set_interface(OpenedTun& tun, const TunOptions& options, Form form) {
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (form.virtio ? IFF_VNET_HDR : 0) |
                                         (form.multi_queue ? IFF_MULTI_QUEUE : 0));
  std::memcpy(request.ifr_name, options.name.data(), options.name.size());
  if (ioctl(tun.fd.get(), TUNSETIFF, &request) != 0)
    return system_error(errno, "cannot create the tun device" + (options.name.empty() ? "" : " " + options.name),
                        options.path);
  tun.name = request.ifr_name;
  tun.multi_queue = form.multi_queue;
  return {};
}

Result<void> attach(OpenedTun& tun, const TunOptions& options, Form form) {
  if (auto set = set_interface(tun, options, form); !set) return set;
  int size = VirtioHeader::kSize;
  if (form.virtio && ioctl(tun.fd.get(), TUNSETVNETHDRSZ, &size) != 0)
    return system_error(errno, "cannot set the virtio header", options.path);
  tun.virtio_size = form.virtio ? VirtioHeader::kSize : 0;
  ifreq made{};
  tun.persistent = ioctl(tun.fd.get(), TUNGETIFF, &made) == 0 && (made.ifr_flags & IFF_PERSIST) != 0;
  tun.index = static_cast<int>(if_nametoindex(tun.name.c_str()));
  if (tun.index == 0) return system_error(errno, "cannot find device " + tun.name, options.path);
  return {};
}

Result<void> open_node(OpenedTun& tun, const TunOptions& options) {
  if (options.name.size() >= IFNAMSIZ) return make_error(Status::INVALID, "a device name has 15 bytes", options.path);
  tun.fd.reset(above_standard(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)));
  if (!tun.fd) return system_error(errno, "cannot open /dev/net/tun", options.path);
  return {};
}

Result<void> create(OpenedTun& tun, const TunOptions& options) {
  if (auto opened = open_node(tun, options); !opened) return opened;
  // EINVAL is a device that exists with another number of queues, or a kernel without IFF_VNET_HDR; a name that is
  // wrong fails each time.
  auto result = attach(tun, options, {options.offload, options.multi_queue});
  auto again = [&](Form form) {
    if (!result && result.error().system_errno == EINVAL) result = attach(tun, options, form);
  };
  again({options.offload, !options.multi_queue});
  if (options.offload) again({false, false});
  if (result && tun.virtio_size > 0) offer_offloads(tun, options.udp_offload);
  return result;
}

// TUNSETIFF makes the device of that name where there is none (any more): one of our own making goes with the
// descriptor.
Result<void> join(OpenedTun& tun, const TunOptions& options) {
  const TunQueueOf& device = options.queue_of;
  auto gone = [&] { return system_error(ENODEV, "cannot open a queue of device " + options.name, options.path); };
  if (static_cast<int>(if_nametoindex(options.name.c_str())) != device.index) return gone();
  if (options.fd >= 0) {
    tun.fd = net::Fd::duplicate_of(options.fd);
    ifreq request{};
    if (!tun.fd || ioctl(tun.fd.get(), TUNGETIFF, &request) != 0 || options.name != request.ifr_name) return gone();
    tun.name = options.name;
  } else {
    if (auto opened = open_node(tun, options); !opened) return opened;
    if (auto set = set_interface(tun, options, {device.virtio_size > 0, true}); !set) return set;
  }
  tun.index = static_cast<int>(if_nametoindex(tun.name.c_str()));
  if (tun.index != device.index) return gone();
  tun.adopted = true;
  tun.virtio_size = device.virtio_size;
  tun.udp_offload = device.udp_offload;
  return {};
}

// TUNGETIFF cannot say it: the bit of IFF_NO_PI means something else there. Of a device in another network namespace
// we have to believe it.
Result<void> check_no_packet_information(int index, const std::string& path) {
  if (index == 0) return {};
  auto netlink = Netlink::open();
  auto has = netlink ? netlink->has_packet_information(index) : Result<bool>(netlink.error());
  if (!has || !*has) return {};
  return make_error(Status::INVALID, "the device has packet information headers: open it with IFF_NO_PI", path);
}

// The host has chosen flags and header size; we follow them.
Result<void> adopt(OpenedTun& tun, const TunOptions& options) {
  tun.adopted = true;
  tun.fd = net::Fd::duplicate_of(options.fd);
  ifreq request{};
  if (!tun.fd || ioctl(tun.fd.get(), TUNGETIFF, &request) != 0)
    return system_error(errno, "not an attached tun device: descriptor " + std::to_string(options.fd), options.path);
  if (!(request.ifr_flags & IFF_TUN))
    return make_error(Status::INVALID, "the device carries Ethernet frames: open it with IFF_TUN", options.path);
  tun.name = request.ifr_name;
  tun.index = static_cast<int>(if_nametoindex(tun.name.c_str()));
  tun.multi_queue = (request.ifr_flags & IFF_MULTI_QUEUE) != 0 && tun.index != 0;
  if (auto ok = check_no_packet_information(tun.index, options.path); !ok) return ok;
  if (!(request.ifr_flags & IFF_VNET_HDR)) return {};
  int size = 0;
  if (ioctl(tun.fd.get(), TUNGETVNETHDRSZ, &size) != 0 || size < static_cast<int>(VirtioHeader::kSize) ||
      size > static_cast<int>(kLargestVirtio))
    return make_error(Status::INVALID, "the device's virtio header must have 10 to 12 bytes", options.path);
  tun.virtio_size = static_cast<size_t>(size);
  if (options.offload) offer_offloads(tun, options.udp_offload);
  return {};
}

}  // namespace

Result<OpenedTun> open_tun(const TunOptions& options) {
  OpenedTun tun;
  auto result = options.queue_of.index != 0 ? join(tun, options)
                : options.fd >= 0           ? adopt(tun, options)
                                            : create(tun, options);
  if (!result) return result.error();
  return tun;
}

}  // namespace smartvpn::forward
