// From an accepted tree to ServerConfig. Rules between the keys of one listener are here, where the
// tree still tells what was written; all others are in server_rules.cpp.
#include "config/server_config.hpp"

#include <algorithm>

#include "config/build.hpp"
#include "config/reader.hpp"
#include "config/rfc3339.hpp"

namespace smartvpn::config {
namespace {

constexpr uint32_t kKeepaliveBehindProxyMs = 20000, kKeepaliveMs = 30000;

Result<void> read_bind_address(const Reader& in, const std::string& pointer, ListenConfig& out) {
  if (in.has("fd")) {
    if (in.has("address") || in.has("port"))
      return make_error(Status::INVALID, "excludes address and port", pointer + "/fd");
    in.read("fd", out.fd);
    return {};
  }
  std::string address = "::";
  in.read("address", address);
  if (auto endpoint = inet::Endpoint::parse(address)) {
    if (in.has("port")) return make_error(Status::INVALID, "is already in address", pointer + "/port");
    out.address = *endpoint;
    return {};
  }
  if (!in.has("port")) return make_error(Status::INVALID, "is required; 0 lets the kernel choose", pointer + "/port");
  out.address.ip = inet::IpAddress::parse(address).value_or(inet::IpAddress{});
  in.read("port", out.address.port);
  return {};
}

void read_proxy_protocol(const Reader& in, ProxyProtocolConfig& out) {
  using Proxy = ProxyProtocolConfig;
  in.choose<Proxy::Mode>(
      "mode", out.mode,
      {{"off", Proxy::Mode::off}, {"v1", Proxy::Mode::v1}, {"v2", Proxy::Mode::v2}, {"any", Proxy::Mode::any}});
  in.read("trusted_proxies", out.trusted_proxies);
  in.read("header_timeout_ms", out.header_timeout_ms);
  in.choose<Proxy::Local>("local", out.local, {{"close", Proxy::Local::close}, {"health", Proxy::Local::health}});
  in.choose<Proxy::Addressless>("addressless", out.addressless,
                                {{"accept", Proxy::Addressless::accept}, {"refuse", Proxy::Addressless::refuse}});
  in.read("max_header_bytes", out.max_header_bytes);
}

// What only streams and HTTP have, and a wrong idea of a WireGuard listener would leave without effect.
Result<void> check_wireguard_keys(const Reader& in, const std::string& pointer, const ListenConfig& listener) {
  auto wrong = [&](const char* key, const char* text) { return make_error(Status::INVALID, text, pointer + key); };
  if (in.has("public_url")) return wrong("/public_url", "is for WebSocket listeners; see network.wireguard_endpoint");
  for (const char* key : {"path", "tls", "real_ip_header", "real_ip_trusted_proxies"})
    if (in.has(key)) return wrong((std::string("/") + key).c_str(), "is for WebSocket listeners");
  const Reader proxy = in.at("proxy_protocol");
  for (const char* key : {"header_timeout_ms", "local", "max_header_bytes"})
    if (proxy.has(key)) return wrong((std::string("/proxy_protocol/") + key).c_str(), "is for WebSocket listeners");
  const auto mode = listener.proxy_protocol.mode;
  if (mode != ProxyProtocolConfig::Mode::off && mode != ProxyProtocolConfig::Mode::v2)
    return wrong("/proxy_protocol/mode", "must be off or v2: WireGuard's datagrams have headers of version 2 only");
  return {};
}

Result<ListenConfig> read_listener(const Reader& in, const std::string& pointer, std::optional<int64_t> keepalive) {
  ListenConfig out;
  in.choose<Transport>(
      "transport", out.transport,
      {{"websocket", Transport::websocket}, {"quic", Transport::quic}, {"wireguard", Transport::wireguard}});
  if (auto read = read_bind_address(in, pointer, out); !read) return std::move(read).error();
  in.read("path", out.path);
  in.read("public_url", out.public_url);
  if (in.has("tls")) {
    out.tls.emplace();
    in.at("tls").read("certificate", out.tls->certificate);
    std::string key;
    in.at("tls").read("key", key);
    out.tls->key = std::move(key);
  }
  read_proxy_protocol(in.at("proxy_protocol"), out.proxy_protocol);
  in.read("real_ip_header", out.real_ip_header);
  std::transform(out.real_ip_header.begin(), out.real_ip_header.end(), out.real_ip_header.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  in.read("real_ip_trusted_proxies", out.real_ip_trusted_proxies);
  bool behind_proxy = out.proxy_protocol.mode != ProxyProtocolConfig::Mode::off || out.real_ip_header != "off";
  out.keepalive_interval_ms = keepalive      ? static_cast<uint32_t>(*keepalive)
                              : behind_proxy ? kKeepaliveBehindProxyMs
                                             : kKeepaliveMs;
  if (out.transport == Transport::wireguard)
    if (auto checked = check_wireguard_keys(in, pointer, out); !checked) return std::move(checked).error();
  return out;
}

void read_network(const Reader& in, NetworkConfig& out) {
  out.subnets = {*inet::Cidr::parse("10.8.0.0/24"), *inet::Cidr::parse("fd00:8::/64")};
  in.read("subnets", out.subnets);
  out.routes = out.subnets;
  in.read("routes", out.routes);
  in.read("mtu", out.mtu);
  in.read("dns", out.dns);
  in.read("client_to_client", out.client_to_client);
  in.read("multicast", out.multicast);
  in.read("wireguard_endpoint", out.wireguard_endpoint);
  if (!in.has("host_services")) return;
  out.host_services = {false, false};
  for (const auto& service : in.list("host_services")) {
    if (service.text() == "dns") out.host_services.dns = true;
    if (service.text() == "icmp_echo") out.host_services.icmp_echo = true;
  }
}

void read_security(const Reader& in, SecurityConfig& out) {
  in.read("connection_ip_block_list", out.connection_ip_block_list);
  in.read("max_connections_per_ip", out.max_connections_per_ip);
  in.read("new_connections_per_ip_per_minute", out.new_connections_per_ip_per_minute);
  in.read("max_handshakes_in_progress", out.max_handshakes_in_progress);
  in.read("upgrade_timeout_ms", out.upgrade_timeout_ms);
  in.choose<bool>("authorize", out.authorize, {{"off", false}, {"required", true}});
  in.read("authorize_timeout_ms", out.authorize_timeout_ms);
}

void read_registry(const Reader& in, RegistryConfig& out) {
  using Store = RegistryConfig::Store;
  in.choose<Store>("store", out.store, {{"memory", Store::memory}, {"sqlite", Store::sqlite}});
  in.read("path", out.path);
  in.read("keep_private_keys", out.keep_private_keys);
}

void read_tun(const Reader& in, TunConfig& out) {
  in.read("name", out.name);
  in.read("fd", out.fd);
  in.read("masquerade", out.masquerade);
  in.read("masquerade_interface", out.masquerade_interface);
}

void read_limits(const Reader& in, LimitsConfig& out) {
  in.read("threads", out.threads);
  in.read("memory_bytes", out.memory_bytes);
  in.read("sessions", out.sessions);
  in.read("event_queue", out.event_queue);
}

void read_client_security(const Reader& in, ClientSecurityConfig& out) {
  in.read("ip_allow_list", out.ip_allow_list);
  in.read("ip_block_list", out.ip_block_list);
  in.read("destination_allow_list", out.destination_allow_list);
  in.read("destination_block_list", out.destination_block_list);
  const Reader rate = in.at("rate_limit");
  rate.read("from_client_bytes_per_second", out.rate_limit.from_client_bytes_per_second);
  rate.read("from_client_burst_bytes", out.rate_limit.from_client_burst_bytes);
  rate.read("to_client_bytes_per_second", out.rate_limit.to_client_bytes_per_second);
  rate.read("to_client_burst_bytes", out.rate_limit.to_client_burst_bytes);
}

std::optional<Transport> transport_of(std::string_view name) {
  if (name == "websocket") return Transport::websocket;
  if (name == "quic") return Transport::quic;
  if (name == "wireguard") return Transport::wireguard;
  return std::nullopt;
}

ClientConfig read_client(const Reader& in) {
  ClientConfig out;
  in.read("id", out.id);
  in.read("noise_public_key", out.noise_public_key);
  in.read("enabled", out.enabled);
  out.expires_at_ms = in.integer("expires_at");
  if (in.has("expires_at") && !out.expires_at_ms) out.expires_at_ms = parse_rfc3339_ms(in.at("expires_at").text());
  in.read("addresses", out.addresses);
  if (in.has("wireguard_public_key")) in.read("wireguard_public_key", out.wireguard_public_key.emplace());
  in.read("wireguard_preshared_key", out.wireguard_preshared_key);
  in.read("subnets", out.subnets);
  in.read("allow_overlap", out.allow_overlap);
  for (const auto& name : in.list("transports"))
    if (auto transport = transport_of(name.text())) out.transports.push_back(*transport);
  in.read("max_sessions", out.max_sessions);
  in.choose<SessionPolicy>("session_policy", out.session_policy,
                           {{"drop-oldest", SessionPolicy::drop_oldest}, {"refuse-new", SessionPolicy::refuse_new}});
  in.read("priority", out.priority);
  in.read("description", out.description);
  in.read("tags", out.tags);
  read_client_security(in.at("security"), out.security);
  return out;
}

}  // namespace

inet::IpAddress gateway_of(const inet::Cidr& subnet) noexcept { return subnet.base.plus(1); }

Result<ServerConfig> build_server_config(const Json& json) {
  Reader in(json);
  ServerConfig out;
  auto listeners = in.list("listen");
  for (size_t i = 0; i < listeners.size(); ++i) {
    auto listener =
        read_listener(listeners[i], "/listen/" + std::to_string(i), in.at("session").integer("keepalive_interval_ms"));
    if (!listener) return std::move(listener).error();
    out.listen.push_back(std::move(*listener));
  }
  in.at("keys").read("noise_private_key", out.keys.noise_private_key);
  in.at("keys").read("noise_next_private_key", out.keys.noise_next_private_key);
  in.at("keys").read("wireguard_private_key", out.keys.wireguard_private_key);
  read_network(in.at("network"), out.network);
  using Mode = ForwardingConfig::Mode;
  in.at("forwarding")
      .choose<Mode>("mode", out.forwarding.mode,
                    {{"testing", Mode::testing}, {"host", Mode::host}, {"tun", Mode::tun}});
  read_tun(in.at("tun"), out.tun);
  read_security(in.at("security"), out.security);
  in.at("wireguard").read("session_timeout_s", out.wireguard.session_timeout_s);
  in.at("wireguard").read("persistent_keepalive_s", out.wireguard.persistent_keepalive_s);
  in.at("wireguard").read("uapi_socket", out.wireguard.uapi_socket);
  in.at("performance").read("aead", out.performance.aead);
  read_registry(in.at("registry"), out.registry);
  read_limits(in.at("limits"), out.limits);
  in.at("telemetry").read("client_label", out.telemetry.client_label);
  for (const auto& client : in.list("clients")) out.clients.push_back(read_client(client));
  if (auto checked = check_server_rules(out); !checked) return std::move(checked).error();
  std::sort(out.network.subnets.begin(), out.network.subnets.end());  // IPv4 first
  return out;
}

Result<ServerConfig> parse_server_config(std::string_view text) {
  SecretTree tree(Kind::server);
  if (auto parsed = parse_json(text, {}, tree.json()); !parsed) return std::move(parsed).error();
  auto checked = check_structure(key_tree(Kind::server), tree.json(), {}, true);
  if (!checked) return std::move(checked).error();
  return build_server_config(tree.json());
}

Result<ClientConfig> parse_client_config(std::string_view text) {
  const KeyNode& client = *key_tree(Kind::server).child("clients")->element();
  Json json;
  struct Wiper {
    const KeyNode& node;
    Json& json;
    ~Wiper() { wipe_secrets(node, json); }
  } wiper{client, json};
  if (auto parsed = parse_json(text, {}, json); !parsed) return std::move(parsed).error();
  if (auto checked = check_structure(client, json, {}, false); !checked) return std::move(checked).error();
  if (!json.contains("id")) return make_error(Status::INVALID, "is required", "/id");
  return build_client_config(json);
}

ClientConfig build_client_config(const Json& json) { return read_client(Reader(json)); }

}  // namespace smartvpn::config
