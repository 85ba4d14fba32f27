// The server's half of the opening handshake (RFC 6455 section 4.2) and the few plain answers a
// listener gives: /healthz, 404, 405, 400, 426, 431. Bytes in, bytes out; the listener owns the
// socket and the deadline. One object a connection, dropped after the upgrade.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/ws/http_head.hpp"

namespace smartvpn::ws {

struct UpgradeServerConfig {
  std::string path = "/";                    // exact match; a query is ignored
  std::string subprotocol = "smartvpn.v1";   // chosen only if offered; empty: none is ever chosen
  bool require_subprotocol = true;           // an upgrade that does not offer it gets 400
  std::string health_path = "/healthz";      // empty: no health answers
  std::vector<std::string> allowed_origins;  // empty: any; a request without Origin always passes
  HttpHeadLimits head;
};

class UpgradeServer {
 public:
  enum class Purpose : uint8_t {
    any,
    health_only,  // behind a PROXY LOCAL header: every upgrade gets 403
  };
  enum class Outcome : uint8_t {
    need_more,
    upgraded,  // send response(); bytes behind `consumed` are WebSocket frames
    respond,   // send response(), then end the stream
  };

  // `config` must outlive the object.
  explicit UpgradeServer(const UpgradeServerConfig& config, Purpose purpose = Purpose::any);

  // Sets `consumed` to the bytes taken of `in`; never a byte past the request's empty line. While
  // `draining`, health and upgrade requests get 503. An outcome other than need_more is final.
  Outcome feed(ByteView in, size_t& consumed, bool draining = false);

  // The complete answer, 101 or other; empty before an outcome.
  ByteView response() const noexcept { return as_bytes(response_); }
  uint16_t status() const noexcept { return status_; }  // of the answer; 0 before an outcome
  // The request was read to its end, whatever came of it.
  bool read_whole_request() const noexcept { return whole_request_; }
  bool was_health_check() const noexcept { return health_check_; }
  std::string_view subprotocol() const noexcept { return chosen_; }  // empty: none

  // Takes back an answer that was not sent yet: the request is in order, but not from whom it comes.
  void refuse_client(uint16_t status) { outcome_ = refuse(status); }

  // The request, for real_ip_header and logs.
  const HttpHead& request() const noexcept { return head_; }

 private:
  Outcome decide(bool draining);
  Outcome decide_upgrade(bool draining);
  bool choose_subprotocol();
  bool origin_allowed() const;
  Outcome accept();
  Outcome refuse(uint16_t status, std::string_view extra_fields = {});

  const UpgradeServerConfig* config_;
  HttpHead head_;
  Purpose purpose_;
  Outcome outcome_ = Outcome::need_more;
  uint16_t status_ = 0;
  bool health_check_ = false;
  bool whole_request_ = false;
  std::string_view chosen_;
  std::string response_;
};

}  // namespace smartvpn::ws
