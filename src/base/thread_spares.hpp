// Memory a thread of ours keeps between two uses of it, so that what is busy allocates none. On the thread's own stack,
// because C++ thread-local objects with a destructor register it at first use, where the C library ends the process
// when memory is out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/packet.hpp"

namespace smartvpn {

class ThreadSpares {
 public:
  ThreadSpares() noexcept;
  ~ThreadSpares();
  ThreadSpares(const ThreadSpares&) = delete;
  ThreadSpares& operator=(const ThreadSpares&) = delete;

  // Null on a thread that keeps none: the host's.
  static ThreadSpares* current() noexcept;

  std::vector<Packet> queue;  // empty; its capacity is what is kept
  std::unique_ptr<uint8_t[]> block;
  size_t block_size = 0;  // of `block`
};

}  // namespace smartvpn
