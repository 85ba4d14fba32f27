// Dials: tries the addresses of a server in turn until one answers.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd_watcher.hpp"
#include "net/tcp_stream.hpp"
#include "net/timer.hpp"

namespace smartvpn::net {

struct ConnectOptions {
  std::vector<inet::Endpoint> addresses;  // tried in this order
  Duration attempt_timeout = seconds(5);  // for one address
  Duration timeout = seconds(15);         // for all together
};

// Destroying it cancels, without a call back. `done` is called once, from the loop, never from the
// constructor, and may destroy the connector. The error is the last address's: TIMEOUT, or SYSTEM with errno.
class TcpConnector final : private FdHandler {
 public:
  using Done = std::function<void(Result<std::unique_ptr<TcpStream>>)>;
  TcpConnector(Loop& loop, ConnectOptions options, Done done);
  // The same without a stream: the connected socket with TCP_NODELAY, watched for nothing, whose handler is to be set.
  using SocketDone = std::function<void(Result<std::unique_ptr<FdWatcher>>)>;
  struct Socket {
    Fd* spare = nullptr;  // given up where a socket finds no descriptor (scarcity.hpp); it outlives the connector
  };
  TcpConnector(Loop& loop, ConnectOptions options, Socket, SocketDone done);
  // In `done`: who has answered.
  const inet::Endpoint& connected_to() const noexcept { return options_.addresses[index_ - 1]; }
  ~TcpConnector() override;

 private:
  void on_readable() override {}
  void on_writable() override;
  void on_fd_error() override;
  template <class Fn>
  void guarded(Fn&& fn);
  void on_attempt_timeout();
  void try_next();
  void settle();
  void next();
  bool begin_attempt();
  Fd open_socket(int family) noexcept;
  void fail(Error error);
  void finish(Result<std::unique_ptr<FdWatcher>> result);

  Loop& loop_;
  ConnectOptions options_;
  SocketDone done_;
  size_t index_ = 0;
  Time give_up_;
  Error last_error_;
  Fd* spare_;
  std::unique_ptr<FdWatcher> watcher_;
  Timer timer_;
};

}  // namespace smartvpn::net
