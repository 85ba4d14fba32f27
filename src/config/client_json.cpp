// See client_json.hpp. A patch is applied to the client's own JSON, so that it can say exactly what the
// configuration can.
#include "config/client_json.hpp"

#include "base/secret.hpp"
#include "config/build.hpp"
#include "config/reader.hpp"

namespace smartvpn::config {
namespace {

// clang-format off
constexpr KeySpec kQueryKeys[] = {
  {.path = "/after", .type = Type::text, .min = 0, .max = 128},
  {.path = "/limit", .type = Type::integer, .min = 1, .max = 1000},
  {.path = "/id_prefix", .type = Type::text, .min = 0, .max = 128},
  {.path = "/tag", .type = Type::text, .min = 0, .max = 128},
  {.path = "/enabled", .type = Type::boolean},
  {.path = "/online", .type = Type::boolean},
  {.path = "/text", .type = Type::text, .min = 0, .max = 1024},
};
constexpr KeySpec kRotateKeys[] = {
  {.path = "/overlap_seconds", .type = Type::integer, .min = 0, .max = 2592000},
  {.path = "/noise_public_key", .type = Type::public_key},
  {.path = "/wireguard_public_key", .type = Type::public_key},
};
// clang-format on

const KeyNode& client_node() { return *key_tree(Kind::server).child("clients")->element(); }

// A client's JSON, whose secrets are wiped when it goes.
struct ClientTree {
  ClientTree() = default;
  ClientTree(const ClientTree&) = delete;
  ClientTree& operator=(const ClientTree&) = delete;
  ~ClientTree() { wipe_secrets(client_node(), json); }
  Json json = Json::object();
};

template <class T>
Json texts(const std::vector<T>& items) {
  Json out = Json::array();
  for (const auto& item : items) out.push_back(item.text());
  return out;
}

const char* name_of(Transport transport) {
  switch (transport) {
    case Transport::websocket:
      return "websocket";
    case Transport::quic:
      return "quic";
    case Transport::wireguard:
      break;
  }
  return "wireguard";
}

Json security_json(const ClientSecurityConfig& security) {
  Json out = Json::object();
  out["ip_allow_list"] = security.ip_allow_list;
  out["ip_block_list"] = security.ip_block_list;
  out["destination_allow_list"] = security.destination_allow_list;
  out["destination_block_list"] = security.destination_block_list;
  const RateLimitConfig& rate = security.rate_limit;
  Json& limit = out["rate_limit"] = Json::object();
  limit["from_client_bytes_per_second"] = rate.from_client_bytes_per_second;
  limit["from_client_burst_bytes"] = rate.from_client_burst_bytes;
  limit["to_client_bytes_per_second"] = rate.to_client_bytes_per_second;
  limit["to_client_burst_bytes"] = rate.to_client_burst_bytes;
  return out;
}

void write_client(const ClientConfig& client, Json& out) {
  out["id"] = client.id;
  out["noise_public_key"] = format_key(client.noise_public_key);
  if (client.wireguard_public_key) out["wireguard_public_key"] = format_key(*client.wireguard_public_key);
  if (client.wireguard_preshared_key)
    out["wireguard_preshared_key"] = format_key(client.wireguard_preshared_key->view());
  out["enabled"] = client.enabled;
  if (client.expires_at_ms) out["expires_at"] = *client.expires_at_ms;
  out["addresses"] = texts(client.addresses);
  out["subnets"] = texts(client.subnets);
  out["allow_overlap"] = client.allow_overlap;
  out["transports"] = Json::array();
  for (Transport transport : client.transports) out["transports"].push_back(name_of(transport));
  out["max_sessions"] = client.max_sessions;
  out["session_policy"] = client.session_policy == SessionPolicy::refuse_new ? "refuse-new" : "drop-oldest";
  out["priority"] = client.priority;
  out["description"] = client.description;
  out["tags"] = client.tags;
  out["security"] = security_json(client.security);
}

// Also of keys whose value is null, which the merged tree no longer has.
Result<void> check_names(const KeyNode& node, const Json& patch, const std::string& pointer) {
  if (!patch.is_object() || node.type() != Type::object) return {};
  for (const auto& [name, value] : patch.members()) {
    const KeyNode* child = node.child(name);
    if (!child) return unknown_key(node, name, pointer);
    if (auto checked = check_names(*child, value, join_pointer(pointer, name)); !checked) return checked;
  }
  return {};
}

Result<void> read_patch(std::string_view text, Json& out) {
  if (auto parsed = parse_json(text, {}, out); !parsed) return parsed;
  if (!out.is_object()) return make_error(Status::INVALID, "must be an object");
  return check_names(client_node(), out, {});
}

Result<void> read_small(std::string_view text, std::span<const KeySpec> table, Json& out) {
  if (auto parsed = parse_json(text, {}, out); !parsed) return parsed;
  return check_structure(build_key_tree(table), out, {}, false);
}

}  // namespace

Result<ClientConfig> patch_client_config(const ClientConfig& present, std::string_view patch) {
  ClientTree change, merged;
  if (auto read = read_patch(patch, change.json); !read) return std::move(read).error();
  write_client(present, merged.json);
  merged.json.merge_patch(change.json);
  if (auto checked = check_structure(client_node(), merged.json, {}, true); !checked) return std::move(checked).error();
  ClientConfig out = build_client_config(merged.json);
  if (out.noise_public_key == PublicKey{}) return make_error(Status::INVALID, "is required", "/noise_public_key");
  if (out.id != present.id) return make_error(Status::INVALID, "cannot change", "/id");
  return out;
}

Result<void> check_client_patch(std::string_view patch) {
  ClientTree change, merged;
  if (auto read = read_patch(patch, change.json); !read) return read;
  merged.json.merge_patch(change.json);
  return check_structure(client_node(), merged.json, {}, false);
}

Result<ClientQuery> parse_client_query(std::string_view text) {
  Json json;
  if (auto read = read_small(text, kQueryKeys, json); !read) return std::move(read).error();
  const Reader in(json);
  ClientQuery out;
  in.read("after", out.after);
  in.read("limit", out.limit);
  in.read("id_prefix", out.id_prefix);
  in.read("tag", out.tag);
  out.enabled = in.boolean("enabled");
  out.online = in.boolean("online");
  in.read("text", out.text);
  return out;
}

Result<RotateConfig> parse_rotate_config(std::string_view text) {
  Json json;
  if (auto read = read_small(text, kRotateKeys, json); !read) return std::move(read).error();
  const Reader in(json);
  RotateConfig out;
  in.read("overlap_seconds", out.overlap_seconds);
  if (in.has("noise_public_key")) in.read("noise_public_key", out.noise_public_key.emplace());
  if (in.has("wireguard_public_key")) in.read("wireguard_public_key", out.wireguard_public_key.emplace());
  return out;
}

}  // namespace smartvpn::config
