// `smartvpn sessions` and `disconnect`: who is connected to a running server.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>

#include "c_api.hpp"
#include "commands.hpp"
#include "session_table.hpp"
#include "table.hpp"

namespace smartvpn::cli {
namespace {

constexpr std::chrono::seconds kRefresh{1};

// Keys come at once and are not echoed, on the terminal's other screen; all as before at the end.
class Screen {
 public:
  Screen() {
    keys_ = ::tcgetattr(STDIN_FILENO, &before_) == 0;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;  // a suspended screen would be left like this
    if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    say("\033[?1049h\033[?25l");
  }
  ~Screen() {
    say("\033[?25h\033[?1049l");
    if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  bool has_keys() const noexcept { return keys_; }

  // As many lines as fit.
  static void draw(const std::string& text) {
    winsize size{};
    size_t rows = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
    std::string out = "\033[H";
    size_t from = 0;
    for (size_t row = 0; row + 1 < rows && from < text.size(); ++row) {
      size_t end = text.find('\n', from);
      out += text.substr(from, end - from) + "\033[K\n";
      from = end == std::string::npos ? text.size() : end + 1;
    }
    say(out + "\033[J");
  }

 private:
  static void say(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }
  termios before_{};
  bool keys_ = false;
};

UniqueFd watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw Failure{kExitRuntime, "", std::string("signalfd: ") + std::strerror(errno)};
  return fd;
}

enum class Wish { refresh, redraw, end };

// Until the next refresh, a signal, or the key q.
Wish wait(int signals, bool keys, std::chrono::steady_clock::time_point until) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
  if (left <= 0) return Wish::refresh;
  pollfd fds[2] = {{signals, POLLIN, 0}, {keys ? STDIN_FILENO : -1, POLLIN, 0}};
  if (::poll(fds, 2, static_cast<int>(left)) <= 0) return Wish::redraw;
  signalfd_siginfo info{};
  if (fds[0].revents != 0 && ::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    return info.ssi_signo == SIGWINCH ? Wish::redraw : Wish::end;
  char key = 0;
  if (fds[1].revents != 0 && (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q')) return Wish::end;
  return Wish::redraw;
}

std::string title(const Json& answer) {
  size_t count = answer.at("sessions").size();
  return human_time(answer.at("time").get<int64_t>()) + ", " + std::to_string(count) +
         (count == 1 ? " session" : " sessions");
}

// False once nobody reads any more.
bool print(const std::string& text) { return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0; }

int watch(const SessionsOptions& options) {
  ControlClient server(options.control.socket);
  UniqueFd signals = watched_signals();
  bool json = options.control.json, terminal = !json && ::isatty(STDOUT_FILENO) == 1;
  std::optional<Screen> screen;
  SessionTable table;
  for (;;) {
    auto next = std::chrono::steady_clock::now() + kRefresh;
    Json answer = server.call("sessions.list");
    if (terminal && !screen) screen.emplace();
    std::string text = json ? answer.dump() + "\n"
                            : title(answer) + (terminal ? "   (q ends)" : "") + "\n\n" +
                                  table.show(answer, terminal_width(STDOUT_FILENO));
    if (terminal)
      Screen::draw(text);
    else if (!print(json ? text : text + "\n"))
      return kExitOk;
    Wish wish = Wish::redraw;
    while (wish == Wish::redraw) {
      wish = wait(signals.get(), screen && screen->has_keys(), next);
      if (terminal && wish == Wish::redraw) Screen::draw(text);
    }
    if (wish == Wish::end) return kExitOk;
  }
}

}  // namespace

int run_sessions(const SessionsOptions& options) {
  if (options.watch) return watch(options);
  ControlClient server(options.control.socket);
  Json answer = server.call("sessions.list");
  if (options.control.json)
    std::printf("%s\n", answer.at("sessions").dump().c_str());
  else
    std::fputs(SessionTable().show(answer, terminal_width(STDOUT_FILENO)).c_str(), stdout);
  return kExitOk;
}

int run_disconnect(const DisconnectOptions& options) {
  if ((options.session == 0) == options.client.empty())
    throw Failure{kExitUsage, "", "either the id of a session or --client is required"};
  ControlClient server(options.control.socket);
  Json params = options.client.empty() ? Json{{"id", options.session}} : Json{{"client_id", options.client}};
  Json answer = server.call("sessions.disconnect", params);
  auto count = answer.at("disconnected").get<int>();
  if (options.control.json)
    std::printf("%s\n", answer.dump().c_str());
  else
    std::printf("%d %s disconnected\n", count, count == 1 ? "session was" : "sessions were");
  return kExitOk;
}

}  // namespace smartvpn::cli
