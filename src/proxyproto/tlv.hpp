// The TLVs of a v2 header (section 2.2): splitting, checking, typed views and texts for events.
// Values are worth as much as the proxy that sent them, and are never used for admission here.
#pragma once

#include <string_view>

#include "proxyproto/header.hpp"

namespace smartvpn::proxyproto {

enum TlvType : uint8_t {
  kTlvAlpn = 0x01,
  kTlvAuthority = 0x02,
  kTlvCrc32c = 0x03,
  kTlvNoop = 0x04,
  kTlvUniqueId = 0x05,
  kTlvSsl = 0x20,
  kTlvSslVersion = 0x21,
  kTlvSslCn = 0x22,
  kTlvSslCipher = 0x23,
  kTlvSslSigAlg = 0x24,
  kTlvSslKeyAlg = 0x25,
  kTlvSslGroup = 0x26,
  kTlvSslSigScheme = 0x27,
  kTlvSslClientCert = 0x28,
  kTlvNetns = 0x30,
  kTlvGcp = 0xe0,
  kTlvAws = 0xea,
  kTlvAzure = 0xee,
};

constexpr size_t kMaxUniqueId = 128;

// The SSL TLV. Views point into the value they were parsed from; absent parts are nullopt.
struct SslView {
  static constexpr uint8_t kClientSsl = 1, kClientCertConn = 2, kClientCertSess = 4;
  uint8_t client = 0;
  uint32_t verify = 0;  // 0: the certificate was verified
  std::optional<std::string_view> version, cn, cipher, sig_alg, key_alg, group, sig_scheme;
  std::optional<ByteView> client_cert;  // DER
  bool tls() const noexcept { return client & kClientSsl; }
  bool cert_on_connection() const noexcept { return client & kClientCertConn; }
  bool cert_in_session() const noexcept { return client & kClientCertSess; }
  // A certificate was shown and the proxy verified it; verify alone is 0 also without one.
  bool verified() const noexcept { return (client & (kClientCertConn | kClientCertSess)) != 0 && verify == 0; }
};

// Splits a TLV area. False when it does not end exactly at a TLV's end.
bool split_tlvs(ByteView area, std::vector<Tlv>& out);
// Checks lengths the specification fixes: CRC32C 4 bytes and only once, UNIQUE_ID at most 128, SSL
// well-formed down to its sub-TLVs. Null when fine, else a static text.
const char* check_tlvs(const std::vector<Tlv>& tlvs) noexcept;

// The first TLV of the type; null when there is none.
const Tlv* find_tlv(const std::vector<Tlv>& tlvs, uint8_t type) noexcept;
std::optional<SslView> parse_ssl(ByteView value) noexcept;

// Each looks for the first TLV of its kind that has the right form.
std::optional<ByteView> alpn(const Header& header) noexcept;
std::optional<std::string_view> authority(const Header& header) noexcept;
std::optional<ByteView> unique_id(const Header& header) noexcept;
std::optional<std::string_view> netns(const Header& header) noexcept;
std::optional<uint32_t> crc32c_value(const Header& header) noexcept;
std::optional<SslView> ssl(const Header& header) noexcept;                        // views into `header`
std::optional<std::string_view> aws_vpc_endpoint(const Header& header) noexcept;  // "vpce-...": letters, digits, '-'
std::optional<uint32_t> azure_link_id(const Header& header) noexcept;
std::optional<uint64_t> gcp_psc_connection(const Header& header) noexcept;

// Name and value for events, in wire order without NOOP and CRC32C. Values that are not printable
// ASCII are "0x" and lower-case hex; each shows at most 256 bytes, then "...". Types without a name
// are "0xE3". SSL gives "ssl" ("tls cert verified" and so on) and "ssl.version", "ssl.cn", ....
struct TlvText {
  std::string name;
  std::string value;
};
std::vector<TlvText> describe(const std::vector<Tlv>& tlvs);

}  // namespace smartvpn::proxyproto
