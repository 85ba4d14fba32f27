// See tls_pump.hpp.
#include "net/tls_pump.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "net/opening_socket.hpp"

namespace smartvpn::net {

TlsPump::TlsPump(Loop& loop, std::unique_ptr<FdWatcher> client, std::unique_ptr<TlsMachine> client_tls,
                 Handler& handler)
    : loop_(loop),
      handler_(handler),
      client_(*this, PumpSide::client),
      target_(*this, PumpSide::target),
      last_activity_(loop.now()),
      begin_(loop, [this] {
        const Bytes first = std::move(first_);
        feed(client_, first);
        settle();
      }) {
  client_.watcher = std::move(client);
  client_.tls = std::move(client_tls);
  client_.watcher->set_handler(client_);
}

TlsPump::~TlsPump() {
  for (End* end : {&client_, &target_}) {
    if (!end->watcher) continue;
    if (orderly_)
      say_goodbye(*end);
    else
      reset_on_close(*end->watcher);
  }
}

// One attempt: nobody waits for it any more. Unread bytes would make of our FIN a RST.
void TlsPump::say_goodbye(End& end) noexcept {
  const int fd = end.watcher->fd();
  if (end.tls) end.tls->close();
  if (end.tls && !end.tls->pending().empty())
    ::send(fd, end.tls->pending().data(), end.tls->pending().size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(fd, SHUT_WR);
  ::recv(fd, nullptr, size_t{1} << 20, MSG_TRUNC | MSG_DONTWAIT);
}

void TlsPump::start(Bytes first) {
  first_ = std::move(first);
  begin_.request();
}

void TlsPump::attach(std::unique_ptr<FdWatcher> target, std::unique_ptr<TlsMachine> target_tls, Bytes first,
                     Options options) {
  options_ = options;
  target_.watcher = std::move(target);
  target_.tls = std::move(target_tls);
  target_.plain = std::move(first);
  target_.watcher->set_handler(target_);
  target_.blocked = true;  // it says at once that it takes bytes
  update(client_);
  update(target_);
}

bool TlsPump::End::on_tls_plaintext(ByteSpan plaintext) {
  pump.give(pump.other(*this), plaintext);
  return true;
}

void TlsPump::on_readable(End& end) {
  ByteSpan room = loop_.read_buffer();
  const ssize_t n = ::recv(end.watcher->fd(), room.data(), room.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return fail(end, errno);
  if (n == 0)
    came_to_end(end);
  else
    take_in(end, room.first(static_cast<size_t>(n)));
  settle();
}

void TlsPump::on_writable(End& end) {
  end.blocked = false;
  settle();
}

void TlsPump::on_error(End& end) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(end.watcher->fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0) error = ECONNRESET;
  fail(end, error);
}

// FIN, behind bytes that cannot be read yet; it is met again when they are.
void TlsPump::on_hangup(End& end) {
  end.said_fin = true;
  update(end);
}

void TlsPump::take_in(End& end, ByteSpan bytes) {
  last_activity_ = loop_.now();
  if (end.tls)
    feed(end, bytes);
  else
    give(other(end), bytes);
}

void TlsPump::feed(End& end, ByteView ciphertext) {
  if (over_) return;
  const auto state = end.tls->feed(ciphertext, loop_.scratch_buffer(), end);
  if (state == TlsMachine::State::failed) return fail_tls(end);
  if (state == TlsMachine::State::closed) came_to_end(end);
}

void TlsPump::give(End& to, ByteView plaintext) {
  uint64_t& count = &to == &target_ ? from_client_ : from_target_;
  count += plaintext.size();
  if (!to.watcher || !to.secured() || !to.held.empty()) return append(to.held, plaintext);
  seal(to, plaintext);
}

void TlsPump::seal(End& to, ByteView plaintext) {
  if (!to.tls) return append(to.plain, plaintext);
  if (!to.tls->write(plaintext) && !over_) fail_tls(to);
}

// What was said before there was anybody to say it to. A machine takes so much at a time.
void TlsPump::release_held(End& to) {
  if (to.held.empty() || !to.watcher || !to.secured()) return;
  const Bytes held = std::move(to.held);
  to.held.clear();
  seal(to, held);
}

void TlsPump::came_to_end(End& end) {
  if (end.ended || over_) return;
  if (!end.secured()) return fail_tls(end);
  end.ended = true;
  if (!anybody_ended_) first_ended_ = end.side;
  anybody_ended_ = true;
  other(end).closing = true;
}

// After anything has happened: what can go out goes out, what is over is told, and what is wanted is watched for.
void TlsPump::settle() {
  if (over_) return;
  release_held(client_);
  release_held(target_);
  for (End* end : {&client_, &target_}) {
    if (end->watcher && !over_) flush(*end);
  }
  if (over_) return;
  if (!secured_told_ && client_.tls->state() != TlsMachine::State::handshaking) {
    secured_told_ = true;
    update(client_);
    return handler_.on_pump_secured();
  }
  // Nobody is there yet to whom the client could have said its last words.
  if (target_.closing && !target_.watcher && target_.held.empty())
    return finish({false, PumpSide::client, 0, false, {}});
  update(client_);
  update(target_);
  if (!target_.watcher && secured_told_) handler_.on_pump_said();
}

void TlsPump::flush(End& end) {
  if (!end.blocked && !(send_plain(end) && send_sealed(end))) return;
  if (!end.closing || end.closed || end.waiting() != 0 || !end.held.empty() || !end.secured()) return;
  close_writing(end);
}

bool TlsPump::send_plain(End& end) {
  while (end.plain_sent < end.plain.size()) {
    const ssize_t n = ::send(end.watcher->fd(), end.plain.data() + end.plain_sent, end.plain.size() - end.plain_sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (!sent(end, n)) return false;
    end.plain_sent += static_cast<size_t>(n);
  }
  Bytes().swap(end.plain);
  end.plain_sent = 0;
  return true;
}

bool TlsPump::send_sealed(End& end) {
  while (end.tls && !end.tls->pending().empty()) {
    const ByteView pending = end.tls->pending();
    const ssize_t n = ::send(end.watcher->fd(), pending.data(), pending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (!sent(end, n)) return false;
    end.tls->consume(static_cast<size_t>(n));
  }
  return true;
}

bool TlsPump::sent(End& end, ssize_t n) {
  if (n >= 0) return true;
  if (errno == EAGAIN || errno == EINTR)
    end.blocked = true;
  else
    fail(end, errno);
  return false;
}

void TlsPump::close_writing(End& end) {
  End& from = other(end);
  if (!options_.half_open || end.ended) return finish({false, first_ended_, 0, false, {}});
  end.closed = true;
  if (end.tls) {
    end.tls->close();
    send_sealed(end);
  }
  if (over_) return;
  ::shutdown(end.watcher->fd(), SHUT_WR);
  handler_.on_pump_half_closed(from.side);
}

void TlsPump::update(End& end) noexcept {
  if (!end.watcher || over_) return;
  End& to = other(end);
  const bool room = to.waiting() + to.held.size() <= kMaxWaiting && end.waiting() <= TlsMachine::kMaxPending;
  const bool reads = !end.ended && room;
  end.watcher->watch(reads, end.blocked, !reads && !end.blocked && !end.said_fin && !end.ended);
}

void TlsPump::fail(End& end, int error) { finish({true, end.side, error, false, {}}); }

// The alert is for whoever failed; there is one attempt to say it.
void TlsPump::fail_tls(End& end) {
  if (end.watcher && !end.tls->pending().empty())
    ::send(end.watcher->fd(), end.tls->pending().data(), end.tls->pending().size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  PumpEnd how{true, end.side, 0, true, end.tls->error()};
  if (end.watcher) ::shutdown(end.watcher->fd(), SHUT_WR);
  finish(how);
}

void TlsPump::finish(const PumpEnd& end) {
  if (over_) return;
  over_ = true;
  orderly_ = !end.reset || end.tls;
  for (End* each : {&client_, &target_})
    if (each->watcher) each->watcher->watch(false, false);
  handler_.on_pump_end(end);
}

}  // namespace smartvpn::net
