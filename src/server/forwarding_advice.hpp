// What the host's kernel lacks for clients to reach more than this server. Advice for the log, never an error: the
// switches are the host's, and somebody may turn them on later.
#pragma once

#include <string>
#include <vector>

#include "config/server_config.hpp"

namespace smartvpn::server {

// One sentence for each family that clients are routed or masqueraded in while the kernel does not forward it. Empty
// with any engine but `tun`. `proc_sys` is where the kernel's switches are; what cannot be read is not complained
// about. Waits for the file system: for the start of a server, before its thread runs.
std::vector<std::string> forwarding_advice(const config::ServerConfig& config,
                                           const std::string& proc_sys = "/proc/sys");

}  // namespace smartvpn::server
