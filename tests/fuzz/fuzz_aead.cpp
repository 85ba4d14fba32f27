// The back ends of the AEAD's batch interface against each other: what one seals, all seal alike, and all judge a
// damaged batch alike. First byte: the key. Then six bytes a packet: size, size of associated data, counter, and which
// byte of what was sealed is damaged by which bits; what follows them all is the text, over and over.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "crypto/aead.hpp"
#include "fuzz/require.hpp"

using namespace smartvpn;
using namespace smartvpn::crypto;

namespace {

using smartvpn::fuzz::require;

constexpr size_t kHeader = 6, kMaxPackets = 40;

struct FuzzedPacket {
  uint64_t counter;
  size_t size, ad_size, damaged;
  uint8_t mask;
  Bytes ad, work;
};

std::vector<FuzzedPacket> packets_of(const uint8_t* data, size_t size) {
  std::vector<FuzzedPacket> packets;
  const size_t count = std::min(kMaxPackets, size / (2 * kHeader) + 1);
  if (size < count * kHeader) return packets;
  const uint8_t* const text = data + count * kHeader;
  const size_t text_size = size - count * kHeader;
  size_t at = 0;
  auto next = [&]() -> uint8_t { return text_size == 0 ? uint8_t{0xff} : text[at++ % text_size]; };
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* const h = data + i * kHeader;
    FuzzedPacket p{uint64_t{h[3]} << (h[3] % 56), (h[0] | size_t{h[1]} << 8) % 2100, h[2] % 80u, h[4], h[5], {}, {}};
    p.ad.resize(p.ad_size);
    p.work.resize(p.size + kTagSize);
    std::generate(p.ad.begin(), p.ad.end(), next);
    std::generate_n(p.work.begin(), p.size, next);
    packets.push_back(std::move(p));
  }
  return packets;
}

void seal(AeadEngine::Backend backend, const AeadKey& key, std::vector<FuzzedPacket>& packets) {
  AeadEngine engine(backend);
  std::vector<SealJob> jobs;
  for (FuzzedPacket& p : packets) jobs.push_back({p.counter, p.ad, p.work.data(), p.size});
  engine.seal(key, jobs);
}

std::vector<bool> open(AeadEngine::Backend backend, const AeadKey& key, std::vector<FuzzedPacket>& packets) {
  AeadEngine engine(backend);
  std::vector<OpenJob> jobs;
  for (FuzzedPacket& p : packets) jobs.push_back({p.counter, p.ad, p.work.data(), p.work.size(), false});
  const size_t opened = engine.open(key, jobs);
  std::vector<bool> ok;
  for (const OpenJob& job : jobs) ok.push_back(job.ok);
  require(opened == static_cast<size_t>(std::count(ok.begin(), ok.end(), true)));
  return ok;
}

// `tags`: those too.
bool same_bytes(const std::vector<FuzzedPacket>& a, const std::vector<FuzzedPacket>& b, bool tags) {
  for (size_t i = 0; i < a.size(); ++i) {
    const size_t size = a[i].size + (tags ? kTagSize : 0);
    if (!std::equal(a[i].work.data(), a[i].work.data() + size, b[i].work.data())) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::array<uint8_t, 32> secret;
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<uint8_t>(data[0] * (i + 1));
  const AeadKey key{SecretKey(secret)};
  const std::vector<FuzzedPacket> plain = packets_of(data + 1, size - 1);

  std::vector<FuzzedPacket> sealed = plain;
  seal(AeadEngine::Backend::openssl, key, sealed);
  std::vector<FuzzedPacket> damaged = sealed;
  for (FuzzedPacket& p : damaged) p.work[p.damaged % p.work.size()] ^= p.mask;
  std::vector<FuzzedPacket> judged = damaged;
  const std::vector<bool> verdicts = open(AeadEngine::Backend::openssl, key, judged);
  for (size_t i = 0; i < plain.size(); ++i) require(verdicts[i] == (plain[i].mask == 0));

  for (AeadEngine::Backend backend :
       {AeadEngine::Backend::sodium, AeadEngine::Backend::avx2, AeadEngine::Backend::avx512}) {
    if (!AeadEngine::backend_available(backend)) continue;
    std::vector<FuzzedPacket> other = plain;
    seal(backend, key, other);
    require(same_bytes(other, sealed, true));
    other = damaged;
    require(open(backend, key, other) == verdicts);
    require(same_bytes(other, judged, false));
  }
  return 0;
}
