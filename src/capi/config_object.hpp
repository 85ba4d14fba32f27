// What stands behind a smartvpn_config: a document and the lock that makes it usable from any thread.
#pragma once

#include <mutex>

#include "capi/handle_table.hpp"
#include "config/document.hpp"

namespace smartvpn::capi {

class ConfigObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::config;
  explicit ConfigObject(config::Document&& document) : document(std::move(document)) {}
  std::mutex mutex;
  config::Document document;  // guarded by mutex
};

}  // namespace smartvpn::capi
