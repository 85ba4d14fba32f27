// The host's word on sessions (smartvpn.h, section 14). The callback is set with the others.
#include "capi/arguments.hpp"
#include "capi/authorize_object.hpp"
#include "capi/call.hpp"
#include "capi/server_object.hpp"
#include "config/authorize_answer.hpp"

namespace smartvpn::capi {
namespace {

server::Authorizer::Answer to_answer(const config::AuthorizeAnswer& from) {
  server::Authorizer::Answer out;
  out.allow = from.allow;
  out.valid = milliseconds(from.valid_ms);
  out.session_seconds = from.session_seconds;
  out.detail = from.detail;
  if (from.rate_limit)
    out.rate_limit = {from.rate_limit->from_client_bytes_per_second, from.rate_limit->from_client_burst_bytes,
                      from.rate_limit->to_client_bytes_per_second, from.rate_limit->to_client_burst_bytes};
  return out;
}

}  // namespace
}  // namespace smartvpn::capi

using namespace smartvpn;
using namespace smartvpn::capi;

smartvpn_status smartvpn_authorize_next(smartvpn_server* server, int32_t timeout_ms, smartvpn_request** out,
                                        smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    if (!out) return null_argument("out");
    Place place;
    std::unique_ptr<RequestObject> made;
    Result<server::RequestPtr> request = object.server->authorize_next(
        timeout_ms, [&made](const server::AuthorizeRequest& next) { made = std::make_unique<RequestObject>(next); });
    if (!request) return std::move(request).error();
    place.give(out, std::move(made));
    return {};
  });
}

int32_t smartvpn_authorize_fd(const smartvpn_server* server) {
  return call_for_number<ServerObject>(server, [](ServerObject& object) -> Result<int32_t> {
    Result<int> fd = object.server->authorize_fd();
    if (!fd) return std::move(fd).error();
    return *fd;
  });
}

uint64_t smartvpn_request_token(const smartvpn_request* request) {
  uint64_t token = 0;
  call<RequestObject>(request, nullptr, [&](RequestObject& object) -> Result<void> {
    token = object.token;
    return {};
  });
  return token;
}

const char* smartvpn_request_json(const smartvpn_request* request) {
  return call_for_text<RequestObject>(request, nullptr, [](RequestObject& object) { return object.json.c_str(); });
}

smartvpn_status smartvpn_request_free(smartvpn_request* request) { return free_handle<RequestObject>(request); }

smartvpn_status smartvpn_authorize_answer(smartvpn_server* server, uint64_t token, const char* json, size_t json_len,
                                          smartvpn_error** err) {
  return call<ServerObject>(server, err, [&](ServerObject& object) -> Result<void> {
    auto text = json_argument(json, json_len);
    if (!text) return std::move(text).error();
    auto answer = config::parse_authorize_answer(*text);
    if (!answer) return std::move(answer).error();
    return object.server->authorize_answer(token, to_answer(*answer));
  });
}
