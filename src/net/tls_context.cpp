// See tls_context.hpp. Everything a system-wide OpenSSL configuration could change is set explicitly here.
#include "net/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/features.hpp"
#include "base/secret.hpp"
#include "crypto/lib_context.hpp"
#include "net/tls_impl.hpp"

namespace smartvpn::net {

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;
TlsContext::Impl::~Impl() { wipe(server_options.key); }

#if SMARTVPN_WITH_TLS
namespace {

using ImplPtr = std::unique_ptr<TlsContext::Impl>;

// Never a prompt on somebody's terminal: a key with a passphrase is an error.
int refuse_passphrase(char*, int, int, void*) noexcept { return -1; }

// To be asked before the errors are taken.
Status status_of_failure(Status otherwise) noexcept {
  return ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? Status::NO_MEMORY : otherwise;
}

Result<void> invalid(const std::string& path, const char* key, std::string text, Status status = Status::INVALID) {
  return make_error(status, std::move(text), path + key);
}

BioPtr memory_bio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Calls fn(X509Ptr) for every certificate in the text; false when one is broken or there is none.
template <class Fn>
bool for_each_certificate(const std::string& text, Fn&& fn) {
  BioPtr bio = memory_bio(text);
  if (!bio) return false;
  for (size_t count = 0;; ++count) {
    X509* raw = X509_new_ex(crypto::private_lib_context(), nullptr);
    if (!raw) return false;
    X509* read = PEM_read_bio_X509(bio.get(), &raw, refuse_passphrase, nullptr);
    X509Ptr certificate(raw);  // null when reading a broken one has freed it
    if (!read) {
      bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
      if (at_end) ERR_clear_error();
      return at_end && count > 0;
    }
    if (!fn(std::move(certificate))) return false;
  }
}

Result<void> use_certificate(SSL_CTX* ctx, const std::string& text, const std::string& path) {
  bool leaf = true;
  bool ok = for_each_certificate(text, [&](X509Ptr certificate) {
    if (std::exchange(leaf, false)) return SSL_CTX_use_certificate(ctx, certificate.get()) == 1;
    return SSL_CTX_add1_chain_cert(ctx, certificate.get()) == 1;
  });
  if (ok) return {};
  const Status status = status_of_failure(Status::INVALID);
  return invalid(path, "/certificate", "cannot use the certificate: " + take_openssl_error("no PEM certificate found"),
                 status);
}

Result<void> use_key(SSL_CTX* ctx, const std::string& text, const std::string& path) {
  BioPtr bio = memory_bio(text);
  KeyPtr key(bio ? PEM_read_bio_PrivateKey_ex(bio.get(), nullptr, refuse_passphrase, nullptr,
                                              crypto::private_lib_context(), nullptr)
                 : nullptr);
  if (!key) {
    const Status status = status_of_failure(Status::INVALID);
    return invalid(
        path, "/key",
        "cannot read the private key (PEM without passphrase): " + take_openssl_error("no PEM private key found"),
        status);
  }
  if (SSL_CTX_use_PrivateKey(ctx, key.get()) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    const Status status = status_of_failure(Status::INVALID);
    return invalid(path, "/key", "the private key does not fit: " + take_openssl_error("unusable"), status);
  }
  return {};
}

Result<void> encode_alpn(const std::vector<std::string>& names, std::string& wire, const std::string& path) {
  for (const auto& name : names) {
    if (name.empty() || name.size() > 255) return invalid(path, "/alpn", "an ALPN name has 1 to 255 bytes");
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return {};
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                unsigned int in_length, void* argument) noexcept {
  const auto& ours = static_cast<const TlsContext::Impl*>(argument)->alpn_wire;
  unsigned char* chosen = nullptr;
  int rc = SSL_select_next_proto(&chosen, out_length, reinterpret_cast<const unsigned char*>(ours.data()),
                                 static_cast<unsigned int>(ours.size()), in, in_length);
  *out = chosen;
  return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

constexpr const char* kSignatures =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
    "rsa_pss_rsae_sha512:rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";

Result<ImplPtr> new_impl(const SSL_METHOD* method, const std::string& path) {
  auto impl = std::make_unique<TlsContext::Impl>();
  ERR_clear_error();
  // Without a context of ours OpenSSL would take the process's, and its configuration file with it.
  OSSL_LIB_CTX* library = crypto::private_lib_context();
  if (!library) return Error{Status::NO_MEMORY, {}, 0, {}};
  impl->ctx.reset(SSL_CTX_new_ex(library, nullptr, method));
  SSL_CTX* ctx = impl->ctx.get();
  bool ok =
      ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
      SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
      SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384") ==
          1 &&
      SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 && SSL_CTX_set1_sigalgs_list(ctx, kSignatures) == 1 &&
      SSL_CTX_set_block_padding(ctx, 0) == 1;
  if (!ok) {
    const Status status = status_of_failure(Status::SYSTEM);
    return make_error(status, "cannot set up TLS: " + take_openssl_error("no such method"), path);
  }
  ERR_clear_error();  // of what such a configuration has wrong
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_security_level(ctx, 2);
  SSL_CTX_clear_options(ctx, ~uint64_t{0});
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
  // An idle connection keeps 14 KB instead of 47 (performance.md section 6).
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 0);
  return impl;
}

// Of what a client with this context would say first: every algorithm it has is named there. 0: without memory.
size_t size_of_hello(SSL_CTX* ctx) noexcept {
  std::unique_ptr<SSL, SslDeleter<SSL_free>> ssl(SSL_new(ctx));
  BioPtr in(BIO_new(BIO_s_mem())), out(BIO_new(BIO_s_mem()));
  if (!ssl || !in || !out || SSL_set_ssl_method(ssl.get(), TLS_client_method()) != 1) return 0;
  BIO* sent = out.get();
  SSL_set_bio(ssl.get(), in.release(), out.release());
  SSL_set_connect_state(ssl.get());
  const int rc = SSL_do_handshake(ssl.get());
  const bool waits = SSL_get_error(ssl.get(), rc) == SSL_ERROR_WANT_READ;
  ERR_clear_error();
  return waits ? BIO_ctrl_pending(sent) : 0;
}

// OpenSSL leaves an algorithm out that it had no memory to look up, and calls that a success: the context would refuse
// peers, by chance all of them, for as long as it lives. What is available is not known beforehand, so a context is
// good once it has what the one made before it had.
Result<ImplPtr> new_complete_impl(const SSL_METHOD* method, const std::string& path) {
  constexpr int kTries = 5;
  size_t before = 0;
  for (int i = 0; i < kTries; ++i) {
    auto impl = new_impl(method, path);
    if (!impl) return impl;
    const size_t size = size_of_hello((*impl)->ctx.get());
    if (size != 0 && size == before) return impl;
    before = size;
  }
  return Error{Status::NO_MEMORY, {}, 0, {}};
}

bool trust_system_store(SSL_CTX* ctx) {
  // Not SSL_CTX_set_default_verify_paths(), which follows environment variables.
  struct stat info {};
  bool any = false;
  const char* file = X509_get_default_cert_file();
  const char* directory = X509_get_default_cert_dir();
  if (stat(file, &info) == 0) any = SSL_CTX_load_verify_file(ctx, file) == 1;
  if (stat(directory, &info) == 0) any = SSL_CTX_load_verify_dir(ctx, directory) == 1 || any;
  return any;
}

Result<void> trust(TlsContext::Impl& impl, const TlsClientOptions& options) {
  SSL_CTX* ctx = impl.ctx.get();
  if (!options.ca.empty()) {
    auto text = load_pem(options.ca, options.path + "/ca");
    if (!text) return text.error();
    X509_STORE* store = SSL_CTX_get_cert_store(ctx);
    bool ok = for_each_certificate(*text, [&](X509Ptr ca) { return X509_STORE_add_cert(store, ca.get()) == 1; });
    if (!ok)
      return invalid(options.path, "/ca", "cannot use the CA: " + take_openssl_error("no PEM certificate found"));
  }
  if (options.system_store && !trust_system_store(ctx))
    return make_error(Status::NOT_FOUND, "the system has no certificate store", options.path + "/system_store");
  for (const auto& text : options.pins) {
    Pin pin;
    if (!parse_pin(text, pin)) return invalid(options.path, "/pins", "not a SHA-256 pin: " + text);
    impl.pins.push_back(pin);
  }
  impl.verify_chain = !options.ca.empty() || options.system_store;
  if (!impl.verify_chain && impl.pins.empty() && !options.any_certificate)
    return invalid(options.path, "", "TLS needs a CA, the system store or a pin to trust");
  if (impl.verify_chain && options.server_name.empty())
    return invalid(options.path, "/server_name", "verifying a certificate needs the server's name");
  return {};
}

bool matches(const std::vector<Pin>& pins, const unsigned char* der, int size) {
  if (size <= 0) return false;
  Pin digest;
  size_t length = 0;
  if (EVP_Q_digest(crypto::private_lib_context(), "SHA256", nullptr, der, static_cast<size_t>(size), digest.data(),
                   &length) != 1)
    return false;
  for (const Pin& pin : pins)
    if (pin == digest) return true;
  return false;
}

// The only verifier there is when pins are configured.
int verify_pinned(X509_STORE_CTX* store, void* argument) noexcept {
  const auto& impl = *static_cast<const TlsContext::Impl*>(argument);
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  unsigned char* certificate = nullptr;
  unsigned char* key = nullptr;
  int certificate_size = leaf ? i2d_X509(leaf, &certificate) : 0;
  int key_size = leaf ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &key) : 0;
  bool ok = matches(impl.pins, certificate, certificate_size) || matches(impl.pins, key, key_size);
  OPENSSL_free(certificate);
  OPENSSL_free(key);
  if (!ok) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  return impl.verify_chain ? X509_verify_cert(store) : 1;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  auto impl = new_complete_impl(TLS_server_method(), options.path);
  if (!impl) return impl.error();
  auto& it = **impl;
  it.is_server = true;
  it.server_options = options;
  auto certificate = load_pem(options.certificate, options.path + "/certificate");
  if (!certificate) return certificate.error();
  auto key = load_pem(options.key, options.path + "/key");
  if (!key) return key.error();
  auto result = use_certificate(it.ctx.get(), *certificate, options.path);
  if (result) result = use_key(it.ctx.get(), *key, options.path);
  wipe(*key);
  if (result) result = encode_alpn(options.alpn, it.alpn_wire, options.path);
  if (!result) return result.error();
  if (!it.alpn_wire.empty()) SSL_CTX_set_alpn_select_cb(it.ctx.get(), &choose_alpn, &it);
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(*impl)));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientOptions& options) {
  auto impl = new_complete_impl(TLS_client_method(), options.path);
  if (!impl) return impl.error();
  auto& it = **impl;
  it.client_options = options;
  auto& name = it.client_options.server_name;
  if (!name.empty() && name.back() == '.') name.pop_back();  // SNI has no root label
  auto result = trust(it, it.client_options);
  if (result) result = encode_alpn(options.alpn, it.alpn_wire, options.path);
  if (!result) return result.error();
  const bool verify = it.verify_chain || !it.pins.empty();
  SSL_CTX_set_verify(it.ctx.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!it.pins.empty()) SSL_CTX_set_cert_verify_callback(it.ctx.get(), &verify_pinned, &it);
  if (!it.alpn_wire.empty())
    SSL_CTX_set_alpn_protos(it.ctx.get(), reinterpret_cast<const unsigned char*>(it.alpn_wire.data()),
                            static_cast<unsigned int>(it.alpn_wire.size()));
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(*impl)));
}

bool TlsContext::serves(std::string_view host) const {
  X509* leaf = SSL_CTX_get0_certificate(impl_->ctx.get());
  return leaf && X509_check_host(leaf, host.data(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::reloaded() const {
  return impl_->is_server ? server(impl_->server_options) : client(impl_->client_options);
}

#else

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  return make_error(Status::UNSUPPORTED, "this build has no TLS", options.path);
}
Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientOptions& options) {
  return make_error(Status::UNSUPPORTED, "this build has no TLS", options.path);
}
bool TlsContext::serves(std::string_view) const { return false; }
Result<std::shared_ptr<const TlsContext>> TlsContext::reloaded() const {
  return make_error(Status::UNSUPPORTED, "this build has no TLS");
}

#endif

}  // namespace smartvpn::net
