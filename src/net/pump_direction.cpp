// See pump_direction.hpp. splice(2) to a socket whose peer is gone raises SIGPIPE, which every thread that runs a loop
// has blocked (thread.hpp).
#include "net/pump_direction.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

namespace smartvpn::net {
namespace {

constexpr size_t kLittle = 16 * 1024;  // a splice of less than this is followed by copying again

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

PumpDirection::Result PumpDirection::move(ByteSpan buffer) {
  for (size_t total = 0;;) {
    switch (deliver()) {
      case Step::blocked:
        return Result::wants_sink;
      case Step::failed:
        return Result::sink_failed;
      case Step::moved:
        break;
    }
    if (eof_) return Result::ended;
    if (total >= kBytesPerTurn) return Result::wants_source;
    bool spliced = bulk_;
    ssize_t n = spliced ? splice_in() : copy(buffer);
    // splice(2) stops before an urgent byte as if nothing, or nothing more, were there, and would do so for ever.
    if (spliced && (n == 0 || (n < 0 && would_block(errno)))) {
      spliced = false;
      n = copy(buffer);
    }
    if (n < 0 && would_block(errno)) {
      drop_pipe();
      return Result::wants_source;
    }
    if (n < 0) {
      error_ = error_ != 0 ? error_ : errno;
      return error_ == EPIPE ? Result::sink_failed : Result::source_failed;
    }
    eof_ = n == 0;
    total += static_cast<size_t>(n);
    const bool whole = static_cast<size_t>(n) >= (spliced ? kLittle : buffer.size());
    // Less than was asked for is all there was: the kernel says when there is more.
    if (!whole && !eof_ && owed_.empty() && piped_ == 0) {
      bulk_ = false;
      return Result::wants_source;
    }
    bulk_ = whole && splice_works_;
  }
}

void PumpDirection::flush() noexcept { deliver(); }

PumpDirection::Step PumpDirection::deliver() noexcept {
  if (const Step step = deliver_owed(); step != Step::moved) return step;
  return deliver_piped();
}

PumpDirection::Step PumpDirection::sink_step(ssize_t n) noexcept {
  if (n >= 0) {
    delivered_ += static_cast<uint64_t>(n);
    return Step::moved;
  }
  if (would_block(errno)) return Step::blocked;
  error_ = errno;
  return Step::failed;
}

PumpDirection::Step PumpDirection::deliver_owed() noexcept {
  while (owed_sent_ < owed_.size()) {
    const ssize_t n = ::send(sink_, owed_.data() + owed_sent_, owed_.size() - owed_sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (const Step step = sink_step(n); step != Step::moved) return step;
    owed_sent_ += static_cast<size_t>(n);
  }
  Bytes().swap(owed_);
  owed_sent_ = 0;
  return Step::moved;
}

PumpDirection::Step PumpDirection::deliver_piped() noexcept {
  while (piped_ > 0) {
    const ssize_t n =
        ::splice(pipe_->read_end.get(), nullptr, sink_, nullptr, piped_, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (const Step step = sink_step(n); step != Step::moved) return step;
    piped_ -= static_cast<size_t>(n);
  }
  return Step::moved;
}

// The sink is tried at once; only what it does not take is kept.
ssize_t PumpDirection::copy(ByteSpan buffer) {
  const ssize_t n = ::recv(source_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n <= 0) return n;
  const auto size = static_cast<size_t>(n);
  size_t sent = 0;
  while (sent < size) {
    const ssize_t m = ::send(sink_, buffer.data() + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    const Step step = sink_step(m);
    if (step == Step::failed) {
      error_ = EPIPE;
      errno = EPIPE;
      return -1;
    }
    if (step == Step::blocked) break;
    sent += static_cast<size_t>(m);
  }
  if (sent < size) owed_.assign(buffer.begin() + static_cast<std::ptrdiff_t>(sent), buffer.begin() + n);
  return n;
}

ssize_t PumpDirection::splice_in() noexcept {
  if (!pipe_ && !(pipe_ = pipes_.take())) {
    bulk_ = false;
    errno = EAGAIN;  // no descriptors: the next turn copies
    return -1;
  }
  const ssize_t n =
      ::splice(source_, nullptr, pipe_->write_end.get(), nullptr, kPipeBytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n > 0) piped_ = static_cast<size_t>(n);
  if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
    bulk_ = splice_works_ = false;
    errno = EAGAIN;
  }
  return n;
}

void PumpDirection::drop_pipe() noexcept {
  if (!pipe_) return;
  if (piped_ == 0) pipes_.give_back(std::move(*pipe_));
  pipe_.reset();
}

}  // namespace smartvpn::net
