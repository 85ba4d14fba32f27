// The client's half of the opening handshake (RFC 6455 section 4.1): the request to send, and the
// check of the answer. Bytes in, bytes out; the tunnel's link owns the socket and the deadline.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "transport/ws/http_head.hpp"

namespace smartvpn::ws {

struct UpgradeClientConfig {
  std::string host;                                               // "vpn.example:8443", as Host carries it
  std::string path = "/";                                         // begins with '/'; may have a query
  std::vector<std::string> subprotocols = {"smartvpn.v1"};        // offered in this order
  bool require_subprotocol = true;                                // the server must choose one of them
  std::vector<std::pair<std::string, std::string>> extra_fields;  // e.g. for a proxy in front
  HttpHeadLimits head;                                            // of the answer
};

class UpgradeClient {
 public:
  enum class Outcome : uint8_t {
    need_more,
    upgraded,  // bytes behind `consumed` are WebSocket frames
    failed,    // error() and status() say why; end the stream
  };

  // INVALID, with path "host", "path", "subprotocols" or "extra_fields", when a text could not stand
  // in a request (control characters, blanks, a field the handshake owns).
  static Result<UpgradeClient> create(const UpgradeClientConfig& config, Rng& rng);

  ByteView request() const noexcept { return as_bytes(request_); }

  // Sets `consumed` to the bytes taken of `in`; never a byte past the answer's empty line. An outcome
  // other than need_more is final.
  Outcome feed(ByteView in, size_t& consumed);

  uint16_t status() const noexcept { return status_; }          // of the answer; 0 if it had none
  const std::string& error() const noexcept { return error_; }  // one sentence; empty unless failed
  const std::string& subprotocol() const noexcept { return chosen_; }
  const HttpHead& response() const noexcept { return head_; }  // e.g. Retry-After

 private:
  UpgradeClient(const UpgradeClientConfig& config, Rng& rng);
  const char* find_fault();
  const char* check_subprotocol();

  HttpHead head_;
  std::vector<std::string> offered_;
  bool require_subprotocol_;
  std::string request_, expected_accept_;
  Outcome outcome_ = Outcome::need_more;
  uint16_t status_ = 0;
  std::string error_, chosen_;
};

}  // namespace smartvpn::ws
