// Bytes of a stranger where TLS is expected, and a proper handshake that is cut, damaged and continued by anything, at
// both ends: ends in a state, never hands out plaintext that nobody sealed, and bounds what it wants to send.
// Input: a byte of options; then pieces: a byte that says what becomes of the real peer's next bytes, a byte of length,
// bytes to put in their place.
#include "fuzz/require.hpp"
#include "net/tls_machine.hpp"
#include "support/certificates.hpp"

using namespace smartvpn;
using namespace smartvpn::net;

namespace {

using smartvpn::fuzz::require;

struct Contexts {
  std::shared_ptr<const TlsContext> server, client;
};

const Contexts& contexts() {
  static const Contexts made = [] {
    const auto identity = testing::make_server(testing::make_ca("fuzz"), {"localhost"});
    auto server = TlsContext::server({identity.certificate, identity.key, {"http/1.1"}, ""});
    TlsClientOptions options;
    options.any_certificate = true;
    options.server_name = "localhost";
    options.alpn = {"http/1.1"};
    auto client = TlsContext::client(options);
    require(server.ok() && client.ok());
    return Contexts{*server, *client};
  }();
  return made;
}

struct End final : TlsMachine::Sink {
  explicit End(const std::shared_ptr<const TlsContext>& context) : machine(TlsMachine::create(context)) {
    require(machine != nullptr);
  }
  bool on_tls_plaintext(ByteSpan bytes) override {
    append(plaintext, bytes);
    return true;
  }
  void feed(ByteView bytes) {
    static uint8_t scratch[16384];
    const auto before = machine->state();
    const auto after = machine->feed(bytes, scratch, *this);
    require(after == machine->state() && (after == TlsMachine::State::failed) == !machine->error().empty());
    require(before != TlsMachine::State::failed || after == TlsMachine::State::failed);
    require(machine->pending().size() <= TlsMachine::kMaxPending + 65536);
  }
  Bytes take() {
    Bytes out(machine->pending().begin(), machine->pending().end());
    machine->consume(out.size());
    return out;
  }
  std::unique_ptr<TlsMachine> machine;
  Bytes plaintext;
};

// What one end gets of the other's `bytes`, as the input wants it.
Bytes tamper(Bytes bytes, ByteReader& in) {
  const uint8_t how = in.u8();
  const ByteView other = in.take(std::min<size_t>(in.u8(), in.remaining()));
  switch (how & 7) {
    case 1:
      return Bytes(other.begin(), other.end());
    case 2:
      bytes.insert(bytes.end(), other.begin(), other.end());
      break;
    case 3:
      if (!bytes.empty()) bytes.resize(bytes.size() * (how >> 3) / 32);
      break;
    case 4:
      for (size_t i = 0; i < other.size() && i < bytes.size(); ++i)
        bytes[i * (1u + (how >> 3)) % bytes.size()] ^= other[i];
      break;
    case 5:
      append(bytes, Bytes(bytes));
      break;
    default:
      break;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  ByteReader in(ByteView(data + 1, size - 1));
  End server(contexts().server), client(contexts().client);
  const Bytes word{'w', 'o', 'r', 'd'};
  Bytes sent_by_server, sent_by_client;
  for (int round = 0; round < 12; ++round) {
    server.feed(tamper(client.take(), in));
    client.feed(tamper(server.take(), in));
    if (client.machine->write(word)) append(sent_by_client, word);
    if (data[0] & 1 && server.machine->write(word)) append(sent_by_server, word);
    if ((data[0] >> 1 & 15) == round) client.machine->close();
  }
  const auto begins = [](const Bytes& whole, const Bytes& part) {
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
  };
  require(begins(sent_by_client, server.plaintext) && begins(sent_by_server, client.plaintext));
  return 0;
}
