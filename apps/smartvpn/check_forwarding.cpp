// See check_forwarding.hpp. The library logs the same at start; here it can be had before.
#include "check_forwarding.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "c_api.hpp"

namespace smartvpn::cli {
namespace {

using nlohmann::json;

json read_back(const smartvpn_config* config) {
  size_t needed = 0;
  (void)smartvpn_config_to_json(config, 0, nullptr, 0, &needed, nullptr);
  std::string text(needed, '\0');
  call([&](smartvpn_error** error) {
    return smartvpn_config_to_json(config, 0, text.data(), text.size(), &needed, error);
  });
  return json::parse(text.c_str());
}

bool is_v6(const json& prefix) { return prefix.get_ref<const std::string&>().find(':') != std::string::npos; }

// Whether clients send packets of a family that are not for this server or each other. A prefix that is not one of the
// subnets counts, be it inside one.
bool reaches_beyond(const json& config, bool v6) {
  static const json kDefaultSubnets = {"10.8.0.0/24", "fd00:8::/64"};
  const json network = config.value("network", json::object());
  const json subnets = network.value("subnets", kDefaultSubnets);
  for (const json& route : network.value("routes", json::array()))
    if (is_v6(route) == v6 && std::find(subnets.begin(), subnets.end(), route) == subnets.end()) return true;
  if (!config.value("/tun/masquerade"_json_pointer, false)) return false;
  return std::any_of(subnets.begin(), subnets.end(), [&](const json& subnet) { return is_v6(subnet) == v6; });
}

bool is_off(const char* file) {
  std::ifstream in(file);
  int value = 1;
  return (in >> value) && value == 0;
}

}  // namespace

std::vector<std::string> forwarding_warnings(const smartvpn_config* handle) {
  const json config = read_back(handle);
  std::vector<std::string> out;
  if (config.value("/forwarding/mode"_json_pointer, "tun") != "tun") return out;
  if (reaches_beyond(config, false) && is_off("/proc/sys/net/ipv4/ip_forward"))
    out.emplace_back("net.ipv4.ip_forward is 0: clients' IPv4 packets are not forwarded beyond this machine");
  if (reaches_beyond(config, true) && is_off("/proc/sys/net/ipv6/conf/all/forwarding"))
    out.emplace_back("net.ipv6.conf.all.forwarding is 0: clients' IPv6 packets are not forwarded beyond this machine");
  return out;
}

}  // namespace smartvpn::cli
