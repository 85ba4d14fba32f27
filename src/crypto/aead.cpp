// The data path's AEAD. OpenSSL's assembly is faster than libsodium's, but a context costs a kilobyte
// and an allocation: so an engine has its contexts, which are re-keyed once a batch.
#include "crypto/aead.hpp"

#include <algorithm>
#include <cassert>
#include <climits>

#include "crypto/aead_oneshot.hpp"
#include "crypto/evp_aead.hpp"

namespace smartvpn::crypto {

using Nonce = std::span<const uint8_t, kNonceSize>;

namespace {

// EVP takes lengths as int; nothing the protocols allow comes near.
bool fits_evp(size_t size) noexcept { return size <= INT_MAX; }

// In the order of AeadEngine::Backend.
constexpr std::array<std::string_view, 5> kBackendNames = {"automatic", "openssl", "sodium", "avx2", "avx512"};

}  // namespace

std::array<uint8_t, kNonceSize> counter_nonce(uint64_t counter) noexcept {
  std::array<uint8_t, kNonceSize> nonce{};
  store_le64(nonce.data() + 4, counter);
  return nonce;
}

AeadEngine::AeadEngine(Backend backend) noexcept {
  if (backend == Backend::sodium) return;
  evp_ = EvpAead::create();
  if (backend == Backend::openssl) return;
  const bool narrow = backend == Backend::avx2 && vector_unit_available(VectorUnit::avx2);
  for (VectorUnit unit : {VectorUnit::avx2, VectorUnit::avx512})
    if (vector_unit_available(unit) && !(narrow && unit == VectorUnit::avx512)) unit_ = unit;
}

AeadEngine::~AeadEngine() = default;
AeadEngine::AeadEngine(AeadEngine&&) noexcept = default;
AeadEngine& AeadEngine::operator=(AeadEngine&&) noexcept = default;

AeadEngine::Backend AeadEngine::backend() const noexcept {
  if (unit_ == VectorUnit::avx512) return Backend::avx512;
  if (unit_ == VectorUnit::avx2) return Backend::avx2;
  return evp_ ? Backend::openssl : Backend::sodium;
}

bool AeadEngine::backend_available(Backend backend) noexcept {
  if (backend == Backend::avx2) return vector_unit_available(VectorUnit::avx2);
  if (backend == Backend::avx512) return vector_unit_available(VectorUnit::avx512);
  return true;
}

std::string_view AeadEngine::backend_name(Backend backend) noexcept {
  return kBackendNames[static_cast<size_t>(backend)];
}

std::optional<AeadEngine::Backend> AeadEngine::parse_backend(std::string_view name) noexcept {
  const auto found = std::find(kBackendNames.begin(), kBackendNames.end(), name);
  if (found == kBackendNames.end()) return std::nullopt;
  return static_cast<Backend>(found - kBackendNames.begin());
}

void AeadEngine::seal_singly(const AeadKey& key, std::span<SealJob> jobs) noexcept {
  const bool evp = evp_ && evp_->set_key(key.view());
  for (SealJob& job : jobs) {
    assert(job.counter != kReservedCounter);
    const auto nonce = counter_nonce(job.counter);
    bool sealed = job.counter != kReservedCounter;
    if (sealed && evp && fits_evp(job.size))
      sealed = evp_->seal(nonce, job.ad, job.data, job.size);
    else if (sealed)
      chacha20_poly1305_seal(key.view(), nonce, job.ad, {job.data, job.size}, job.data);
    if (!sealed) std::fill_n(job.data, job.size + kTagSize, uint8_t{0});  // plain or half done: never let it out
  }
}

size_t AeadEngine::open_singly(const AeadKey& key, std::span<OpenJob> jobs) noexcept {
  const bool evp = evp_ && evp_->set_key(key.view());
  size_t opened = 0;
  for (OpenJob& job : jobs) {
    job.ok = false;
    if (job.size < kTagSize) continue;
    const size_t size = job.size - kTagSize;
    const auto nonce = counter_nonce(job.counter);
    if (job.counter != kReservedCounter)
      job.ok = evp && fits_evp(size)
                   ? evp_->open(nonce, job.ad, job.data, size)
                   : chacha20_poly1305_open(key.view(), nonce, job.ad, {job.data, job.size}, job.data);
    if (!job.ok) std::fill_n(job.data, size, uint8_t{0});
    opened += job.ok;
  }
  return opened;
}

void AeadEngine::seal_with_nonce(const AeadKey& key, Nonce nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
  if (!evp_ || !fits_evp(size) || !evp_->set_key(key.view()))
    chacha20_poly1305_seal(key.view(), nonce, ad, {data, size}, data);
  else if (!evp_->seal(nonce, ad, data, size))
    std::fill_n(data, size + kTagSize, uint8_t{0});
}

bool AeadEngine::open_with_nonce(const AeadKey& key, Nonce nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
  if (size < kTagSize) return false;
  if (!evp_ || !fits_evp(size) || !evp_->set_key(key.view()))
    return chacha20_poly1305_open(key.view(), nonce, ad, {data, size}, data);
  bool ok = evp_->open(nonce, ad, data, size - kTagSize);
  if (!ok) std::fill_n(data, size - kTagSize, uint8_t{0});
  return ok;
}

}  // namespace smartvpn::crypto
