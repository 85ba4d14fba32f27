// What hosts ask of the registry, and what they get.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "registry/client_changes.hpp"

namespace smartvpn::server {

struct ClientChange {
  enum class Kind : uint8_t { create, update, remove, enable, disable, rotate, rotate_commit, rotate_roll_back };
  ClientChange() = default;
  explicit ClientChange(Kind wanted, std::string client_id = {}) : kind(wanted), id(std::move(client_id)) {}
  ClientChange(const ClientChange&) = default;
  ClientChange(ClientChange&&) = default;
  ClientChange& operator=(const ClientChange&) = default;
  ClientChange& operator=(ClientChange&&) = default;
  ~ClientChange() { wipe(patch); }

  Kind kind = Kind::create;
  std::string id;                  // of all kinds but create
  registry::ClientSpec spec;       // create
  bool if_missing = false;         // create: of the configuration, and no change if the id is there
  std::string patch;               // update: JSON Merge Patch over the client's JSON
  uint64_t expected_revision = 0;  // update: of the client; 0: any
  registry::RotateOptions rotate;  // rotate
};

// What create or rotate has made, and the only time its private keys are seen. Move-only, wiped when it goes.
struct NewClient {
  NewClient() = default;
  NewClient(NewClient&&) = default;
  NewClient& operator=(NewClient&&) = default;
  ~NewClient() {
    wipe(config_json);
    wipe(wireguard_conf);
  }
  registry::CreatedClient created;
  std::string config_json;     // a complete tunnel configuration, with the private key
  std::string wireguard_conf;  // wg-quick's, likewise; "" without a WireGuard key
};

struct AppliedChanges {
  uint64_t revision = 0;                       // the registry's, after them
  std::vector<std::optional<NewClient>> made;  // by change
};

}  // namespace smartvpn::server
