// A client: an entry of the registry. `ClientSpec` is what a host or the configuration asks for,
// `Client` what the registry keeps. Texts of address lists are kept as they came; `acl/` compiles them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/boxed.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "inet/address.hpp"

namespace smartvpn::registry {

constexpr size_t kMaxIdSize = 64;
constexpr size_t kMaxDescriptionSize = 1024;  // bytes
constexpr size_t kMaxTags = 64;
constexpr size_t kMaxTagSize = 64;  // bytes
constexpr size_t kMaxSubnets = 256;
constexpr uint32_t kMaxSessionsPerClient = 1024;
constexpr uint32_t kMaxPriority = 65535;

// Bytes of inner packets a second over all the client's sessions; 0: no limit. A burst of 0 stands for
// a quarter of a second's worth, at least 64 KiB.
struct RateLimit {
  uint64_t from_client_bytes_per_second = 0;
  uint64_t from_client_burst_bytes = 0;
  uint64_t to_client_bytes_per_second = 0;
  uint64_t to_client_burst_bytes = 0;
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

struct ClientSecurity {
  std::vector<std::string> ip_allow_list;  // empty: from anywhere
  std::vector<std::string> ip_block_list;
  std::vector<std::string> destination_allow_list;  // empty: to anywhere
  std::vector<std::string> destination_block_list;
  RateLimit rate_limit;
  friend bool operator==(const ClientSecurity&, const ClientSecurity&) = default;
};

// What happens to a further session than max_sessions.
enum class SessionPolicy : uint8_t { drop_oldest = 0, refuse_new = 1 };

// Bit n: session::Transport n may be used. 0: any.
using TransportMask = uint8_t;

// A secret that copies of an entry share; wiped with the last of them. Null: there is none.
using SharedSecret = std::shared_ptr<const SecretKey>;
inline bool same_secret(const SharedSecret& a, const SharedSecret& b) noexcept {
  return (!a && !b) || (a && b && *a == *b);
}

// What the host decides about a client; `ClientSpec` and `Client` share it.
struct ClientSettings {
  bool enabled = true;
  int64_t expires_at_ms = 0;               // wall clock; 0: never
  std::vector<inet::IpAddress> addresses;  // fixed, at most one a family; families not named are leased
  std::vector<inet::Cidr> subnets;         // behind the client: routed to its session
  bool allow_overlap = false;              // of its subnets with the pool and others'
  TransportMask transports = 0;
  uint32_t max_sessions = 1;  // 1..1024; above 1 only without fixed addresses and subnets
  SessionPolicy session_policy = SessionPolicy::drop_oldest;
  uint32_t priority = 100;  // 0..65535, lower is more important
  std::string description;
  std::vector<std::string> tags;
  ClientSecurity security;
  friend bool operator==(const ClientSettings&, const ClientSettings&) = default;
};

struct ClientSpec : ClientSettings {
  std::string id;                                 // 1..64 characters of [A-Za-z0-9._@-]
  std::optional<PublicKey> noise_public_key;      // absent: a key pair is made
  std::optional<PublicKey> wireguard_public_key;  // absent: made if the server speaks WireGuard
  SharedSecret wireguard_preshared_key;
};

// The keys a client had before a rotation, taken until `until_ms` (wall clock) as well as the new ones.
struct Rotation {
  PublicKey noise_public_key{};
  std::optional<PublicKey> wireguard_public_key;
  SharedSecret noise_private_key, wireguard_private_key;  // as Client's; roll back brings them back
  int64_t until_ms = 0;
  bool seen = false;  // the client has come with the new key
  friend bool operator==(const Rotation& a, const Rotation& b) {
    return a.noise_public_key == b.noise_public_key && a.wireguard_public_key == b.wireguard_public_key &&
           same_secret(a.noise_private_key, b.noise_private_key) &&
           same_secret(a.wireguard_private_key, b.wireguard_private_key) && a.until_ms == b.until_ms &&
           a.seen == b.seen;
  }
};

struct Client : ClientSettings {
  std::string id;
  PublicKey noise_public_key{};
  std::optional<PublicKey> wireguard_public_key;
  SharedSecret wireguard_preshared_key;
  // Only with registry.keep_private_keys, and only of keys that were made here.
  SharedSecret noise_private_key, wireguard_private_key;
  Boxed<Rotation> rotation;
  uint64_t revision = 0;  // the store's revision at the entry's last change

  bool expired(int64_t now_ms) const noexcept { return expires_at_ms != 0 && now_ms >= expires_at_ms; }
  // While it is, both keys are taken.
  bool rotating(int64_t now_ms) const noexcept { return rotation && now_ms < rotation->until_ms; }
  bool has_noise_key(const PublicKey& key, int64_t now_ms) const noexcept {
    return key == noise_public_key || (rotating(now_ms) && key == rotation->noise_public_key);
  }
  bool has_wireguard_key(const PublicKey& key, int64_t now_ms) const noexcept {
    return key == wireguard_public_key || (rotating(now_ms) && key == rotation->wireguard_public_key);
  }
  bool takes_transport(uint8_t number) const noexcept { return transports == 0 || (transports >> number & 1) != 0; }
  friend bool operator==(const Client& a, const Client& b) {
    return static_cast<const ClientSettings&>(a) == b && a.id == b.id && a.noise_public_key == b.noise_public_key &&
           a.wireguard_public_key == b.wireguard_public_key &&
           same_secret(a.wireguard_preshared_key, b.wireguard_preshared_key) &&
           same_secret(a.noise_private_key, b.noise_private_key) &&
           same_secret(a.wireguard_private_key, b.wireguard_private_key) && a.rotation == b.rotation &&
           a.revision == b.revision;
  }
};

// An entry that several threads may look at: it is replaced, never changed.
using ClientPtr = std::shared_ptr<const Client>;

// What create and rotate make.
struct CreatedClient {
  Client client;
  SecretKey noise_private_key;      // zero if the caller brought a public key
  SecretKey wireguard_private_key;  // likewise, or if the client has no WireGuard key
};

bool is_valid_client_id(std::string_view id) noexcept;

// Everything that can be judged without looking at other clients or subnets. Errors are INVALID with
// a JSON Pointer relative to the client's object, such as "/max_sessions".
Result<void> validate_client(const ClientSpec& spec);

}  // namespace smartvpn::registry
