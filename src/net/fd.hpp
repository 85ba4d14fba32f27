// A descriptor with one owner. Every descriptor of ours is close-on-exec from birth.
#pragma once

#include <utility>

namespace smartvpn::net {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;  // closes what it held

  // A close-on-exec duplicate, above the standard numbers, of somebody else's descriptor; empty with errno set on
  // failure.
  static Fd duplicate_of(int fd) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace smartvpn::net
