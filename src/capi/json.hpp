// The JSON texts that the C ABI gives out for what the core gives as structs, and the other way
// round for a client's description.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry/client.hpp"
#include "server/server.hpp"
#include "tunnel/tunnel.hpp"

namespace smartvpn::capi {

std::string to_json(const std::vector<server::BoundEndpoint>& endpoints);
std::string to_json(const server::SessionInfo& session);
std::string to_json(const std::vector<server::SessionInfo>& sessions);
std::string to_json(const registry::Client& client);
std::string to_json(const std::vector<registry::ClientPtr>& clients);
std::string to_json(const server::ClientPage& page);
std::string to_json(const tunnel::TunnelInfo& info);

}  // namespace smartvpn::capi
