// Lines to a descriptor that others hold too (standard output and error), without ever blocking on a
// reader that is slow and without changing the descriptor's mode: at most PIPE_BUF bytes at a time,
// after poll() has said that they fit. A full disk costs the lines that it does not take, and no more.
#pragma once

#include <string>
#include <string_view>

namespace smartvpn::cli {

class LineOutput {
 public:
  // `json`: that lines were lost is said by an event of type `lost`, else by a line for people.
  LineOutput(int fd, bool json) : fd_(fd), json_(json) {}

  // Text without its newline. Nothing happens once the reader is gone.
  void add(std::string_view line);
  int fd() const noexcept { return fd_; }
  bool pending() const noexcept { return written_ < buffer_.size(); }
  size_t waiting() const noexcept { return buffer_.size() - written_; }  // bytes
  // To be called when the descriptor is writable, or has failed.
  void write_some();
  // What is left is dropped, and whatever comes.
  void give_up();

 private:
  void drop_pending();
  std::string loss() const;

  const int fd_;
  const bool json_;
  std::string buffer_;
  size_t written_ = 0;
  size_t lines_ = 0;   // in the buffer
  size_t lost_ = 0;    // and not told yet
  bool torn_ = false;  // the last line that was written has no end
  bool broken_ = false;
};

}  // namespace smartvpn::cli
