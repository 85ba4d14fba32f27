// The inside of a TlsContext, for this room's files only.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <string>
#include <vector>

#include "net/tls_context.hpp"

namespace smartvpn::net {

using Pin = std::array<uint8_t, 32>;

template <auto Free>
struct SslDeleter {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using SslCtxPtr = std::unique_ptr<SSL_CTX, SslDeleter<SSL_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, SslDeleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, SslDeleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, SslDeleter<BIO_free_all>>;

struct TlsContext::Impl {
  ~Impl();

  SslCtxPtr ctx;
  bool is_server = false;
  TlsServerOptions server_options;  // kept for reloaded(); an inline key is wiped at the end
  TlsClientOptions client_options;
  std::string alpn_wire;  // length-prefixed names, as OpenSSL wants them
  std::vector<Pin> pins;
  bool verify_chain = false;
};

// Takes what waits in this thread's OpenSSL error queue: the innermost reason, or `fallback`.
std::string take_openssl_error(const char* fallback);

// A file's bytes, or the text itself when it is PEM already. `path` names the configuration key.
Result<std::string> load_pem(const std::string& path_or_text, const std::string& path);

}  // namespace smartvpn::net
