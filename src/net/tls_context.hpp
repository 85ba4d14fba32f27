// What many TLS connections share: certificates, trust, protocol limits. Immutable; reloading makes a new
// one, and live connections keep theirs. In a private OpenSSL library context, TLS 1.2 and 1.3.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct ssl_ctx_st;

namespace smartvpn::net {

struct TlsServerOptions {
  std::string certificate;        // PEM chain, leaf first: a file's path, or the text itself ("-----BEGIN …")
  std::string key;                // PEM private key, likewise; no passphrase
  std::vector<std::string> alpn;  // offered protocols in our order; empty: ALPN is ignored
  std::string path;               // configuration path for errors, e.g. "/listen/0/tls"
};

struct TlsClientOptions {
  // Trust is explicit: one at least of the four. `ca` and `system_store` add up; with pins as well, both
  // have to agree. Pins alone replace chain, date and name checks.
  std::string ca;             // PEM certificates: a file's path or the text
  bool system_store = false;  // the distribution's store, at OpenSSL's compiled-in place
  // SHA-256 of the server's certificate (DER) or of its public key (SPKI), in hex (colons allowed) or base64.
  std::vector<std::string> pins;
  // Looks at no certificate at all, if none of the others is set: for what proves its server by itself
  // inside (the native protocol by its Noise key), where TLS is only the road there.
  bool any_certificate = false;
  std::string server_name;  // for SNI and verification: a DNS name or an IP address
  std::vector<std::string> alpn;
  std::string path;
};

class TlsContext {
 public:
  // Errors: INVALID with the path of the faulty key (`path` + "/certificate" …), SYSTEM for an unreadable file,
  // UNSUPPORTED in a build without TLS.
  static Result<std::shared_ptr<const TlsContext>> server(const TlsServerOptions& options);
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Whether the leaf certificate of a server's context is for this name (RFC 6125 section 6.4, wildcards as usual).
  bool serves(std::string_view host) const;
  // The same options, files read again. The new context is for new connections.
  Result<std::shared_ptr<const TlsContext>> reloaded() const;

  struct Impl;
  const Impl& impl() const noexcept { return *impl_; }  // for this room's files

 private:
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// 32 bytes from hex (with or without colons) or base64; false for anything else.
bool parse_pin(std::string_view text, std::array<uint8_t, 32>& pin);

}  // namespace smartvpn::net
