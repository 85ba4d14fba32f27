// See event_loop.hpp.
#include "event_loop.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "c_api.hpp"
#include "event_text.hpp"

namespace smartvpn::cli {
namespace {

constexpr int kOutputPatienceMs = 1000;  // with a reader that takes nothing while we end

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

EventLoop::EventLoop(bool json) : json_(json), output_(json ? STDOUT_FILENO : STDERR_FILENO) {
  sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) throw Failure{kExitRuntime, "", std::string("signalfd: ") + std::strerror(errno)};
}

EventLoop::~EventLoop() { ::close(signals_); }

void EventLoop::run(smartvpn_events* events, LoopHost& host) {
  int events_fd = smartvpn_events_fd(events);
  while (!closed_ || output_.pending()) {
    poll_once(events_fd);
    if (signals_ready_) take_signals(host);
    if (events_ready_) take_event(events, host);
  }
}

void EventLoop::poll_once(int events_fd) {
  // The next event only when the last one is written: a slow reader fills the library's bounded
  // queue, which counts what it loses, and not our memory.
  bool pending = output_.pending();
  pollfd fds[3] = {
      {signals_, POLLIN, 0}, {pending ? -1 : events_fd, POLLIN, 0}, {pending ? output_.fd() : -1, POLLOUT, 0}};
  bool ending = closed_ || stops_ > 0;
  signals_ready_ = events_ready_ = false;
  int ready = ::poll(fds, 3, pending && ending ? kOutputPatienceMs : -1);
  if (ready < 0 && errno != EINTR) throw Failure{kExitRuntime, "", std::string("poll: ") + std::strerror(errno)};
  if (ready == 0) output_.give_up();
  if (ready <= 0) return;
  signals_ready_ = fds[0].revents != 0;
  events_ready_ = fds[1].revents != 0;
  if (fds[2].revents != 0) output_.write_some();
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
    if (stops_ > 2) ::_exit(kExitRuntime);
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

}  // namespace smartvpn::cli
