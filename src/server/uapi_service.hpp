// The socket by which the `wg` tool shows and changes peers (transport/wireguard/uapi_codec). It has a thread and a
// loop of its own: what a request asks for waits for shards, and for the registry's disk, which no shard may. Requests
// are served one at a time, in the order in which they are complete.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/loop.hpp"
#include "net/thread.hpp"
#include "transport/wireguard/uapi_codec.hpp"

namespace smartvpn::server {

// What requests are answered with, on the service's thread. Both give an errno, 0 for success, and may throw
// std::bad_alloc.
struct UapiBackend {
  std::function<int(std::string& out)> get;  // appends the answer up to its errno
  std::function<int(const wireguard::UapiRequest& request)> set;
};

struct UapiLimits {
  size_t clients = 8;               // at one time; more wait in the kernel's backlog
  Duration request = seconds(10);   // from a request's first byte to its last, and for the answer to be read
  Duration silence = seconds(120);  // between requests
};

class UapiService {
 public:
  // `socket` as `wireguard.uapi_socket`, not empty. Waits for the file system. Errors carry that key's path.
  static Result<std::unique_ptr<UapiService>> start(const std::string& socket, UapiBackend backend,
                                                    const UapiLimits& limits = {});
  ~UapiService();  // as stop()
  UapiService(const UapiService&) = delete;
  UapiService& operator=(const UapiService&) = delete;

  // Waits for a request that is being served. Removes the socket.
  void stop() noexcept;
  // In a forked child.
  void abandon_after_fork() noexcept;

 private:
  class Socket;
  UapiService();
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<Socket> socket_;
  std::unique_ptr<net::Thread> thread_;
};

// Where the socket of that name is: a path stays as it is, anything else is an interface's name.
std::string uapi_socket_path(const std::string& socket);

}  // namespace smartvpn::server
