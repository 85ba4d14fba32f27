// Every descriptor a loop owns, kept so that a forked child can close them without a lock and without
// trusting a data structure that the parent's thread was half-way through changing (c-api.md rule 10).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace smartvpn::net {

// add() and remove() on the loop's thread (or before it runs); close_all() in a forked child only.
class DescriptorRegister {
 public:
  DescriptorRegister() = default;
  ~DescriptorRegister();
  DescriptorRegister(const DescriptorRegister&) = delete;
  DescriptorRegister& operator=(const DescriptorRegister&) = delete;

  // A slot number for remove(). Throws std::bad_alloc when memory is out.
  uint32_t add(int fd);
  // Call before closing: a number forgotten too early leaks in a child that forks just then, a
  // number forgotten too late could be the host's by then.
  void remove(uint32_t slot) noexcept;
  size_t size() const noexcept { return size_; }

  void close_all() noexcept;

 private:
  static constexpr uint32_t kChunk = 256;
  struct Chunk {
    Chunk() noexcept {
      for (auto& fd : fds) fd.store(-1, std::memory_order_relaxed);
    }
    std::array<std::atomic<int>, kChunk> fds;
    std::atomic<Chunk*> next{nullptr};  // chunks never move, so a reader may follow at any moment
  };
  Chunk first_;
  std::vector<Chunk*> chunks_{&first_};
  std::vector<uint32_t> free_;
  uint32_t used_ = 0;
  size_t size_ = 0;
};

}  // namespace smartvpn::net
