// What one handshake, one packet, one look-up and one header cost, on one core.
#include <random>

#include "acl/address_set.hpp"
#include "bench/bench.hpp"
#include "crypto/aead.hpp"
#include "noise/handshake.hpp"
#include "proxyproto/parser.hpp"
#include "proxyproto/writer.hpp"

namespace smartvpn::bench {
namespace {

void handshakes() {
  const auto server = crypto::generate_key_pair(system_rng()), client = crypto::generate_key_pair(system_rng());
  const Bytes prologue(43, 1), payload(32, 2);
  Bytes message1;
  noise::Initiator initiator(system_rng(), client, server.pub, prologue);
  if (!initiator.write_message(payload, message1)) return;
  const double ns = nanoseconds([&] {
    noise::Responder responder(system_rng(), server, prologue);
    Bytes got, message2;
    bool ok = responder.read_message(message1, got) && responder.write_message(payload, message2);
    keep(ok);
  });
  print("Noise IK, responder: handshakes a second", 1e9 / ns, "/s");
}

void sealing(const char* what, size_t size, size_t batch) {
  crypto::AeadEngine engine;
  SecretKey secret;
  system_rng().fill(secret.span());
  const crypto::AeadKey key(std::move(secret));
  const size_t stride = size + crypto::kTagSize;
  const uint8_t header[16] = {4};
  Bytes plain(batch * stride, 7), sealed, work;
  std::vector<crypto::SealJob> seal(batch);
  std::vector<crypto::OpenJob> open(batch);
  work = plain;
  const double seal_ns = nanoseconds([&] {
    for (size_t i = 0; i < batch; ++i) seal[i] = {i, ByteView(header, 16), work.data() + i * stride, size};
    engine.seal(key, seal);
  });
  // Opening works in place, so each round begins with a copy; its cost is taken off.
  work = plain;
  for (size_t i = 0; i < batch; ++i) seal[i] = {i, ByteView(header, 16), work.data() + i * stride, size};
  engine.seal(key, seal);
  sealed = work;
  const double copy_ns = nanoseconds([&] {
    std::copy(sealed.begin(), sealed.end(), work.begin());
    keep(work);
  });
  size_t opened = 0;
  const double open_ns = nanoseconds([&] {
    std::copy(sealed.begin(), sealed.end(), work.begin());
    for (size_t i = 0; i < batch; ++i) open[i] = {i, ByteView(header, 16), work.data() + i * stride, stride, false};
    opened = engine.open(key, open);
  });
  if (opened != batch) std::printf("opening failed\n");
  const double count = static_cast<double>(batch), bits = static_cast<double>(size) * 8;
  print(std::string("ChaCha20-Poly1305, seal ") + what, seal_ns / count, "ns");
  print(std::string("ChaCha20-Poly1305, seal ") + what + ", rate", bits / (seal_ns / count), "Gbit/s");
  print(std::string("ChaCha20-Poly1305, open ") + what, (open_ns - copy_ns) / count, "ns");
}

void lists() {
  for (size_t entries : {size_t{1}, size_t{1000}, size_t{100000}}) {
    std::mt19937 random(5);
    std::vector<std::string> texts;
    for (size_t i = 0; i < entries; ++i) {
      std::string text;
      for (int octet = 0; octet < 4; ++octet) text += (octet ? "." : "") + std::to_string(random() % 256);
      texts.push_back(i % 3 == 0 ? text + "/24" : text);
    }
    auto set = acl::AddressSet::compile(texts, "");
    if (!set) return;
    std::vector<inet::IpAddress> asked;
    for (int i = 0; i < 4096; ++i) {
      uint8_t octets[4];
      store_be32(octets, static_cast<uint32_t>(random()));
      asked.push_back(inet::IpAddress::v4(octets));
    }
    size_t next = 0;
    const double ns = nanoseconds([&] { keep(set->contains(asked[next++ % asked.size()])); });
    print("access list of " + std::to_string(entries) + ", look-up", ns, "ns");
  }
}

void headers() {
  using namespace proxyproto;
  Header header = relayed(inet::Endpoint::parse("198.51.100.7:54321"), inet::Endpoint::parse("192.0.2.1:443"));
  auto parse = [](const char* what, ByteView bytes) {
    const double ns = nanoseconds([&] {
      Parser parser(Mode::any);
      size_t consumed = 0;
      keep(parser.feed(bytes, consumed));
    });
    print(std::string("PROXY header, parse ") + what, ns, "ns");
  };
  const std::string v1 = write_v1(header);
  parse("v1", ByteView(reinterpret_cast<const uint8_t*>(v1.data()), v1.size()));
  parse("v2", *write_v2(header));
  parse("v2 with CRC32C", *write_v2(header, true));
}

}  // namespace

void run_primitives() {
  handshakes();
  sealing("1420 bytes", 1420, 64);
  sealing("64 KiB", 65536, 1);
  lists();
  headers();
}

}  // namespace smartvpn::bench
