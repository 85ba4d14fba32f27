// A listening Unix stream socket in the file system: its owner's alone from the first moment, taken over from a program
// that has died, never from one that lives, and removed at the end.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "net/fd_watcher.hpp"
#include "net/tcp_stream.hpp"
#include "net/timer.hpp"

namespace smartvpn::net {

class UnixListener final : private FdHandler {
 public:
  static constexpr size_t kMaxPath = 107;             // bytes, sockaddr_un's
  static constexpr milliseconds kPressurePause{100};  // accepting has failed: how long to leave the backlog alone

  // The stream is not started. Streams know nothing of their being Unix ones, but have no addresses.
  using OnAccept = std::function<void(std::unique_ptr<TcpStream>)>;

  // Waits for the file system, so before the loop runs. EBUSY: somebody listens there, or is just about to; EEXIST:
  // something else is there. Errors carry `config_path`.
  static Result<std::unique_ptr<UnixListener>> listen(Loop& loop, const std::string& path, OnAccept on_accept,
                                                      const std::string& config_path = {});
  // Removes the socket, unless somebody has put another in its place.
  ~UnixListener() override;

  // New connections wait in the kernel's backlog meanwhile.
  void pause(bool on) noexcept;

 private:
  struct Place {  // which file is ours
    dev_t device = 0;
    ino_t inode = 0;
  };
  UnixListener(Loop& loop, std::string path, OnAccept on_accept);
  void on_readable() override;
  void on_fd_error() override { press(); }
  void on_out_of_memory() noexcept override { press(); }
  void press() noexcept;
  void update_watch() noexcept;

  Loop& loop_;
  const std::string path_;
  Place place_;
  OnAccept on_accept_;
  Timer pressure_over_;
  bool paused_ = false, pressed_ = false;
  std::unique_ptr<FdWatcher> watcher_;
};

}  // namespace smartvpn::net
