// See line_output.hpp.
#include "line_output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace smartvpn::cli {

void LineOutput::add(std::string_view line) {
  if (broken_) return;
  buffer_.append(line);
  buffer_.push_back('\n');
}

void LineOutput::write_some() {
  if (!pending()) return;
  size_t size = std::min<size_t>(buffer_.size() - written_, PIPE_BUF);
  ssize_t done = ::write(fd_, buffer_.data() + written_, size);
  if (done < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (done < 0) return give_up();
  written_ += static_cast<size_t>(done);
  if (pending()) return;
  buffer_.clear();
  written_ = 0;
}

void LineOutput::give_up() {
  broken_ = true;
  buffer_.clear();
  written_ = 0;
}

}  // namespace smartvpn::cli
