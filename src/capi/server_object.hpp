// What stands behind a smartvpn_server.
#pragma once

#include "capi/handle_table.hpp"
#include "server/server.hpp"

namespace smartvpn::capi {

class ServerObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::server;
  explicit ServerObject(std::unique_ptr<server::Server> server) : server(std::move(server)) {}
  // Without draining; whoever waits in a call comes back. The destructor waits for the end.
  void wake() noexcept override;
  void abandon() noexcept override { server->abandon_after_fork(); }
  const std::unique_ptr<server::Server> server;
};

}  // namespace smartvpn::capi
