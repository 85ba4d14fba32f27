// The control socket of `smartvpn serve`: one line of JSON in, one line out (docs/CONTROL.md). Only the
// server's own user and root are served.
#pragma once

#include "control/control_socket.hpp"
#include "control/methods.hpp"
#include "peer_server.hpp"

namespace smartvpn::cli {

class ControlServer final : public PeerServer {
 public:
  // The socket and what the context refers to must outlive it.
  ControlServer(ControlSocket& socket, ControlContext context);

 private:
  bool take_request(Peer& peer, bool full, bool ended) override;
  bool admit(int fd) override;
  void refuse(int fd) override;
  SecretText answer(std::string_view line) const;

  const ControlContext context_;
};

}  // namespace smartvpn::cli
