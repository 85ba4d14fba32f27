// Ends of TLS on raw sockets, and routes of a relay in which TLS ends: what tests of it have in common.
#pragma once

#include "net/tls_machine.hpp"
#include "support/certificates.hpp"
#include "support/relay_bench.hpp"

namespace smartvpn::relay::testing {

using net::TlsContext;
using net::TlsMachine;

// One end of TLS on a raw socket, in this thread.
class TlsEnd : private TlsMachine::Sink {
 public:
  TlsEnd(RawSocket socket, const std::shared_ptr<const TlsContext>& context)
      : socket_(std::move(socket)), machine_(TlsMachine::create(context)) {}
  // False when TLS fails or the socket ends first.
  bool shake_hands() {
    return pump([this] { return machine_->state() != TlsMachine::State::handshaking; }) &&
           machine_->state() == TlsMachine::State::open;
  }
  bool send(std::string_view text) { return machine_->write(as_bytes(text)) && flush(); }
  std::string read(size_t size) {
    pump([&] { return plain_.size() >= size; });
    return std::exchange(plain_, {});
  }
  // Everything until close_notify.
  std::string read_to_end() {
    pump([this] { return machine_->state() != TlsMachine::State::open; });
    return std::exchange(plain_, {});
  }
  void close() {
    machine_->close();
    flush();
  }
  TlsMachine& machine() { return *machine_; }
  RawSocket& socket() { return socket_; }

 private:
  bool on_tls_plaintext(ByteSpan plaintext) override {
    plain_.append(as_text(plaintext));
    return true;
  }
  bool flush() {
    const bool sent = socket_.send(machine_->pending());
    machine_->consume(machine_->pending().size());
    return sent;
  }
  template <class Done>
  bool pump(Done&& done) {
    std::array<uint8_t, 16384> scratch;
    for (flush(); !done(); flush()) {
      const std::string got = socket_.read(1);
      if (got.empty()) return false;
      machine_->feed(as_bytes(got), scratch, *this);
    }
    return true;
  }
  RawSocket socket_;
  std::unique_ptr<TlsMachine> machine_;
  std::string plain_;
};

inline std::shared_ptr<const TlsContext> trusting(const std::string& pem, const std::string& name,
                                                  std::vector<std::string> alpn = {}) {
  net::TlsClientOptions options;
  options.ca = pem;
  options.server_name = name;
  options.alpn = std::move(alpn);
  auto made = TlsContext::client(options);
  EXPECT_TRUE(made.ok());
  return *made;
}

inline json pem(const smartvpn::testing::Identity& identity) {
  return {{"certificate", identity.certificate}, {"key", identity.key}};
}

// A route in which TLS ends, to this port.
inline json ending(uint16_t port, const std::vector<const smartvpn::testing::Identity*>& certificates,
                   json tls = json::object(), json action = json::object()) {
  if (!tls.contains("mode")) tls["mode"] = "terminate";
  for (auto* one : certificates) tls["certificates"].push_back(pem(*one));
  action["tls"] = std::move(tls);
  return route(to(port), std::move(action));
}

// The fixture: an authority, two certificates of its, and a target.
struct RelayTlsBench : ::testing::Test {
  smartvpn::testing::Identity authority = smartvpn::testing::make_ca("test");
  smartvpn::testing::Identity a = smartvpn::testing::make_server(authority, {"a.test"}),
                              b = smartvpn::testing::make_server(authority, {"*.b.test"});
  RawListener target;
  TlsEnd dial(const RunningRelay& relay, const std::string& name, std::vector<std::string> alpn = {}) {
    return TlsEnd(RawSocket(relay.port()), trusting(authority.certificate, name, std::move(alpn)));
  }
};

}  // namespace smartvpn::relay::testing
