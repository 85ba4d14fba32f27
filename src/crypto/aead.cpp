// The data path's AEAD. OpenSSL's assembly is twice as fast as libsodium's for full packets, but a
// context costs a kilobyte and an allocation: so two contexts an engine, re-keyed once a batch.
#include "crypto/aead.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cassert>
#include <climits>
#include <new>

#include "crypto/aead_oneshot.hpp"
#include "crypto/lib_context.hpp"

namespace smartvpn::crypto {

using Nonce = std::span<const uint8_t, kNonceSize>;

struct AeadEngine::Contexts {
  EVP_CIPHER_CTX* seal = nullptr;
  EVP_CIPHER_CTX* open = nullptr;

  Contexts() = default;
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;
  ~Contexts() {
    EVP_CIPHER_CTX_free(seal);
    EVP_CIPHER_CTX_free(open);
  }

  bool make() noexcept {
    OSSL_LIB_CTX* library = private_lib_context();
    EVP_CIPHER* cipher = library ? EVP_CIPHER_fetch(library, "ChaCha20-Poly1305", nullptr) : nullptr;
    if (!cipher) return false;
    seal = EVP_CIPHER_CTX_new();
    open = EVP_CIPHER_CTX_new();
    bool ok = seal && open && EVP_EncryptInit_ex2(seal, cipher, nullptr, nullptr, nullptr) == 1 &&
              EVP_DecryptInit_ex2(open, cipher, nullptr, nullptr, nullptr) == 1;
    EVP_CIPHER_free(cipher);  // the contexts hold it
    return ok;
  }

  bool set_seal_key(const AeadKey& key) noexcept {
    return EVP_EncryptInit_ex2(seal, nullptr, key.view().data(), nullptr, nullptr) == 1;
  }
  bool set_open_key(const AeadKey& key) noexcept {
    return EVP_DecryptInit_ex2(open, nullptr, key.view().data(), nullptr, nullptr) == 1;
  }

  // Under the key set before. False: the bytes are undefined.
  bool seal_one(Nonce nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
    int n = 0;
    return EVP_EncryptInit_ex2(seal, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
           (ad.empty() || EVP_EncryptUpdate(seal, nullptr, &n, ad.data(), static_cast<int>(ad.size())) == 1) &&
           (size == 0 || EVP_EncryptUpdate(seal, data, &n, data, static_cast<int>(size)) == 1) &&
           EVP_EncryptFinal_ex(seal, data + size, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(seal, EVP_CTRL_AEAD_GET_TAG, kTagSize, data + size) == 1;
  }
  bool open_one(Nonce nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
    int n = 0;
    bool ok = EVP_DecryptInit_ex2(open, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
              EVP_CIPHER_CTX_ctrl(open, EVP_CTRL_AEAD_SET_TAG, kTagSize, data + size) == 1 &&
              (ad.empty() || EVP_DecryptUpdate(open, nullptr, &n, ad.data(), static_cast<int>(ad.size())) == 1) &&
              (size == 0 || EVP_DecryptUpdate(open, data, &n, data, static_cast<int>(size)) == 1) &&
              EVP_DecryptFinal_ex(open, data + size, &n) == 1;
    // A stranger's bad packet must not leave an error for the TLS code of the same thread to find.
    if (!ok) ERR_clear_error();
    return ok;
  }
};

namespace {

// EVP takes lengths as int; nothing the protocols allow comes near.
bool fits_evp(ByteView ad, size_t size) noexcept { return ad.size() <= INT_MAX && size <= INT_MAX; }

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
  contexts_.reset(new (std::nothrow) Contexts);
  if (contexts_ && !contexts_->make()) contexts_.reset();
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
  return contexts_ ? Backend::openssl : Backend::sodium;
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
  const bool evp = contexts_ && contexts_->set_seal_key(key);
  for (SealJob& job : jobs) {
    assert(job.counter != kReservedCounter);
    const auto nonce = counter_nonce(job.counter);
    bool sealed = job.counter != kReservedCounter;
    if (sealed && evp && fits_evp(job.ad, job.size))
      sealed = contexts_->seal_one(nonce, job.ad, job.data, job.size);
    else if (sealed)
      chacha20_poly1305_seal(key.view(), nonce, job.ad, {job.data, job.size}, job.data);
    if (!sealed) std::fill_n(job.data, job.size + kTagSize, uint8_t{0});  // plain or half done: never let it out
  }
}

size_t AeadEngine::open_singly(const AeadKey& key, std::span<OpenJob> jobs) noexcept {
  const bool evp = contexts_ && contexts_->set_open_key(key);
  size_t opened = 0;
  for (OpenJob& job : jobs) {
    job.ok = false;
    if (job.size < kTagSize) continue;
    const size_t size = job.size - kTagSize;
    const auto nonce = counter_nonce(job.counter);
    if (job.counter != kReservedCounter)
      job.ok = evp && fits_evp(job.ad, size)
                   ? contexts_->open_one(nonce, job.ad, job.data, size)
                   : chacha20_poly1305_open(key.view(), nonce, job.ad, {job.data, job.size}, job.data);
    if (!job.ok) std::fill_n(job.data, size, uint8_t{0});
    opened += job.ok;
  }
  return opened;
}

void AeadEngine::seal_with_nonce(const AeadKey& key, Nonce nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
  if (!contexts_ || !fits_evp(ad, size) || !contexts_->set_seal_key(key))
    chacha20_poly1305_seal(key.view(), nonce, ad, {data, size}, data);
  else if (!contexts_->seal_one(nonce, ad, data, size))
    std::fill_n(data, size + kTagSize, uint8_t{0});
}

bool AeadEngine::open_with_nonce(const AeadKey& key, Nonce nonce, ByteView ad, uint8_t* data, size_t size) noexcept {
  if (size < kTagSize) return false;
  if (!contexts_ || !fits_evp(ad, size) || !contexts_->set_open_key(key))
    return chacha20_poly1305_open(key.view(), nonce, ad, {data, size}, data);
  bool ok = contexts_->open_one(nonce, ad, data, size - kTagSize);
  if (!ok) std::fill_n(data, size - kTagSize, uint8_t{0});
  return ok;
}

}  // namespace smartvpn::crypto
