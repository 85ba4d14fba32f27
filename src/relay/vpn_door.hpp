// The way to the VPN server in the same process, which this room does not know: a connection goes over as it is, with
// what is known of its client.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "inet/address.hpp"
#include "net/fd.hpp"
#include "relay/identity_tlv.hpp"

namespace smartvpn::relay {

struct VpnHandover {
  net::Fd socket;
  inet::Endpoint peer;
  std::optional<inet::Endpoint> real;
  bool vouched = false;
  std::vector<std::pair<std::string, std::string>> tlvs;
  Bytes first;  // the client's bytes that were read
};

// Both on a worker's thread, and they must not wait. Empty: there is no server.
struct VpnDoor {
  // On an error the connection is refused.
  std::function<Result<void>(VpnHandover&&)> hand_over;
  // Whose inner address that is now; nothing: no client's.
  std::function<std::optional<ClientIdentity>(const inet::IpAddress&)> client_at;
};

}  // namespace smartvpn::relay
