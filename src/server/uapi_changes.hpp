// What a `set` of the `wg` tool means for the registry. Pure: a request and what is known become changes, or an errno.
//
// A peer is a client with that WireGuard key. Its allowed IPs are the client's fixed addresses, where they are single
// addresses of network.subnets, and else the subnets behind it. Where the registry's rules and the kernel's differ, the
// registry's hold: nobody takes an address away from somebody else who keeps it, two cannot exchange theirs in one
// request, an address of the pool stays its client's when the tool leaves it out, and default routes and what overlaps
// the pool need `allow_overlap` in the client's entry. All of a request is done, or nothing.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "registry/client.hpp"
#include "server/client_change.hpp"
#include "transport/wireguard/uapi_codec.hpp"

namespace smartvpn::server {

// What a request is held against.
struct UapiFacts {
  std::vector<registry::ClientPtr> clients;
  uint64_t revision = 0;              // the registry's
  std::optional<PublicKey> own_key;   // the server's, public
  std::vector<uint16_t> ports;        // of its WireGuard listeners
  std::vector<inet::Cidr> addresses;  // network.subnets
  bool device = false;                // what is behind clients is routed there by the kernel
};

// What the registry does not keep: it holds until the peer goes or the server stops.
struct UapiWish {
  PublicKey key{};
  std::optional<inet::Endpoint> endpoint;
  std::optional<Duration> persistent_keepalive;
};

struct UapiChanges {
  std::vector<ClientChange> registry;  // in an order in which they can be made
  std::vector<UapiWish> wishes;        // afterwards
};

// 0, or an errno: EPERM for another private key or port than the server has, EOPNOTSUPP for a mark, EBUSY for a key
// that a client had before a rotation and still may use, EINVAL for a second address of a family and for an endpoint
// inside the tunnels, E2BIG for more subnets than a client may have. What the registry says comes later.
int plan_uapi_changes(const wireguard::UapiRequest& request, const UapiFacts& facts, UapiChanges& out);

// What `wg` is told of the registry's answer.
int uapi_errno(const Error& error) noexcept;

// Addresses first.
std::vector<inet::Cidr> uapi_allowed_ips(const registry::Client& client);

// The fewest prefixes that name the same addresses.
std::vector<inet::Cidr> merged_prefixes(std::vector<inet::Cidr> prefixes);

}  // namespace smartvpn::server
