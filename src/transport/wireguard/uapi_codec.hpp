// The configuration protocol of WireGuard's user-space implementations (https://www.wireguard.com/xplatform/), which
// the `wg` tool speaks over a Unix socket: requests `get=1` and `set=1` of lines `key=value` that end with an empty
// line, and answers that end with an errno. Bytes to structs and back, pure; what a request does is
// server/uapi_changes.
//
// What comes here may change peers already, so it is no stranger; all the same every line, list and request is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.hpp"
#include "inet/address.hpp"

namespace smartvpn::wireguard {

struct UapiAllowedIp {
  inet::Cidr prefix;
  bool remove = false;  // `allowed_ip=-…`
  friend bool operator==(const UapiAllowedIp&, const UapiAllowedIp&) = default;
};

// What a `set` says of one peer, from `public_key` to the next.
struct UapiPeer {
  PublicKey key{};
  bool remove = false;
  bool update_only = false;
  bool replace_allowed_ips = false;
  std::optional<SecretKey> preshared_key;  // zero: none from now on
  std::optional<inet::Endpoint> endpoint;
  std::optional<uint16_t> persistent_keepalive_s;  // 0: none
  std::vector<UapiAllowedIp> allowed_ips;          // in their order
};

struct UapiRequest {
  bool set = false;                      // else `get`, and nothing below is set
  std::optional<SecretKey> private_key;  // zero: none
  std::optional<uint16_t> listen_port;
  std::optional<uint32_t> fwmark;
  bool replace_peers = false;
  std::vector<UapiPeer> peers;  // in their order; a key may come again
};

// Reads one request after the other from a stream, in pieces of any size. What was wrong in a request is told when all
// of it was read, so that the next one is understood again.
class UapiParser {
 public:
  static constexpr size_t kMaxLine = 256;  // bytes; the longest that is any use has 100
  static constexpr size_t kMaxRequest = size_t{32} << 20;
  static constexpr size_t kMaxPeers = 65536;
  static constexpr size_t kMaxAllowedIps = 262144;  // of all peers of a request

  enum class State : uint8_t {
    more,  // the request goes on
    done,  // there is a request to take()
    lost,  // it is longer than any: the stream has to end
  };

  UapiParser() = default;
  ~UapiParser() { wipe(line_); }
  UapiParser(const UapiParser&) = delete;
  UapiParser& operator=(const UapiParser&) = delete;

  // How many of these bytes were read: all of them, or up to the end of a request. None unless the state is `more`.
  // Throws std::bad_alloc; then the parser is of no further use.
  size_t feed(std::string_view bytes);
  State state() const noexcept { return state_; }
  // Whether a part of a request was read.
  bool begun() const noexcept { return request_bytes_ != 0; }

  // In state `done`: 0 with the request, or the errno that it is refused with, and no more of it than `set`. The parser
  // is ready for the next one.
  int take(UapiRequest& out);

 private:
  void end_line();
  int read_line(std::string_view line);
  int read_first(std::string_view line);
  int read_device_key(std::string_view key, std::string_view value);
  int read_peer_key(std::string_view key, std::string_view value);
  int begin_peer(std::string_view value);
  int add_allowed_ip(std::string_view value);

  State state_ = State::more;
  std::array<uint8_t, kMaxLine> line_{};
  size_t line_size_ = 0;
  size_t request_bytes_ = 0, allowed_ips_ = 0;
  bool first_ = true;  // the line that says what is asked
  int error_ = 0;      // of the first line that was wrong
  UapiRequest request_;
};

// What `get` tells of a peer. Views of the caller's.
struct UapiPeerState {
  PublicKey key{};
  const SecretKey* preshared_key = nullptr;
  std::optional<inet::Endpoint> endpoint;
  int64_t last_handshake_ms = 0;  // wall clock; 0: never
  uint64_t bytes_in = 0, bytes_out = 0;
  uint16_t persistent_keepalive_s = 0;
  std::span<const inet::Cidr> allowed_ips;
};

// An answer to `get`, up to its errno: of the device, then of each peer. The private key is never among it. With
// preshared keys it is a secret: reserve room before, and wipe it afterwards.
void append_uapi_device(std::string& out, uint16_t listen_port);
void append_uapi_peer(std::string& out, const UapiPeerState& peer);
// At most so many bytes of it.
size_t uapi_peer_size(const UapiPeerState& peer) noexcept;
// Ends every answer. `error`: an errno, 0 for success. To a `set` it goes out negative, as wireguard-go has it; to a
// `get` as it is, because `wg` reads no sign there.
void append_uapi_errno(std::string& out, int error, bool set);

}  // namespace smartvpn::wireguard
