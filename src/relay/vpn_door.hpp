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

namespace smartvpn::relay {

struct VpnHandover {
  net::Fd socket;
  inet::Endpoint peer;
  std::optional<inet::Endpoint> real;
  bool vouched = false;
  std::vector<std::pair<std::string, std::string>> tlvs;
  Bytes first;  // the client's bytes that were read
};

// On a worker's thread, and must not wait. On an error the connection is refused.
using VpnDoor = std::function<Result<void>(VpnHandover&&)>;

}  // namespace smartvpn::relay
