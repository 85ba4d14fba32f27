// See service_manager.hpp. The protocols are those of sd_listen_fds(3), sd_notify(3) and
// sd_watchdog_enabled(3), which are a few variables and datagrams.
#include "service_manager.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "c_api.hpp"

namespace smartvpn::cli {
namespace {

constexpr int kFirstFd = 3;
constexpr int kMaxSockets = 64;  // entries that `listen` may have
constexpr std::string_view kPrefix = "listener";

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value ? value : "";
  ::unsetenv(name);
  return text;
}

// -1 for what is no number.
long long number_of(std::string_view text) {
  long long value = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : -1;
}

bool meant_for_us(const std::string& pid) { return pid.empty() || number_of(pid) == ::getpid(); }

std::vector<std::string_view> split_names(std::string_view names) {
  std::vector<std::string_view> out;
  while (!names.empty()) {
    size_t colon = names.find(':');
    out.push_back(names.substr(0, colon));
    names.remove_prefix(colon == std::string_view::npos ? names.size() : colon + 1);
  }
  return out;
}

// "listener2" and "2"; -1 for other names, such as the unit's own.
long long index_of(std::string_view name) {
  if (name.substr(0, kPrefix.size()) == kPrefix) name.remove_prefix(kPrefix.size());
  return number_of(name);
}

[[noreturn]] void refuse(const std::string& text) { throw Failure{kExitUsage, "LISTEN_FDS", text}; }

}  // namespace

ServiceManager::ServiceManager() {
  std::string pid = take_variable("LISTEN_PID"), count = take_variable("LISTEN_FDS");
  std::string names = take_variable("LISTEN_FDNAMES");
  notify_path_ = take_variable("NOTIFY_SOCKET");
  std::string watchdog_pid = take_variable("WATCHDOG_PID");
  long long watchdog = number_of(take_variable("WATCHDOG_USEC"));
  if (watchdog > 0 && meant_for_us(watchdog_pid)) interval_ = std::chrono::microseconds(std::max(watchdog / 2, 1LL));
  next_ = std::chrono::steady_clock::now() + interval_;
  if (!count.empty() && !pid.empty() && meant_for_us(pid)) take_sockets(count, names);
}

void ServiceManager::take_sockets(const std::string& count, const std::string& names) {
  long long fds = number_of(count);
  if (fds < 0 || fds > kMaxSockets) refuse("\"" + count + "\" is no number of sockets from 0 to 64");
  std::vector<std::string_view> words = split_names(names);
  bool named = std::any_of(words.begin(), words.end(), [](std::string_view name) { return index_of(name) >= 0; });
  for (int i = 0; i < fds; ++i) {
    int fd = kFirstFd + i;
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) refuse("descriptor " + std::to_string(fd) + " is not open");
    long long index = i;
    if (named) index = static_cast<size_t>(i) < words.size() ? index_of(words[static_cast<size_t>(i)]) : -1;
    if (index < 0 || index >= kMaxSockets) refuse("every socket or none has a name from listener0 to listener63");
    for (const auto& other : sockets_)
      if (other.listener == static_cast<size_t>(index)) refuse("two sockets are for listener " + std::to_string(index));
    sockets_.push_back({static_cast<size_t>(index), fd});
  }
}

void ServiceManager::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  long long us = static_cast<long long>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void ServiceManager::notify(const std::string& text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (notify_path_.empty() || notify_path_.size() >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, notify_path_.data(), notify_path_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // a name without a file
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + notify_path_.size());
  // Nobody there is no reason to end.
  (void)!::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&address), size);
}

void ServiceManager::on_polls(std::span<const pollfd>, LoopTime now) {
  if (!deadline() || now < next_) return;
  next_ = now + interval_;
  if (alive_()) notify("WATCHDOG=1");
}

std::optional<LoopTime> ServiceManager::deadline() const {
  if (interval_.count() == 0 || !alive_) return std::nullopt;
  return next_;
}

}  // namespace smartvpn::cli
