// ChaCha20-Poly1305 (RFC 8439) for the data path, a batch at a time and in place. A shard owns one
// engine with reusable OpenSSL contexts; a session owns only 32-byte keys, so an idle session costs
// no context. Packets go through the processor's vector unit where it has one, many at
// once (`vector_aead.hpp`). One-shots for handshakes and cookies are in `aead_oneshot.hpp`.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/secret.hpp"
#include "crypto/vector_aead.hpp"

namespace smartvpn::crypto {

class EvpAead;

constexpr size_t kTagSize = 16;
constexpr size_t kNonceSize = 12;
// The counter Noise keeps for itself; never used on the wire.
constexpr uint64_t kReservedCounter = ~uint64_t{0};

// The nonce of Noise and WireGuard: four zero bytes, then the counter little-endian.
std::array<uint8_t, kNonceSize> counter_nonce(uint64_t counter) noexcept;

// Key material and nothing else. Move-only, wiped. A default key is all zero and must not be used.
class AeadKey {
 public:
  AeadKey() noexcept = default;
  explicit AeadKey(SecretKey key) noexcept : key_(std::move(key)) {}
  std::span<const uint8_t, 32> view() const noexcept { return key_.view(); }
  bool is_zero() const noexcept { return key_.is_zero(); }
  void clear() noexcept { key_.clear(); }

 private:
  SecretKey key_;
};

// `data[0, size)` is replaced by the ciphertext and the tag goes to `data[size, size + 16)`, so there
// must be that much room. `ad` may lie right in front of `data` but must not overlap it.
struct SealJob {
  uint64_t counter = 0;
  ByteView ad;
  uint8_t* data = nullptr;
  size_t size = 0;
};

// `size` includes the tag. With `ok` set by open(), `data[0, size - 16)` is the plaintext; without,
// those bytes are zero and nothing unauthenticated can be read.
struct OpenJob {
  uint64_t counter = 0;
  ByteView ad;
  uint8_t* data = nullptr;
  size_t size = 0;
  bool ok = false;
};

// One per shard: not thread-safe. Where libcrypto cannot give the cipher, libsodium does the work.
class AeadEngine {
 public:
  // The two last ones need their instructions, and leave what is too large or too little for them to
  // OpenSSL, or to libsodium.
  enum class Backend : uint8_t { automatic, openssl, sodium, avx2, avx512 };

  // `automatic` is the best of what this build and this machine have, and so is one that is not available.
  explicit AeadEngine(Backend backend = Backend::automatic) noexcept;
  ~AeadEngine();
  AeadEngine(AeadEngine&&) noexcept;
  AeadEngine& operator=(AeadEngine&&) noexcept;

  Backend backend() const noexcept;  // what it has come to; never `automatic`

  // `automatic`, `openssl` and `sodium` always are; `openssl` only says what to try first.
  static bool backend_available(Backend backend) noexcept;
  // "automatic", "openssl", ...
  static std::string_view backend_name(Backend backend) noexcept;
  static std::optional<Backend> parse_backend(std::string_view name) noexcept;

  // Cannot fail. A job with kReservedCounter is a caller's bug: its bytes and tag become zero, which
  // no peer will open.
  void seal(const AeadKey& key, std::span<SealJob> jobs) noexcept;
  // The number of jobs with `ok`. Jobs shorter than a tag or with kReservedCounter are not ok.
  size_t open(const AeadKey& key, std::span<OpenJob> jobs) noexcept;

  // The same with a whole nonce, for test vectors and protocols with nonces of another form.
  void seal_with_nonce(const AeadKey& key, std::span<const uint8_t, kNonceSize> nonce, ByteView ad, uint8_t* data,
                       size_t size) noexcept;
  [[nodiscard]] bool open_with_nonce(const AeadKey& key, std::span<const uint8_t, kNonceSize> nonce, ByteView ad,
                                     uint8_t* data, size_t size) noexcept;

 private:
  // One job after the other.
  void seal_singly(const AeadKey& key, std::span<SealJob> jobs) noexcept;
  size_t open_singly(const AeadKey& key, std::span<OpenJob> jobs) noexcept;

  std::unique_ptr<EvpAead> evp_;  // null: libsodium
  VectorUnit unit_ = VectorUnit::none;
};

}  // namespace smartvpn::crypto
