// What `smartvpn check` says about the machine, not the configuration: whether its kernel forwards what clients send.
#pragma once

#include <smartvpn.h>

#include <string>
#include <vector>

namespace smartvpn::cli {

// Sentences for a server's configuration that sends clients beyond the server while the kernel forwards nothing.
std::vector<std::string> forwarding_warnings(const smartvpn_config* config);

}  // namespace smartvpn::cli
