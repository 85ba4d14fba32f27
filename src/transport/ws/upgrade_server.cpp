// Judges one request in the order a listener wants it judged: is it HTTP, is it a health check, is it
// our path, is it a WebSocket upgrade we speak. Every refusal closes the stream after its answer.
#include "transport/ws/upgrade_server.hpp"

#include <fmt/format.h>

#include "transport/ws/accept_key.hpp"

namespace smartvpn::ws {
namespace {

constexpr std::string_view kUpgradeFields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

std::string_view status_phrase(uint16_t status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Service Unavailable";
  }
}

// The path of a request target in origin form or, from a proxy, in absolute form; no query.
std::string_view path_of(std::string_view target) noexcept {
  for (std::string_view scheme : {"http://", "https://", "ws://", "wss://"}) {
    if (!equal_any_case(target.substr(0, scheme.size()), scheme)) continue;
    const size_t slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
    break;
  }
  return target.substr(0, target.find_first_of("?#"));
}

bool has_body(const HttpHead& head) {
  const auto lengths = head.values("content-length");
  return head.count("transfer-encoding") != 0 ||
         std::any_of(lengths.begin(), lengths.end(), [](std::string_view v) { return v != "0"; });
}

}  // namespace

UpgradeServer::UpgradeServer(const UpgradeServerConfig& config, Purpose purpose)
    : config_(&config), head_(HttpHead::Kind::request, config.head), purpose_(purpose) {}

UpgradeServer::Outcome UpgradeServer::feed(ByteView in, size_t& consumed, bool draining) {
  consumed = 0;
  if (outcome_ != Outcome::need_more) return outcome_;
  switch (head_.feed(in, consumed)) {
    case HttpHead::Outcome::need_more:
      return outcome_;
    case HttpHead::Outcome::malformed:
      return outcome_ = refuse(400);
    case HttpHead::Outcome::too_large:
      return outcome_ = refuse(431);
    case HttpHead::Outcome::done:
      whole_request_ = true;
      break;
  }
  return outcome_ = decide(draining);
}

UpgradeServer::Outcome UpgradeServer::decide(bool draining) {
  if (has_body(head_)) return refuse(400);
  const std::string_view path = path_of(head_.target());
  if (!config_->health_path.empty() && path == config_->health_path) {
    health_check_ = true;
    if (head_.method() != "GET") return refuse(405, "Allow: GET\r\n");
    return refuse(draining ? 503 : 200, "Cache-Control: no-store\r\n");
  }
  if (path != config_->path) return refuse(404);
  if (head_.method() != "GET") return refuse(405, "Allow: GET\r\n");
  if (purpose_ == Purpose::health_only) return refuse(403);
  return decide_upgrade(draining);
}

UpgradeServer::Outcome UpgradeServer::decide_upgrade(bool draining) {
  if (!head_.is_http11() || head_.count("host") != 1 || head_.value("host").empty()) return refuse(400);
  if (!head_.has_token("upgrade", "websocket")) return refuse(426, kUpgradeFields);
  if (!head_.has_token("connection", "upgrade")) return refuse(400);
  if (head_.count("sec-websocket-version") > 1) return refuse(400);
  if (head_.value("sec-websocket-version") != "13") return refuse(426, kUpgradeFields);
  if (head_.count("sec-websocket-key") != 1 || !is_valid_key(head_.value("sec-websocket-key"))) return refuse(400);
  if (!origin_allowed()) return refuse(403);
  if (!choose_subprotocol()) return refuse(400);
  if (draining) return refuse(503);
  return accept();
}

// False when the offer is not a list of tokens, or lacks what is required.
bool UpgradeServer::choose_subprotocol() {
  for (std::string_view list : head_.values("sec-websocket-protocol")) {
    for (std::string_view offered : split_list(list)) {
      if (!is_token(offered)) return false;
      if (!config_->subprotocol.empty() && offered == config_->subprotocol) chosen_ = config_->subprotocol;
    }
  }
  return !chosen_.empty() || config_->subprotocol.empty() || !config_->require_subprotocol;
}

bool UpgradeServer::origin_allowed() const {
  const auto& allowed = config_->allowed_origins;
  if (allowed.empty() || head_.count("origin") == 0) return true;
  if (head_.count("origin") != 1) return false;
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& origin) { return equal_any_case(origin, head_.value("origin")); });
}

UpgradeServer::Outcome UpgradeServer::accept() {
  status_ = 101;
  response_ = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n",
      accept_for_key(head_.value("sec-websocket-key")));
  if (!chosen_.empty()) response_ += fmt::format("Sec-WebSocket-Protocol: {}\r\n", chosen_);
  response_ += "\r\n";
  return Outcome::upgraded;
}

UpgradeServer::Outcome UpgradeServer::refuse(uint16_t status, std::string_view extra_fields) {
  status_ = status;
  const std::string body = status == 200 ? "ok\n" : fmt::format("{}\n", status_phrase(status));
  // 426 names the protocol, so its Connection field has to list Upgrade too (RFC 9110 section 7.8).
  response_ = fmt::format(
      "HTTP/1.1 {} {}\r\nConnection: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{}\r\n{}", status,
      status_phrase(status), status == 426 ? "Upgrade, close" : "close", body.size(), extra_fields, body);
  return Outcome::respond;
}

}  // namespace smartvpn::ws
