// Datagrams through the relay: there and back, PROXY headers in front of each, limits, targets that are gone, change.
#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "proxyproto/writer.hpp"
#include "support/raw_udp.hpp"
#include "support/relay_bench.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests
using proxyproto::Header;
using testing_support::RawUdp;

constexpr int kNothing = 60;  // ms in which nothing comes

json udp(json more = json::object()) {
  more["protocol"] = "udp";
  return more;
}
json trusting_udp(const char* who = "127.0.0.1") {
  return udp({{"accept_proxy_protocol", "v2"}, {"trusted_proxies", {who}}});
}
json to_udp(const RawUdp& target) { return to(target.port()); }
json with_v2(const RawUdp& target) { return route(to_udp(target), {{"send_proxy_protocol", "v2"}}); }

// A header and what follows it in one datagram.
Bytes headed(const Header& header, std::string_view payload) {
  Bytes out = *proxyproto::write_v2(header);
  append(out, as_bytes(payload));
  return out;
}
Bytes from(const char* client, std::string_view payload, const char* dialled = "203.0.113.9:51820") {
  return headed(
      proxyproto::relayed(inet::Endpoint::parse(client), inet::Endpoint::parse(dialled), proxyproto::Transport::dgram),
      payload);
}

struct Parted {
  Header header;
  std::string payload;
};
Parted parted(const std::string& datagram) {
  Parted out;
  size_t size = 0;
  const char* error = nullptr;
  EXPECT_EQ(proxyproto::parse_datagram(as_bytes(datagram), out.header, size, {}, &error), proxyproto::ParseResult::done)
      << error;
  out.payload = datagram.substr(size);
  return out;
}

uint64_t drops(RunningRelay& relay, UdpDrop why) { return relay.relay->stats()->udp_drops.of(why); }
void await_drops(RunningRelay& relay, UdpDrop why, uint64_t count) {
  for (int i = 0; i < 2000 && drops(relay, why) < count; ++i) ::usleep(1000);
  EXPECT_EQ(drops(relay, why), count);
}

TEST(RelayUdp, ThereAndBack) {
  RawUdp target, client;
  RunningRelay relay(relay_config(route(to_udp(target)), udp()));
  ASSERT_TRUE(client.send(relay.port(), "ping"));
  EXPECT_EQ(target.read(), "ping");
  EXPECT_NE(target.from, client.local()) << "it comes from the flow's own socket";
  const auto flow = target.from;
  target.answer("pong");
  EXPECT_EQ(client.read(), "pong");
  EXPECT_EQ(client.from.text(), "127.0.0.1:" + std::to_string(relay.port()));
  client.send(relay.port(), "");
  EXPECT_EQ(target.read(), "") << "an empty datagram is one too";
  EXPECT_EQ(target.from, flow);
  target.answer("");
  EXPECT_EQ(client.read(), "");
  RawUdp other;
  other.send(relay.port(), "another");
  EXPECT_EQ(target.read(), "another");
  EXPECT_NE(target.from, flow);
}

TEST(RelayUdp, BothFamiliesAndFromOneToTheOther) {
  RawUdp target6("::1"), target4, client4, client6("::1");
  json listen = udp();
  for (const RawUdp* target : {&target4, &target6}) {
    const json at = {{"host", target->local().ip.text()}, {"port", target->port()}};
    json config = relay_config(route(at, {{"send_proxy_protocol", "v2"}}), listen);
    config["listen"][0]["address"] = "::";
    RunningRelay relay(config);
    for (RawUdp* client : {&client4, &client6}) {
      const inet::Endpoint relay_at{client->local().ip, relay.port()};
      client->send(relay_at, "hello");
      auto& server = const_cast<RawUdp&>(*target);
      const auto got = parted(server.read());
      EXPECT_EQ(got.payload, "hello");
      EXPECT_EQ(*got.header.source, client->local());
      EXPECT_EQ(*got.header.destination, relay_at) << "the address that it came to, of all there are";
      server.answer("welcome");
      EXPECT_EQ(client->read(), "welcome");
      EXPECT_EQ(client->from, relay_at);
    }
  }
}

TEST(RelayUdp, AnswersLeaveFromTheAddressTheClientWrote) {
  RawUdp target, client;
  json config = relay_config(route(to_udp(target)), udp());
  config["listen"][0]["address"] = "0.0.0.0";
  RunningRelay relay(config);
  for (const char* ip : {"127.0.0.1", "127.0.0.9"}) {
    client.send(inet::Endpoint{*inet::IpAddress::parse(ip), relay.port()}, "x");
    EXPECT_EQ(target.read(), "x");
    target.answer("y");
    EXPECT_EQ(client.read(), "y");
    EXPECT_EQ(client.from.ip.text(), ip);
  }
}

// RFC 6040: what the network has marked stays marked, both ways.
TEST(RelayUdp, CongestionMarksPassBothWays) {
  RawUdp target, client;
  RunningRelay relay(relay_config(with_v2(target), udp()));
  for (const int mark : {1, 2, 3, 0}) {
    client.mark(mark);
    client.send(relay.port(), "there");
    EXPECT_EQ(parted(target.read()).payload, "there");
    EXPECT_EQ(target.ecn, mark);
    target.mark(mark ^ 1);
    target.answer("back");
    EXPECT_EQ(client.read(), "back");
    EXPECT_EQ(client.ecn, mark ^ 1);
  }
}

TEST(RelayUdp, EachDatagramHasItsHeaderAndAnswersHaveNone) {
  RawUdp target, client("127.0.0.77");
  RunningRelay relay(relay_config(with_v2(target), udp()));
  for (const char* text : {"one", "two", "", "three"}) {
    client.send(relay.port(), text);
    const auto got = parted(target.read());
    EXPECT_EQ(got.payload, text);
    EXPECT_EQ(got.header.transport, proxyproto::Transport::dgram);
    EXPECT_EQ(*got.header.source, client.local());
    EXPECT_EQ(got.header.destination->text(), "127.0.0.1:" + std::to_string(relay.port()));
    EXPECT_FALSE(proxyproto::unique_id(got.header)) << "that is a connection's";
    target.answer(text);
    EXPECT_EQ(client.read(), text);
  }
}

TEST(RelayUdp, ATrustedProxysWordIsTakenForEachDatagram) {
  RawUdp target, proxy;
  RunningRelay relay(relay_config(with_v2(target), trusting_udp()));
  proxy.send(relay.port(), from("198.51.100.7:4711", "first"));
  const auto first = parted(target.read());
  const auto first_flow = target.from;
  EXPECT_EQ(first.header.source->text(), "198.51.100.7:4711");
  EXPECT_EQ(first.header.destination->text(), "203.0.113.9:51820");
  EXPECT_EQ(first.payload, "first");
  // Several clients through one socket of the proxy's, and of both families.
  proxy.send(relay.port(), from("[2001:db8::7]:4711", "second", "[2001:db8::9]:51820"));
  EXPECT_EQ(parted(target.read()).header.source->text(), "[2001:db8::7]:4711");
  EXPECT_NE(target.from, first_flow);
  proxy.send(relay.port(), from("198.51.100.7:4711", "again"));
  EXPECT_EQ(parted(target.read()).payload, "again");
  EXPECT_EQ(target.from, first_flow);
  target.answer("to the proxy, bare");
  EXPECT_EQ(proxy.read(), "to the proxy, bare");
  const auto event = relay.event(telemetry::EventType::connection_accepted);
  EXPECT_STREQ(event->text("remote_addr"), "198.51.100.7:4711");
  EXPECT_STREQ(event->text("transport"), "udp");
  const auto flows = *relay.relay->connections();
  ASSERT_EQ(flows.size(), 2u);
  EXPECT_TRUE(flows[0].vouched);
  EXPECT_EQ(flows[0].peer_addr, proxy.local());
}

TEST(RelayUdp, HeadersOfOneClientMayDiffer) {
  RawUdp target, proxy;
  RunningRelay relay(relay_config(with_v2(target), trusting_udp()));
  Header header = parted(std::string(as_text(from("198.51.100.7:1", "")))).header;
  for (uint8_t n = 0; n < 5; ++n) {
    header.tlvs = {{0xe5, Bytes(n * size_t{200}, n)}};
    proxy.send(relay.port(), headed(header, "n" + std::to_string(n)));
    EXPECT_EQ(parted(target.read()).payload, "n" + std::to_string(n));
  }
  EXPECT_EQ(relay.relay->connections()->size(), 1u);
}

TEST(RelayUdp, AChainKeepsTheFirstAddress) {
  RawUdp target, client("127.0.0.77");
  RunningRelay inner(relay_config(with_v2(target), trusting_udp()));
  RunningRelay outer(relay_config(route(to(inner.port()), {{"send_proxy_protocol", "v2"}}), udp()));
  for (const char* text : {"through", "it", "all"}) {
    client.send(outer.port(), text);
    const auto got = parted(target.read());
    EXPECT_EQ(*got.header.source, client.local());
    EXPECT_EQ(got.header.destination->port, outer.port());
    EXPECT_EQ(got.payload, text);
    target.answer(std::string(text) + " and back");
    EXPECT_EQ(client.read(), std::string(text) + " and back");
  }
  EXPECT_EQ(*inner.relay->connections()->at(0).remote_addr, client.local());
}

TEST(RelayUdp, TlvsGoOnAsTheRouteSaysWithoutAnId) {
  RawUdp target, proxy;
  json more = {{"send_proxy_protocol", "v2"}, {"proxy_tlvs", {{"unknown", true}, {"crc32c", true}}}};
  RunningRelay relay(relay_config(route(to_udp(target), more), trusting_udp()));
  Header header = parted(std::string(as_text(from("198.51.100.7:1", "")))).header;
  header.tlvs = {{proxyproto::kTlvAlpn, {'w', 'g'}}, {proxyproto::kTlvUniqueId, {'i', 'd'}}, {0xe5, {'x'}}};
  proxy.send(relay.port(), headed(header, "x"));
  const auto got = parted(target.read());
  EXPECT_TRUE(got.header.crc32c_verified);
  EXPECT_EQ(as_text(*proxyproto::alpn(got.header)), "wg");
  EXPECT_FALSE(proxyproto::unique_id(got.header));
  EXPECT_TRUE(proxyproto::find_tlv(got.header.tlvs, 0xe5));
}

TEST(RelayUdp, NobodySaysWhichVpnClientItIs) {
  RawUdp target, proxy;
  json listen = trusting_udp();
  listen["may_assert_identity"] = {"127.0.0.1"};
  json more = {{"send_proxy_protocol", "v2"}, {"proxy_tlvs", {{"unknown", true}}}};
  RunningRelay relay(relay_config(route(to_udp(target), more), listen));
  Header header = parted(std::string(as_text(from("198.51.100.7:1", "")))).header;
  header.tlvs = {make_identity_tlv({"alice", *inet::IpAddress::parse("10.8.0.2"), 7}), {0xe5, {'x'}}};
  proxy.send(relay.port(), headed(header, "x"));
  const auto got = parted(target.read());
  EXPECT_FALSE(proxyproto::find_tlv(got.header.tlvs, kTlvIdentity));
  EXPECT_TRUE(proxyproto::find_tlv(got.header.tlvs, 0xe5));
  const auto flows = *relay.relay->connections();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].client_id, "");
  EXPECT_EQ(flows[0].tlvs.size(), 1u) << "nor is it listed";
}

TEST(RelayUdp, WithoutAnAddressItStaysWithoutOrIsRefused) {
  RawUdp target, proxy;
  json listen = trusting_udp();
  RunningRelay accepting(relay_config(with_v2(target), listen));
  for (int i = 0; i < 2; ++i) {
    proxy.send(accepting.port(), headed(Header(), "x"));
    EXPECT_TRUE(parted(target.read()).header.addressless());
  }
  EXPECT_EQ(accepting.relay->connections()->size(), 1u);
  listen["addressless"] = "refuse";
  RunningRelay refusing(relay_config(with_v2(target), listen));
  proxy.send(refusing.port(), headed(Header(), "x"));
  EXPECT_EQ(refusing.rejected(), "proxy_addressless");
  EXPECT_EQ(drops(refusing, UdpDrop::limited), 1u);
}

// What is dropped leaves the flow as it was.
TEST(RelayUdp, BadHeadersAreDroppedAlone) {
  RawUdp target, proxy;
  RunningRelay relay(relay_config(route(to_udp(target)), trusting_udp()));
  const auto good = from("198.51.100.7:4711", "good");
  Bytes flipped = good, cut(good.begin(), good.begin() + 20), long_block = good;
  flipped[12] = 0x11;
  store_be16(&long_block[14], 500);
  const auto stream = headed(
      proxyproto::relayed(inet::Endpoint::parse("198.51.100.7:4711"), inet::Endpoint::parse("203.0.113.9:1")), "x");
  uint64_t dropped = 0;
  for (const Bytes& bad : {flipped, cut, long_block, stream, Bytes(), Bytes{'h', 'i'}}) {
    proxy.send(relay.port(), good);
    EXPECT_EQ(target.read(), "good");
    proxy.send(relay.port(), bad);
    await_drops(relay, UdpDrop::malformed_header, ++dropped);
  }
  EXPECT_FALSE(target.has_one(kNothing));
  EXPECT_EQ(relay.relay->connections()->size(), 1u);
  EXPECT_EQ(relay.rejected(), "proxy_header_malformed");
  proxy.send(relay.port(), headed(proxyproto::local_header(), "health"));
  await_drops(relay, UdpDrop::local, 1);
  EXPECT_EQ(relay.relay->stats()->rejections_total(), dropped) << "a health check is no refusal";
}

TEST(RelayUdp, StrangersAreDroppedWhereAHeaderMustCome) {
  RawUdp target, stranger;
  RunningRelay relay(relay_config(route(to_udp(target)), trusting_udp("192.0.2.1")));
  stranger.send(relay.port(), "hello");
  stranger.send(relay.port(), from("198.51.100.7:1", "hello"));
  await_drops(relay, UdpDrop::untrusted, 2);
  EXPECT_EQ(relay.rejected(), "untrusted_proxy");
  EXPECT_FALSE(target.has_one(kNothing));
  EXPECT_TRUE(relay.relay->connections()->empty());
}

TEST(RelayUdp, OrServedAsWhoTheyAreButNotWithAHeader) {
  RawUdp target, stranger;
  json direct = trusting_udp("192.0.2.1");
  direct["untrusted"] = "direct";
  for (const json& listen : {direct, udp()}) {
    RunningRelay relay(relay_config(with_v2(target), listen));
    const auto forged = from("198.51.100.7:1", "forged");
    stranger.send(relay.port(), forged);
    await_drops(relay, UdpDrop::forged_header, 1);
    EXPECT_EQ(relay.rejected(), "unexpected_proxy_header");
    stranger.send(relay.port(), "mine");
    const auto got = parted(target.read());
    EXPECT_EQ(*got.header.source, stranger.local());
    EXPECT_EQ(got.payload, "mine");
    stranger.send(relay.port(), ByteView(forged).first(12));
    await_drops(relay, UdpDrop::forged_header, 2);
    stranger.send(relay.port(), ByteView(forged).first(11));
    EXPECT_EQ(parted(target.read()).payload.size(), 11u) << "what only begins like one is theirs";
    stranger.send(relay.port(), "PROXY UDP4 there is no such line\r\n");
    EXPECT_EQ(parted(target.read()).payload.substr(0, 10), "PROXY UDP4");
    EXPECT_FALSE(target.has_one(kNothing));
  }
}

TEST(RelayUdp, LargeDatagramsPassAndTooLargeOnesAreCounted) {
  RawUdp target, client;
  RunningRelay relay(relay_config(with_v2(target), udp()));
  const size_t header = 28, most = 65507;
  for (size_t size : {size_t{1400}, size_t{9000}, most - header}) {
    const std::string text(size, 'x');
    ASSERT_TRUE(client.send(relay.port(), text));
    EXPECT_EQ(parted(target.read()).payload.size(), size);
    target.answer(std::string(most, 'y'));
    EXPECT_EQ(client.read().size(), most) << "answers have nothing in front";
  }
  client.send(relay.port(), std::string(most - header + 1, 'x'));
  await_drops(relay, UdpDrop::too_big, 1);
  client.send(relay.port(), "still there");
  EXPECT_EQ(parted(target.read()).payload, "still there");
}

// Segments leave as one message each way where the kernel can do it; each still has its header.
TEST(RelayUdp, BurstsArriveWholeEachWithItsHeader) {
  RawUdp target, proxy;
  RunningRelay relay(relay_config(with_v2(target), trusting_udp()));
  const char* clients[] = {"198.51.100.7:1", "198.51.100.8:1", "[2001:db8::1]:1"};
  constexpr int kRounds = 60;
  for (int n = 0; n < kRounds; ++n)
    for (const char* client : clients)
      proxy.send(relay.port(), from(client, std::string(100, 'x') + std::to_string(n),
                                    client[0] == '[' ? "[2001:db8::9]:1" : "203.0.113.9:1"));
  std::map<std::string, int> next;
  std::map<std::string, inet::Endpoint> flows;
  for (int i = 0; i < kRounds * 3; ++i) {
    const auto got = parted(target.read());
    const std::string client = got.header.source->text();
    EXPECT_EQ(got.payload, std::string(100, 'x') + std::to_string(next[client]++)) << "in order";
    flows[client] = target.from;
  }
  ASSERT_EQ(flows.size(), 3u);
  for (int n = 0; n < kRounds; ++n)
    for (const auto& [client, flow] : flows) target.send(flow, client + " " + std::to_string(n));
  std::map<std::string, int> answers;
  for (int i = 0; i < kRounds * 3; ++i) {
    const std::string answer = proxy.read();
    ++answers[answer.substr(0, answer.find(' '))];
  }
  for (const auto& [client, flow] : flows) EXPECT_EQ(answers[client], kRounds);
}

TEST(RelayUdp, TwoHundredClientsAtOnceOnSeveralThreads) {
  for (int threads : {1, 3}) {
    RawUdp target;
    json config = relay_config(with_v2(target), udp());
    config["limits"] = {{"connections_per_ip", 0}, {"new_connections_per_ip_per_minute", 0}, {"threads", threads}};
    RunningRelay relay(config);
    std::vector<RawUdp> clients(200);
    for (int round = 0; round < 3; ++round) {
      for (RawUdp& client : clients) client.send(relay.port(), std::to_string(client.port()));
      for (size_t i = 0; i < clients.size(); ++i) {
        const auto got = parted(target.read());
        EXPECT_EQ(got.payload, std::to_string(got.header.source->port));
        target.answer(got.payload);
      }
      for (RawUdp& client : clients) EXPECT_EQ(client.read(), std::to_string(client.port()));
    }
    const auto stats = *relay.relay->stats();
    EXPECT_EQ(stats.total.connections_open, 200u);
    EXPECT_EQ(stats.total.connections_total, 200u) << "one client stays with one thread";
    EXPECT_EQ(relay.relay->connections()->size(), 200u);
  }
}

TEST(RelayUdpLimits, AreThoseOfTheRealAddress) {
  RawUdp target, proxy;
  json limits = {{"limits", {{"connections_per_ip", 2}}}};
  RunningRelay relay(relay_config(route(to_udp(target)), trusting_udp(), limits));
  for (const char* client : {"198.51.100.7:1", "198.51.100.7:2", "198.51.100.8:1"}) {
    proxy.send(relay.port(), from(client, "in"));
    EXPECT_EQ(target.read(), "in");
  }
  proxy.send(relay.port(), from("198.51.100.7:3", "out"));
  EXPECT_EQ(relay.rejected(), "too_many_connections");
  EXPECT_EQ(drops(relay, UdpDrop::limited), 1u);
  proxy.send(relay.port(), from("198.51.100.7:1", "known"));
  EXPECT_EQ(target.read(), "known");
  const uint64_t first = relay.relay->connections()->at(0).id;
  ASSERT_TRUE(relay.relay->disconnect(first).ok());
  EXPECT_EQ(relay.closed(), "disconnected");
  proxy.send(relay.port(), from("198.51.100.7:3", "now"));
  EXPECT_EQ(target.read(), "now");
}

TEST(RelayUdpLimits, OnARouteAndPerMinute) {
  RawUdp target, first, second, third;
  json one = route(to_udp(target));
  one["max_connections"] = 1;
  RunningRelay routed(relay_config(one, udp()));
  first.send(routed.port(), "in");
  EXPECT_EQ(target.read(), "in");
  second.send(routed.port(), "out");
  EXPECT_EQ(routed.rejected(), "too_many_connections");
  RunningRelay slow(
      relay_config(route(to_udp(target)), udp(), {{"limits", {{"new_connections_per_ip_per_minute", 2}}}}));
  for (RawUdp* client : {&first, &second}) {
    client->send(slow.port(), "in");
    EXPECT_EQ(target.read(), "in");
  }
  third.send(slow.port(), "out");
  EXPECT_EQ(slow.rejected(), "rate_limited");
  EXPECT_EQ(drops(slow, UdpDrop::limited), 1u);
  EXPECT_FALSE(target.has_one(kNothing));
}

TEST(RelayUdpLimits, WhoWasNeverAnsweredMakesRoomForOthers) {
  RawUdp target, answered, silent, next, last;
  RunningRelay relay(relay_config(route(to_udp(target)), udp(), {{"limits", {{"connections", 2}}}}));
  answered.send(relay.port(), "a");
  EXPECT_EQ(target.read(), "a");
  target.answer("yes");
  EXPECT_EQ(answered.read(), "yes");
  silent.send(relay.port(), "b");
  EXPECT_EQ(target.read(), "b");
  next.send(relay.port(), "c");
  EXPECT_EQ(target.read(), "c");
  EXPECT_EQ(relay.closed(), "too_many_connections");
  target.answer("yes");
  EXPECT_EQ(next.read(), "yes");
  last.send(relay.port(), "d");
  EXPECT_EQ(relay.rejected(), "too_many_connections") << "those that talk keep their places";
  answered.send(relay.port(), "e");
  EXPECT_EQ(target.read(), "e");
  EXPECT_EQ(relay.relay->stats()->total.connections_open, 2u);
}

TEST(RelayUdpLimits, ListsJudgeTheRealAddress) {
  RawUdp target, proxy;
  json security = {{"security", {{"ip_block_list", {"198.51.100.7"}}, {"ip_allow_list", {"198.51.100.0/24"}}}}};
  RunningRelay relay(relay_config(route(to_udp(target)), trusting_udp(), security));
  proxy.send(relay.port(), from("198.51.100.7:1", "x"));
  EXPECT_EQ(relay.rejected(), "ip_block_list");
  proxy.send(relay.port(), from("192.0.2.1:1", "x"));
  EXPECT_EQ(relay.rejected(), "client_ip_not_allowed");
  proxy.send(relay.port(), from("198.51.100.8:1", "x"));
  EXPECT_EQ(target.read(), "x");
  EXPECT_EQ(drops(relay, UdpDrop::limited), 2u);
}

TEST(RelayUdpRoutes, GoByPortAddressAndProtocol) {
  RawUdp by_port, by_client, rest;
  RawListener tcp;
  json routes =
      json::array({route(to_udp(rest)), route(to_udp(by_client)), route(to(tcp.port())), route(to_udp(rest))});
  routes[1]["match"] = {{"client_ip", {"127.0.0.7"}}};
  routes[2]["match"] = {{"protocol", "tcp"}};
  routes[2]["priority"] = 5;
  routes[3]["match"] = {{"domains", {"*"}}};  // no datagram has a name
  routes[3]["priority"] = 9;
  json config = relay_config(routes, udp());
  config["listen"].push_back(listener());
  RunningRelay relay(config);
  RawUdp client, chosen("127.0.0.7");
  client.send(relay.port(), "anybody");
  EXPECT_EQ(rest.read(), "anybody");
  chosen.send(relay.port(), "chosen");
  EXPECT_EQ(by_client.read(), "chosen");
  RawSocket stream(relay.port(1));
  stream.send("tcp\n");
  EXPECT_EQ(tcp.accept().read(4), "tcp\n");
  config["routes"] = json::array({routes[2]});
  ASSERT_TRUE(relay.reconfigure(config).ok());
  RawUdp late;
  late.send(relay.port(), "nowhere");
  await_drops(relay, UdpDrop::no_route, 1);
  EXPECT_EQ(relay.rejected(), "no_route");
}

TEST(RelayUdpRoutes, OnePortServesBothProtocolsAndPreservesItself) {
  RawListener tcp;
  RawUdp target("127.0.0.2", tcp.port());
  const uint16_t port = tcp.port();
  tcp.close();
  RawListener streams;
  json udp_route = route({{"host", "127.0.0.2"}, {"port", "preserve"}}), tcp_route = route(to(streams.port()));
  udp_route["match"] = {{"protocol", "udp"}};
  json config = relay_config(json::array({udp_route, tcp_route}), udp({{"port", port}}));
  config["listen"].push_back(listener({{"port", port}}));
  RunningRelay relay(config);
  const auto endpoints = relay.relay->endpoints();
  ASSERT_EQ(endpoints.size(), 2u);
  EXPECT_EQ(endpoints[0].address, endpoints[1].address);
  EXPECT_NE(endpoints[0].protocol, endpoints[1].protocol);
  RawUdp client;
  client.send(port, "datagram");
  EXPECT_EQ(target.read(), "datagram");
  RawSocket stream(port);
  stream.send("stream");
  EXPECT_EQ(streams.accept().read(6), "stream");
}

TEST(RelayUdpLife, AFlowEndsWhenNothingPasses) {
  RawUdp target, client;
  RunningRelay relay(relay_config(route(to_udp(target)), udp(), {{"timeouts", {{"udp_idle_ms", 1000}}}}));
  client.send(relay.port(), "one");
  EXPECT_EQ(target.read(), "one");
  ::usleep(600000);
  target.answer("keep");  // so it has a second from now on
  EXPECT_EQ(client.read(), "keep");
  ::usleep(600000);
  EXPECT_EQ(relay.relay->connections()->size(), 1u);
  EXPECT_EQ(relay.closed(), "idle_timeout");
  relay.expect_empty();
  client.send(relay.port(), "two");
  EXPECT_EQ(target.read(), "two");
  const auto stats = *relay.relay->stats();
  EXPECT_EQ(stats.total.connections_total, 2u);
  EXPECT_EQ(stats.ended[static_cast<size_t>(Reason::idle_timeout)], 1u);
}

TEST(RelayUdpLife, ATargetThatIsGoneEndsItAndComesBack) {
  auto target = std::make_unique<RawUdp>();
  const uint16_t port = target->port();
  RawUdp client;
  RunningRelay relay(relay_config(route(to(port)), udp()));
  client.send(relay.port(), "one");
  EXPECT_EQ(target->read(), "one");
  target->answer("here");
  EXPECT_EQ(client.read(), "here");
  target.reset();
  client.send(relay.port(), "two");
  EXPECT_EQ(relay.closed(), "target_unreachable");
  relay.expect_empty();
  EXPECT_EQ(relay.relay->stats()->total.target_failures, 1u);
  target = std::make_unique<RawUdp>("127.0.0.1", port);
  client.send(relay.port(), "three");
  EXPECT_EQ(target->read(), "three");
  target->answer("again");
  EXPECT_EQ(client.read(), "again");
  EXPECT_STREQ(relay.event(telemetry::EventType::target_changed)->text("health"), "up");
}

TEST(RelayUdpLife, TheNextDatagramGoesToTheNextTarget) {
  RawUdp alive, client;
  auto gone = std::make_unique<RawUdp>();
  const uint16_t port = gone->port();
  gone.reset();
  RunningRelay relay(relay_config(route(json::array({to(port), to_udp(alive)})), udp()));
  client.send(relay.port(), "lost");
  EXPECT_EQ(relay.closed(), "target_unreachable");
  for (int i = 0; i < 3; ++i) {
    client.send(relay.port(), "found");
    EXPECT_EQ(alive.read(), "found");
  }
  RawUdp other;
  other.send(relay.port(), "the healthy one");
  EXPECT_EQ(alive.read(), "the healthy one");
}

TEST(RelayUdpLife, NamesAreLookedUpAndWhatComesMeanwhileIsKept) {
  RawUdp target, client;
  RunningRelay relay(
      relay_config(route({{"host", "localhost"}, {"port", target.port()}}, {{"send_proxy_protocol", "v2"}}), udp()));
  client.send(relay.port(), "one");
  client.send(relay.port(), "two");
  // Where localhost is ::1 first, nobody is there, and the next datagram finds out; then one round is lost.
  for (const char* text : {"one", "two"}) {
    if (!target.has_one(2000)) GTEST_SKIP() << "localhost is another address here";
    EXPECT_EQ(parted(target.read()).payload, text);
  }
  RawUdp other;
  other.send(relay.port(), "three");
  EXPECT_EQ(parted(target.read()).payload, "three");
  RunningRelay nowhere(relay_config(route({{"host", "nowhere.invalid"}, {"port", 9}}), udp()));
  client.send(nowhere.port(), "x");
  EXPECT_EQ(nowhere.rejected(), "target_unreachable");
  await_drops(nowhere, UdpDrop::unreachable, 1);
  nowhere.expect_empty();
}

TEST(RelayUdpLife, ATargetThatIsTheRelayItselfIsFoundOut) {
  uint16_t port = 0;
  {
    RawUdp taken;
    port = taken.port();
  }
  RunningRelay relay(relay_config(route({{"host", "localhost"}, {"port", port}}), udp({{"port", port}})));
  RawUdp client;
  client.send(port, "x");
  EXPECT_EQ(relay.rejected(), "relay_loop");
  relay.expect_empty();
}

TEST(RelayUdpChange, FlowsGoOnAsTheyBegan) {
  RawUdp before, after, client, newcomer;
  json config = relay_config(with_v2(before), udp());
  RunningRelay relay(config);
  const uint16_t port = relay.port();
  client.send(port, "old");
  EXPECT_EQ(parted(before.read()).payload, "old");
  config["routes"] = json::array({route(to_udp(after))});
  config["listen"].push_back(listener(udp()));
  ASSERT_TRUE(relay.reconfigure(config).ok());
  EXPECT_EQ(relay.port(), port) << "a listener that stays keeps its socket";
  client.send(port, "old still");
  EXPECT_EQ(parted(before.read()).payload, "old still");
  before.answer("back");
  EXPECT_EQ(client.read(), "back");
  newcomer.send(port, "new");
  EXPECT_EQ(after.read(), "new");
  newcomer.send(relay.port(1), "new port");
  EXPECT_EQ(after.read(), "new port");
}

TEST(RelayUdpChange, ASocketThatIsTakenAwayStaysForItsFlowsAndForNobodyElse) {
  RawUdp target, client, late;
  uint16_t port = 0;
  {
    RawUdp taken;
    port = taken.port();
  }
  for (int threads : {1, 3}) {
    json config = relay_config(route(to_udp(target)), udp(), {{"limits", {{"threads", threads}}}});
    config["listen"].push_back(listener(udp({{"port", port}})));
    RunningRelay relay(config);
    client.send(port, "one");
    EXPECT_EQ(target.read(), "one");
    json without = config;
    without["listen"].erase(1);
    ASSERT_TRUE(relay.reconfigure(without).ok());
    EXPECT_EQ(relay.relay->endpoints().size(), 1u);
    client.send(port, "two");
    EXPECT_EQ(target.read(), "two");
    target.answer("back");
    EXPECT_EQ(client.read(), "back");
    if (threads == 1) {
      late.send(port, "too late");
      await_drops(relay, UdpDrop::no_route, 1);
    }
    EXPECT_FALSE(target.has_one(kNothing));
    // There again, also where only some of the threads still had it.
    ASSERT_TRUE(relay.reconfigure(config).ok());
    client.send(port, "three");
    EXPECT_EQ(target.read(), "three");
    for (int i = 0; i < 8; ++i) {
      RawUdp another;
      another.send(port, "welcome");
      EXPECT_EQ(target.read(), "welcome");
    }
    ASSERT_TRUE(relay.reconfigure(without).ok());
    const auto flows = *relay.relay->connections();
    for (const auto& flow : flows) EXPECT_TRUE(relay.relay->disconnect(flow.id).ok());
    relay.expect_empty();
    for (int i = 0; i < 400; ++i) {
      const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      const auto name = net::to_socket_address({inet::IpAddress::v4(0x7f000001), port});
      const bool is_free = ::bind(fd, name.get(), name.size) == 0;
      ::close(fd);
      if (is_free) break;
      ASSERT_LT(i, 399) << "the port is still taken";
      ::usleep(5000);
    }
  }
}

// The kernel spreads clients over the sockets that there are, so none of them may go while another has flows.
TEST(RelayUdpChange, ATakenPortLeavesEveryClientAtItsThread) {
  RawUdp target;
  json config = relay_config(route(to_udp(target)), udp(), {{"limits", {{"threads", 6}}}});
  config["listen"].push_back(listener(udp()));
  RunningRelay relay(config);
  const uint16_t port = relay.port(1);
  std::vector<RawUdp> clients(5);
  for (RawUdp& client : clients) {
    client.send(port, "one");
    EXPECT_EQ(target.read(), "one");
  }
  config["listen"].erase(1);
  ASSERT_TRUE(relay.reconfigure(config).ok());
  ::usleep(120000);  // time enough for those without flows to close theirs
  for (RawUdp& client : clients) {
    client.send(port, "two");
    EXPECT_EQ(target.read(2000), "two");
  }
  EXPECT_EQ(drops(relay, UdpDrop::no_route), 0u);
  EXPECT_EQ(relay.relay->connections()->size(), 5u);
}

TEST(RelayUdpChange, WhatCannotBeOpenedChangesNothing) {
  RawUdp target, taken, client;
  for (int threads : {1, 2}) {
    json config = relay_config(route(to_udp(target)), udp(), {{"limits", {{"threads", threads}}}});
    RunningRelay relay(config);
    json wrong = config;
    wrong["listen"].push_back(listener(udp()));
    wrong["listen"].push_back(listener(udp({{"port", taken.port()}})));
    const auto changed = relay.reconfigure(wrong);
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().path, "/listen/2");
    EXPECT_EQ(changed.error().system_errno, EADDRINUSE);
    EXPECT_EQ(relay.relay->endpoints().size(), 1u);
    client.send(relay.port(), "x");
    EXPECT_EQ(target.read(), "x");
  }
}

TEST(RelayUdpChange, ProxiesAreTrustedAsTheListenerSaysNow) {
  RawUdp target, peer;
  json config = relay_config(route(to_udp(target)), trusting_udp());
  RunningRelay relay(config);
  peer.send(relay.port(), from("198.51.100.7:1", "vouched"));
  EXPECT_EQ(target.read(), "vouched");
  config["listen"][0]["trusted_proxies"] = {"192.0.2.1"};
  ASSERT_TRUE(relay.reconfigure(config).ok());
  peer.send(relay.port(), from("198.51.100.7:1", "no more"));
  await_drops(relay, UdpDrop::untrusted, 1);
  EXPECT_FALSE(target.has_one(kNothing));
}

TEST(RelayUdpStop, DrainingLetsFlowsGoOnAndTakesNoNewOnes) {
  RawUdp target, client, late;
  RunningRelay relay(relay_config(route(to_udp(target)), udp()));
  const uint16_t port = relay.port();
  client.send(port, "one");
  EXPECT_EQ(target.read(), "one");
  EXPECT_EQ(relay.relay->stop(20000, 0).error().status, Status::AGAIN);
  client.send(port, "two");
  EXPECT_EQ(target.read(), "two");
  late.send(port, "late");
  EXPECT_FALSE(target.has_one(kNothing));
  target.answer("back");
  EXPECT_EQ(client.read(), "back");
  EXPECT_TRUE(relay.relay->stop(0, -1).ok());
  EXPECT_EQ(relay.closed(), "relay_stopping");
  RawUdp reused("127.0.0.1", port);  // the port is free
}

TEST(RelayUdpStop, FreeingWithFlowsOpenIsClean) {
  RawUdp target;
  std::vector<RawUdp> clients(20);
  {
    json config = relay_config(route({{"host", "localhost"}, {"port", target.port()}}), udp());
    config["limits"] = {{"threads", 3}};
    RunningRelay relay(config);
    for (RawUdp& client : clients) client.send(relay.port(), "x");
    while (relay.relay->stats()->total.connections_total < 20) ::usleep(1000);
  }
  for (RawUdp& client : clients) EXPECT_FALSE(client.has_one(0));
}

TEST(RelayUdpStats, CountFlowsAndBytesInAllByRouteAndByAddress) {
  RawUdp target, proxy;
  json named = with_v2(target);
  named["name"] = "vpn";
  RunningRelay relay(relay_config(named, trusting_udp()));
  proxy.send(relay.port(), from("198.51.100.7:1", "three"));
  parted(target.read());
  target.answer("four");
  EXPECT_EQ(proxy.read(), "four");
  const auto open = *relay.relay->stats();
  EXPECT_EQ(open.total.connections_open, 1u);
  EXPECT_EQ(open.routes.at(0).counters.connections_open, 1u);
  EXPECT_EQ(open.total.bytes_in, 5u) << "no header is a client's byte";
  EXPECT_EQ(open.total.bytes_out, 4u);
  EXPECT_EQ(open.routes[0].counters.bytes_out, 4u);
  ASSERT_EQ(open.addresses.size(), 1u);
  EXPECT_EQ(open.addresses[0].address.text(), "198.51.100.7");
  EXPECT_EQ(open.addresses[0].bytes_in, 5u);
  EXPECT_EQ(open.udp.udp_flows_total, 1u);
  EXPECT_EQ(open.udp.udp_flows_open, 1u);
  const auto info = relay.relay->connections()->at(0);
  EXPECT_EQ(info.protocol, config::RelayProtocol::udp);
  EXPECT_EQ(info.stage, "relaying");
  EXPECT_EQ(info.route, "vpn");
  EXPECT_EQ(info.target, target.local());
  EXPECT_EQ(info.bytes_in, 5u);
  ASSERT_TRUE(relay.relay->disconnect(info.id).ok());
  const auto closed = relay.event(telemetry::EventType::connection_closed);
  EXPECT_STREQ(closed->text("transport"), "udp");
  EXPECT_STREQ(closed->text("route"), "vpn");
  EXPECT_STREQ(closed->text("target"), target.local().text().c_str());
  EXPECT_EQ(closed->u64("bytes_in"), 5u);
  EXPECT_EQ(closed->u64("bytes_out"), 4u);
  const auto after = *relay.relay->stats();
  EXPECT_EQ(after.total.connections_open, 0u);
  EXPECT_EQ(after.total.connections_relayed, 1u);
  EXPECT_EQ(after.routes[0].counters.connections_open, 0u);
  EXPECT_EQ(after.addresses[0].connections_open, 0u);
  EXPECT_EQ(after.udp.udp_flows_total, 1u);
  EXPECT_EQ(after.udp.udp_flows_open, 0u);
}

TEST(RelayUdpStats, EveryDatagramCountsOnceAlsoOfManyAtOnceAndWhatIsDroppedDoesNot) {
  RawUdp target, first, second;
  RunningRelay relay(relay_config(route(to_udp(target)), udp()));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) (i % 2 == 0 ? first : second).send(relay.port(), "ask");
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(target.read(), "ask");
      target.answer("said");
    }
    for (int i = 0; i < 20; ++i) ASSERT_EQ((i % 2 == 0 ? first : second).read(), "said");
  }
  first.send(relay.port(), from("198.51.100.7:1", "forged"));
  await_drops(relay, UdpDrop::forged_header, 1);
  const auto stats = *relay.relay->stats();
  EXPECT_EQ(stats.udp.udp_flows_total, 2u);
  EXPECT_EQ(stats.udp.udp_flows_open, 2u);
  EXPECT_EQ(stats.udp.udp_datagrams_in, 60u);
  EXPECT_EQ(stats.udp.udp_datagrams_out, 60u);
}

TEST(RelayUdpStats, DropsAreInBothTexts) {
  RawUdp target, stranger;
  RunningRelay relay(relay_config(route(to_udp(target)), udp()));
  EXPECT_NE(relay.relay->stats()->json().find("\"udp_drops\":{}"), std::string::npos);
  stranger.send(relay.port(), from("198.51.100.7:1", "forged"));
  await_drops(relay, UdpDrop::forged_header, 1);
  const auto stats = *relay.relay->stats();
  EXPECT_EQ(json::parse(stats.json())["udp_drops"], json({{"forged_header", 1}}));
  EXPECT_NE(stats.prometheus().find("smartvpn_relay_udp_drops_total{reason=\"forged_header\"} 1\n"), std::string::npos);
  EXPECT_NE(stats.prometheus().find("smartvpn_relay_udp_drops_total{reason=\"too_big\"} 0\n"), std::string::npos);
  const auto listening = relay.event(telemetry::EventType::connection_rejected);
  EXPECT_STREQ(listening->text("transport"), "udp");
}

}  // namespace
}  // namespace smartvpn::relay
