// Configurations (smartvpn.h, section 5).
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/config_object.hpp"

namespace smartvpn::capi {
namespace {

static_assert(SMARTVPN_CONFIG_SERVER == static_cast<int>(config::Kind::server));
static_assert(SMARTVPN_CONFIG_TUNNEL == static_cast<int>(config::Kind::tunnel));
static_assert(SMARTVPN_CONFIG_RELAY == static_cast<int>(config::Kind::relay));

Result<config::Kind> kind_argument(smartvpn_config_kind kind) {
  if (kind == SMARTVPN_CONFIG_SERVER) return config::Kind::server;
  if (kind == SMARTVPN_CONFIG_TUNNEL) return config::Kind::tunnel;
  if (kind == SMARTVPN_CONFIG_RELAY) return config::Kind::relay;
  return make_error(Status::INVALID, "kind is none of SMARTVPN_CONFIG_SERVER, _TUNNEL and _RELAY");
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_config_new(smartvpn_config_kind kind, smartvpn_config** out, smartvpn_error** err) {
  return barrier(err, [&]() -> Result<void> {
    if (!out) return null_argument("out");
    auto which = kind_argument(kind);
    if (!which) return std::move(which).error();
    give(out, std::make_unique<ConfigObject>(config::Document(*which)));
    return {};
  });
}

smartvpn_status smartvpn_config_from_json(smartvpn_config_kind kind, const char* json, size_t json_len,
                                          smartvpn_config** out, smartvpn_error** err) {
  return barrier(err, [&]() -> Result<void> {
    if (!out) return null_argument("out");
    auto which = kind_argument(kind);
    if (!which) return std::move(which).error();
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    auto document = config::Document::parse(*text, *which);
    if (!document) return std::move(document).error();
    give(out, std::make_unique<ConfigObject>(std::move(*document)));
    return {};
  });
}

smartvpn_status smartvpn_config_set(smartvpn_config* config, const char* pointer, const char* json, size_t json_len,
                                    smartvpn_error** err) {
  return call<ConfigObject>(config, err, [&](ConfigObject& object) -> Result<void> {
    auto path = text_argument(pointer, "pointer");
    if (!path) return std::move(path).error();
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    MutexLock lock(object.mutex);
    return object.document.set(*path, *text);
  });
}

smartvpn_status smartvpn_config_validate(const smartvpn_config* config, smartvpn_error** err) {
  return call<ConfigObject>(config, err, [](ConfigObject& object) -> Result<void> {
    MutexLock lock(object.mutex);
    return object.document.validate();
  });
}

smartvpn_status smartvpn_config_to_json(const smartvpn_config* config, int32_t with_secrets, char* buf, size_t cap,
                                        size_t* needed, smartvpn_error** err) {
  return call<ConfigObject>(config, err, [&](ConfigObject& object) -> Result<void> {
    MutexLock lock(object.mutex);
    std::string text = object.document.to_json(with_secrets == 1);
    Result<void> result = put_text(text, buf, cap, needed);
    wipe(text);
    return result;
  });
}

smartvpn_status smartvpn_config_free(smartvpn_config* config) { return free_handle<ConfigObject>(config); }
