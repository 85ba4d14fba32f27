// A listening TCP socket: bound from text, or adopted from the host. Where every stream connection starts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd_watcher.hpp"
#include "net/tcp_stream.hpp"
#include "net/timer.hpp"

namespace smartvpn::net {

// Several shards on one port. Whoever founds it binds as if alone, so that a port which somebody else has is refused as
// ever; only then it lets those in who join.
enum class PortSharing : uint8_t { none, found, join };

struct ListenOptions {
  // An IP address. "::" is dual stack; on a host without IPv6 it becomes 0.0.0.0.
  std::string address = "::";
  uint16_t port = 0;  // 0: the kernel chooses
  int backlog = 1024;
  PortSharing sharing = PortSharing::none;
  std::string path;  // configuration path for errors
};

class TcpListener final : private FdHandler {
 public:
  static constexpr int kAcceptsPerTurn = 16;          // known sessions are served in between
  static constexpr milliseconds kPressurePause{100};  // how long to leave the backlog alone

  // The stream is not started: nothing is read before start().
  using OnAccept = std::function<void(std::unique_ptr<TcpStream>)>;
  // The same without a stream, for whoever joins each socket to one of his own: there is always a descriptor for that
  // one, `spare` (scarcity.hpp), or nothing is accepted. Who does not need it at once takes it.
  using OnSocket = std::function<void(Fd, Fd& spare, const inet::Endpoint& peer)>;
  // Accepting failed for want of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) and pauses for
  // kPressurePause; connections wait in the backlog.
  using OnPressure = std::function<void(int error)>;

  static Result<std::unique_ptr<TcpListener>> listen(Loop& loop, const ListenOptions& options, OnAccept on_accept);
  static Result<std::unique_ptr<TcpListener>> listen_sockets(Loop& loop, const ListenOptions& options,
                                                             OnSocket on_socket);
  // A listening stream socket that the host opened; duplicated, the host keeps its own.
  static Result<std::unique_ptr<TcpListener>> adopt(Loop& loop, int fd, OnAccept on_accept, std::string path = {});
  ~TcpListener() override;

  void on_pressure(OnPressure callback) { on_pressure_ = std::move(callback); }
  const inet::Endpoint& local() const noexcept { return local_; }
  // New connections wait in the kernel's backlog meanwhile.
  void pause() noexcept;
  void resume() noexcept;
  bool accepting() const noexcept { return !paused_ && !pressed_; }

 private:
  TcpListener(Loop& loop, OnAccept on_accept, OnSocket on_socket);
  static Result<Fd> bound(const ListenOptions& options);
  static Result<std::unique_ptr<TcpListener>> make(Loop& loop, Fd fd, OnAccept on_accept, OnSocket on_socket);
  void on_readable() override;
  void on_fd_error() override;
  void on_out_of_memory() noexcept override;
  void accepted(Fd fd, const inet::Endpoint& peer);
  void press(int error);
  void update_watch() noexcept;

  Loop& loop_;
  OnAccept on_accept_;  // or
  OnSocket on_socket_;
  OnPressure on_pressure_;
  Fd spare_;  // with on_socket_; for the next one
  inet::Endpoint local_;
  Timer pressure_over_;
  bool paused_ = false, pressed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // expires with the listener
  std::unique_ptr<FdWatcher> watcher_;
};

}  // namespace smartvpn::net
