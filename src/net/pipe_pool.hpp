// Kernel pipes for splice(2), kept from use to use: making one costs two descriptors and a system call. Loop thread
// only; one a loop.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "net/descriptor_register.hpp"
#include "net/fd.hpp"

namespace smartvpn::net {

class PipePool {
 public:
  // How many empty ones are kept, and how many may be taken at a time: so that those who do not read what is sent to
  // them take no descriptors from those who come, nor more of the kernel's memory than so many pipes hold.
  static constexpr size_t kKeep = 64, kMost = 1024;

  struct Pipe {
    Fd read_end, write_end;  // non-blocking, close-on-exec
    std::array<uint32_t, 2> slots;
  };
  // The register, a loop's, outlives the pool; and the pool whatever was taken from it.
  explicit PipePool(DescriptorRegister& descriptors, size_t keep = kKeep, size_t most = kMost);
  ~PipePool();
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // Nothing where the system has no descriptors or memory left, or as many are out as may be.
  std::optional<Pipe> take() noexcept;
  // Each that was taken, once. Empty again.
  void give_back(Pipe pipe) noexcept;
  // Or with bytes in it: nobody else gets it.
  void close(Pipe pipe) noexcept;
  // Closes the empty ones, where somebody needs their descriptors more.
  void forget_idle() noexcept;
  size_t idle() const noexcept { return idle_.size(); }

 private:
  std::optional<Pipe> make() noexcept;
  void destroy(Pipe pipe) noexcept;

  DescriptorRegister& descriptors_;
  const size_t keep_, most_;
  size_t out_ = 0;
  std::vector<Pipe> idle_;
};

}  // namespace smartvpn::net
