// wg-quick(8)'s file: keys of wg(8) plus Address, DNS and MTU. A line without a value is left out,
// but for the private key, whose empty line shows its owner where it goes.
#include "export/wireguard_conf.hpp"

#include <algorithm>

namespace smartvpn::exports {
namespace {

constexpr size_t kKeyLineRoom = 64;  // "PresharedKey = ", 44 characters, the line's end

template <class Values>
void append_list(std::string& out, const char* name, const Values& values) {
  const char* separator = name;
  for (const auto& value : values) {
    out += separator;
    out += value.text();
    separator = ", ";
  }
  if (!values.empty()) out += '\n';
}

std::string interface_lines(const WireguardConf& conf) {
  std::vector<inet::Cidr> addresses;
  for (const inet::IpAddress& address : conf.addresses)
    addresses.push_back({address, static_cast<uint8_t>(address.bits())});
  std::string out;
  append_list(out, "Address = ", addresses);
  append_list(out, "DNS = ", conf.dns);
  if (conf.mtu != 0) out += "MTU = " + std::to_string(conf.mtu) + "\n";
  return out;
}

bool is_word(const std::string& text) noexcept {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

std::string peer_lines(const WireguardConf& conf) {
  std::string out;
  if (is_word(conf.endpoint)) out += "Endpoint = " + conf.endpoint + "\n";
  append_list(out, "AllowedIPs = ", conf.allowed_ips);
  if (conf.persistent_keepalive_s != 0)
    out += "PersistentKeepalive = " + std::to_string(conf.persistent_keepalive_s) + "\n";
  return out;
}

void append_secret(std::string& out, const SecretKey& key) {
  std::string text = format_key(key.view());
  out += text;
  wipe(text);
}

}  // namespace

std::string make_wireguard_conf(const WireguardConf& conf) {
  const std::string interface = interface_lines(conf), peer = peer_lines(conf);
  std::string out;
  out.reserve(interface.size() + peer.size() + 4 * kKeyLineRoom);  // never moved once keys are in it
  out += "[Interface]\nPrivateKey = ";
  if (conf.private_key) append_secret(out, *conf.private_key);
  out += "\n" + interface + "\n[Peer]\nPublicKey = " + format_key(conf.server_public_key) + "\n";
  if (conf.preshared_key) {
    out += "PresharedKey = ";
    append_secret(out, *conf.preshared_key);
    out += '\n';
  }
  return out += peer;
}

}  // namespace smartvpn::exports
