// Opening a tun device: the ioctls, and what the kernel at hand can do.
#pragma once

#include <string>

#include "forward/tun/tun_device.hpp"
#include "net/fd.hpp"

namespace smartvpn::forward {

struct OpenedTun {
  net::Fd fd;
  std::string name;
  int index = 0;             // 0: adopted, of another network namespace
  bool adopted = false;      // or one more queue: somebody else sets it up
  bool multi_queue = false;  // further queues can be opened
  bool persistent = false;   // it was there before and will be afterwards: somebody has made it for us
  size_t virtio_size = 0;    // bytes of header in front of each packet; 0: no header, no super-packets
  bool udp_offload = false;  // USO, kernel 6.2 and later
};

Result<OpenedTun> open_tun(const TunOptions& options);

}  // namespace smartvpn::forward
