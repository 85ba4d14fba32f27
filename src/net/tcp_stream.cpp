// See tcp_stream.hpp. Every send is ours, with MSG_NOSIGNAL: libuv writes with writev(), which can raise SIGPIPE.
#include "net/tcp_stream.hpp"

#include <netinet/in.h>
// <linux/tcp.h> has the full tcp_info; <netinet/tcp.h> would collide with it.
#include <linux/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include "base/thread_spares.hpp"
#include "net/sockaddr.hpp"

namespace smartvpn::net {
namespace {

constexpr size_t kPiecesPerCall = 64;

// What a thread keeps of a queue's memory, so that a busy stream allocates none for each rest.
constexpr size_t kMostKept = 64;
void swap_spare(std::vector<Packet>& queue) noexcept {
  if (ThreadSpares* spares = ThreadSpares::current()) queue.swap(spares->queue);
}

bool is_transient(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

size_t total_size(std::span<const ByteView> pieces) {
  size_t total = 0;
  for (ByteView piece : pieces) total += piece.size();
  return total;
}

int pending_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

TcpStream::TcpStream(Loop& loop, const inet::Endpoint& local, const inet::Endpoint& peer)
    : loop_(loop),
      local_(local),
      peer_(peer),
      resume_(loop,
              [this] {
                put_off_ = false;
                if (!told_end_) update_watch();
              }),
      failure_(loop, [this] { end(error_); }) {}

TcpStream::~TcpStream() = default;

Result<std::unique_ptr<TcpStream>> TcpStream::adopt(Loop& loop, Fd fd, const inet::Endpoint& known_peer) {
  int one = 1, low_water = kNotSentLowWater;
  // On a socket that has died meanwhile these fail; the first read will tell.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, sizeof low_water);
  auto local = local_endpoint(fd.get()), peer = known_peer ? known_peer : peer_endpoint(fd.get());
  std::unique_ptr<TcpStream> stream(new TcpStream(loop, local, peer));
  auto watcher = FdWatcher::create(loop, std::move(fd), *stream);
  if (!watcher) return watcher.error();
  stream->watcher_ = std::move(*watcher);
  return stream;
}

void TcpStream::start(Handler& handler) {
  handler_ = &handler;
  read_start();
}

void TcpStream::read_start() noexcept {
  reading_ = true;
  update_watch();
}

void TcpStream::read_stop() noexcept {
  reading_ = false;
  update_watch();
}

void TcpStream::update_watch() noexcept {
  if (!is_open()) return;
  watcher_->watch(reading_ && handler_ && !eof_ && !put_off_, want_writable_ || pending_bytes_ > 0);
}

void TcpStream::on_readable() {
  if (!stranger_) return read_some();
  Loop& loop = loop_;  // the stream may be gone afterwards
  if (!loop.strangers_have_time()) {
    if (loop.stranger_may_stay_watched()) return;  // it stays readable
    put_off_ = true;
    resume_.request();
    return update_watch();
  }
  const Time begun = monotonic_now();
  read_some();
  loop.charge_strangers(monotonic_now() - begun);
}

void TcpStream::read_some() {
  const ByteSpan gap = handler_->stream_gap(), buffer = loop_.read_buffer();
  std::array<iovec, 2> places{iovec{gap.data(), gap.size()}, iovec{buffer.data(), buffer.size()}};
  msghdr message{};
  message.msg_iov = gap.empty() ? &places[1] : places.data();
  message.msg_iovlen = gap.empty() ? 1 : 2;
  ssize_t n = recvmsg(watcher_->fd(), &message, MSG_DONTWAIT);
  if (n > 0) {
    const auto size = static_cast<size_t>(n), in_gap = std::min(size, gap.size());
    if (in_gap == 0) return handler_->on_stream_bytes(buffer.first(size));
    return handler_->on_stream_gap(in_gap, buffer.first(size - in_gap));
  }
  if (n < 0) {
    if (!is_transient(errno)) end(errno);
    return;
  }
  eof_ = true;
  update_watch();
  handler_->on_stream_end(0);
}

void TcpStream::on_writable() {
  if (!flush_pending()) return;
  bool tell = want_writable_;
  want_writable_ = false;
  update_watch();
  if (tell && handler_) handler_->on_stream_writable();
}

void TcpStream::on_fd_error() {
  int error = pending_socket_error(watcher_->fd());
  end(error != 0 ? error : ECONNRESET);
}

void TcpStream::on_out_of_memory() noexcept {
  try {
    end(ENOMEM);
  } catch (...) {
    watcher_.reset();
  }
}

size_t TcpStream::send_some(std::span<const ByteView> pieces) noexcept {
  std::array<iovec, kPiecesPerCall> iov;
  size_t taken = 0;
  while (!pieces.empty()) {
    size_t count = std::min(pieces.size(), kPiecesPerCall), wanted = 0;
    for (size_t i = 0; i < count; ++i) {
      iov[i] = {const_cast<uint8_t*>(pieces[i].data()), pieces[i].size()};
      wanted += pieces[i].size();
    }
    msghdr message{};
    message.msg_iov = iov.data();
    message.msg_iovlen = count;
    ssize_t n;
    do {
      n = sendmsg(watcher_->fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
      if (!is_transient(errno)) fail_later(errno);
      break;
    }
    taken += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < wanted) break;
    pieces = pieces.subspan(count);
  }
  return taken;
}

size_t TcpStream::try_write(std::span<const ByteView> pieces) noexcept {
  if (!is_open()) return 0;
  size_t taken = pending_bytes_ > 0 ? 0 : send_some(pieces);
  if (taken < total_size(pieces)) want_writable();
  return taken;
}

bool TcpStream::write(std::span<Packet> batch) {
  if (!is_open()) return false;
  size_t size = 0;
  for (const Packet& packet : batch) size += packet.size();
  if (pending_bytes_ + size > kMaxPending) {
    fail_later(ENOBUFS);
    return false;
  }
  if (pending_.capacity() == 0) swap_spare(pending_);
  pending_.reserve(pending_.size() + batch.size());
  for (Packet& packet : batch) pending_.push_back(std::move(packet));
  bool waited = pending_bytes_ > 0;
  pending_bytes_ += size;
  if (!waited && flush_pending()) return true;
  want_writable();
  return false;
}

bool TcpStream::flush_pending() noexcept {
  while (pending_bytes_ > 0 && is_open()) {
    std::array<ByteView, kPiecesPerCall> pieces;
    size_t count = 0, wanted = 0;
    for (size_t i = pending_front_; i < pending_.size() && count < kPiecesPerCall; ++i, ++count) {
      pieces[count] = std::as_const(pending_[i]).bytes();
      if (i == pending_front_) pieces[count] = pieces[count].subspan(pending_offset_);
      wanted += pieces[count].size();
    }
    size_t taken = send_some(std::span(pieces).first(count));
    pending_bytes_ -= taken;
    size_t left = taken;
    while (pending_front_ < pending_.size() && left >= pending_[pending_front_].size() - pending_offset_) {
      left -= pending_[pending_front_].size() - pending_offset_;
      pending_[pending_front_++] = Packet();  // its block goes back to the pool now
      pending_offset_ = 0;
    }
    pending_offset_ += left;
    if (taken < wanted) return false;
  }
  if (!is_open()) return false;
  pending_.clear();
  if (pending_.capacity() <= kMostKept) swap_spare(pending_);
  std::vector<Packet>().swap(pending_);
  pending_front_ = pending_offset_ = 0;
  if (shutdown_wanted_) ::shutdown(watcher_->fd(), SHUT_WR);
  return true;
}

void TcpStream::want_writable() noexcept {
  want_writable_ = true;
  update_watch();
}

void TcpStream::shutdown_write() noexcept {
  if (!is_open() || shutdown_wanted_) return;
  shutdown_wanted_ = true;
  if (pending_bytes_ == 0) ::shutdown(watcher_->fd(), SHUT_WR);
}

void TcpStream::reset() noexcept {
  told_end_ = true;
  if (!watcher_) return;
  linger at_once{1, 0};
  setsockopt(watcher_->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  watcher_.reset();
}

void TcpStream::fail_later(int error) noexcept {
  if (error_ != 0) return;
  error_ = error;
  watcher_->watch(false, false);
  failure_.request();
}

void TcpStream::end(int error) {
  error_ = error;
  if (watcher_) watcher_->watch(false, false);
  if (told_end_ || !handler_) return;
  told_end_ = true;
  handler_->on_stream_end(error);
}

std::optional<TcpInfo> TcpStream::info() const noexcept {
  if (!watcher_) return std::nullopt;
  tcp_info raw{};
  socklen_t size = sizeof raw;
  if (getsockopt(watcher_->fd(), IPPROTO_TCP, TCP_INFO, &raw, &size) != 0) return std::nullopt;
  TcpInfo out;
  out.rtt = std::chrono::microseconds(raw.tcpi_rtt);
  out.rtt_variance = std::chrono::microseconds(raw.tcpi_rttvar);
  out.min_rtt = std::chrono::microseconds(raw.tcpi_min_rtt);
  out.retransmits = raw.tcpi_total_retrans;
  out.segments_out = raw.tcpi_segs_out;
  out.unacked_segments = raw.tcpi_unacked;
  out.notsent_bytes = raw.tcpi_notsent_bytes;
  return out;
}

}  // namespace smartvpn::net
