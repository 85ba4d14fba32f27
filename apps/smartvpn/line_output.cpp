// See line_output.hpp.
#include "line_output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>

namespace smartvpn::cli {

void LineOutput::add(std::string_view line) {
  if (broken_) return;
  if (!pending()) {
    if (torn_) buffer_.push_back('\n');
    if (lost_ > 0) buffer_.append(loss());
  }
  buffer_.append(line);
  buffer_.push_back('\n');
  ++lines_;
}

void LineOutput::write_some() {
  if (!pending()) return;
  size_t size = std::min<size_t>(buffer_.size() - written_, PIPE_BUF);
  ssize_t done = ::write(fd_, buffer_.data() + written_, size);
  if (done < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (done < 0 && (errno == ENOSPC || errno == EDQUOT)) return drop_pending();
  if (done < 0) return give_up();
  written_ += static_cast<size_t>(done);
  if (pending()) return;
  buffer_.clear();
  written_ = lines_ = lost_ = 0;
  torn_ = false;
}

// Each line that comes tries its luck; nothing waits for the disk meanwhile.
void LineOutput::drop_pending() {
  if (written_ > 0) torn_ = buffer_[written_ - 1] != '\n';
  // What was written of it were lines, or that of an earlier loss.
  const auto out = std::count(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(written_), '\n');
  lost_ += lines_ - std::min(lines_, static_cast<size_t>(out));
  buffer_.clear();
  written_ = lines_ = 0;
}

std::string LineOutput::loss() const {
  if (!json_) return std::to_string(lost_) + " lines could not be written\n";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return "{\"type\":\"lost\",\"time\":" + std::to_string(ms) + ",\"count\":" + std::to_string(lost_) +
         ",\"lane\":\"output\"}\n";
}

void LineOutput::give_up() {
  broken_ = true;
  buffer_.clear();
  written_ = lines_ = 0;
}

}  // namespace smartvpn::cli
