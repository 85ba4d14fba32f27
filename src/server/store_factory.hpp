// The store that the configuration names.
#pragma once

#include <memory>

#include "config/server_config.hpp"
#include "registry/store.hpp"

namespace smartvpn::server {

// Waits for the disk. SYSTEM with the path "/registry/path" for what the system refuses; UNSUPPORTED for a
// store that this build has not.
Result<std::unique_ptr<registry::Store>> open_store(const config::RegistryConfig& config);

}  // namespace smartvpn::server
