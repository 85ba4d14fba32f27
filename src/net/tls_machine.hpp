// TLS without a socket: ciphertext in, plaintext out, and the other way round. The owner moves the bytes
// between it and a TcpStream. Bounded: no record waits for its reader, and `pending` has a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "net/tls_context.hpp"

namespace smartvpn::net {

class TlsMachine {
 public:
  enum class State : uint8_t {
    handshaking,
    open,
    closed,  // the peer sent close_notify; we may still write
    failed,  // see error(); an alert may be pending
  };
  // Ciphertext that may wait to be sent; write() refuses beyond it, and a peer that makes us answer without
  // reading fails there.
  static constexpr size_t kMaxPending = size_t{256} * 1024;

  class Sink {
   public:
    virtual ~Sink() = default;
    // Plaintext, writable, valid during the call. The machine must not be destroyed inside; returning
    // false stops feed() after this piece (the machine then counts as failed).
    virtual bool on_tls_plaintext(ByteSpan plaintext) = 0;
  };

  // Null only when memory is out (or in a build without TLS, where no context exists either). A client
  // has its ClientHello pending at once. The machine keeps the context alive.
  static std::unique_ptr<TlsMachine> create(std::shared_ptr<const TlsContext> context);
  ~TlsMachine();
  TlsMachine(const TlsMachine&) = delete;
  TlsMachine& operator=(const TlsMachine&) = delete;

  // Takes all of `ciphertext`. Plaintext goes to the sink through `scratch` (16 KiB or more; the loop's
  // scratch_buffer()). Look at pending() afterwards.
  State feed(ByteView ciphertext, ByteSpan scratch, Sink& sink);
  // Seals all of `plaintext`, or nothing: false before the handshake is over, after failure, or while
  // kMaxPending bytes wait.
  bool write(ByteView plaintext);
  // Queues close_notify, once.
  void close() noexcept;

  // Valid until the next call of feed, write, close or consume.
  ByteView pending() const noexcept;
  void consume(size_t sent) noexcept;  // the first `sent` bytes of pending() are on their way

  State state() const noexcept { return state_; }
  // Why it failed, in OpenSSL's words, for the log; "" otherwise.
  const std::string& error() const noexcept { return error_; }
  std::string alpn() const;              // agreed protocol, or ""
  std::string server_name() const;       // SNI as the client sent it, or ""
  const char* version() const noexcept;  // "TLSv1.3"
  const char* cipher() const noexcept;   // "TLS_AES_128_GCM_SHA256", as OpenSSL calls it

  struct Impl;

 private:
  explicit TlsMachine(std::unique_ptr<Impl> impl);
  void handshake() noexcept;
  void fail(const char* fallback) noexcept;
  std::unique_ptr<Impl> impl_;
  State state_ = State::handshaking;
  std::string error_;
};

}  // namespace smartvpn::net
