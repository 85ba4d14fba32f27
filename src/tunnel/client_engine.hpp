// What stands behind the dialling end: a kernel device that gets the session's addresses and routes,
// the embedding program, or nothing but a ping responder.
#pragma once

#include <memory>

#include "config/tunnel_config.hpp"
#include "forward/engine.hpp"
#include "forward/host/host_engine.hpp"
#include "forward/tun/tun_device.hpp"
#include "session/payloads.hpp"

namespace smartvpn::tunnel {

class ClientEngine {
 public:
  virtual ~ClientEngine() = default;
  // Before the first connection: what cannot be had is an error now, not after dialling.
  virtual Result<void> open() = 0;
  // Before every connection: the addresses of the server that it may try. They must stay outside of the tunnel,
  // whatever its routes. `afresh`: the last try failed, so the way to them is looked for anew.
  virtual Result<void> keep_outside(const std::vector<inet::IpAddress>&, bool /*afresh*/) { return {}; }
  // A session stands, with these parameters; later ones replace them.
  // `server` is what it was reached at.
  virtual Result<void> apply(const session::SessionParameters& parameters, const inet::IpAddress& server) = 0;
  virtual void write(std::span<const PacketView> batch) = 0;
  virtual void flush() {}
  virtual bool takes_super_packets() const = 0;
  virtual void close() = 0;
  virtual std::string device_name() const { return {}; }
  virtual std::shared_ptr<forward::HostChannel> channel() const { return nullptr; }
};

// UNSUPPORTED for a device in a build without one. Loop and sink outlive the engine.
Result<std::unique_ptr<ClientEngine>> make_client_engine(const config::TunnelConfig& config, net::Loop& loop,
                                                         forward::EngineSink& sink);

}  // namespace smartvpn::tunnel
