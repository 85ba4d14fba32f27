// What stands behind a smartvpn_request: a copy, which outlives the server.
#pragma once

#include <string>

#include "capi/handle_table.hpp"
#include "server/request_queue.hpp"

namespace smartvpn::capi {

class RequestObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::request;
  explicit RequestObject(const server::AuthorizeRequest& request) : token(request.token), json(request.json()) {}
  const uint64_t token;
  const std::string json;
};

}  // namespace smartvpn::capi
