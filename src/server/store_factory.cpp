#include "server/store_factory.hpp"

namespace smartvpn::server {

Result<std::unique_ptr<registry::Store>> open_store(const config::RegistryConfig& config) {
  if (config.store == config::RegistryConfig::Store::memory)
    return std::unique_ptr<registry::Store>(std::make_unique<registry::MemoryStore>());
  return make_error(Status::UNSUPPORTED, "this build has no sqlite store", "/registry/store");
}

}  // namespace smartvpn::server
