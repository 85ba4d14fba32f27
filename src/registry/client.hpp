// A client: an entry of the registry. `ClientSpec` is what a host or the configuration asks for,
// `Client` what the registry keeps. Texts of address lists are kept as they came; `acl/` compiles them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "inet/address.hpp"

namespace smartvpn::registry {

constexpr size_t kMaxIdSize = 64;
constexpr size_t kMaxDescriptionSize = 1024;  // bytes
constexpr size_t kMaxTags = 64;
constexpr size_t kMaxTagSize = 64;  // bytes
constexpr uint32_t kMaxSessionsPerClient = 1024;

struct ClientSecurity {
  std::vector<std::string> ip_allow_list;  // empty: from anywhere
  std::vector<std::string> ip_block_list;
  friend bool operator==(const ClientSecurity&, const ClientSecurity&) = default;
};

struct ClientSpec {
  std::string id;                             // 1..64 characters of [A-Za-z0-9._@-]
  std::optional<PublicKey> noise_public_key;  // absent: a key pair is made
  bool enabled = true;
  int64_t expires_at_ms = 0;               // wall clock; 0: never
  std::vector<inet::IpAddress> addresses;  // fixed, at most one a family; families not named are leased
  uint32_t max_sessions = 1;               // 1..1024; above 1 only without fixed addresses
  std::string description;
  std::vector<std::string> tags;
  ClientSecurity security;
};

struct Client {
  std::string id;
  PublicKey noise_public_key{};
  bool enabled = true;
  int64_t expires_at_ms = 0;
  std::vector<inet::IpAddress> addresses;
  uint32_t max_sessions = 1;
  std::string description;
  std::vector<std::string> tags;
  ClientSecurity security;
  uint64_t revision = 0;  // the store's revision at the entry's last change

  bool expired(int64_t now_ms) const noexcept { return expires_at_ms != 0 && now_ms >= expires_at_ms; }
  friend bool operator==(const Client&, const Client&) = default;
};

struct CreatedClient {
  Client client;
  SecretKey noise_private_key;  // zero if the caller brought a public key; kept nowhere else
};

bool is_valid_client_id(std::string_view id) noexcept;

// Everything that can be judged without looking at other clients or subnets. Errors are INVALID with
// a JSON Pointer relative to the client's object, such as "/max_sessions".
Result<void> validate_client(const ClientSpec& spec);

}  // namespace smartvpn::registry
