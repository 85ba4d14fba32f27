// Lines to a descriptor that others hold too (standard output and error), without ever blocking on a
// reader that is slow and without changing the descriptor's mode: at most PIPE_BUF bytes at a time,
// after poll() has said that they fit.
#pragma once

#include <string>
#include <string_view>

namespace smartvpn::cli {

class LineOutput {
 public:
  explicit LineOutput(int fd) : fd_(fd) {}

  // Text without its newline. Nothing happens once the reader is gone.
  void add(std::string_view line);
  int fd() const noexcept { return fd_; }
  bool pending() const noexcept { return written_ < buffer_.size(); }
  // To be called when the descriptor is writable, or has failed.
  void write_some();
  // What is left is dropped, and whatever comes.
  void give_up();

 private:
  const int fd_;
  std::string buffer_;
  size_t written_ = 0;
  bool broken_ = false;
};

}  // namespace smartvpn::cli
