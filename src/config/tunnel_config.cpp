// From an accepted tree to TunnelConfig with its rules, and the text handed to new clients.
#include "config/tunnel_config.hpp"

#include "base/bytes.hpp"
#include "base/features.hpp"
#include "config/build.hpp"
#include "config/reader.hpp"
#include "config/value_forms.hpp"

namespace smartvpn::config {
namespace {

Error tunnel_invalid(std::string path, std::string text) {
  return make_error(Status::INVALID, std::move(text), std::move(path));
}

Result<void> read_tls(const Reader& in, const Reader& root, TunnelConfig& out) {
  if (root.has("tls") && !out.server.tls) return tunnel_invalid("/tls", "is set, but the server's URL is not wss://");
  in.read("ca", out.tls.ca);
  in.read("server_name", out.tls.server_name);
  in.read("verify", out.tls.verify);
  if (in.has("pinned_sha256")) out.tls.pinned_sha256 = parse_sha256(in.at("pinned_sha256").text());
  if (!out.server.tls) return {};
  if (!SMARTVPN_WITH_TLS) return make_error(Status::UNSUPPORTED, "wss:// is not supported by this build", "/server");
  if (!out.tls.verify && !out.tls.ca.empty()) return tunnel_invalid("/tls/verify", "is false, but ca is set");
  if (out.tls.verify && out.tls.ca.empty()) {
    if (!out.tls.pinned_sha256) return tunnel_invalid("/tls/ca", "is required, or pinned_sha256, or verify: false");
    out.tls.verify = false;  // the pin alone decides
  }
  return {};
}

Result<void> read_proxy(const Reader& in, TunnelProxyConfig& out) {
  using Send = TunnelProxyConfig::Send;
  in.choose<Send>("send", out.send, {{"off", Send::off}, {"v1", Send::v1}, {"v2", Send::v2}});
  in.read("source", out.source);
  in.read("destination", out.destination);
  if (out.source.has_value() != out.destination.has_value())
    return tunnel_invalid(out.source ? "/proxy_protocol/destination" : "/proxy_protocol/source",
                          "source and destination go together");
  if (out.send == Send::off && out.source) return tunnel_invalid("/proxy_protocol/send", "is off, but source is set");
  return {};
}

Result<void> read_reconnect(const Reader& in, ReconnectConfig& out) {
  in.read("enabled", out.enabled);
  in.read("initial_ms", out.initial_ms);
  in.read("max_ms", out.max_ms);
  if (out.max_ms < out.initial_ms) return tunnel_invalid("/reconnect/max_ms", "is below initial_ms");
  return {};
}

Result<void> read_device(const Reader& root, TunnelConfig& out) {
  using Mode = TunnelForwardingConfig::Mode;
  using Routes = TunnelTunConfig::Routes;
  root.at("forwarding")
      .choose<Mode>("mode", out.forwarding.mode,
                    {{"host", Mode::host}, {"tun", Mode::tun}, {"testing", Mode::testing}});
  // The default is no exception where the build has no device.
  if (!SMARTVPN_WITH_TUN && out.forwarding.mode == Mode::tun)
    return make_error(Status::UNSUPPORTED, "tun is not supported by this build", "/forwarding/mode");
  Reader tun = root.at("tun");
  tun.read("name", out.tun.name);
  if (!out.tun.name.empty() && out.forwarding.mode != Mode::tun)
    return tunnel_invalid("/tun/name", "is set, but forwarding.mode is not tun");
  if (auto all = tun.boolean("routes")) {
    out.tun.routes = *all ? Routes::from_server : Routes::none;
  } else if (tun.has("routes")) {
    out.tun.routes = Routes::listed;
    tun.read("routes", out.tun.listed_routes);
  }
  return {};
}

// First failure of several steps.
template <class... Steps>
Result<void> in_turn(Steps... steps) {
  Result<void> result;
  (void)((result = steps(), result.ok()) && ...);
  return result;
}

}  // namespace

Result<TunnelConfig> build_tunnel_config(const Json& json) {
  Reader in(json);
  TunnelConfig out;
  std::string url;
  in.read("server", url);
  auto server = ServerUrl::parse(url);
  if (!server) return tunnel_invalid("/server", "is not a ws:// or wss:// URL");
  out.server = std::move(*server);
  std::optional<SecretKey> key;
  in.at("keys").read("noise_private_key", key);
  if (key) out.keys.noise_private_key = std::move(*key);
  in.at("keys").read("server_public_key", out.keys.server_public_key);
  in.read("keepalive_interval_ms", out.keepalive_interval_ms);
  in.read("mtu", out.mtu);
  auto done =
      in_turn([&] { return read_tls(in.at("tls"), in, out); },
              [&] { return read_proxy(in.at("proxy_protocol"), out.proxy_protocol); },
              [&] { return read_reconnect(in.at("reconnect"), out.reconnect); }, [&] { return read_device(in, out); });
  if (!done) return std::move(done).error();
  return out;
}

Result<TunnelConfig> parse_tunnel_config(std::string_view text) {
  SecretTree tree(Kind::tunnel);
  if (auto parsed = parse_json(text, {}, tree.json()); !parsed) return std::move(parsed).error();
  auto checked = check_structure(key_tree(Kind::tunnel), tree.json(), {}, true);
  if (!checked) return std::move(checked).error();
  return build_tunnel_config(tree.json());
}

std::string make_tunnel_config_json(const TunnelConfigSpec& spec) {
  SecretTree tree(Kind::tunnel);
  Json& out = tree.json();
  out["server"] = spec.server;
  out["keys"] = Json::object();
  out["keys"]["noise_private_key"] =
      spec.noise_private_key ? format_key(spec.noise_private_key->view()) : std::string();
  out["keys"]["server_public_key"] = format_key(spec.server_public_key);
  auto url = ServerUrl::parse(spec.server);
  if (url && url->tls) {
    Json tls = Json::object();
    if (!spec.tls_ca.empty()) tls["ca"] = spec.tls_ca;
    if (spec.tls_pinned_sha256) tls["pinned_sha256"] = to_hex(*spec.tls_pinned_sha256);
    // The tunnel trusts the server's Noise key alone; TLS is only the road there.
    if (spec.tls_ca.empty() && !spec.tls_pinned_sha256) tls["verify"] = false;
    if (!spec.tls_server_name.empty()) tls["server_name"] = spec.tls_server_name;
    out["tls"] = std::move(tls);
  }
  return out.dump() + "\n";
}

}  // namespace smartvpn::config
