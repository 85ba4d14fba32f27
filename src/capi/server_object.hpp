// What stands behind a smartvpn_server.
#pragma once

#include "base/mutex.hpp"
#include "capi/handle_table.hpp"
#include "config/document.hpp"
#include "server/server.hpp"

namespace smartvpn::capi {

class ServerObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::server;
  ServerObject(std::unique_ptr<server::Server> server, config::Document running)
      : server(std::move(server)), running(std::move(running)) {}
  // Without draining; whoever waits in a call comes back. The destructor waits for the end.
  void wake() noexcept override;
  void abandon() noexcept override { server->abandon_after_fork(); }
  const std::unique_ptr<server::Server> server;
  Mutex reconfiguring;                                 // held over a whole reconfiguration
  config::Document running GUARDED_BY(reconfiguring);  // what the server runs on
};

}  // namespace smartvpn::capi
