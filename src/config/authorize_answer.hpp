// The host's answer to an authorize request, as smartvpn_authorize_answer takes it.
#pragma once

#include "config/server_config.hpp"

namespace smartvpn::config {

struct AuthorizeAnswer {
  bool allow = false;
  uint32_t valid_ms = 0;         // how long the allow holds without another question, 0..86400000
  uint32_t session_seconds = 0;  // the session's longest life, 1..31536000; 0: no limit
  std::optional<RateLimitConfig> rate_limit;
  std::string detail;  // of a deny, for events; at most 256 bytes
};

// {"allow": true | false, ...}. INVALID with the path of the key at fault; limits go with an allow only,
// a detail with a deny only.
Result<AuthorizeAnswer> parse_authorize_answer(std::string_view json);

}  // namespace smartvpn::config
