// Finds out by what a client says first which name it asks for: a TLS ClientHello, an HTTP request, or neither.
#pragma once

#include <string>

#include "relay/client_hello.hpp"
#include "relay/http_host.hpp"

namespace smartvpn::relay {

struct FirstWords {
  enum class Result : uint8_t { need_more, known };

  // The next bytes. After `known`, which is final and repeats, the members below say what was found; what is neither
  // TLS nor HTTP, or no sound one, has no name.
  Result feed(ByteView bytes);

  std::string host;          // normalised; "": none
  uint16_t tls_version = 0;  // newest offered; 0: no TLS

 private:
  Result feed_tls(ByteView bytes);
  Result take_hello();
  Result feed_http(ByteView bytes);
  Result result_ = Result::need_more;
  ClientHelloMachine hello_;
  HttpHostMachine http_;
  bool tls_ = true;     // until the first bytes say otherwise
  bool begun_ = false;  // there were bytes before
};

}  // namespace smartvpn::relay
