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
  const Result result = move_some(buffer);
  if (piped_ == 0) drop_pipe();
  return result;
}

PumpDirection::Result PumpDirection::move_some(ByteSpan buffer) {
  for (size_t total = 0;;) {
    if (const Step step = deliver(); step != Step::moved) return stopped_by(step);
    if (eof_) return Result::ended;
    if (total >= kBytesPerTurn) return Result::wants_source;
    const bool spliced = bulk_ && have_pipe();
    const ssize_t n = spliced ? splice_in() : ::recv(source_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && would_block(errno)) {
      // A socket that was said to be readable may have what only recv(2) takes, as behind an urgent byte.
      if (spliced && total == 0) bulk_ = false;
      return Result::wants_source;
    }
    if (n < 0) {
      error_ = errno;
      return Result::source_failed;
    }
    const auto size = static_cast<size_t>(n);
    eof_ = size == 0;
    total += size;
    const bool whole = size >= (spliced ? kLittle : buffer.size());
    bulk_ = whole && splice_works_;
    if (spliced) continue;
    if (const Step step = pass_on(buffer.first(size)); step != Step::moved) return stopped_by(step);
    // Less than was asked for is all there was: the kernel says when there is more.
    if (!whole && !eof_) return Result::wants_source;
  }
}

void PumpDirection::flush() noexcept { deliver(); }

PumpDirection::Result PumpDirection::give(ByteView bytes) {
  const Step step = pass_on(bytes);
  return step == Step::moved ? Result::wants_source : stopped_by(step);
}

PumpDirection::Result PumpDirection::end_with(ByteView last) {
  eof_ = true;
  const Step step = pass_on(last);
  return step == Step::moved ? Result::ended : stopped_by(step);
}

PumpDirection::Step PumpDirection::deliver() noexcept {
  if (const Step step = deliver_owed(); step != Step::moved) return step;
  return deliver_piped();
}

PumpDirection::Step PumpDirection::sink_step(ssize_t n) noexcept {
  if (n > 0) {
    delivered_ += static_cast<uint64_t>(n);
    return Step::moved;
  }
  if (n < 0 && would_block(errno)) return Step::blocked;
  error_ = n < 0 ? errno : EIO;  // nothing of something would be tried for ever
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
PumpDirection::Step PumpDirection::pass_on(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(sink_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    const Step step = sink_step(n);
    if (step == Step::blocked) owed_.assign(bytes.begin(), bytes.end());
    if (step != Step::moved) return step;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Step::moved;
}

bool PumpDirection::have_pipe() noexcept {
  if (!pipe_) pipe_ = pipes_.take();
  return pipe_.has_value();
}

ssize_t PumpDirection::splice_in() noexcept {
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
  if (piped_ == 0)
    pipes_.give_back(std::move(*pipe_));
  else
    pipes_.close(std::move(*pipe_));
  pipe_.reset();
}

}  // namespace smartvpn::net
