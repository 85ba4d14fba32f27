// What one handshake, one packet, one look-up and one header cost, on one core. Google Benchmark; nothing here
// passes or fails.
#include <benchmark/benchmark.h>

#include <random>

#include "acl/address_set.hpp"
#include "crypto/aead.hpp"
#include "noise/handshake.hpp"
#include "proxyproto/parser.hpp"
#include "proxyproto/writer.hpp"

namespace smartvpn::bench {
namespace {

using benchmark::State;

void x25519_shared(State& state) {
  const auto a = crypto::generate_key_pair(system_rng()), b = crypto::generate_key_pair(system_rng());
  SecretKey out;
  for (auto _ : state) benchmark::DoNotOptimize(crypto::x25519(out.span(), a.secret, b.pub));
}
BENCHMARK(x25519_shared);

void x25519_public(State& state) {
  const auto a = crypto::generate_key_pair(system_rng());
  for (auto _ : state) benchmark::DoNotOptimize(crypto::public_key_of(a.secret));
}
BENCHMARK(x25519_public);

// Everything the responder computes for one handshake. `prepared`: static-static is at hand, as in a server.
void ik_responder(State& state, bool prepared) {
  const auto server = crypto::generate_key_pair(system_rng()), client = crypto::generate_key_pair(system_rng());
  const Bytes prologue(43, 1), payload(32, 2);
  SecretKey shared;
  Bytes message1;
  noise::Initiator initiator(system_rng(), client, server.pub, prologue);
  if (!crypto::x25519(shared.span(), server.secret, client.pub) || !initiator.write_message(payload, message1))
    return state.SkipWithError("no handshake");
  for (auto _ : state) {
    noise::Responder responder(system_rng(), server, prologue);
    Bytes got, message2;
    bool ok = responder.read_static(message1) && responder.read_payload(got, prepared ? &shared : nullptr) &&
              responder.write_message(payload, message2) && responder.split();
    if (!ok) return state.SkipWithError("the handshake failed");
  }
  state.counters["per_second"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(ik_responder, prepared, true);
BENCHMARK_CAPTURE(ik_responder, all_exchanges, false);

// `size` bytes of plaintext, `batch` of them under one key.
struct Sealed {
  Sealed(size_t size, size_t batch) : size(size), stride(size + crypto::kTagSize), work(batch * stride, 7) {
    SecretKey secret;
    system_rng().fill(secret.span());
    key = crypto::AeadKey(std::move(secret));
    seal.resize(batch);
    open.resize(batch);
    for (size_t i = 0; i < batch; ++i) {
      seal[i] = {i, ByteView(header, 16), work.data() + i * stride, size};
      open[i] = {i, ByteView(header, 16), work.data() + i * stride, stride, false};
    }
  }
  size_t size, stride;
  uint8_t header[16] = {4};
  Bytes work;
  crypto::AeadEngine engine;
  crypto::AeadKey key;
  std::vector<crypto::SealJob> seal;
  std::vector<crypto::OpenJob> open;
};

void count(State& state, const Sealed& sealed) {
  const auto items = state.iterations() * static_cast<int64_t>(sealed.seal.size());
  state.SetItemsProcessed(items);
  state.SetBytesProcessed(items * static_cast<int64_t>(sealed.size));
}

void seal(State& state) {
  Sealed sealed(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)));
  for (auto _ : state) sealed.engine.seal(sealed.key, sealed.seal);
  count(state, sealed);
}
BENCHMARK(seal)->Args({1420, 64})->Args({65536, 1});

// Opening works in place, so each round begins with a copy of the ciphertext: some 30 ns for a packet.
void open(State& state) {
  Sealed sealed(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)));
  sealed.engine.seal(sealed.key, sealed.seal);
  const Bytes ciphertext = sealed.work;
  for (auto _ : state) {
    std::copy(ciphertext.begin(), ciphertext.end(), sealed.work.begin());
    if (sealed.engine.open(sealed.key, sealed.open) != sealed.open.size()) return state.SkipWithError("not opened");
  }
  count(state, sealed);
}
BENCHMARK(open)->Args({1420, 64})->Args({65536, 1});

void acl_look_up(State& state) {
  const auto entries = static_cast<size_t>(state.range(0));
  std::mt19937 random(5);
  std::vector<std::string> texts;
  for (size_t i = 0; i < entries; ++i) {
    std::string text;
    for (int octet = 0; octet < 4; ++octet) text += (octet ? "." : "") + std::to_string(random() % 256);
    texts.push_back(i % 3 == 0 ? text + "/24" : text);
  }
  auto set = acl::AddressSet::compile(texts, "");
  if (!set) return state.SkipWithError("the list is not accepted");
  std::vector<inet::IpAddress> asked;
  for (int i = 0; i < 4096; ++i) {
    uint8_t octets[4];
    store_be32(octets, static_cast<uint32_t>(random()));
    asked.push_back(inet::IpAddress::v4(octets));
  }
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set->contains(asked[next++ % asked.size()]));
}
BENCHMARK(acl_look_up)->Arg(1)->Arg(1000)->Arg(100000);

// The same bytes as proxy_headers.go parses.
enum class Kind { v1, v2, v2_tlvs };
Bytes proxy_bytes(Kind kind) {
  using namespace proxyproto;
  Header header = relayed(inet::Endpoint::parse("198.51.100.7:54321"), inet::Endpoint::parse("192.0.2.1:443"));
  if (kind == Kind::v1) {
    const std::string text = write_v1(header);
    return Bytes(text.begin(), text.end());
  }
  if (kind == Kind::v2_tlvs) {
    const std::string authority = "vpn.example.com";
    header.tlvs.push_back({0x02, Bytes(authority.begin(), authority.end())});
    header.tlvs.push_back({0x05, Bytes(16, 0x42)});  // UNIQUE_ID
    header.tlvs.push_back({0xea, Bytes(22, 0x01)});  // as AWS's endpoint id
  }
  return *write_v2(header);
}

void proxy_header(State& state, Kind kind) {
  const Bytes bytes = proxy_bytes(kind);
  for (auto _ : state) {
    proxyproto::Parser parser(proxyproto::Mode::any);
    size_t consumed = 0;
    if (parser.feed(bytes, consumed) != proxyproto::ParseResult::done) return state.SkipWithError("not parsed");
    benchmark::DoNotOptimize(parser.header());
  }
}
BENCHMARK_CAPTURE(proxy_header, v1, Kind::v1);
BENCHMARK_CAPTURE(proxy_header, v2, Kind::v2);
BENCHMARK_CAPTURE(proxy_header, v2_tlvs, Kind::v2_tlvs);

}  // namespace
}  // namespace smartvpn::bench

BENCHMARK_MAIN();
