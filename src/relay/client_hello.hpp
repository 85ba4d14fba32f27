// The first message of a TLS connection, read in passing: which name, protocols and versions the client
// asks for (RFC 8446 section 4.1.2), so that a connection can be routed without being terminated. Nothing is
// decrypted and nothing answered; the caller keeps the bytes, which belong to the target.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace smartvpn::relay {

constexpr uint16_t kTls12 = 0x0303;
constexpr uint16_t kTls13 = 0x0304;

// "TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3", as OpenSSL calls them but for the ".0"; null for others.
const char* version_name(uint16_t version) noexcept;

struct ClientHello {
  // The first host_name of server_name (RFC 6066 section 3) as normalise_host leaves it. "" when there is none, or
  // when it is no host name; addresses are none.
  std::string server_name;
  // Protocol names in the client's order, as sent (RFC 7301 section 3.1), without GREASE; at most kMaxAlpn are kept.
  // Of 1 to 255 bytes of any value.
  std::vector<std::string> alpn;
  // supported_versions in the client's order, without GREASE (RFC 8701); at most 127. Without that extension one
  // entry: legacy_version, of which more than TLS 1.2 means TLS 1.2 (RFC 8446 section 4.2.1).
  std::vector<uint16_t> versions;

  static constexpr size_t kMaxAlpn = 32;

  bool offers(uint16_t version) const noexcept;
  uint16_t highest_version() const noexcept;  // of those that have a name; 0: none

  friend bool operator==(const ClientHello&, const ClientHello&) = default;
};

class ClientHelloMachine {
 public:
  enum class State : uint8_t {
    need_more,
    done,
    not_tls,    // at the first byte that is not a handshake record's of a version 3.x
    malformed,  // such a record came first, but what follows is no ClientHello
    too_large,
  };

  // Bytes that are looked at: records with their headers. A message that announces more is too large at once; one
  // that is not complete within them is when they are full.
  static constexpr size_t kMaxSize = 65536;
  // Records that carry nothing; TLS forbids them (RFC 8446 section 5.1), a few are overlooked.
  static constexpr size_t kMaxEmptyRecords = 32;

  // The next bytes of the stream, in any pieces. Bytes behind the message are not looked at. Every state but
  // need_more is final and repeats. Keeps the message as far as it came, at most kMaxSize, and nothing once it is
  // final but hello().
  State feed(ByteView bytes);
  State state() const noexcept { return state_; }

  // Meaningful after `done`, empty before and after all else.
  const ClientHello& hello() const noexcept { return hello_; }
  ClientHello take() noexcept { return std::move(hello_); }

 private:
  static constexpr size_t kRecordHeader = 5;
  static constexpr size_t kMessageHeader = 4;

  void take_header_byte(uint8_t byte) noexcept;
  size_t take_fragment(ByteView bytes);
  void reserve(size_t size);
  void finish();

  State state_ = State::need_more;
  std::array<uint8_t, kRecordHeader> header_{};
  uint8_t header_size_ = 0;  // bytes of it that are there
  uint8_t empty_records_ = 0;
  uint16_t record_left_ = 0;  // bytes of the current record to come; 0: the next byte is a header's
  size_t seen_ = 0;
  size_t message_size_ = kMessageHeader;  // as far as it is known
  Bytes message_;
  ClientHello hello_;
};

}  // namespace smartvpn::relay
