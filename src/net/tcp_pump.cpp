// See tcp_pump.hpp.
#include "net/tcp_pump.hpp"

#include <sys/socket.h>

#include <array>
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
    if (!orderly_) {
      reset_on_close(*end->watcher);
    } else {
      ::shutdown(end->watcher->fd(), SHUT_WR);
      discard_unread(end->watcher->fd());
    }
  }
}

// What is owed goes out when the target's socket says that it takes bytes, which it does at once.
void TcpPump::start(Bytes to_target) {
  if (!to_target.empty()) {
    from_client_.owe(std::move(to_target));
    target_.writes = true;
    client_.reads = false;
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
  if (side == PumpSide::client && looking_ && !may_move_client()) return;
  run(side);
}

void TcpPump::on_sink(PumpSide side) { run(other(side)); }

void TcpPump::run(PumpSide source) {
  PumpDirection& way = from(source);
  End &in = end_of(source), &out = end_of(other(source));
  const uint64_t before = way.delivered();
  const PumpDirection::Result result = way.move(loop_.read_buffer());
  if (way.delivered() != before) last_activity_ = loop_.now();
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

bool TcpPump::may_move_client() {
  std::array<uint8_t, Handler::kLook> first{};
  const int fd = client_.watcher->fd();
  const ssize_t n = ::recv(fd, first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno != EAGAIN && errno != EINTR;  // the error is met by who reads
  const auto size = static_cast<size_t>(n);
  const auto look = handler_.on_pump_first_bytes(ByteView(first).first(size));
  if (look == Handler::Look::refuse) {
    handler_.on_pump_refused();
    return false;
  }
  // Woken without another byte: no more will come.
  const bool wait = look == Handler::Look::wait && size > looked_at_ && size < Handler::kLook;
  looked_at_ = size;
  const int low_water = wait ? static_cast<int>(size) + 1 : 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
  looking_ = wait;
  return !wait;
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
