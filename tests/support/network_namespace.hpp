// Network namespaces for tests of the kernel device. A namespace belongs to a thread, so the test body runs in a
// thread of its own and the process's network stays as it was.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

#include "net/fd.hpp"

namespace smartvpn::testing {

// The namespace the calling thread is in.
inline net::Fd current_namespace() { return net::Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

inline bool enter_new_namespace() { return unshare(CLONE_NEWNET) == 0; }
inline bool enter_namespace(const net::Fd& where) { return setns(where.get(), CLONE_NEWNET) == 0; }

// Runs `body` in a fresh namespace. 0, or the errno with which the kernel refused one or the device node.
inline int in_new_namespace(const std::function<void()>& body) {
  int refused = 0;
  std::thread thread([&] {
    if (access("/dev/net/tun", R_OK | W_OK) != 0 || !enter_new_namespace()) {
      refused = errno;
      return;
    }
    body();
  });
  thread.join();
  return refused;
}

// A file under /proc/net as the calling thread sees it.
inline std::string proc_net(const std::string& name) {
  std::ifstream file("/proc/thread-self/net/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace smartvpn::testing
