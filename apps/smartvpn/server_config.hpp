// A server's configuration file, read when the server starts and again whenever it is told to.
#pragma once

#include <string>
#include <vector>

#include "c_api.hpp"
#include "service_manager.hpp"

namespace smartvpn::cli {

class ServerConfigFile {
 public:
  // `sockets` stand in the place of the addresses and ports of their listeners, each time.
  ServerConfigFile(std::string path, std::vector<InheritedSocket> sockets)
      : path_(std::move(path)), sockets_(std::move(sockets)) {}

  // Throws Failure with exit code 2 for what is wrong with it.
  Config load() const;
  // Makes a running server do as the file says now, and gives the changes as JSON. Throws Failure.
  std::string reconfigure(smartvpn_server* server, bool dry_run) const;
  // That, and reads certificates and keys again, whose files may have changed under their old names.
  std::string reload(smartvpn_server* server) const;

 private:
  const std::string path_;
  const std::vector<InheritedSocket> sockets_;
};

}  // namespace smartvpn::cli
