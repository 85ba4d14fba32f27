// The kernel device, in network namespaces of the test's own. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN; skipped without.
#include "forward/tun/tun_device.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "forward/tun/tun_engine.hpp"
#include "forward/tun/tun_interface.hpp"
#include "net/sockaddr.hpp"
#include "support/engine_sink.hpp"
#include "support/inner_packets.hpp"
#include "support/tun_end.hpp"

namespace smartvpn::forward {
namespace {

using testing::address;
using testing::cidrs;
using testing::inner;
using testing::make_loop;
using testing::ping_once;
using testing::proc_net;
using testing::run_until;
using testing::TunEnd;

int interface_mtu(const std::string& name) {
  net::Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return ioctl(any.get(), SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : -1;
}

// Lines of /proc/net/fib_trie are awkward; these two say what a route table needs to.
bool has_v4_route(const char* hex_destination, const std::string& device) {
  return proc_net("route").find(device + "\t" + hex_destination + "\t") != std::string::npos;
}
bool has_v6_route(const std::string& hex_destination, const char* hex_prefix, const std::string& device) {
  std::stringstream lines(proc_net("ipv6_route"));
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(hex_destination + " " + hex_prefix, 0) == 0 && line.find(device) != std::string::npos) return true;
  return false;
}
// Flags of an IPv6 address as hex text, "" when the address is not set.
std::string v6_flags(const std::string& hex) {
  std::stringstream lines(proc_net("if_inet6"));
  for (std::string line; std::getline(lines, line);) {
    std::stringstream words(line);
    std::string ip, index, prefix, scope, flags;
    words >> ip >> index >> prefix >> scope >> flags;
    if (ip == hex) return flags;
  }
  return "";
}
bool has_v4_address(const char* ip) {
  net::Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto at = net::to_socket_address({*inet::IpAddress::parse(ip), 0});
  return bind(any.get(), at.get(), at.size) == 0;
}

TEST(KernelRoutes, HalvesDefaultRoutesAndLeavesOwnPrefixesToTheKernel) {
  TunSettings settings = inner();
  settings.routes = cidrs({"0.0.0.0/0", "::/0", "10.8.0.0/24", "192.0.2.0/24", "192.0.2.0/24"});
  EXPECT_EQ(kernel_routes(settings), cidrs({"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "192.0.2.0/24"}));
}

TEST(TunDevice, SetsAddressesRoutesAndMtuAndTakesThemAlong) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    TunOptions options;
    options.name = "svpntest0";
    end.open(*loop, options);
    EXPECT_EQ(end.device->name(), "svpntest0");
    TunSettings settings = inner();
    settings.routes = cidrs({"172.16.5.0/24", "2001:db8:5::/48"});
    settings.mtu = 1380;
    auto result = end.device->apply(settings);
    ASSERT_TRUE(result.ok()) << result.error().text;
    EXPECT_TRUE(has_v4_address("10.8.0.1"));
    EXPECT_EQ(interface_mtu("svpntest0"), 1380);
    EXPECT_TRUE(has_v4_route("0000080A", "svpntest0"));
    EXPECT_TRUE(has_v4_route("000510AC", "svpntest0"));
    EXPECT_TRUE(has_v6_route("20010db8000500000000000000000000", "30", "svpntest0"));
    std::string flags = v6_flags("fd000008000000000000000000000001");
    ASSERT_NE(flags, "");
    EXPECT_EQ(std::stoul(flags, nullptr, 16) & 0x40, 0u) << "tentative: duplicate address detection ran";
    end.device.reset();
    EXPECT_EQ(if_nametoindex("svpntest0"), 0u);
  });
}

TEST(TunDevice, LaterSettingsChangeWhatDiffers) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    end.open(*loop);
    std::string name = end.device->name();
    TunSettings settings = inner();
    settings.routes = cidrs({"172.16.5.0/24", "172.16.6.0/24"});
    ASSERT_TRUE(end.device->apply(settings).ok());
    settings.addresses = {address("10.8.0.9", 24), address("fd00:8::1", 64)};
    settings.routes = cidrs({"172.16.6.0/24", "172.16.7.0/24"});
    settings.mtu = 1400;
    auto result = end.device->apply(settings);
    ASSERT_TRUE(result.ok()) << result.error().text;
    EXPECT_FALSE(has_v4_address("10.8.0.1"));
    EXPECT_TRUE(has_v4_address("10.8.0.9"));
    EXPECT_NE(v6_flags("fd000008000000000000000000000001"), "");
    EXPECT_FALSE(has_v4_route("000510AC", name));
    EXPECT_TRUE(has_v4_route("000610AC", name));
    EXPECT_TRUE(has_v4_route("000710AC", name));
    EXPECT_EQ(interface_mtu(name), 1400);
  });
}

// The dialling end with a default route: the way to the server itself stays outside.
TEST(TunDevice, ServersOwnAddressKeepsItsWayOutside) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd uplink;
    uplink.open(*loop);
    TunSettings settings;
    settings.addresses = {address("192.0.2.10", 24), address("2001:db8::10", 64)};
    ASSERT_TRUE(uplink.device->apply(settings).ok());
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink.ok());
    ASSERT_TRUE(netlink->add_route(uplink.device->index(), *inet::Cidr::parse("203.0.113.1/32")).ok());
    ASSERT_TRUE(netlink->add_route(uplink.device->index(), *inet::Cidr::parse("0.0.0.0/0")).ok());
    ASSERT_TRUE(netlink->add_route(uplink.device->index(), *inet::Cidr::parse("::/0")).ok());
    auto way = [&](const char* ip) {
      auto path = netlink->path_to(*inet::IpAddress::parse(ip));
      return path.ok() ? path->index : -1;
    };
    {
      TunEnd vpn;
      vpn.open(*loop);
      settings = inner();
      settings.routes = cidrs({"0.0.0.0/0", "::/0"});
      for (const char* server : {"198.51.100.7", "2001:db8:7::7", "203.0.113.1", "10.8.0.1"})
        settings.outside.push_back(*inet::IpAddress::parse(server));
      auto result = vpn.device->apply(settings);
      ASSERT_TRUE(result.ok()) << result.error().text;
      EXPECT_EQ(way("198.51.100.8"), vpn.device->index());
      EXPECT_EQ(way("2001:db8:7::8"), vpn.device->index());
      EXPECT_EQ(way("198.51.100.7"), uplink.device->index());
      EXPECT_EQ(way("2001:db8:7::7"), uplink.device->index());
      settings.outside = {*inet::IpAddress::parse("198.51.100.9")};
      ASSERT_TRUE(vpn.device->apply(settings).ok());
      EXPECT_EQ(way("198.51.100.7"), vpn.device->index());
      EXPECT_EQ(way("198.51.100.9"), uplink.device->index());
      EXPECT_EQ(way("198.51.100.8"), vpn.device->index()) << "routes are back after the question";
    }
    EXPECT_EQ(way("198.51.100.9"), uplink.device->index());
    EXPECT_FALSE(has_v4_route("076433C6", uplink.device->name())) << "host routes outside are taken back";
    EXPECT_FALSE(has_v4_route("096433C6", uplink.device->name()));
    EXPECT_TRUE(has_v4_route("017100CB", uplink.device->name())) << "the host's own stays";
  });
}

TEST(TunDevice, FailedSettingsLeaveNothingBehind) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd first, second;
    first.open(*loop);
    second.open(*loop);
    TunSettings settings = inner();
    settings.routes = cidrs({"172.16.5.0/24"});
    ASSERT_TRUE(first.device->apply(settings).ok());
    settings.addresses = {address("10.9.0.1", 24)};
    settings.routes = cidrs({"172.16.6.0/24", "172.16.5.0/24"});  // the second is taken
    auto result = second.device->apply(settings);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().system_errno, EEXIST);
    EXPECT_NE(result.error().text.find("172.16.5.0/24"), std::string::npos) << result.error().text;
    EXPECT_FALSE(has_v4_address("10.9.0.1"));
    EXPECT_FALSE(has_v4_route("000610AC", second.device->name()));
    EXPECT_TRUE(has_v4_route("000510AC", first.device->name()));
  });
}

TEST(TunDevice, RefusesABadOrTakenNameWithThePath) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    TunOptions options;
    options.path = "/forwarding/tun/name";
    options.name = "a-name-far-too-long-for-the-kernel";
    auto result = TunDevice::open(*loop, options, end.pool, end.recorder);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().path, "/forwarding/tun/name");
    options.name = "taken0";
    end.open(*loop, options);
    TunEnd other;
    EXPECT_FALSE(TunDevice::open(*loop, options, other.pool, other.recorder).ok());
  });
}

void delete_interface(int index) {
  net::Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr head;
    ifinfomsg link;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_DELLINK;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_index = index;
  ASSERT_EQ(send(netlink.get(), &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
  char answer[512];
  ASSERT_GT(recv(netlink.get(), answer, sizeof answer, 0), 0);
}

TEST(TunDevice, DeletedUnderneathFailsOnceAndRests) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd end;
    end.open(*loop);
    ASSERT_TRUE(end.device->apply(inner()).ok());
    delete_interface(end.device->index());
    ASSERT_TRUE(run_until(*loop, [&] { return !end.recorder.failures.empty(); }));
    int turns = 0;
    bool over = false;
    net::Timer end_of_watch(*loop, [&] { over = true; });
    end_of_watch.start_in(milliseconds(20));
    run_until(*loop, [&] { return ++turns > 1000 || over; });
    EXPECT_LT(turns, 20) << "the loop spins on a dead device";
    EXPECT_EQ(end.recorder.failures.size(), 1u);
    end.write(testing::echo_request("10.8.0.2", "10.8.0.1"));
    EXPECT_EQ(end.recorder.drops[Drop::engine_failed], 1u);
  });
}

// Before it dials again: default routes are up, the server may have moved, and so may the host.
TEST(TunDevice, AddressesAboutToBeDialledStayOutsideOfRoutesThatAreUp) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    TunEnd uplink, other;
    uplink.open(*loop);
    other.open(*loop);
    TunSettings settings;
    settings.addresses = {address("192.0.2.10", 24)};
    ASSERT_TRUE(uplink.device->apply(settings).ok());
    settings.addresses = {address("198.18.0.10", 24)};
    ASSERT_TRUE(other.device->apply(settings).ok());
    auto netlink = Netlink::open();
    ASSERT_TRUE(netlink->add_route(uplink.device->index(), *inet::Cidr::parse("0.0.0.0/0")).ok());
    const auto first = *inet::IpAddress::parse("203.0.113.1"), moved = *inet::IpAddress::parse("203.0.113.2");
    // What a process that died has left.
    ASSERT_TRUE(netlink->add_host_route(first, Path{other.device->index(), {}, false}).ok());
    {
      TunEnd vpn;
      vpn.open(*loop);
      ASSERT_TRUE(vpn.device->keep_outside({first}, false).ok());
      EXPECT_EQ(netlink->path_to(first)->index, other.device->index()) << "it may still be somebody's";
      settings = inner();
      settings.routes = cidrs({"0.0.0.0/0"});
      ASSERT_TRUE(vpn.device->apply(settings).ok());
      ASSERT_TRUE(vpn.device->keep_outside({first, moved}, false).ok());
      EXPECT_EQ(netlink->path_to(moved)->index, uplink.device->index());
      ASSERT_TRUE(vpn.device->keep_outside({first, moved}, true).ok());
      EXPECT_EQ(netlink->path_to(first)->index, uplink.device->index()) << "looked for anew";
      EXPECT_EQ(netlink->path_to(*inet::IpAddress::parse("203.0.113.3"))->index, vpn.device->index());
      ASSERT_TRUE(netlink->delete_route(uplink.device->index(), *inet::Cidr::parse("0.0.0.0/0")).ok());
      ASSERT_TRUE(netlink->add_route(other.device->index(), *inet::Cidr::parse("0.0.0.0/0")).ok());
      ASSERT_TRUE(vpn.device->keep_outside({moved}, true).ok());
      EXPECT_EQ(netlink->path_to(moved)->index, other.device->index()) << "the host's network has changed";
      settings.outside = {moved};
      ASSERT_TRUE(vpn.device->apply(settings).ok());
      EXPECT_EQ(netlink->path_to(first)->index, vpn.device->index()) << "only the server in use stays outside";
    }
    EXPECT_FALSE(netlink->delete_host_route(first).ok()) << "none of ours is left";
    EXPECT_FALSE(netlink->delete_host_route(moved).ok());
  });
}

TEST(TunDevice, AdoptedDeviceGetsBackWhatItHadAndStays) {
  IN_NEW_NAMESPACE([] {
    net::Fd host(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    ifreq request{};
    request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
    std::strcpy(request.ifr_name, "hosts0");
    ASSERT_EQ(ioctl(host.get(), TUNSETIFF, &request), 0);
    int twelve = 12;
    ASSERT_EQ(ioctl(host.get(), TUNSETVNETHDRSZ, &twelve), 0);
    auto loop = make_loop();
    TunEnd end;
    TunOptions options;
    options.fd = host.get();
    end.open(*loop, options);
    EXPECT_EQ(end.device->name(), "hosts0");
    EXPECT_TRUE(end.device->has_offload());
    ASSERT_TRUE(end.device->apply(inner()).ok());
    end.answer_pings();
    ping_once(*loop, {*inet::IpAddress::parse("10.8.0.77"), 0}, 0);
    end.device.reset();
    EXPECT_NE(if_nametoindex("hosts0"), 0u);
    EXPECT_FALSE(has_v4_address("10.8.0.1"));
    EXPECT_EQ(v6_flags("fd000008000000000000000000000001"), "");
    options.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    net::Fd null(options.fd);
    EXPECT_FALSE(TunDevice::open(*loop, options, end.pool, end.recorder).ok());
  });
}

TEST(TunEngine, UsesADeviceOfTheHostsAsItIs) {
  IN_NEW_NAMESPACE([] {
    net::Fd host(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI);
    std::strcpy(request.ifr_name, "hosts0");
    ASSERT_EQ(ioctl(host.get(), TUNSETIFF, &request), 0);
    auto netlink = Netlink::open();
    const int index = static_cast<int>(if_nametoindex("hosts0"));
    ASSERT_TRUE(netlink->set_up(index, 1333).ok());
    ASSERT_TRUE(netlink->add_address(index, *inet::IpAddress::parse("10.8.0.1"), 24).ok());
    auto loop = make_loop();
    testing::RecordingSink sink;
    TunOptions options;
    options.fd = host.get();
    TunEngine engine(*loop, options);
    EngineNetwork network;
    network.subnets = cidrs({"10.8.0.0/24", "fd00:8::/64"});
    network.gateways = {*inet::IpAddress::parse("10.8.0.1"), *inet::IpAddress::parse("fd00:8::1")};
    network.routes = cidrs({"192.168.7.0/24"});
    auto result = engine.start(network, sink);
    ASSERT_TRUE(result.ok()) << result.error().text;
    EXPECT_FALSE(engine.takes_super_packets());
    EXPECT_EQ(interface_mtu("hosts0"), 1333);
    EXPECT_EQ(v6_flags("fd000008000000000000000000000001"), "") << "no address but the host's";
    EXPECT_FALSE(has_v4_route("0007A8C0", "hosts0"));
    Bytes ping = testing::echo_request("10.8.0.2", "10.8.0.1");
    PacketView view{ping, 0, 1};
    engine.write({&view, 1});
    ASSERT_TRUE(run_until(*loop, [&] { return !sink.packets.empty(); }));
    engine.stop();
    EXPECT_TRUE(has_v4_address("10.8.0.1"));
    EXPECT_EQ(interface_mtu("hosts0"), 1333);
  });
}

TEST(TunEngine, PutsGatewaysOnADeviceAndUndoesItAll) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    testing::RecordingSink sink;
    TunEngine engine(*loop, {});
    EngineNetwork network;
    network.subnets = cidrs({"10.8.0.0/24", "fd00:8::/64"});
    network.gateways = {*inet::IpAddress::parse("10.8.0.1"), *inet::IpAddress::parse("fd00:8::1")};
    network.routes = cidrs({"192.168.7.0/24"});
    auto result = engine.start(network, sink);
    ASSERT_TRUE(result.ok()) << result.error().text;
    EXPECT_TRUE(engine.takes_super_packets());
    std::string name = engine.device_name();
    EXPECT_TRUE(has_v4_route("0000080A", name));
    EXPECT_TRUE(has_v4_route("0007A8C0", name));
    // A client pings the gateway, and the kernel answers it.
    Bytes ping = testing::echo_request("10.8.0.2", "10.8.0.1");
    PacketView view{ping, 0, 1};
    engine.write({&view, 1});
    engine.flush();
    ASSERT_TRUE(run_until(*loop, [&] {
      return std::any_of(sink.packets.begin(), sink.packets.end(), [](const Packet& packet) {
        inet::InnerPacket info;
        return inet::classify(packet.bytes(), info) == Drop::none && info.dst.text() == "10.8.0.2";
      });
    }));
    delete_interface(static_cast<int>(if_nametoindex(name.c_str())));
    ASSERT_TRUE(run_until(*loop, [&] { return !sink.failures.empty(); }));
    EXPECT_EQ(sink.failures.size(), 1u);
    engine.stop();
    sink.packets.clear();
    auto again = engine.start(network, sink);
    EXPECT_TRUE(again.ok());
    name = engine.device_name();
    engine.stop();
    EXPECT_EQ(if_nametoindex(name.c_str()), 0u);
  });
}

TEST(TunEngine, FailedStartLeavesNoDevice) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    testing::RecordingSink sink;
    TunOptions options;
    options.name = "gone0";
    options.path = "/forwarding/tun";
    TunEngine engine(*loop, options);
    EngineNetwork network;
    network.gateways = {*inet::IpAddress::parse("10.8.0.1")};
    network.subnets = cidrs({"10.8.0.0/24"});
    network.mtu = 1;  // under what IPv4 allows
    auto result = engine.start(network, sink);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().path, "/forwarding/tun");
    EXPECT_EQ(if_nametoindex("gone0"), 0u);
  });
}

}  // namespace
}  // namespace smartvpn::forward
