// Contradictions between a server's keys. Each error names the key to change.
#include <algorithm>
#include <unordered_map>

#include "base/features.hpp"
#include "config/build.hpp"
#include "inet/prefix_claims.hpp"

namespace smartvpn::config {
namespace {

constexpr uint16_t kMinMtuIpv6 = 1280;  // RFC 8200 section 5

Error invalid(std::string path, std::string text) {
  return make_error(Status::INVALID, std::move(text), std::move(path));
}

std::string element(std::string_view list, size_t index, std::string_view key = {}) {
  return std::string(list) + "/" + std::to_string(index) + std::string(key);
}

// A token (RFC 9110 section 5.1), in the lower case that the reader has brought it to.
bool is_header_name(std::string_view name) {
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

Result<void> check_tun(const ServerConfig& config) {
  const bool is_tun = config.forwarding.mode == ForwardingConfig::Mode::tun;
  const TunConfig& tun = config.tun;
  if (!is_tun && !tun.name.empty()) return invalid("/tun/name", "is set, but forwarding.mode is not tun");
  if (!is_tun && tun.fd >= 0) return invalid("/tun/fd", "is set, but forwarding.mode is not tun");
  if (!is_tun && tun.masquerade) return invalid("/tun/masquerade", "is set, but forwarding.mode is not tun");
  if (tun.fd >= 0 && !tun.name.empty()) return invalid("/tun/fd", "excludes name");
  if (!tun.masquerade && !tun.masquerade_interface.empty())
    return invalid("/tun/masquerade_interface", "is set, but masquerade is false");
  return {};
}

Result<void> check_registry(const RegistryConfig& registry) {
  const bool sqlite = registry.store == RegistryConfig::Store::sqlite;
  if (sqlite && registry.path.empty()) return invalid("/registry/path", "is required by the sqlite store");
  if (!sqlite && !registry.path.empty()) return invalid("/registry/path", "is set, but store is not sqlite");
  return {};
}

Result<void> check_listener(const ListenConfig& listener, const std::string& path) {
  const auto& proxy = listener.proxy_protocol;
  bool off = proxy.mode == ProxyProtocolConfig::Mode::off;
  if (!off && proxy.trusted_proxies.empty())
    return invalid(path + "/proxy_protocol/trusted_proxies", "is required: nobody could send a PROXY header");
  if (off && !proxy.trusted_proxies.empty())
    return invalid(path + "/proxy_protocol/mode", "is off, but trusted_proxies is set");
  const bool no_header = listener.real_ip_header == "off";
  if (!no_header && !is_header_name(listener.real_ip_header))
    return invalid(path + "/real_ip_header", "is not the name of an HTTP header");
  if (!no_header && listener.real_ip_trusted_proxies.empty())
    return invalid(path + "/real_ip_trusted_proxies", "is required: nobody could be believed");
  if (no_header && !listener.real_ip_trusted_proxies.empty())
    return invalid(path + "/real_ip_header", "is off, but real_ip_trusted_proxies is set");
  if (listener.tls && listener.public_url.rfind("ws://", 0) == 0)
    return invalid(path + "/public_url", "must begin with wss://, because the listener speaks TLS");
  return {};
}

Result<void> check_listeners(const ServerConfig& config) {
  for (size_t i = 0; i < config.listen.size(); ++i) {
    const auto& listener = config.listen[i];
    if (auto checked = check_listener(listener, element("/listen", i)); !checked) return checked;
    for (size_t k = 0; k < i; ++k) {
      const auto& other = config.listen[k];
      if (listener.fd >= 0 && listener.fd == other.fd)
        return invalid(element("/listen", i, "/fd"), "is that of " + element("/listen", k));
      const bool same_socket =
          (listener.transport == Transport::websocket) == (other.transport == Transport::websocket);
      if (listener.fd < 0 && listener.address.port != 0 && listener.address == other.address && same_socket)
        return invalid(element("/listen", i, "/port"), "is taken by " + element("/listen", k));
    }
    if (listener.transport == Transport::wireguard && !config.keys.wireguard_private_key)
      return invalid("/keys/wireguard_private_key", "is required by WireGuard listeners");
    if (listener.transport == Transport::websocket && !config.keys.noise_private_key)
      return invalid("/keys/noise_private_key", "is required by WebSocket listeners");
  }
  const auto& keys = config.keys;
  if (keys.noise_next_private_key && keys.noise_private_key && *keys.noise_next_private_key == *keys.noise_private_key)
    return invalid("/keys/noise_next_private_key", "is the present key");
  return {};
}

// What `wg` takes for the name of an interface.
bool is_interface_name(std::string_view text) {
  constexpr std::string_view kPunctuation = "_=+.-";
  auto fits = [&](char c) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || kPunctuation.find(c) != std::string_view::npos;
  };
  return text.size() <= 15 && text != "." && text != ".." && std::all_of(text.begin(), text.end(), fits);
}

Result<void> check_uapi_socket(const ServerConfig& config) {
  const std::string& socket = config.wireguard.uapi_socket;
  if (socket.empty()) return {};
  if (socket.front() != '/' && !is_interface_name(socket))
    return invalid("/wireguard/uapi_socket", "is neither a path from the root nor a name that an interface can have");
  auto is_wireguard = [](const ListenConfig& listener) { return listener.transport == Transport::wireguard; };
  if (std::none_of(config.listen.begin(), config.listen.end(), is_wireguard))
    return invalid("/wireguard/uapi_socket", "is set, but there is no WireGuard listener");
  return {};
}

bool usable_size(const inet::Cidr& subnet) {
  return subnet.base.is_v4() ? subnet.prefix >= 8 && subnet.prefix <= 30 : subnet.prefix >= 32 && subnet.prefix <= 126;
}

bool usable_range(const inet::Cidr& subnet) {
  static constexpr const char* kReserved[] = {"0.0.0.0/8",    "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/16",
                                              "64:ff9b::/32", "2002::/16",   "fe80::/10",      "ff00::/8"};
  return std::none_of(std::begin(kReserved), std::end(kReserved),
                      [&](const char* text) { return inet::Cidr::parse(text)->overlaps(subnet); });
}

Result<void> check_network(const NetworkConfig& network) {
  const auto& subnets = network.subnets;
  for (size_t i = 0; i < subnets.size(); ++i) {
    std::string path = element("/network/subnets", i);
    if (!usable_size(subnets[i])) return invalid(path, "must be from /8 to /30 (IPv4) or from /32 to /126 (IPv6)");
    if (!usable_range(subnets[i])) return invalid(path, "is in a range with a meaning of its own");
    for (size_t k = 0; k < i; ++k) {
      if (subnets[k].overlaps(subnets[i])) return invalid(path, "overlaps " + element("/network/subnets", k));
      if (subnets[k].base.family() == subnets[i].base.family())
        return make_error(Status::UNSUPPORTED, "is a second subnet of its family, which this build has not", path);
    }
    if (subnets[i].base.is_v6() && network.mtu < kMinMtuIpv6)
      return invalid("/network/mtu", "must be at least 1280 with an IPv6 subnet");
  }
  return {};
}

// An address that a client may own: inside a subnet, and not the subnet's, the server's or broadcast.
bool assignable(const NetworkConfig& network, const inet::IpAddress& ip) {
  return std::any_of(network.subnets.begin(), network.subnets.end(), [&](const inet::Cidr& subnet) {
    bool broadcast = ip.is_v4() && ip == subnet.last();
    return subnet.contains(ip) && ip != subnet.base && ip != gateway_of(subnet) && !broadcast;
  });
}

class ClientRules {
 public:
  explicit ClientRules(const NetworkConfig& network) : network_(network), claims_(network.subnets) {}

  Result<void> check(const ClientConfig& client, size_t index) {
    if (auto [at, fresh] = ids_.emplace(client.id, index); !fresh)
      return invalid(element("/clients", index, "/id"), "is that of " + element("/clients", at->second));
    std::string key(client.noise_public_key.begin(), client.noise_public_key.end());
    const bool has_key = client.noise_public_key != PublicKey{};
    if (!has_key && !client.wireguard_public_key)
      return invalid(element("/clients", index, "/noise_public_key"), "is required, or wireguard_public_key");
    if (auto [at, fresh] = keys_.emplace(std::move(key), index); !fresh && has_key)
      return invalid(element("/clients", index, "/noise_public_key"), "is that of " + element("/clients", at->second));
    if (client.wireguard_public_key) {
      std::string wireguard(client.wireguard_public_key->begin(), client.wireguard_public_key->end());
      if (auto [at, fresh] = wireguard_keys_.emplace(std::move(wireguard), index); !fresh)
        return invalid(element("/clients", index, "/wireguard_public_key"),
                       "is that of " + element("/clients", at->second));
    }
    if (client.max_sessions > 1 && !client.addresses.empty())
      return invalid(element("/clients", index, "/max_sessions"), "above 1 needs leased addresses, one a session");
    if (client.max_sessions > 1 && !client.subnets.empty())
      return invalid(element("/clients", index, "/max_sessions"), "above 1 excludes subnets, which have one way");
    for (size_t i = 0; i < client.addresses.size(); ++i)
      if (auto checked = check_address(client, index, i); !checked) return checked;
    return check_subnets(client, index);
  }

 private:
  Result<void> check_address(const ClientConfig& client, size_t index, size_t i) {
    const auto& ip = client.addresses[i];
    std::string path = element(element("/clients", index, "/addresses"), i);
    if (!assignable(network_, ip)) return invalid(path, "is not an address for clients in network.subnets");
    if (auto [at, fresh] = addresses_.emplace(ip, index); !fresh)
      return invalid(path, "is that of " + element("/clients", at->second));
    for (size_t k = 0; k < i; ++k)
      if (client.addresses[k].family() == ip.family()) return invalid(path, "is the second of its family");
    return {};
  }

  Result<void> check_subnets(const ClientConfig& client, size_t index) {
    const auto& subnets = client.subnets;
    for (size_t i = 0; i < subnets.size(); ++i) {
      const std::string path = element(element("/clients", index, "/subnets"), i);
      if (std::find(subnets.begin(), subnets.begin() + static_cast<ptrdiff_t>(i), subnets[i]) !=
          subnets.begin() + static_cast<ptrdiff_t>(i))
        return invalid(path, "is there twice");
      if (auto free = claims_.check_subnet(subnets[i], client.id, client.allow_overlap); !free)
        return invalid(path, free.error().text);
    }
    for (const auto& ip : client.addresses) claims_.add(inet::host_prefix(ip), client.id);
    for (const auto& subnet : subnets) claims_.add(subnet, client.id);
    return {};
  }

  const NetworkConfig& network_;
  std::unordered_map<std::string, size_t> ids_, keys_, wireguard_keys_;
  std::unordered_map<inet::IpAddress, size_t, inet::IpAddressHash> addresses_;
  inet::PrefixClaims claims_;
};

}  // namespace

Result<void> check_server_rules(const ServerConfig& config) {
  if (auto checked = check_listeners(config); !checked) return checked;
  if (auto checked = check_uapi_socket(config); !checked) return checked;
  if (auto checked = check_network(config.network); !checked) return checked;
  // The default is no exception where the build has no device.
  if (!SMARTVPN_WITH_TUN && config.forwarding.mode == ForwardingConfig::Mode::tun)
    return make_error(Status::UNSUPPORTED, "tun is not supported by this build", "/forwarding/mode");
  if (auto checked = check_tun(config); !checked) return checked;
  if (auto checked = check_registry(config.registry); !checked) return checked;
  ClientRules clients(config.network);
  for (size_t i = 0; i < config.clients.size(); ++i)
    if (auto checked = clients.check(config.clients[i], i); !checked) return checked;
  return {};
}

}  // namespace smartvpn::config
