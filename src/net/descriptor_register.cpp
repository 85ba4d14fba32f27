// See descriptor_register.hpp.
#include "net/descriptor_register.hpp"

#include <unistd.h>

namespace smartvpn::net {

DescriptorRegister::~DescriptorRegister() {
  for (size_t i = 1; i < chunks_.size(); ++i) delete chunks_[i];
}

uint32_t DescriptorRegister::add(int fd) {
  uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    if (used_ == chunks_.size() * kChunk) {
      chunks_.reserve(chunks_.size() + 1);
      free_.reserve((chunks_.size() + 1) * kChunk);  // so that remove() cannot fail
      auto* chunk = new Chunk;
      chunks_.back()->next.store(chunk, std::memory_order_release);
      chunks_.push_back(chunk);
    } else if (free_.capacity() == 0) {
      free_.reserve(kChunk);
    }
    slot = used_++;
  }
  chunks_[slot / kChunk]->fds[slot % kChunk].store(fd, std::memory_order_relaxed);
  ++size_;
  return slot;
}

void DescriptorRegister::remove(uint32_t slot) noexcept {
  chunks_[slot / kChunk]->fds[slot % kChunk].store(-1, std::memory_order_relaxed);
  free_.push_back(slot);
  --size_;
}

void DescriptorRegister::close_all() noexcept {
  for (Chunk* chunk = &first_; chunk; chunk = chunk->next.load(std::memory_order_acquire))
    for (auto& slot : chunk->fds) {
      int fd = slot.exchange(-1, std::memory_order_relaxed);
      if (fd >= 0) ::close(fd);
    }
}

}  // namespace smartvpn::net
