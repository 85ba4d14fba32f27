// See tls_machine.hpp. A BIO of our own reads straight from the fed view and appends to the pending bytes:
// no socket, no second copy of what came in.
#include "net/tls_machine.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

#include "base/mutex.hpp"
#include "inet/address.hpp"
#include "net/tls_impl.hpp"

namespace smartvpn::net {

struct TlsMachine::Impl {
  std::shared_ptr<const TlsContext> context;
  std::unique_ptr<SSL, SslDeleter<SSL_free>> ssl;
  ByteView input;  // what feed() was given and OpenSSL has not taken yet
  Bytes output;    // sealed, not yet sent; without memory while empty
  size_t output_front = 0;
  bool close_sent = false;
};

namespace {

constexpr size_t kRecord = 16384, kRecordOverhead = 64;

TlsMachine::Impl* impl_of(BIO* bio) { return static_cast<TlsMachine::Impl*>(BIO_get_data(bio)); }

int bio_read(BIO* bio, char* out, int size) noexcept {
  auto* impl = impl_of(bio);
  BIO_clear_retry_flags(bio);
  size_t n = std::min(static_cast<size_t>(size), impl->input.size());
  if (n == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(out, impl->input.data(), n);
  impl->input = impl->input.subspan(n);
  return static_cast<int>(n);
}

int bio_write(BIO* bio, const char* data, int size) noexcept {
  auto* impl = impl_of(bio);
  BIO_clear_retry_flags(bio);
  try {
    append(impl->output, as_bytes({data, static_cast<size_t>(size)}));
  } catch (const std::bad_alloc&) {
    return -1;
  }
  return size;
}

long bio_ctrl(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

// One for the process, never freed: machines may live until the very end. Null without memory, and then the next one
// tries again.
const BIO_METHOD* bio_method() noexcept {
  static Mutex making;
  static BIO_METHOD* method GUARDED_BY(making) = nullptr;
  MutexLock lock(making);
  if (method) return method;
  BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "smartvpn");
  if (!made) return nullptr;
  BIO_meth_set_read(made, &bio_read);
  BIO_meth_set_write(made, &bio_write);
  BIO_meth_set_ctrl(made, &bio_ctrl);
  return method = made;
}

bool expect_server(SSL* ssl, const TlsContext::Impl& context) {
  const std::string& name = context.client_options.server_name;
  if (name.empty()) return true;
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  if (auto ip = inet::IpAddress::parse(name))
    return X509_VERIFY_PARAM_set1_ip(param, ip->bytes().data(), ip->bytes().size()) == 1;
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size()) == 1 &&
         SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace

TlsMachine::TlsMachine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsMachine::~TlsMachine() = default;

std::unique_ptr<TlsMachine> TlsMachine::create(std::shared_ptr<const TlsContext> context) {
  auto impl = std::make_unique<Impl>();
  const auto& shared = context->impl();
  ERR_clear_error();
  impl->context = std::move(context);
  impl->ssl.reset(SSL_new(shared.ctx.get()));
  const BIO_METHOD* method = bio_method();
  BioPtr bio(method ? BIO_new(method) : nullptr);
  if (!impl->ssl || !bio) return nullptr;
  BIO_set_data(bio.get(), impl.get());
  BIO_set_init(bio.get(), 1);
  SSL* ssl = impl->ssl.get();
  BIO* shared_bio = bio.release();
  SSL_set_bio(ssl, shared_bio, shared_bio);  // takes the one reference for both directions
  if (shared.is_server) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
    if (!expect_server(ssl, shared)) return nullptr;
  }
  std::unique_ptr<TlsMachine> machine(new TlsMachine(std::move(impl)));
  if (!shared.is_server) machine->handshake();
  return machine;
}

void TlsMachine::handshake() noexcept {
  ERR_clear_error();
  int rc = SSL_do_handshake(impl_->ssl.get());
  if (rc == 1) {
    state_ = State::open;
  } else if (SSL_get_error(impl_->ssl.get(), rc) != SSL_ERROR_WANT_READ) {
    fail("TLS handshake failed");
  }
}

void TlsMachine::fail(const char* fallback) noexcept {
  state_ = State::failed;
  try {
    error_ = take_openssl_error(fallback);
    long verdict = SSL_get_verify_result(impl_->ssl.get());
    if (verdict == X509_V_OK) return;
    error_ += ": ";
    error_ += verdict == X509_V_ERR_APPLICATION_VERIFICATION ? "the certificate is not the pinned one"
                                                             : X509_verify_cert_error_string(verdict);
  } catch (const std::bad_alloc&) {
    error_.clear();
  }
}

TlsMachine::State TlsMachine::feed(ByteView ciphertext, ByteSpan scratch, Sink& sink) {
  impl_->input = ciphertext;
  if (state_ == State::handshaking) handshake();
  while (state_ == State::open) {
    ERR_clear_error();
    size_t size = 0;
    int rc = SSL_read_ex(impl_->ssl.get(), scratch.data(), scratch.size(), &size);
    if (rc == 1) {
      if (!sink.on_tls_plaintext(scratch.first(size))) fail("stopped by the reader");
      continue;
    }
    int error = SSL_get_error(impl_->ssl.get(), rc);
    if (error == SSL_ERROR_WANT_READ) break;
    if (error == SSL_ERROR_ZERO_RETURN) {
      state_ = State::closed;
    } else {
      fail("TLS record failed");
    }
  }
  impl_->input = {};
  if (state_ != State::failed && pending().size() > kMaxPending + kRecord) fail("the peer does not read");
  return state_;
}

bool TlsMachine::write(ByteView plaintext) {
  if (state_ != State::open && state_ != State::closed) return false;
  if (impl_->close_sent || pending().size() > kMaxPending) return false;
  if (plaintext.empty()) return true;
  impl_->output.reserve(impl_->output.size() + plaintext.size() + (plaintext.size() / kRecord + 1) * kRecordOverhead);
  ERR_clear_error();
  size_t written = 0;
  if (SSL_write_ex(impl_->ssl.get(), plaintext.data(), plaintext.size(), &written) == 1) return true;
  fail("TLS record failed");
  return false;
}

void TlsMachine::close() noexcept {
  if (impl_->close_sent || (state_ != State::open && state_ != State::closed)) return;
  impl_->close_sent = true;
  ERR_clear_error();
  SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

ByteView TlsMachine::pending() const noexcept { return ByteView(impl_->output).subspan(impl_->output_front); }

void TlsMachine::consume(size_t sent) noexcept {
  auto& output = impl_->output;
  impl_->output_front += sent;
  if (impl_->output_front == output.size()) {
    Bytes().swap(output);
    impl_->output_front = 0;
  } else if (impl_->output_front >= kMaxPending) {
    // A connection that is never quite idle must not keep all it ever sent.
    output.erase(output.begin(), output.begin() + static_cast<ptrdiff_t>(impl_->output_front));
    impl_->output_front = 0;
  }
}

std::string TlsMachine::alpn() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(impl_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsMachine::server_name() const {
  const char* name = SSL_get_servername(impl_->ssl.get(), TLSEXT_NAMETYPE_host_name);
  return name ? name : "";
}

const char* TlsMachine::version() const noexcept { return SSL_get_version(impl_->ssl.get()); }

const char* TlsMachine::cipher() const noexcept { return SSL_get_cipher_name(impl_->ssl.get()); }

}  // namespace smartvpn::net
