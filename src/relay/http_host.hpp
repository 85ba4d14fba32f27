// The host that the first request of a plain HTTP/1.x connection is for, read in passing, so that a connection can
// be routed without an HTTP server in between (RFC 9112 section 3.2). Nothing is answered; the caller keeps the
// bytes, which belong to the target.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.hpp"

namespace smartvpn::relay {

class HttpHostMachine {
 public:
  enum class State : uint8_t {
    need_more,
    done,       // the head is complete
    not_http,   // at the first byte at which no method can follow (those llhttp knows), or the request line is not
                // one of HTTP/1.0 or HTTP/1.1; the preface of HTTP/2 (RFC 9113 section 3.4) is none
    malformed,  // HTTP, but not as RFC 9112 writes it: also bare LF, folded lines, Host missing, twice or no host
    too_large,  // no end within kMaxSize
  };

  static constexpr size_t kMaxSize = 16384;  // bytes of the head with its empty line

  HttpHostMachine();
  ~HttpHostMachine();
  HttpHostMachine(HttpHostMachine&&) noexcept;
  HttpHostMachine& operator=(HttpHostMachine&&) noexcept;

  // The next bytes of the stream, in any pieces. Bytes behind the head are not looked at. Every state but need_more
  // is final and repeats. Memory does not grow with the head, and is given back when the state is final.
  State feed(ByteView bytes);
  State state() const noexcept { return state_; }

  // Meaningful after `done`, "" before and after all else: as host_of_authority has it. Of the request target if
  // that has one (absolute-form, and CONNECT, which needs a port), else of Host. HTTP/1.1 needs a Host in any case;
  // HTTP/1.0 only where the target has none. A Host that is there has to be right even where it does not count.
  const std::string& host() const noexcept { return host_; }
  std::string take_host() noexcept { return std::move(host_); }

 private:
  struct Reading;  // what is needed until the state is final
  State execute(ByteView bytes);
  State finish();

  State state_ = State::need_more;
  size_t seen_ = 0;
  std::string host_;
  std::unique_ptr<Reading> reading_;
};

}  // namespace smartvpn::relay
