// The JSON texts that the C ABI gives out for what the relay gives as structs.
#pragma once

#include <string>
#include <vector>

#include "relay/relay.hpp"

namespace smartvpn::capi {

std::string to_json(const std::vector<relay::BoundEndpoint>& endpoints);
std::string to_json(const std::vector<relay::ConnectionInfo>& connections);

}  // namespace smartvpn::capi
