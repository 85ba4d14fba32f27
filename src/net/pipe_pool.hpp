// Kernel pipes for splice(2), kept from use to use: making one costs two descriptors and a system call. Loop thread
// only; one a loop.
#pragma once

#include <optional>
#include <vector>

#include "net/fd.hpp"

namespace smartvpn::net {

class PipePool {
 public:
  struct Pipe {
    Fd read_end, write_end;  // non-blocking, close-on-exec
  };
  // How many empty ones are kept.
  explicit PipePool(size_t keep = 64) : keep_(keep) { idle_.reserve(keep); }
  // Nothing where the system has no descriptors left.
  std::optional<Pipe> take() noexcept;
  // Empty again. One that still holds bytes is destroyed by its owner instead.
  void give_back(Pipe pipe) noexcept;
  // Closes the empty ones, where somebody needs their descriptors more.
  void forget_idle() noexcept { idle_.clear(); }
  size_t idle() const noexcept { return idle_.size(); }

 private:
  const size_t keep_;
  std::vector<Pipe> idle_;
};

}  // namespace smartvpn::net
