// See tcp_pump.hpp.
#include "net/tcp_pump.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/opening_socket.hpp"

namespace smartvpn::net {
namespace {

int error_of(int fd) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error != 0 ? error : ECONNRESET;
}

// Unread bytes would make of our FIN a RST, which can cost the peer what it has not read yet.
void discard_unread(int fd) noexcept { ::recv(fd, nullptr, size_t{1} << 20, MSG_TRUNC | MSG_DONTWAIT); }

}  // namespace

TcpPump::TcpPump(Loop& loop, std::unique_ptr<FdWatcher> client, std::unique_ptr<FdWatcher> target, PipePool& pipes,
                 Handler& handler, Options options)
    : loop_(loop),
      handler_(handler),
      options_(options),
      client_(*this, PumpSide::client, std::move(client)),
      target_(*this, PumpSide::target, std::move(target)),
      from_client_(client_.watcher->fd(), target_.watcher->fd(), pipes),
      from_target_(target_.watcher->fd(), client_.watcher->fd(), pipes),
      last_activity_(loop.now()),
      looking_(options.look_first) {
  client_.watcher->set_handler(client_);
  target_.watcher->set_handler(target_);
  if (!options.splice) from_client_.never_splice(), from_target_.never_splice();
}

TcpPump::~TcpPump() {
  for (End* end : {&client_, &target_}) {
    if (!orderly_)
      reset_on_close(*end->watcher);
    else if (!end->ended)
      discard_unread(end->watcher->fd());
  }
}

// What the target's socket does not take now, or refuses, is met again when it says that it takes bytes.
void TcpPump::start(Bytes to_target, Bytes looked_at) {
  looked_at_ = std::move(looked_at);
  if (!to_target.empty()) {
    from_client_.owe(std::move(to_target));
    from_client_.flush();
    target_.writes = from_client_.owes();
    client_.reads = !target_.writes;
  }
  update(PumpSide::client);
  update(PumpSide::target);
}

void TcpPump::update(PumpSide side) noexcept {
  End& end = end_of(side);
  const bool reads = end.reads && !end.ended;
  // Who is neither read nor written to may still go away.
  end.watcher->watch(reads, end.writes, !reads && !end.writes && !end.said_fin && !end.ended);
}

void TcpPump::on_source(PumpSide side) {
  if (side == PumpSide::client && looking_) return look_at_client();
  run(side);
}

void TcpPump::on_sink(PumpSide side) { run(other(side)); }

void TcpPump::run(PumpSide source) {
  PumpDirection& way = from(source);
  const uint64_t before = way.delivered();
  const PumpDirection::Result result = way.move(loop_.read_buffer());
  if (way.delivered() != before) last_activity_ = loop_.now();
  meet(source, result);
}

void TcpPump::meet(PumpSide source, PumpDirection::Result result) {
  const PumpDirection& way = from(source);
  End &in = end_of(source), &out = end_of(other(source));
  switch (result) {
    case PumpDirection::Result::wants_source:
    case PumpDirection::Result::wants_sink:
      in.reads = result == PumpDirection::Result::wants_source;
      out.writes = !in.reads;
      update(PumpSide::client);
      update(PumpSide::target);
      return;
    case PumpDirection::Result::ended:
      out.writes = false;
      return source_ended(source);
    case PumpDirection::Result::source_failed:
      return finish({true, source, way.error(), false, {}});
    case PumpDirection::Result::sink_failed:
      return finish({true, other(source), way.error(), false, {}});
  }
}

void TcpPump::source_ended(PumpSide side) {
  end_of(side).ended = true;
  if (!first_ended_known_) {
    first_ended_known_ = true;
    first_ended_ = side;
  }
  if (!options_.half_open || end_of(other(side)).ended) return finish({false, first_ended_, 0, false, {}});
  ::shutdown(end_of(other(side)).watcher->fd(), SHUT_WR);
  update(PumpSide::client);
  update(PumpSide::target);
  handler_.on_pump_half_closed(side);
}

void TcpPump::on_error(PumpSide side) { finish({true, side, error_of(end_of(side).watcher->fd()), false, {}}); }

// FIN, behind bytes that cannot be read yet; it is met again when they are.
void TcpPump::on_hangup(PumpSide side) {
  end_of(side).said_fin = true;
  update(side);
}

// Few bytes decide, so those that do not are kept here and looked at again with the next.
void TcpPump::look_at_client() {
  const ByteSpan room = loop_.read_buffer();
  const size_t had = looked_at_.size();
  std::copy(looked_at_.begin(), looked_at_.end(), room.begin());
  const ssize_t n = ::recv(client_.watcher->fd(), room.data() + had, room.size() - had, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return finish({true, PumpSide::client, errno, false, {}});
  const ByteView bytes = room.first(had + static_cast<size_t>(n));
  const bool more_may_come = n > 0 && bytes.size() < Handler::kLook;
  if (!bytes.empty()) {
    const auto look = handler_.on_pump_first_bytes(bytes.first(std::min(bytes.size(), Handler::kLook)));
    if (look == Handler::Look::refuse) return handler_.on_pump_refused();
    if (look == Handler::Look::wait && more_may_come) return looked_at_.assign(bytes.begin(), bytes.end());
  }
  looking_ = false;
  Bytes().swap(looked_at_);
  last_activity_ = loop_.now();
  meet(PumpSide::client, n == 0 ? from_client_.end_with(bytes) : from_client_.give(bytes));
}

void TcpPump::finish(const PumpEnd& end) {
  if (over_) return;
  over_ = true;
  orderly_ = !end.reset;
  client_.watcher->watch(false, false);
  target_.watcher->watch(false, false);
  if (orderly_) {
    from_client_.flush();
    from_target_.flush();
  }
  handler_.on_pump_end(end);
}

}  // namespace smartvpn::net
