// See pipe_pool.hpp.
#include "net/pipe_pool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.hpp"

namespace smartvpn::net {

std::optional<PipePool::Pipe> PipePool::take() noexcept {
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    return pipe;
  }
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
  Pipe pipe{Fd(above_standard(ends[0])), Fd(above_standard(ends[1]))};
  if (!pipe.read_end || !pipe.write_end) return std::nullopt;
  return pipe;
}

void PipePool::give_back(Pipe pipe) noexcept {
  if (idle_.size() < keep_) idle_.push_back(std::move(pipe));
}

}  // namespace smartvpn::net
