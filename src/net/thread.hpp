// A thread as a guest in somebody's process has to start one: named `svpn-…`, every signal blocked, stack
// size set, joined by its owner (c-api.md rule 2).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"

namespace smartvpn::net {

class Thread {
 public:
  static constexpr size_t kStackSize = size_t{1} << 20;

  // `name` is cut to the 15 bytes the kernel keeps. `body` must not throw; if it does, the thread ends.
  static Result<std::unique_ptr<Thread>> start(const std::string& name, std::function<void()> body,
                                               size_t stack_size = kStackSize);
  ~Thread();  // joins
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  void join() noexcept;
  // True on the thread itself, where join() would wait for ever.
  bool is_current() const noexcept;
  // In a forked child the thread does not exist: forget it instead of joining.
  void abandon_after_fork() noexcept;

 private:
  struct Impl;
  explicit Thread(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace smartvpn::net
