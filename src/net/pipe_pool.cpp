// See pipe_pool.hpp.
#include "net/pipe_pool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <new>

#include "base/descriptor.hpp"

namespace smartvpn::net {

PipePool::PipePool(DescriptorRegister& descriptors, size_t keep, size_t most)
    : descriptors_(descriptors), keep_(keep), most_(most) {
  idle_.reserve(keep);
}

PipePool::~PipePool() { forget_idle(); }

void PipePool::forget_idle() noexcept {
  for (Pipe& pipe : idle_) destroy(std::move(pipe));
  idle_.clear();
}

std::optional<PipePool::Pipe> PipePool::take() noexcept {
  if (out_ >= most_) return std::nullopt;
  std::optional<Pipe> pipe;
  if (idle_.empty()) {
    pipe = make();
  } else {
    pipe = std::move(idle_.back());
    idle_.pop_back();
  }
  if (pipe) ++out_;
  return pipe;
}

std::optional<PipePool::Pipe> PipePool::make() noexcept {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
  Pipe pipe{Fd(above_standard(ends[0])), Fd(above_standard(ends[1])), {}};
  if (!pipe.read_end || !pipe.write_end) return std::nullopt;
  try {
    pipe.slots[0] = descriptors_.add(pipe.read_end.get());
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
  try {
    pipe.slots[1] = descriptors_.add(pipe.write_end.get());
  } catch (const std::bad_alloc&) {
    descriptors_.remove(pipe.slots[0]);
    return std::nullopt;
  }
  return pipe;
}

void PipePool::give_back(Pipe pipe) noexcept {
  if (idle_.size() >= keep_) return close(std::move(pipe));
  --out_;
  idle_.push_back(std::move(pipe));
}

void PipePool::close(Pipe pipe) noexcept {
  --out_;
  destroy(std::move(pipe));
}

void PipePool::destroy(Pipe pipe) noexcept {
  for (const uint32_t slot : pipe.slots) descriptors_.remove(slot);
}

}  // namespace smartvpn::net
