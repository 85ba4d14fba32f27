// From an accepted tree to RelayConfig, with the rules between its keys. What relay/ and acl/ compile (domains, lists
// of addresses) they have the last word on.
#include "config/relay_config.hpp"

#include <set>
#include <tuple>

#include "config/build.hpp"
#include "config/reader.hpp"

namespace smartvpn::config {
namespace {

constexpr size_t kMaxRelaySockets = 1024;

Error relay_invalid(std::string path, std::string text) {
  return make_error(Status::INVALID, std::move(text), std::move(path));
}

Result<RelayListenConfig> read_relay_listener(const Reader& in, const std::string& at) {
  using Accept = RelayListenConfig::Accept;
  using Untrusted = RelayListenConfig::Untrusted;
  RelayListenConfig out;
  std::string address = "::", addressless;
  in.read("address", address);
  out.address = inet::IpAddress::parse(address).value_or(inet::IpAddress{});
  if (in.has("port") == in.has("ports")) return relay_invalid(at + "/port", "is required, or ports, and not both");
  if (auto port = in.integer("port")) out.ports = {{static_cast<uint16_t>(*port), static_cast<uint16_t>(*port)}};
  in.read("ports", out.ports);
  in.choose<RelayProtocol>("protocol", out.protocol, {{"tcp", RelayProtocol::tcp}, {"udp", RelayProtocol::udp}});
  in.choose<Accept>("accept_proxy_protocol", out.accept_proxy_protocol,
                    {{"off", Accept::off}, {"v1", Accept::v1}, {"v2", Accept::v2}, {"any", Accept::any}});
  in.read("trusted_proxies", out.trusted_proxies);
  in.read("may_assert_identity", out.may_assert_identity);
  in.choose<Untrusted>("untrusted", out.untrusted, {{"reject", Untrusted::reject}, {"direct", Untrusted::direct}});
  in.read("addressless", addressless);
  out.refuse_addressless = addressless == "refuse";
  in.read("max_header_bytes", out.max_header_bytes);
  const bool off = out.accept_proxy_protocol == Accept::off;
  if (!off && out.trusted_proxies.empty())
    return relay_invalid(at + "/trusted_proxies", "is required: nobody could send a PROXY header");
  if (off && !out.may_assert_identity.empty())
    return relay_invalid(at + "/may_assert_identity", "is set, but accept_proxy_protocol is off");
  if (off && !out.trusted_proxies.empty())
    return relay_invalid(at + "/accept_proxy_protocol", "is off, but trusted_proxies is set");
  return out;
}

void read_relay_tlvs(const Reader& in, RelayActionConfig::Tlvs& out) {
  in.read("authority", out.authority);
  in.read("alpn", out.alpn);
  in.read("ssl", out.ssl);
  in.read("unique_id", out.unique_id);
  in.read("identity", out.identity);
  in.read("crc32c", out.crc32c);
  in.read("unknown", out.unknown);
}

Result<RelayTlsConfig> read_relay_tls(const Reader& in, const std::string& at) {
  using Mode = RelayTlsConfig::Mode;
  RelayTlsConfig out;
  in.choose<Mode>("mode", out.mode,
                  {{"passthrough", Mode::passthrough},
                   {"terminate", Mode::terminate},
                   {"terminate-and-reencrypt", Mode::reencrypt}});
  for (const Reader& entry : in.list("certificates")) {
    RelayTlsConfig::Certificate one;
    entry.read("certificate", one.certificate);
    entry.read("key", one.key);
    out.certificates.push_back(std::move(one));
  }
  in.read("alpn", out.alpn);
  const Reader target = in.at("target");
  target.read("ca", out.target_ca);
  target.read("server_name", out.target_name);
  target.read("verify", out.target_verify);
  const bool ends_here = out.mode != Mode::passthrough;
  if (ends_here && out.certificates.empty()) return relay_invalid(at + "/certificates", "is required: TLS ends here");
  if (!ends_here && !out.certificates.empty())
    return relay_invalid(at + "/certificates", "is set, but mode is passthrough");
  if (!ends_here && !out.alpn.empty()) return relay_invalid(at + "/alpn", "is set, but mode is passthrough");
  if (out.mode != Mode::reencrypt && in.has("target"))
    return relay_invalid(at + "/target", "is set, but mode is not terminate-and-reencrypt");
  if (!out.target_verify && !out.target_ca.empty())
    return relay_invalid(at + "/target/verify", "is false, but ca is set");
  return out;
}

Result<RelayActionConfig> read_relay_action(const Reader& in, const std::string& at) {
  using Balance = RelayActionConfig::Balance;
  using Send = RelayActionConfig::Send;
  RelayActionConfig out;
  std::string type;
  in.read("type", type);
  out.vpn = type == "vpn";
  for (const Reader& entry : in.list("targets")) {
    RelayTargetConfig target;
    entry.read("host", target.host);
    entry.read("port", target.port);  // stays 0 for "preserve"
    out.targets.push_back(std::move(target));
  }
  if (!out.vpn && out.targets.empty()) return relay_invalid(at + "/targets", "is required");
  if (out.vpn)
    for (const char* key : {"targets", "balance", "tls", "send_proxy_protocol", "half_open"})
      if (in.has(key)) return relay_invalid(at + "/" + key, "is for forward");
  in.choose<Balance>("balance", out.balance,
                     {{"round_robin", Balance::round_robin}, {"least_connections", Balance::least_connections}});
  in.choose<Send>("send_proxy_protocol", out.send_proxy_protocol,
                  {{"off", Send::off}, {"v1", Send::v1}, {"v2", Send::v2}});
  if (in.has("proxy_tlvs") && out.send_proxy_protocol != Send::v2)
    return relay_invalid(at + "/proxy_tlvs", "is set, but send_proxy_protocol is not v2");
  read_relay_tlvs(in.at("proxy_tlvs"), out.tlvs);
  auto tls = read_relay_tls(in.at("tls"), at + "/tls");
  if (!tls) return std::move(tls).error();
  out.tls = std::move(*tls);
  in.read("half_open", out.half_open);
  return out;
}

Result<RelayRouteConfig> read_relay_route(const Reader& in, size_t index) {
  RelayRouteConfig out;
  out.name = "route-" + std::to_string(index);
  in.read("name", out.name);
  in.read("enabled", out.enabled);
  in.read("priority", out.priority);
  in.read("max_connections", out.max_connections);
  const Reader match = in.at("match");
  match.read("ports", out.match.ports);
  match.read("domains", out.match.domains);
  match.read("client_ip", out.match.client_ip);
  match.read("tls_versions", out.match.tls_versions);
  if (match.has("protocol")) {
    out.match.protocol = RelayProtocol::tcp;
    match.choose<RelayProtocol>("protocol", *out.match.protocol, {{"udp", RelayProtocol::udp}});
  }
  auto action = read_relay_action(in.at("action"), "/routes/" + std::to_string(index) + "/action");
  if (!action) return std::move(action).error();
  out.action = std::move(*action);
  return out;
}

void read_relay_timeouts(const Reader& in, RelayTimeoutsConfig& out) {
  in.read("proxy_header_ms", out.proxy_header_ms);
  in.read("first_bytes_ms", out.first_bytes_ms);
  in.read("connect_ms", out.connect_ms);
  in.read("idle_ms", out.idle_ms);
  in.read("lifetime_ms", out.lifetime_ms);
  in.read("half_open_ms", out.half_open_ms);
  in.read("udp_idle_ms", out.udp_idle_ms);
}

void read_relay_limits(const Reader& in, RelayLimitsConfig& out) {
  in.read("threads", out.threads);
  in.read("connections", out.connections);
  in.read("connections_per_ip", out.connections_per_ip);
  in.read("new_connections_per_ip_per_minute", out.new_connections_per_ip_per_minute);
  in.read("addresses", out.addresses);
  in.read("event_queue", out.event_queue);
}

// One socket each, and no port twice on one address for one protocol.
Result<void> check_relay_sockets(const RelayConfig& config) {
  std::set<std::tuple<inet::IpAddress, uint16_t, RelayProtocol>> taken;
  for (size_t i = 0; i < config.listen.size(); ++i) {
    const std::string at = "/listen/" + std::to_string(i);
    for (const PortRange& range : config.listen[i].ports)
      for (uint32_t port = range.from; port <= range.to && port != 0; ++port) {
        if (!taken.emplace(config.listen[i].address, static_cast<uint16_t>(port), config.listen[i].protocol).second)
          return relay_invalid(at, "has port " + std::to_string(port) + ", which is taken already");
        if (taken.size() > kMaxRelaySockets) return relay_invalid(at, "makes it more than 1024 ports");
      }
  }
  return {};
}

Result<void> check_relay_names(const RelayConfig& config) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < config.routes.size(); ++i)
    if (!names.insert(config.routes[i].name).second)
      return relay_invalid("/routes/" + std::to_string(i) + "/name", "is that of another route");
  return {};
}

// Whether a listener could be reached at this address, on one of these ports; none given: on whichever it has.
bool listens_at(const RelayListenConfig& listener, const inet::IpAddress& to, const std::vector<PortRange>& ports) {
  const auto& here = listener.address;
  const bool address = here == to || (here.is_unspecified() && to.is_loopback() && (here.is_v6() || to.is_v4()));
  if (!address || ports.empty()) return address;
  for (const PortRange& own : listener.ports)
    for (const PortRange& wanted : ports)
      if (own.from <= wanted.to && wanted.from <= own.to) return true;
  return false;
}

// A target that is ourselves would go round for ever. A name, or another address of this machine's, shows only when it
// is resolved, where the relay looks again.
Result<void> check_relay_targets(const RelayConfig& config) {
  for (size_t r = 0; r < config.routes.size(); ++r) {
    const auto& targets = config.routes[r].action.targets;
    const bool tcp = config.routes[r].match.protocol != RelayProtocol::udp;
    const bool udp = takes_datagrams(config, config.routes[r]);
    for (size_t t = 0; t < targets.size(); ++t) {
      const std::string at = "/routes/" + std::to_string(r) + "/action/targets/" + std::to_string(t);
      const auto ip = inet::IpAddress::parse(targets[t].host);
      if (!ip) continue;
      if (ip->is_unspecified()) return relay_invalid(at + "/host", "is no address that can be connected to");
      // A preserved port is any that the route is for.
      const uint16_t port = targets[t].port;
      const auto ports = port != 0 ? std::vector<PortRange>{{port, port}} : config.routes[r].match.ports;
      for (size_t i = 0; i < config.listen.size(); ++i)
        if ((config.listen[i].protocol == RelayProtocol::udp ? udp : tcp) && listens_at(config.listen[i], *ip, ports))
          return relay_invalid(at, "is /listen/" + std::to_string(i) + " of this relay");
    }
  }
  return {};
}

}  // namespace

Result<RelayConfig> build_relay_config(const Json& json) {
  const Reader in(json);
  RelayConfig out;
  for (const Reader& entry : in.list("listen")) {
    auto listener = read_relay_listener(entry, "/listen/" + std::to_string(out.listen.size()));
    if (!listener) return std::move(listener).error();
    out.listen.push_back(std::move(*listener));
  }
  for (const Reader& entry : in.list("routes")) {
    auto route = read_relay_route(entry, out.routes.size());
    if (!route) return std::move(route).error();
    out.routes.push_back(std::move(*route));
  }
  read_relay_timeouts(in.at("timeouts"), out.timeouts);
  read_relay_limits(in.at("limits"), out.limits);
  in.at("security").read("ip_block_list", out.security.ip_block_list);
  in.at("security").read("ip_allow_list", out.security.ip_allow_list);
  for (auto check : {check_relay_sockets, check_relay_names, check_relay_datagrams, check_relay_targets})
    if (auto checked = check(out); !checked) return std::move(checked).error();
  return out;
}

Result<RelayConfig> parse_relay_config(std::string_view text) {
  SecretTree tree(Kind::relay);
  if (auto parsed = parse_json(text, {}, tree.json()); !parsed) return std::move(parsed).error();
  auto checked = check_structure(key_tree(Kind::relay), tree.json(), {}, true);
  if (!checked) return std::move(checked).error();
  return build_relay_config(tree.json());
}

}  // namespace smartvpn::config
