// The ends of TLS that a route has: its own certificates, chosen by the name the client asks for, and how it meets its
// target. Immutable; any thread. Certificate files are read when it is made.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "config/relay_config.hpp"
#include "net/tls_machine.hpp"

namespace smartvpn::relay {

class TlsEnds {
 public:
  // Null where TLS does not end here. Errors name the key at fault below `path`, the route's "/action/tls".
  static Result<std::shared_ptr<const TlsEnds>> make(const config::RelayActionConfig& action, const std::string& path);

  // Of the certificates that are for the name the first, else the first of all. Null without memory.
  std::unique_ptr<net::TlsMachine> towards_client(std::string_view server_name) const;
  // Null where the target is spoken to in the clear; an error where there is no memory. `alpn`: what was agreed with
  // the client, "" nothing.
  Result<std::unique_ptr<net::TlsMachine>> towards_target(const config::RelayTargetConfig& target,
                                                          const std::string& alpn) const;

 private:
  std::vector<std::shared_ptr<const net::TlsContext>> certificates_;
  bool reencrypts_ = false;
  std::string name_;
  struct Towards {
    std::string name, alpn;
    std::shared_ptr<const net::TlsContext> context;
  };
  std::vector<Towards> targets_;  // one for each name and protocol there can be
};

}  // namespace smartvpn::relay
