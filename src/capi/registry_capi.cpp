// The registry (smartvpn.h, section 9): one client at a time.
#include "capi/arguments.hpp"
#include "capi/call.hpp"
#include "capi/credentials_object.hpp"
#include "capi/json.hpp"
#include "capi/server_object.hpp"

namespace smartvpn::capi {
namespace {

// `fn(server, id)` gives a Result<void>.
template <class Fn>
smartvpn_status with_id(smartvpn_server* server, const char* id, smartvpn_error** err, Fn&& fn) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!id) return null_argument("id");
    return fn(*object.server, id);
  });
}

// JSON that may be left out.
Result<std::string_view> optional_json(const char* json, size_t json_len) {
  return json ? json_argument(json, json_len) : Result<std::string_view>(std::string_view("{}"));
}

Result<registry::RotateOptions> rotate_options(const char* json, size_t json_len) {
  auto text = optional_json(json, json_len);
  if (!text) return std::move(text).error();
  auto config = config::parse_rotate_config(*text);
  if (!config) return std::move(config).error();
  return registry::RotateOptions{config->overlap_seconds, config->noise_public_key, config->wireguard_public_key};
}

// The private key is made once: what holds it for the host is there before anybody acts on it.
server::Server::Ready credentials_into(std::unique_ptr<CredentialsObject>& out) {
  return [&out](server::AppliedChanges& changes) {
    out = std::make_unique<CredentialsObject>(std::move(*changes.made.at(0)));
  };
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_client_create(smartvpn_server* server, const char* json, size_t json_len,
                                       smartvpn_credentials** out, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    auto spec = parse_spec(*text);
    if (!spec) return std::move(spec).error();
    Place place;
    std::unique_ptr<CredentialsObject> credentials;
    auto made = object.server->client_create(*spec, credentials_into(credentials));
    if (!made) return std::move(made).error();
    place.give(out, std::move(credentials));
    return {};
  });
}

smartvpn_status smartvpn_client_get(smartvpn_server* server, const char* id, char* buf, size_t cap, size_t* needed,
                                    smartvpn_error** err) {
  return with_id(server, id, err, [&](server::Server& face, const char* name) -> Result<void> {
    auto client = face.client_get(name);
    if (!client) return std::move(client).error();
    return put_text(to_json(*client), buf, cap, needed);
  });
}

smartvpn_status smartvpn_client_list(smartvpn_server* server, char* buf, size_t cap, size_t* needed,
                                     smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto clients = object.server->client_list();
    if (!clients) return std::move(clients).error();
    return put_text(to_json(*clients), buf, cap, needed);
  });
}

smartvpn_status smartvpn_client_query(smartvpn_server* server, const char* json, size_t json_len, char* buf, size_t cap,
                                      size_t* needed, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto text = optional_json(json, json_len);
    if (!text) return std::move(text).error();
    auto query = config::parse_client_query(*text);
    if (!query) return std::move(query).error();
    auto page = object.server->client_query(*query);
    if (!page) return std::move(page).error();
    return put_text(to_json(*page), buf, cap, needed);
  });
}

smartvpn_status smartvpn_client_update(smartvpn_server* server, const char* id, const char* json, size_t json_len,
                                       uint64_t expected_revision, smartvpn_error** err) {
  return with_id(server, id, err, [&](server::Server& face, const char* name) -> Result<void> {
    auto patch = json_argument(json, json_len);
    if (!patch) return std::move(patch).error();
    return face.client_update(name, *patch, expected_revision);
  });
}

smartvpn_status smartvpn_client_enable(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return with_id(server, id, err,
                 [](server::Server& face, const char* name) { return face.client_set_enabled(name, true); });
}

smartvpn_status smartvpn_client_disable(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return with_id(server, id, err,
                 [](server::Server& face, const char* name) { return face.client_set_enabled(name, false); });
}

smartvpn_status smartvpn_client_remove(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return with_id(server, id, err, [](server::Server& face, const char* name) { return face.client_remove(name); });
}

smartvpn_status smartvpn_client_rotate(smartvpn_server* server, const char* id, const char* json, size_t json_len,
                                       smartvpn_credentials** out, smartvpn_error** err) {
  return with_id(server, id, err, [&](server::Server& face, const char* name) -> Result<void> {
    if (!out) return null_argument("out");
    auto options = rotate_options(json, json_len);
    if (!options) return std::move(options).error();
    Place place;
    std::unique_ptr<CredentialsObject> credentials;
    auto made = face.client_rotate(name, *options, credentials_into(credentials));
    if (!made) return std::move(made).error();
    place.give(out, std::move(credentials));
    return {};
  });
}

smartvpn_status smartvpn_client_rotate_commit(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return with_id(server, id, err,
                 [](server::Server& face, const char* name) { return face.client_rotate_commit(name); });
}

smartvpn_status smartvpn_client_rotate_roll_back(smartvpn_server* server, const char* id, smartvpn_error** err) {
  return with_id(server, id, err,
                 [](server::Server& face, const char* name) { return face.client_rotate_roll_back(name); });
}

smartvpn_status smartvpn_client_export(smartvpn_server* server, const char* id, smartvpn_export format, char* buf,
                                       size_t cap, size_t* needed, smartvpn_error** err) {
  return with_id(server, id, err, [&](server::Server& face, const char* name) -> Result<void> {
    if (format != SMARTVPN_EXPORT_NATIVE && format != SMARTVPN_EXPORT_WIREGUARD)
      return make_error(Status::INVALID, "not a format of SMARTVPN_EXPORT_*");
    auto exported = face.client_export(name, format == SMARTVPN_EXPORT_WIREGUARD);
    if (!exported) return std::move(exported).error();
    if (auto put = put_text(exported->text, buf, cap, needed); !put) return put;
    if (exported->has_private_key) return {};
    return make_error(Status::SECRET_NOT_KEPT, "the private key is not kept, and empty in the text");
  });
}

smartvpn_status smartvpn_registry_revision(smartvpn_server* server, uint64_t* revision, smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!revision) return null_argument("revision");
    auto present = object.server->registry_revision();
    if (!present) return std::move(present).error();
    *revision = *present;
    return {};
  });
}
