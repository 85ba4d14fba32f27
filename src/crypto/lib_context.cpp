// The process's one private OpenSSL library context; see the header for why it is never freed.
#include "crypto/lib_context.hpp"

#include <openssl/crypto.h>
#include <openssl/provider.h>

#include <atomic>

#include "base/mutex.hpp"

namespace smartvpn::crypto {
namespace {

OSSL_LIB_CTX* make_context() noexcept {
  OSSL_LIB_CTX* context = OSSL_LIB_CTX_new();
  // Only the default context reads openssl.cnf by itself, so naming the provider is all there is to do.
  if (context && !OSSL_PROVIDER_load(context, "default")) {
    OSSL_LIB_CTX_free(context);
    return nullptr;
  }
  return context;
}

}  // namespace

// Kept once it is there only: who had no memory for it tries again.
OSSL_LIB_CTX* private_lib_context() noexcept {
  static Mutex making;
  static std::atomic<OSSL_LIB_CTX*> made{nullptr};
  if (OSSL_LIB_CTX* context = made.load(std::memory_order_acquire)) return context;
  MutexLock lock(making);
  OSSL_LIB_CTX* context = made.load(std::memory_order_acquire);
  if (!context) {
    context = make_context();
    made.store(context, std::memory_order_release);
  }
  return context;
}

}  // namespace smartvpn::crypto
