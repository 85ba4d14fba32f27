// A small object with a key table of its own, so that its errors read like those of the configuration.
#include "config/authorize_answer.hpp"

#include "config/reader.hpp"

namespace smartvpn::config {
namespace {

constexpr int64_t kMaxValidMs = 86400000;         // a day
constexpr int64_t kMaxSessionSeconds = 31536000;  // a year
constexpr int64_t kMaxExact = int64_t{1} << 53;   // what every JSON reader keeps
constexpr int64_t kMaxDetail = 256;

// clang-format off
constexpr KeySpec kAnswerKeys[] = {
  {.path = "/allow", .type = Type::boolean, .required = true},
  {.path = "/valid_ms", .type = Type::integer, .min = 0, .max = kMaxValidMs},
  {.path = "/session_seconds", .type = Type::integer, .min = 1, .max = kMaxSessionSeconds},
  {.path = "/rate_limit", .type = Type::object},
  {.path = "/rate_limit/from_client_bytes_per_second", .type = Type::integer, .min = 0, .max = kMaxExact},
  {.path = "/rate_limit/from_client_burst_bytes", .type = Type::integer, .min = 0, .max = kMaxExact},
  {.path = "/rate_limit/to_client_bytes_per_second", .type = Type::integer, .min = 0, .max = kMaxExact},
  {.path = "/rate_limit/to_client_burst_bytes", .type = Type::integer, .min = 0, .max = kMaxExact},
  {.path = "/detail", .type = Type::text, .min = 0, .max = kMaxDetail},
};
// clang-format on

const KeyNode& answer_tree() {
  static const KeyNode* const tree = new KeyNode(build_key_tree(kAnswerKeys));  // never freed, as key_tree()
  return *tree;
}

RateLimitConfig read_rate_limit(const Reader& in) {
  RateLimitConfig out;
  in.read("from_client_bytes_per_second", out.from_client_bytes_per_second);
  in.read("from_client_burst_bytes", out.from_client_burst_bytes);
  in.read("to_client_bytes_per_second", out.to_client_bytes_per_second);
  in.read("to_client_burst_bytes", out.to_client_burst_bytes);
  return out;
}

}  // namespace

Result<AuthorizeAnswer> parse_authorize_answer(std::string_view text) {
  Json json;
  if (auto parsed = parse_json(text, {}, json); !parsed) return std::move(parsed).error();
  if (auto checked = check_structure(answer_tree(), json, {}, true); !checked) return std::move(checked).error();
  Reader in(json);
  AuthorizeAnswer out;
  in.read("allow", out.allow);
  for (const char* limit : {"valid_ms", "session_seconds", "rate_limit"})
    if (!out.allow && in.has(limit))
      return make_error(Status::INVALID, "goes with an allow only", join_pointer({}, limit));
  if (out.allow && in.has("detail")) return make_error(Status::INVALID, "goes with a deny only", "/detail");
  in.read("valid_ms", out.valid_ms);
  in.read("session_seconds", out.session_seconds);
  if (in.has("rate_limit")) out.rate_limit = read_rate_limit(in.at("rate_limit"));
  in.read("detail", out.detail);
  return out;
}

}  // namespace smartvpn::config
