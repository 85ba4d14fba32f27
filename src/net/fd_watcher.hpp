// Readiness of one descriptor: what streams, listeners and the kernel device are built on. uv_poll under it, or in a
// loop for many its PollSet, so that every read and write is our own system call with our own flags (no SIGPIPE, virtio
// headers).
#pragma once

#include <memory>

#include "base/result.hpp"
#include "net/fd.hpp"
#include "net/loop.hpp"

namespace smartvpn::net {

class FdHandler {
 public:
  virtual ~FdHandler() = default;
  virtual void on_readable() = 0;
  virtual void on_writable() {}
  // The kernel reports an error state; watching has stopped. The descriptor is still open.
  virtual void on_fd_error() = 0;
  // The peer has sent FIN, perhaps behind bytes that were not read; only while watched for it, and then again and
  // again.
  virtual void on_hangup() {}
  // A callback of this handler ran out of memory. Default: as an error state.
  virtual void on_out_of_memory() noexcept;
};

// Owns the descriptor. May be destroyed inside any callback of its handler.
class FdWatcher {
 public:
  // The descriptor becomes non-blocking; in a loop for many it is so already. The handler outlives the watcher. Watches
  // nothing yet.
  static Result<std::unique_ptr<FdWatcher>> create(Loop& loop, Fd fd, FdHandler& handler);
  ~FdWatcher();
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;

  // Level-triggered. All false stops watching. Cheap when nothing changes. Any of them also tells of an error state,
  // which without watching goes unseen; `error`, of a socket, of nothing else, and not where urgent bytes are unread or
  // both ways are shut.
  void watch(bool readable, bool writable, bool hangup = false, bool error = false) noexcept;
  int fd() const noexcept;  // -1: released
  // Who hears of it from now on; outlives the watcher, or a call with another one.
  void set_handler(FdHandler& handler) noexcept;
  // Stops watching and hands the descriptor over. Nothing is heard any more.
  Fd release() noexcept;

  struct Node;

 private:
  struct OwnNode;
  struct SetNode;
  explicit FdWatcher(Node* node) : node_(node) {}
  static Result<std::unique_ptr<FdWatcher>> create_by_libuv(Loop::Impl& loop, Fd fd, FdHandler& handler);
  static Result<std::unique_ptr<FdWatcher>> create_in_set(Loop::Impl& loop, Fd fd, FdHandler& handler);
  void adopt(std::unique_ptr<Node> node, Loop::Impl& loop, Fd fd, FdHandler& handler) noexcept;
  Node* node_;
};

}  // namespace smartvpn::net
