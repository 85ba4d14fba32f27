// See client_forms.hpp; to_spec(), the other direction, is in plan.hpp.
#include "server/client_forms.hpp"

#include "config/tunnel_config.hpp"
#include "export/wireguard_conf.hpp"

namespace smartvpn::server {
namespace {}  // namespace

config::ClientConfig to_config(const registry::Client& client) {
  config::ClientConfig out;
  out.id = client.id;
  out.noise_public_key = client.noise_public_key;
  out.wireguard_public_key = client.wireguard_public_key;
  if (client.wireguard_preshared_key) out.wireguard_preshared_key = client.wireguard_preshared_key->clone();
  out.enabled = client.enabled;
  if (client.expires_at_ms != 0) out.expires_at_ms = client.expires_at_ms;
  out.addresses = client.addresses;
  out.subnets = client.subnets;
  out.allow_overlap = client.allow_overlap;
  for (auto transport : {config::Transport::websocket, config::Transport::quic, config::Transport::wireguard})
    if (client.transports >> static_cast<unsigned>(transport) & 1) out.transports.push_back(transport);
  out.max_sessions = client.max_sessions;
  out.session_policy = client.session_policy == registry::SessionPolicy::refuse_new
                           ? config::SessionPolicy::refuse_new
                           : config::SessionPolicy::drop_oldest;
  out.priority = client.priority;
  out.description = client.description;
  out.tags = client.tags;
  const auto& security = client.security;
  const auto& rate = security.rate_limit;
  out.security = {security.ip_allow_list,
                  security.ip_block_list,
                  security.destination_allow_list,
                  security.destination_block_list,
                  {rate.from_client_bytes_per_second, rate.from_client_burst_bytes, rate.to_client_bytes_per_second,
                   rate.to_client_burst_bytes}};
  return out;
}

std::string native_config(const ServerFacts& facts, const SecretKey* key) {
  config::TunnelConfigSpec spec;
  spec.server = facts.url;
  spec.server_public_key = facts.noise_public_key;
  spec.noise_private_key = key;
  return config::make_tunnel_config_json(spec);
}

std::string wireguard_config(const ServerFacts& facts, const registry::Client& client, const SecretKey* key) {
  if (!facts.wireguard_public_key || !client.wireguard_public_key || client.addresses.empty()) return {};
  exports::WireguardConf conf;
  conf.private_key = key;
  conf.addresses = client.addresses;
  conf.dns = facts.dns;
  conf.mtu = facts.mtu;
  conf.server_public_key = *facts.wireguard_public_key;
  conf.preshared_key = client.wireguard_preshared_key.get();
  conf.endpoint = facts.wireguard_endpoint;
  conf.allowed_ips = facts.routes;
  conf.persistent_keepalive_s = facts.wireguard_keepalive_s;
  return exports::make_wireguard_conf(conf);
}

NewClient make_new_client(const ServerFacts& facts, registry::CreatedClient created) {
  auto known = [](const SecretKey& key) { return key.is_zero() ? nullptr : &key; };
  NewClient out;
  out.config_json = native_config(facts, known(created.noise_private_key));
  out.wireguard_conf = wireguard_config(facts, created.client, known(created.wireguard_private_key));
  out.created = std::move(created);
  return out;
}

}  // namespace smartvpn::server
