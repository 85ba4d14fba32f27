// What is known of one client's connection, from accept to the last byte; or of a client's datagrams, as a flow.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/reason.hpp"
#include "config/relay_config.hpp"
#include "proxyproto/header.hpp"
#include "relay/identity_tlv.hpp"

namespace smartvpn::relay {

struct ConnectionFacts {
  uint64_t id = 0;        // unique in the process, never 0
  uint32_t listener = 0;  // index into the configuration's `listen` as it was at accept
  config::RelayProtocol protocol = config::RelayProtocol::tcp;
  inet::Endpoint peer;   // whose socket it is: the client, or the proxy before us
  inet::Endpoint local;  // our end of that socket
  // The client: nothing before a header that must come has come, and for one without an address.
  std::optional<inet::Endpoint> real;
  bool vouched = false;                        // a trusted proxy has said so
  std::unique_ptr<proxyproto::Header> header;  // which it said it in; null without one
  std::optional<ClientIdentity> identity;      // the VPN client that it is of
  std::string host;                            // SNI or Host, normalised; "": not known
  uint16_t tls_version = 0;                    // newest offered; 0: no TLS, or not looked at
  int64_t accepted_ms = 0;                     // wall clock
  Time accepted{};

  // Whom limits and lists judge: the real address once it is known, before that nobody but the peer.
  const inet::IpAddress& judged() const noexcept { return real ? real->ip : peer.ip; }
  // What the client dialled, as far as we know.
  const inet::Endpoint& dialled() const noexcept {
    return header && header->destination ? *header->destination : local;
  }
};

// The same as a snapshot for whoever asks.
struct ConnectionInfo {
  uint64_t id = 0;
  uint32_t listener = 0;
  config::RelayProtocol protocol = config::RelayProtocol::tcp;
  inet::Endpoint peer_addr;
  std::optional<inet::Endpoint> remote_addr;
  bool vouched = false;
  std::vector<std::pair<std::string, std::string>> tlvs;
  std::string client_id, host, route;
  std::string stage;      // "header", "hello", "connecting", "relaying"
  inet::Endpoint target;  // none before it is connected
  uint64_t bytes_in = 0, bytes_out = 0;
  int64_t since_ms = 0;  // wall clock
};

// Name and value of each TLV, for events and snapshots.
std::vector<std::pair<std::string, std::string>> tlv_texts(const ConnectionFacts& facts);

}  // namespace smartvpn::relay
