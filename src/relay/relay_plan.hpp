// The relay's configuration, compiled: what every worker looks at and nobody changes. A reconfiguration makes a new
// one; connections keep the one they came in by.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "acl/source_policy.hpp"
#include "acl/trusted_proxies.hpp"
#include "proxyproto/parser.hpp"
#include "relay/route_table.hpp"

namespace smartvpn::relay {

struct ListenerPlan {
  config::RelayListenConfig config;
  acl::TrustedProxies trusted, identity;  // who sends headers; whose word is taken for a VPN client's identity
  proxyproto::Mode mode = proxyproto::Mode::any;

  // What is expected of a peer.
  enum class Header : uint8_t { required, forbidden, refused };
  Header expects(const inet::IpAddress& peer) const noexcept;
};

// A socket is known by where it was asked to listen.
struct SocketKey {
  inet::IpAddress address;
  uint16_t port = 0;      // 0: the kernel chose
  uint32_t listener = 0;  // looked at for port 0 only, of which there may be several
  config::RelayProtocol protocol = config::RelayProtocol::tcp;
  friend auto operator<=>(const SocketKey&, const SocketKey&) = default;
};

// Where sockets are bound.
using BoundPorts = std::map<SocketKey, inet::Endpoint>;
// Whether a socket that is bound to `own` gets what goes to `at`.
bool is_served_by(const inet::Endpoint& own, const inet::Endpoint& at) noexcept;

struct SocketPlan {
  SocketKey key;
  uint32_t listener = 0;  // index into `listeners`
  std::string path;       // of the configuration, for errors
};

struct RelayPlan {
  std::vector<ListenerPlan> listeners;
  std::vector<SocketPlan> sockets;
  RouteTable routes;
  acl::SourcePolicy sources;
  config::RelayTimeoutsConfig timeouts;
  config::RelayLimitsConfig limits;

  // Errors name the path at fault.
  static Result<std::shared_ptr<const RelayPlan>> compile(const config::RelayConfig& config);
};
using PlanPtr = std::shared_ptr<const RelayPlan>;

}  // namespace smartvpn::relay
