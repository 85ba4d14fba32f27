// See first_words.hpp.
#include "relay/first_words.hpp"

namespace smartvpn::relay {

FirstWords::Result FirstWords::feed(ByteView bytes) {
  if (result_ == Result::need_more) result_ = tls_ ? feed_tls(bytes) : feed_http(bytes);
  return result_;
}

FirstWords::Result FirstWords::feed_tls(ByteView bytes) {
  switch (hello_.feed(bytes)) {
    case ClientHelloMachine::State::need_more:
      begun_ = begun_ || !bytes.empty();
      return Result::need_more;
    case ClientHelloMachine::State::done:
      return take_hello();
    case ClientHelloMachine::State::not_tls:
      if (begun_) break;  // what began as a record does begins like no request
      tls_ = false;
      return feed_http(bytes);
    case ClientHelloMachine::State::malformed:
    case ClientHelloMachine::State::too_large:
      break;
  }
  return Result::known;
}

FirstWords::Result FirstWords::take_hello() {
  ClientHello hello = hello_.take();
  host = std::move(hello.server_name);
  tls_version = hello.highest_version();
  return Result::known;
}

FirstWords::Result FirstWords::feed_http(ByteView bytes) {
  switch (http_.feed(bytes)) {
    case HttpHostMachine::State::need_more:
      return Result::need_more;
    case HttpHostMachine::State::done:
      host = http_.host();
      break;
    default:
      break;
  }
  return Result::known;
}

}  // namespace smartvpn::relay
