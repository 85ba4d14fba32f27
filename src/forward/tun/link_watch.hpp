// Hears from the kernel that somebody has changed an interface: set it down or up, taken addresses or routes away.
#pragma once

#include <functional>
#include <memory>

#include "base/result.hpp"
#include "net/fd_watcher.hpp"
#include "net/timer.hpp"

namespace smartvpn::forward {

// Says only that it is time to look, on the loop's thread: soon after the first change and then at most once a second,
// however many there are. Our own changes count too. In the network namespace of the thread that made it.
class LinkWatch final : private net::FdHandler {
 public:
  // The loop outlives it. It must not be destroyed in `on_change`.
  static Result<std::unique_ptr<LinkWatch>> create(net::Loop& loop, int index, std::function<void()> on_change);

 private:
  LinkWatch(net::Loop& loop, int index, std::function<void()> on_change);
  void on_readable() override;
  void on_fd_error() override;
  // True when a message was about the interface, or some were lost.
  bool read_some();
  void look();

  const int index_;
  const std::function<void()> on_change_;
  net::Loop& loop_;
  net::Timer timer_;
  Time last_look_{};
  std::unique_ptr<net::FdWatcher> watcher_;
};

}  // namespace smartvpn::forward
