// What a service manager (systemd) hands to a service and hears from it: listening sockets, readiness,
// the watchdog. Without one all of it does nothing. The variables are taken out of the environment.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "event_loop.hpp"
#include "unique_fd.hpp"

namespace smartvpn::cli {

// A listening socket that was handed over, and which entry of the configuration's `listen` it is for.
struct InheritedSocket {
  size_t listener = 0;
  int fd = -1;
};

class ServiceManager final : public LoopPart {
 public:
  // Reads and unsets LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET, WATCHDOG_PID and
  // WATCHDOG_USEC. Throws Failure with exit code 2 for descriptors that cannot be told apart.
  ServiceManager();

  // By index. A name "listener0" or "0" says which entry; where no name does, they come in order.
  const std::vector<InheritedSocket>& sockets() const noexcept { return sockets_; }

  void ready(const std::string& status) { notify("READY=1\nSTATUS=" + status); }
  void stopping() { notify("STOPPING=1\nSTATUS=stopping"); }
  void reloading();
  // Every half of the watchdog's time `alive` is asked, and what it answers is passed on.
  void watch(std::function<bool()> alive) { alive_ = std::move(alive); }

  void add_polls(std::vector<pollfd>&) override {}
  void on_polls(std::span<const pollfd> polls, LoopTime now) override;
  std::optional<LoopTime> deadline() const override;

 private:
  void take_sockets(const std::string& count, const std::string& names);
  void notify(const std::string& text);

  std::vector<InheritedSocket> sockets_;
  std::string notify_path_;
  std::chrono::microseconds interval_{0};
  LoopTime next_{};
  std::function<bool()> alive_;
};

}  // namespace smartvpn::cli
