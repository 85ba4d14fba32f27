// What travels inside the two handshake messages and in configuration updates: a fixed first part,
// then fields (type u8, length u16, value; unknown types are skipped). docs/PROTOCOL.md, "Payloads".
#pragma once

#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "base/secret.hpp"
#include "inet/address.hpp"
#include "session/close_code.hpp"
#include "session/message_codec.hpp"

namespace smartvpn::session {

constexpr uint8_t kProtocolVersion = 1;
constexpr uint16_t kMinMtu = 1280;  // what IPv6 needs; a smaller wish is read as this

// Bits of the capability word; unknown bits are ignored.
constexpr uint32_t kCapSuperPackets = 1u << 0;  // "send me super-packets"

constexpr size_t kMaxAddresses = 16;
constexpr size_t kMaxDns = 16;
constexpr size_t kMaxRoutes = 512;

// Message 1.
struct InitiationPayload {
  uint8_t version = kProtocolVersion;  // the highest the client speaks, not 0
  uint32_t capabilities = 0;
  uint16_t wanted_mtu = 0;  // 0: no wish
  uint32_t max_plaintext = kMaxPlaintext;
  std::vector<inet::IpAddress> wanted_addresses;  // what it had before; at most kMaxAddresses
};

// What a client is given, in message 2 or a configuration update (which replaces all of it).
struct SessionParameters {
  std::vector<inet::IpAddress> addresses;
  std::vector<inet::IpAddress> dns;
  std::vector<inet::Cidr> routes;  // what the client sends into the tunnel
  uint16_t mtu = 1420;
  Duration keepalive_interval = seconds(30);  // whole milliseconds on the wire
  uint32_t capabilities = 0;
  uint32_t max_plaintext = kMaxPlaintext;
  std::optional<PublicKey> next_server_key;  // will replace the server's key some day
  friend bool operator==(const SessionParameters&, const SessionParameters&) = default;
};

// Message 2.
struct ResponsePayload {
  HandshakeStatus status = HandshakeStatus::ok;
  uint8_t version = kProtocolVersion;  // the one this session speaks
  uint32_t retry_after_s = 0;          // busy only
  SessionParameters parameters;        // ok and not a rekey
};

// Encoders append. False, with `out` unchanged, when a list is over its bound.
bool encode(const InitiationPayload& payload, Bytes& out);
bool encode(const ResponsePayload& payload, bool rekey, Bytes& out);
bool encode(const SessionParameters& parameters, Bytes& out);

// Nothing when malformed: a field cut short or of the wrong size, a single-valued field twice, a list
// over its bound, version 0, an announced limit under kMinPlaintextLimit. Bounded memory.
std::optional<InitiationPayload> decode_initiation(ByteView payload);
std::optional<ResponsePayload> decode_response(ByteView payload);
std::optional<SessionParameters> decode_parameters(ByteView record);

}  // namespace smartvpn::session
