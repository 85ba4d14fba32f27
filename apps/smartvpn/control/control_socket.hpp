// The control socket's place in the file system: made for its owner alone, taken over from a server
// that has died, never from one that lives.
#pragma once

#include <string>

#include "unique_fd.hpp"

namespace smartvpn::cli {

inline constexpr const char* kDefaultControlSocket = "/run/smartvpn/control.sock";

class ControlSocket {
 public:
  // Listens from here on. Makes the last folder of the path if it is missing. Throws Failure: another
  // server has it, something else is in the way, or the system refuses.
  explicit ControlSocket(const std::string& path);
  // Removes the socket and its lock.
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // The listening descriptor, which does not block; once.
  UniqueFd take_listening() noexcept { return std::move(listening_); }
  const std::string& path() const noexcept { return path_; }

 private:
  void lock();
  void clear_the_way();

  const std::string path_, lock_path_;
  UniqueFd lock_, listening_;
};

}  // namespace smartvpn::cli
