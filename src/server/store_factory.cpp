#include "server/store_factory.hpp"

#include "registry/sqlite_store.hpp"

namespace smartvpn::server {

Result<std::unique_ptr<registry::Store>> open_store(const config::RegistryConfig& config) {
  if (config.store == config::RegistryConfig::Store::memory)
    return std::unique_ptr<registry::Store>(std::make_unique<registry::MemoryStore>());
  return registry::SqliteStore::open(config.path);
}

}  // namespace smartvpn::server
