// See event_loop.hpp.
#include "event_loop.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "c_api.hpp"
#include "event_text.hpp"

namespace smartvpn::cli {
namespace {

constexpr std::chrono::seconds kOutputPatience{1};
constexpr size_t kMaxComplaints = 64 * 1024;  // bytes

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

EventLoop::EventLoop(bool json)
    : json_(json), output_(json ? STDOUT_FILENO : STDERR_FILENO, json), errors_(STDERR_FILENO, false) {
  sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) throw Failure{kExitRuntime, "", std::string("signalfd: ") + std::strerror(errno)};
}

EventLoop::~EventLoop() { ::close(signals_); }

void EventLoop::run(smartvpn_events* events, LoopHost& host) {
  int events_fd = smartvpn_events_fd(events);
  while (!closed_ || pending()) {
    poll_once(events_fd);
    if (signals_ready_) take_signals(host);
    if (events_ready_) take_event(events, host);
  }
}

void EventLoop::add_polls(int events_fd) {
  // The next event only when the last one is written: a slow reader fills the library's bounded
  // queue, which counts what it loses, and not our memory.
  bool pending = output_.pending();
  polls_.clear();
  polls_.push_back({signals_, POLLIN, 0});
  polls_.push_back({pending || closed_ ? -1 : events_fd, POLLIN, 0});
  polls_.push_back({pending ? output_.fd() : -1, POLLOUT, 0});
  polls_.push_back({errors_.pending() ? errors_.fd() : -1, POLLOUT, 0});
  for (auto& part : parts_) {
    part.first = polls_.size();
    part.part->add_polls(polls_);
    part.count = polls_.size() - part.first;
  }
}

int EventLoop::wait_ms() const {
  std::optional<LoopTime> until = patience_;
  for (const auto& part : parts_)
    if (auto deadline = part.part->deadline(); deadline && (!until || *deadline < *until)) until = deadline;
  if (!until) return -1;
  LoopTime now = std::chrono::steady_clock::now();
  if (*until <= now) return 0;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - now).count();
  return static_cast<int>(std::min<long long>(left, 3600 * 1000));
}

void EventLoop::poll_once(int events_fd) {
  watch_patience(std::chrono::steady_clock::now());
  signals_ready_ = events_ready_ = false;
  if (closed_ && !pending()) return;  // given up just now: nothing is left to wait for
  add_polls(events_fd);
  int ready = ::poll(polls_.data(), polls_.size(), wait_ms());
  if (ready < 0 && errno != EINTR) throw Failure{kExitRuntime, "", std::string("poll: ") + std::strerror(errno)};
  if (ready < 0) return;
  LoopTime now = std::chrono::steady_clock::now();
  signals_ready_ = polls_[0].revents != 0;
  events_ready_ = polls_[1].revents != 0;
  if (polls_[2].revents != 0) {
    output_.write_some();
    patience_.reset();
  }
  if (polls_[3].revents != 0) errors_.write_some();
  for (const auto& part : parts_) part.part->on_polls(std::span(polls_).subspan(part.first, part.count), now);
}

void EventLoop::watch_patience(LoopTime now) {
  bool ending = closed_ || stops_ > 0;
  if (!pending() || !ending) return patience_.reset();
  if (!patience_) patience_ = now + kOutputPatience;
  if (now < *patience_) return;
  output_.give_up();
  errors_.give_up();
  patience_.reset();
}

void EventLoop::take_signals(LoopHost& host) {
  signalfd_siginfo info;
  while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGHUP) {
      host.on_hangup();
      continue;
    }
    ++stops_;
    if (stops_ == 1) host.begin_stop();
    if (stops_ == 2) host.stop_now();
    if (stops_ <= 2) continue;
    host.abandon();
    ::_exit(kExitRuntime);
  }
}

void EventLoop::take_event(smartvpn_events* events, LoopHost& host) {
  smartvpn_event* raw = nullptr;
  smartvpn_status status = smartvpn_events_next(events, 0, &raw, nullptr);
  Event event(raw);
  if (status != SMARTVPN_OK) {
    closed_ = status != SMARTVPN_AGAIN && status != SMARTVPN_INTERRUPTED;
    return;
  }
  if (json_) {
    const char* line = smartvpn_event_json(event.get());
    if (line) output_.add(line);
  } else {
    say(describe(event.get()));
  }
  host.on_event(event.get());
}

void EventLoop::say(const std::string& line) {
  if (!json_ && !line.empty()) output_.add(line);
}

void EventLoop::complain(const Failure& failure) {
  LineOutput& output = json_ ? errors_ : output_;
  // A reader that takes nothing gets no more than this to take.
  if (output.waiting() < kMaxComplaints) output.add(failure_text(failure));
}

}  // namespace smartvpn::cli
