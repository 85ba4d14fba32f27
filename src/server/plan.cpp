#include "server/plan.hpp"

#include "base/features.hpp"
#include "crypto/aead.hpp"

namespace smartvpn::server {
namespace {

Result<void> check_build(const config::ServerConfig& config) {
  if (!SMARTVPN_WITH_TUN && config.forwarding.mode == config::ForwardingConfig::Mode::tun)
    return make_error(Status::UNSUPPORTED, "this build has no tun engine", "/forwarding/mode");
  for (size_t i = 0; i < config.listen.size(); ++i) {
    std::string path = "/listen/" + std::to_string(i);
    if (!SMARTVPN_WITH_WEBSOCKET && config.listen[i].transport == config::Transport::websocket)
      return make_error(Status::UNSUPPORTED, "this build has no WebSocket transport", path + "/transport");
    if (!SMARTVPN_WITH_WIREGUARD && config.listen[i].transport == config::Transport::wireguard)
      return make_error(Status::UNSUPPORTED, "this build has no WireGuard transport", path + "/transport");
    if (!SMARTVPN_WITH_TLS && config.listen[i].tls)
      return make_error(Status::UNSUPPORTED, "this build has no TLS", path + "/tls");
  }
  const auto backend = crypto::AeadEngine::parse_backend(config.performance.aead);
  if (!backend || !crypto::AeadEngine::backend_available(*backend))
    return make_error(Status::UNSUPPORTED, config.performance.aead + " is not there on this machine",
                      "/performance/aead");
  return {};
}

Result<ListenerPlan> make_listener(const config::ListenConfig& config, const std::string& path) {
  ListenerPlan plan;
  plan.config = config;
  if (config.proxy_protocol.mode != config::ProxyProtocolConfig::Mode::off) {
    auto trusted =
        acl::TrustedProxies::compile(config.proxy_protocol.trusted_proxies, path + "/proxy_protocol/trusted_proxies");
    if (!trusted) return trusted.error();
    plan.trusted = std::move(*trusted);
  }
  if (config.real_ip_header != "off") {
    auto trusted = acl::TrustedProxies::compile(config.real_ip_trusted_proxies, path + "/real_ip_trusted_proxies");
    if (!trusted) return trusted.error();
    plan.real_ip_trusted = std::move(*trusted);
  }
  if (config.tls) {
    net::TlsServerOptions options;
    options.certificate = config.tls->certificate;
    options.key = config.tls->key.text();
    options.path = path + "/tls";
    auto context = net::TlsContext::server(options);
    wipe(options.key);
    if (!context) return context.error();
    plan.tls = *context;
  }
  return plan;
}

}  // namespace

Result<Plan> make_plan(config::ServerConfig config) {
  if (auto ok = check_build(config); !ok) return ok.error();
  Plan plan;
  for (size_t i = 0; i < config.listen.size(); ++i) {
    auto listener = make_listener(config.listen[i], "/listen/" + std::to_string(i));
    if (!listener) return listener.error();
    plan.listeners.push_back(std::move(*listener));
  }
  auto policy =
      acl::SourcePolicy::compile(config.security.connection_ip_block_list, "/security/connection_ip_block_list", {}, "",
                                 {Reason::ip_block_list, Reason::ip_block_list});
  if (!policy) return policy.error();
  plan.connection_policy = std::move(*policy);
  for (size_t i = 0; i < config.clients.size(); ++i) {
    const std::string path = "/clients/" + std::to_string(i);
    const registry::ClientSpec spec = to_spec(config.clients[i]);
    if (auto valid = registry::validate_client(spec); !valid)
      return make_error(valid.error().status, valid.error().text, path + valid.error().path);
    auto client = compile_client_policy(spec.security, path);
    if (!client) return client.error();
  }
  plan.config = std::move(config);
  return plan;
}

registry::ClientSpec to_spec(const config::ClientConfig& client) {
  registry::ClientSpec spec;
  spec.id = client.id;
  if (client.noise_public_key != PublicKey{}) spec.noise_public_key = client.noise_public_key;
  spec.wireguard_public_key = client.wireguard_public_key;
  if (client.wireguard_preshared_key)
    spec.wireguard_preshared_key = std::make_shared<const SecretKey>(client.wireguard_preshared_key->clone());
  spec.enabled = client.enabled;
  spec.expires_at_ms = client.expires_at_ms.value_or(0);
  spec.addresses = client.addresses;
  spec.subnets = client.subnets;
  spec.allow_overlap = client.allow_overlap;
  for (auto transport : client.transports)
    spec.transports |= static_cast<registry::TransportMask>(1u << static_cast<unsigned>(transport));
  spec.max_sessions = client.max_sessions;
  spec.session_policy = client.session_policy == config::SessionPolicy::refuse_new
                            ? registry::SessionPolicy::refuse_new
                            : registry::SessionPolicy::drop_oldest;
  spec.priority = client.priority;
  spec.description = client.description;
  spec.tags = client.tags;
  const auto& security = client.security;
  const auto& rate = security.rate_limit;
  spec.security = {security.ip_allow_list,
                   security.ip_block_list,
                   security.destination_allow_list,
                   security.destination_block_list,
                   {rate.from_client_bytes_per_second, rate.from_client_burst_bytes, rate.to_client_bytes_per_second,
                    rate.to_client_burst_bytes}};
  return spec;
}

Result<ClientPolicy> compile_client_policy(const registry::ClientSecurity& security, const std::string& path) {
  auto source = acl::SourcePolicy::compile(security.ip_block_list, path + "/security/ip_block_list",
                                           security.ip_allow_list, path + "/security/ip_allow_list");
  if (!source) return source.error();
  auto destinations =
      acl::DestinationPolicy::compile(security.destination_block_list, path + "/security/destination_block_list",
                                      security.destination_allow_list, path + "/security/destination_allow_list");
  if (!destinations) return destinations.error();
  ClientPolicy policy;
  policy.source = std::move(*source);
  if (!destinations->unrestricted())
    policy.destinations = std::make_shared<const acl::DestinationPolicy>(std::move(*destinations));
  return policy;
}

}  // namespace smartvpn::server
