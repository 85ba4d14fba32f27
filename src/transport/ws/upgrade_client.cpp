// Builds the upgrade request and trusts no byte of the answer: status, Upgrade, Connection, the proof
// for our own key, no extension, and a subprotocol only from what was offered.
#include "transport/ws/upgrade_client.hpp"

#include <fmt/format.h>

#include "transport/ws/accept_key.hpp"

namespace smartvpn::ws {
namespace {

bool visible_ascii(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// A field value: no control character, so it can neither end its line nor start another.
bool is_field_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '\t' || (c >= 0x20 && c < 0x7f); });
}

bool is_ours(std::string_view name) noexcept {
  for (std::string_view own : {"host", "upgrade", "connection", "content-length", "transfer-encoding"})
    if (equal_any_case(name, own)) return true;
  constexpr std::string_view kPrefix = "sec-websocket-";
  return equal_any_case(name.substr(0, kPrefix.size()), kPrefix);
}

Error invalid(const char* path, const char* text) { return make_error(Status::INVALID, text, path); }

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += out.empty() ? item : ", " + item;
  return out;
}

std::string build_request(const UpgradeClientConfig& config, const std::string& key) {
  std::string out = fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
      config.path, config.host, key);
  if (!config.subprotocols.empty()) out += fmt::format("Sec-WebSocket-Protocol: {}\r\n", join(config.subprotocols));
  for (const auto& [name, value] : config.extra_fields) out += fmt::format("{}: {}\r\n", name, value);
  return out + "\r\n";
}

}  // namespace

Result<UpgradeClient> UpgradeClient::create(const UpgradeClientConfig& config, Rng& rng) {
  if (!visible_ascii(config.host) || config.host.find_first_of("/?#@") != std::string::npos)
    return invalid("host", "the host may not be empty, or hold blanks, '/', '?', '#' or '@'");
  if (!visible_ascii(config.path) || config.path[0] != '/' || config.path.find('#') != std::string::npos)
    return invalid("path", "the path begins with '/' and holds neither blanks nor '#'");
  for (const std::string& name : config.subprotocols)
    if (!is_token(name)) return invalid("subprotocols", "a subprotocol is a token");
  for (const auto& [name, value] : config.extra_fields)
    if (!is_token(name) || is_ours(name) || !is_field_value(value))
      return invalid("extra_fields", "not a header field that can be added to an upgrade request");
  return UpgradeClient(config, rng);
}

UpgradeClient::UpgradeClient(const UpgradeClientConfig& config, Rng& rng)
    : head_(HttpHead::Kind::response, config.head),
      offered_(config.subprotocols),
      require_subprotocol_(config.require_subprotocol && !config.subprotocols.empty()) {
  const std::string key = make_key(rng);
  expected_accept_ = accept_for_key(key);
  request_ = build_request(config, key);
}

UpgradeClient::Outcome UpgradeClient::feed(ByteView in, size_t& consumed) {
  consumed = 0;
  if (outcome_ != Outcome::need_more) return outcome_;
  const char* fault = nullptr;
  switch (head_.feed(in, consumed)) {
    case HttpHead::Outcome::need_more:
      return outcome_;
    case HttpHead::Outcome::malformed:
      fault = "the answer is not HTTP";
      break;
    case HttpHead::Outcome::too_large:
      fault = "the answer's header is too large";
      break;
    case HttpHead::Outcome::done:
      status_ = head_.status();
      fault = find_fault();
      break;
  }
  if (fault) {
    error_ = fault;
    return outcome_ = Outcome::failed;
  }
  return outcome_ = Outcome::upgraded;
}

// What is wrong with a complete answer; nothing if it is right.
const char* UpgradeClient::find_fault() {
  if (status_ != 101) return "the server refused the upgrade";
  if (!head_.is_http11()) return "the answer is not HTTP/1.1";
  if (head_.count("upgrade") != 1 || !equal_any_case(head_.value("upgrade"), "websocket"))
    return "the answer's Upgrade field is not websocket";
  if (!head_.has_token("connection", "upgrade")) return "the answer's Connection field does not list Upgrade";
  if (head_.count("sec-websocket-accept") != 1 || head_.value("sec-websocket-accept") != expected_accept_)
    return "the answer's Sec-WebSocket-Accept does not match";
  if (head_.count("sec-websocket-extensions") != 0) return "the server chose an extension that was not offered";
  return check_subprotocol();
}

const char* UpgradeClient::check_subprotocol() {
  const size_t fields = head_.count("sec-websocket-protocol");
  if (fields == 0) return require_subprotocol_ ? "the server chose no subprotocol" : nullptr;
  const std::string_view name = head_.value("sec-websocket-protocol");
  if (fields != 1 || std::find(offered_.begin(), offered_.end(), name) == offered_.end())
    return "the server chose a subprotocol that was not offered";
  chosen_ = name;
  return nullptr;
}

}  // namespace smartvpn::ws
