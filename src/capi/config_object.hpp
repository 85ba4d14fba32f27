// What stands behind a smartvpn_config: a document and the lock that makes it usable from any thread.
#pragma once

#include "base/mutex.hpp"
#include "capi/handle_table.hpp"
#include "config/document.hpp"

namespace smartvpn::capi {

class ConfigObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::config;
  explicit ConfigObject(config::Document&& document) : document(std::move(document)) {}
  Mutex mutex;
  config::Document document GUARDED_BY(mutex);
};

}  // namespace smartvpn::capi
