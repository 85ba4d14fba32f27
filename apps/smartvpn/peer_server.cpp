// See peer_server.hpp.
#include "peer_server.hpp"

#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace smartvpn::cli {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr std::chrono::milliseconds kFarewell{1000};      // for the other side to close, after our end
constexpr std::chrono::milliseconds kNoDescriptors{200};  // until the next accept
constexpr size_t kMaxDiscard = 256 * 1024;                // of what it still sends then
constexpr int kAcceptsATurn = 16;

void wipe(std::string& text) noexcept {
  ::explicit_bzero(text.data(), text.size());
  text.clear();
}

bool again(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Peer::~Peer() {
  wipe(input_);
  wipe(output_);
}

size_t Peer::line_end() {
  size_t end = input_.find('\n', looked_at_);
  looked_at_ = end == std::string::npos ? input_.size() : end;
  return end;
}

void Peer::take(size_t size) {
  looked_at_ = 0;
  size_t rest = input_.size() - size;
  std::copy(input_.begin() + static_cast<std::ptrdiff_t>(size), input_.end(), input_.begin());
  ::explicit_bzero(input_.data() + rest, size);
  input_.resize(rest);
}

void Peer::send(std::string text) {
  output_ = std::move(text);
  written_ = 0;
}

bool Peer::read_some(size_t max_input) {
  input_.reserve(max_input);  // once: growing would leave copies behind that nobody wipes
  size_t before = input_.size(), room = std::min(max_input - before, kReadBytes);
  input_.resize(before + room);
  ssize_t got = ::recv(fd_.get(), input_.data() + before, room, 0);
  int error = errno;
  input_.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
  if (got == 0) ended_ = true;
  return got >= 0 || again(error);
}

bool Peer::write_some() {
  ssize_t done = ::send(fd_.get(), output_.data() + written_, output_.size() - written_, MSG_NOSIGNAL);
  if (done < 0) return again(errno);
  written_ += static_cast<size_t>(done);
  if (pending()) return true;
  wipe(output_);
  output_.shrink_to_fit();
  written_ = 0;
  return true;
}

bool Peer::discard() {
  std::array<char, 16384> chunk;
  ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
  if (got > 0 && (discarded_ += static_cast<size_t>(got)) > kMaxDiscard) return false;
  return got > 0 || (got < 0 && again(errno));
}

size_t PeerServer::output_size() const noexcept {
  size_t sum = 0;
  for (const auto& peer : peers_) sum += peer->output_size();
  return sum;
}

void PeerServer::add_polls(std::vector<pollfd>& polls) {
  polls.push_back({accept_after_ ? -1 : listening_.get(), POLLIN, 0});
  for (const auto& peer : peers_) {
    bool writing = peer->pending();
    // What nobody reads is not asked for: its end shows when the answer is written.
    bool reading = !writing && !peer->ended_ && !peer->waiting_request_;
    short events = writing ? POLLOUT : reading || peer->shut_ ? POLLIN : 0;
    polls.push_back({peer->fd_.get(), events, 0});
  }
}

void PeerServer::on_polls(std::span<const pollfd> polls, LoopTime now) {
  if (accept_after_ && now >= *accept_after_) accept_after_.reset();
  // All stay in their places meanwhile: an answer counts what the others still have to read.
  for (size_t i = 0; i < peers_.size(); ++i) peers_[i]->over_ = !turn(*peers_[i], polls[i + 1].revents, now);
  std::erase_if(peers_, [](const auto& peer) { return peer->over_; });
  if (polls[0].revents != 0) accept_some(now);
}

bool PeerServer::turn(Peer& peer, short events, LoopTime now) {
  if (auto deadline = deadline_of(peer); deadline && now >= *deadline && !peer.waiting_request_) return false;
  if (events & (POLLERR | POLLNVAL)) return false;
  if (peer.shut_) return events == 0 || peer.discard();
  if (peer.pending()) {
    if (events != 0 && !peer.write_some()) return false;
  } else if (!peer.waiting_request_ && events != 0) {
    bool fresh = peer.input().empty();
    if (!peer.read_some(limits_.input_bytes)) return false;
    if (fresh && limits_.idle_allowed) peer.since_ = now;
  }
  return peer.pending() || serve(peer, now);
}

// One request a turn: who sends thousands at once waits for its turn like everybody.
bool PeerServer::serve(Peer& peer, LoopTime now) {
  peer.waiting_request_ = false;
  bool full = peer.input().size() >= limits_.input_bytes;
  if (!peer.finishing_ && take_request(peer, full, peer.ended_)) {
    peer.since_ = now;
    if (peer.pending() && !peer.write_some()) return false;
    if (peer.pending()) return true;
    peer.waiting_request_ = !peer.finishing_ && !peer.input().empty();
    if (peer.waiting_request_) return true;
  }
  if (!peer.finishing_ && !peer.ended_) return true;
  if (peer.ended_) return false;
  // With bytes of the other side unread, closing at once could destroy the answer on its way.
  ::shutdown(peer.fd_.get(), SHUT_WR);
  peer.shut_ = true;
  peer.since_ = now;
  return true;
}

std::optional<LoopTime> PeerServer::deadline_of(const Peer& peer) const {
  if (peer.shut_) return peer.since_ + kFarewell;
  if (peer.pending()) return peer.since_ + limits_.answer;
  if (peer.waiting_request_) return peer.since_;
  if (limits_.idle_allowed && peer.input().empty()) return std::nullopt;
  return peer.since_ + limits_.request;
}

std::optional<LoopTime> PeerServer::deadline() const {
  std::optional<LoopTime> first = accept_after_;
  for (const auto& peer : peers_)
    if (auto own = deadline_of(*peer); own && (!first || *own < *first)) first = own;
  return first;
}

void PeerServer::accept_some(LoopTime now) {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      bool scarce = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (scarce) accept_after_ = now + kNoDescriptors;
      return;
    }
    if (admit(fd.get()) && make_room(fd.get())) peers_.push_back(std::make_unique<Peer>(std::move(fd), now));
  }
}

bool PeerServer::make_room(int newcomer) {
  if (peers_.size() < limits_.peers) return true;
  if (!limits_.evict_oldest) return refuse(newcomer), false;
  // In order of arrival; who already reads an answer goes last.
  auto oldest = std::find_if(peers_.begin(), peers_.end(), [](const auto& peer) { return !peer->pending(); });
  peers_.erase(oldest == peers_.end() ? peers_.begin() : oldest);
  return true;
}

}  // namespace smartvpn::cli
