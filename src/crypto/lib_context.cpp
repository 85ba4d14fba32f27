// The process's one private OpenSSL library context; see the header for why it is never freed.
#include "crypto/lib_context.hpp"

#include <openssl/crypto.h>
#include <openssl/provider.h>

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

OSSL_LIB_CTX* private_lib_context() noexcept {
  static OSSL_LIB_CTX* const context = make_context();
  return context;
}

}  // namespace smartvpn::crypto
