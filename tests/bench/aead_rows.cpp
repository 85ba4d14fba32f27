// What sealing and opening a packet costs in a batch of 64, by back end: the sizes of an acknowledgement, of a small, a
// middling and a full packet of WireGuard's. Part of bench_primitives.
#include <benchmark/benchmark.h>

#include "base/rng.hpp"
#include "crypto/aead.hpp"

namespace smartvpn::bench {
namespace {

using Backend = crypto::AeadEngine::Backend;

struct Packets {
  static constexpr size_t kCount = 64;

  Packets(Backend backend, size_t size) : engine(backend), work(kCount * (size + crypto::kTagSize), 7) {
    SecretKey secret;
    system_rng().fill(secret.span());
    key = crypto::AeadKey(std::move(secret));
    for (size_t i = 0; i < kCount; ++i) {
      uint8_t* const at = work.data() + i * (size + crypto::kTagSize);
      seal.push_back({i, {}, at, size});
      open.push_back({i, {}, at, size + crypto::kTagSize, false});
    }
  }
  void count(benchmark::State& state) const {
    const auto packets = static_cast<int64_t>(state.iterations() * kCount);
    state.SetItemsProcessed(packets);
    state.SetBytesProcessed(packets * static_cast<int64_t>(seal[0].size));
  }

  crypto::AeadEngine engine;
  crypto::AeadKey key;
  Bytes work;
  std::vector<crypto::SealJob> seal;
  std::vector<crypto::OpenJob> open;
};

void seal_packets(benchmark::State& state, Backend backend, size_t size) {
  Packets packets(backend, size);
  for (auto _ : state) packets.engine.seal(packets.key, packets.seal);
  packets.count(state);
}

// Begins with a copy of the ciphertexts each time, because opening works in place.
void open_packets(benchmark::State& state, Backend backend, size_t size) {
  Packets packets(backend, size);
  packets.engine.seal(packets.key, packets.seal);
  const Bytes ciphertexts = packets.work;
  for (auto _ : state) {
    std::copy(ciphertexts.begin(), ciphertexts.end(), packets.work.begin());
    if (packets.engine.open(packets.key, packets.open) != Packets::kCount) return state.SkipWithError("not opened");
  }
  packets.count(state);
}

// aead_seal/BACKEND/SIZE and aead_open/BACKEND/SIZE, for what this machine has.
const bool registered = [] {
  for (Backend backend : {Backend::openssl, Backend::sodium, Backend::avx2, Backend::avx512}) {
    if (!crypto::AeadEngine::backend_available(backend)) continue;
    for (size_t size : {64, 144, 576, 1424}) {
      const std::string row = std::string(crypto::AeadEngine::backend_name(backend)) + "/" + std::to_string(size);
      benchmark::RegisterBenchmark(("aead_seal/" + row).c_str(), seal_packets, backend, size);
      benchmark::RegisterBenchmark(("aead_open/" + row).c_str(), open_packets, backend, size);
    }
  }
  return true;
}();

}  // namespace
}  // namespace smartvpn::bench
