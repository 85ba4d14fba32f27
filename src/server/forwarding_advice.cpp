#include "server/forwarding_advice.hpp"

#include <algorithm>
#include <fstream>

namespace smartvpn::server {
namespace {

bool is_off(const std::string& file) {
  std::ifstream in(file);
  int value = 1;
  return (in >> value) && value == 0;
}

// Whether clients send packets of this family that are neither for us nor for each other.
bool reaches_beyond(const config::ServerConfig& config, inet::Family family) {
  const auto& subnets = config.network.subnets;
  auto within = [](const inet::Cidr& route, const inet::Cidr& subnet) {
    return subnet.prefix <= route.prefix && subnet.contains(route.base);
  };
  for (const inet::Cidr& route : config.network.routes) {
    if (route.base.family() != family) continue;
    if (std::none_of(subnets.begin(), subnets.end(), [&](const auto& subnet) { return within(route, subnet); }))
      return true;
  }
  return config.tun.masquerade &&
         std::any_of(subnets.begin(), subnets.end(), [&](const auto& it) { return it.base.family() == family; });
}

}  // namespace

std::vector<std::string> forwarding_advice(const config::ServerConfig& config, const std::string& proc_sys) {
  std::vector<std::string> out;
  if (config.forwarding.mode != config::ForwardingConfig::Mode::tun) return out;
  auto look = [&](inet::Family family, const char* file, const char* name, const char* what) {
    if (!reaches_beyond(config, family) || !is_off(proc_sys + file)) return;
    out.push_back(std::string("clients cannot reach beyond this server: ") + name +
                  " is 0, so the kernel forwards no " + what);
  };
  look(inet::Family::v4, "/net/ipv4/ip_forward", "net.ipv4.ip_forward", "IPv4");
  look(inet::Family::v6, "/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding", "IPv6");
  return out;
}

}  // namespace smartvpn::server
