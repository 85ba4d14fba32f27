// A connected TCP socket whose first bytes are looked at before it is known what it is for: read in the loop's shared
// buffer, written not at all. Loop thread only.
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd_watcher.hpp"

namespace smartvpn::net {

class OpeningSocket final : private FdHandler {
 public:
  // The socket may be destroyed or released inside either.
  class Handler {
   public:
    virtual ~Handler() = default;
    // At least one byte, valid during the call.
    virtual void on_opening_bytes(ByteView bytes) = 0;
    // 0: FIN. Otherwise an errno: the connection is gone. Nothing is read any more.
    virtual void on_opening_end(int error) = 0;
  };
  // Reads nothing before read_start(). The handler outlives the socket.
  static Result<std::unique_ptr<OpeningSocket>> create(Loop& loop, Fd fd, Handler& handler);
  ~OpeningSocket() override;  // closes

  void read_start() noexcept { watcher_->watch(true, false); }
  void read_stop() noexcept { watcher_->watch(false, false); }
  inet::Endpoint local() const noexcept;
  // RST, now.
  void reset() noexcept;
  // The socket, watched for nothing, for another handler; of this object only the destructor may be called then.
  std::unique_ptr<FdWatcher> release() noexcept;

 private:
  OpeningSocket(Loop& loop, Handler& handler) : loop_(loop), handler_(handler) {}
  void on_readable() override;
  void on_fd_error() override;
  void ended(int error);

  Loop& loop_;
  Handler& handler_;
  std::unique_ptr<FdWatcher> watcher_;
};

// When it is closed, by its watcher's end, then with RST instead of FIN.
void reset_on_close(FdWatcher& socket) noexcept;
// Whether both ends of a socket that is connected to `peer` are addresses of one machine, as the kernel chose them.
bool connects_to_itself(const FdWatcher& socket, const inet::Endpoint& peer) noexcept;

}  // namespace smartvpn::net
