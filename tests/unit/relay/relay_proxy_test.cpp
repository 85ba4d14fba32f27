// Real addresses: PROXY headers in and out, along chains, and forged ones.
#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "proxyproto/writer.hpp"
#include "support/relay_bench.hpp"

namespace smartvpn::relay {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the harness of these tests
using proxyproto::Header;

// What comes first at a target, as far as it is a header.
Header read_header(RawSocket& server) {
  proxyproto::Parser parser(proxyproto::Mode::any);
  size_t used = 0;
  auto result = proxyproto::ParseResult::need_more;
  while (result == proxyproto::ParseResult::need_more) {
    const std::string byte = server.read(1);
    if (byte.empty()) break;
    result = parser.feed(as_bytes(byte), used);
  }
  EXPECT_EQ(result, proxyproto::ParseResult::done) << parser.error();
  return parser.take_header();
}

Bytes v2(const char* client, std::vector<proxyproto::Tlv> tlvs = {}) {
  Header header = proxyproto::relayed(inet::Endpoint::parse(client), inet::Endpoint::parse("203.0.113.9:443"));
  header.tlvs = std::move(tlvs);
  return *proxyproto::write_v2(header);
}

json trusting(const char* mode = "any", const char* who = "127.0.0.1") {
  return {{"accept_proxy_protocol", mode}, {"trusted_proxies", {who}}};
}
json with_v2(json tlvs = nullptr) {
  json more = {{"send_proxy_protocol", "v2"}};
  if (!tlvs.is_null()) more["proxy_tlvs"] = std::move(tlvs);
  return more;
}

TEST(RelayProxy, TheTargetIsToldWhoComes) {
  RawListener target;
  for (const char* version : {"v1", "v2"}) {
    RunningRelay relay(relay_config({route({to(target.port())}, {{"send_proxy_protocol", version}})}));
    RawSocket client(relay.port(), "127.0.0.3");
    client.send("hello");
    RawSocket server = target.accept();
    const Header header = read_header(server);
    ASSERT_TRUE(header.source) << version;
    EXPECT_EQ(header.source->ip.text(), "127.0.0.3");
    EXPECT_EQ(header.destination->text(), "127.0.0.1:" + std::to_string(relay.port()));
    EXPECT_EQ(server.read(5), "hello");
  }
}

TEST(RelayProxy, ATrustedProxysWordIsTakenAndHandedOn) {
  RawListener target;
  for (const char* mode : {"v1", "any"}) {
    RunningRelay relay(relay_config({route({to(target.port())}, with_v2())}, trusting(mode)));
    RawSocket client(relay.port());
    client.send("PROXY TCP4 198.51.100.7 203.0.113.9 4711 443\r\nhello");
    RawSocket server = target.accept();
    const Header header = read_header(server);
    EXPECT_EQ(header.source->text(), "198.51.100.7:4711");
    EXPECT_EQ(header.destination->text(), "203.0.113.9:443");
    EXPECT_EQ(server.read(5), "hello");
    const auto event = relay.event(telemetry::EventType::connection_accepted);
    EXPECT_STREQ(event->text("remote_addr"), "198.51.100.7:4711");
    EXPECT_EQ(std::string(event->text("peer_addr")).rfind("127.0.0.1:", 0), 0u);
    const auto info = relay.relay->connections()->at(0);
    EXPECT_TRUE(info.vouched);
    EXPECT_EQ(info.remote_addr->text(), "198.51.100.7:4711");
  }
}

TEST(RelayProxy, AHeaderMayComeByteByByteAndWithTheFirstBytes) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())}, with_v2())}, trusting()));
  RawSocket client(relay.port());
  client.send_slowly(v2("[2001:db8::7]:4711"));
  client.send_slowly(as_bytes("slow"));
  RawSocket server = target.accept();
  EXPECT_EQ(read_header(server).source->text(), "[2001:db8::7]:4711");
  EXPECT_EQ(server.read(4), "slow");
}

TEST(RelayProxy, StrangersAreRefusedWhereAHeaderMustCome) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}, trusting("any", "192.0.2.1")));
  RawSocket client(relay.port());
  client.send("hello");
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.rejected(), "untrusted_proxy");
  EXPECT_FALSE(target.has_one(50));
}

TEST(RelayProxy, OrServedAsWhoTheyAreButNotWithAHeader) {
  RawListener target;
  json direct = trusting("any", "192.0.2.1");
  direct["untrusted"] = "direct";
  RunningRelay relay(relay_config({route({to(target.port())}, with_v2())}, direct));
  {
    RawSocket client(relay.port());
    client.send("hello");
    RawSocket server = target.accept();
    EXPECT_EQ(read_header(server).source->ip.text(), "127.0.0.1");
    EXPECT_EQ(server.read(5), "hello");
  }
  RawSocket forger(relay.port());
  forger.send("PROXY TCP4 198.51.100.7 203.0.113.9 4711 443\r\nhello");
  forger.read_to_end();
  EXPECT_EQ(forger.ending(), Ending::reset);
  relay.expect_empty();
  while (target.has_one(20))
    EXPECT_EQ(target.accept().read_to_end().find("198.51.100.7"), std::string::npos) << "a stranger's word travels on";
}

// However it is cut, and whether or not the route waits for first bytes.
TEST(RelayProxy, AForgedHeaderNeverTravelsOn) {
  for (const json& match : {json::object(), json{{"domains", {"*"}}}}) {
    Bytes signature = v2("198.51.100.7:1");
    signature.resize(12);  // no more, or the reset could be met by our own send
    for (const Bytes& forged : {signature, Bytes{'P', 'R', 'O', 'X', 'Y', ' '}}) {
      for (const bool slowly : {false, true}) {
        RawListener target;
        json routes = json::array({route({to(target.port())})});
        routes[0]["match"] = match;
        if (!match.empty()) routes.push_back(route({to(target.port())}));
        RunningRelay relay(relay_config(routes));
        RawSocket client(relay.port());
        if (slowly)
          client.send_slowly(forged);
        else
          client.send(forged);
        client.read_to_end();
        EXPECT_EQ(client.ending(), Ending::reset) << match << slowly << forged.size();
        relay.expect_empty();
        while (target.has_one(20)) EXPECT_EQ(target.accept().read_to_end(), "") << "something of it came through";
        const auto stats = *relay.relay->stats();
        const auto at = static_cast<size_t>(Reason::unexpected_proxy_header);
        EXPECT_EQ(stats.rejections[at] + stats.ended[at], 1u);
      }
    }
  }
}

// A relay whose first target never answers, so that there is time before the second is connected.
json slow_to_connect(const FullListener& full, const RawListener& target) {
  return relay_config({route(json::array({to(full.port()), to(target.port())}))}, {},
                      {{"timeouts", {{"connect_ms", 200}}}});
}

// The first bytes come before there is a target, the rest when there is one; or all of them then, in pieces.
TEST(RelayProxy, AForgedHeaderAroundTheConnectingOfTheTargetNeverTravelsOn) {
  const std::string forged = "PROXY ";
  for (const size_t early : {size_t{0}, size_t{1}, size_t{4}}) {
    FullListener full;
    RawListener target;
    RunningRelay relay(slow_to_connect(full, target));
    RawSocket client(relay.port());
    client.send(forged.substr(0, early));
    relay.expect_relayed(1);
    client.send_slowly(as_bytes(forged).subspan(early));
    client.read_to_end();
    EXPECT_EQ(client.ending(), Ending::reset) << early;
    EXPECT_EQ(target.accept().read_to_end(), "") << early << ": something of it came through";
  }
}

TEST(RelayProxy, WhatBeginsLikeAHeaderBeforeThereIsATargetAndIsNonePasses) {
  FullListener full;
  RawListener target;
  RunningRelay relay(slow_to_connect(full, target));
  RawSocket client(relay.port());
  client.send("PROX");
  relay.expect_relayed(1);
  client.send("IMA");
  RawSocket server = target.accept();
  EXPECT_EQ(server.read(7), "PROXIMA");
  client.send(" and more");
  EXPECT_EQ(server.read(9), " and more");
}

TEST(RelayProxy, WhatOnlyBeginsLikeAHeaderPasses) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())})}));
  for (const char* text : {"PROXIMA", "\r\n\r\nhello", "P", "PROXY"}) {
    RawSocket client(relay.port());
    client.send_slowly(as_bytes(text));
    client.finish_sending();
    RawSocket server = target.accept();
    EXPECT_EQ(server.read_to_end(), text);
  }
}

TEST(RelayProxy, BadAndMissingHeadersEndTheConnection) {
  RawListener target;
  RunningRelay relay(
      relay_config({route({to(target.port())})}, trusting(), {{"timeouts", {{"proxy_header_ms", 200}}}}));
  RawSocket malformed(relay.port());
  malformed.send("GET / HTTP/1.1\r\n\r\n");
  malformed.read_to_end();
  EXPECT_EQ(malformed.ending(), Ending::reset);
  EXPECT_EQ(relay.rejected(), "proxy_header_malformed");
  RawSocket silent(relay.port());
  silent.send("PROXY TCP4 198.51.");
  silent.read_to_end();
  EXPECT_EQ(relay.rejected(), "proxy_header_timeout");
  EXPECT_FALSE(target.has_one(20));
}

TEST(RelayProxy, LocalIsTheProxysOwnConnectionAlsoForTheNext) {
  RawListener target;
  json config =
      relay_config({route({to(target.port())}, with_v2())}, trusting(), {{"limits", {{"connections_per_ip", 1}}}});
  RunningRelay relay(config);
  std::vector<RawSocket> checks;
  for (int i = 0; i < 3; ++i) {  // none of a client's limits
    checks.emplace_back(relay.port());
    checks.back().send(*proxyproto::write_v2(proxyproto::local_header()));
    RawSocket server = target.accept();
    EXPECT_TRUE(read_header(server).is_local());
  }
}

TEST(RelayProxy, WithoutAnAddressItStaysWithout) {
  RawListener target;
  json listen = trusting();
  RunningRelay accepting(relay_config({route({to(target.port())}, with_v2())}, listen));
  RawSocket client(accepting.port());
  client.send("PROXY UNKNOWN\r\nhello");
  RawSocket server = target.accept();
  EXPECT_TRUE(read_header(server).addressless());
  listen["addressless"] = "refuse";
  RunningRelay refusing(relay_config({route({to(target.port())}, with_v2())}, listen));
  RawSocket refused(refusing.port());
  refused.send("PROXY UNKNOWN\r\nhello");
  refused.read_to_end();
  EXPECT_EQ(refusing.rejected(), "proxy_addressless");
}

TEST(RelayProxy, AChainKeepsTheFirstAddressAndItsId) {
  RawListener target;
  RunningRelay inner(relay_config({route({to(target.port())}, with_v2({{"crc32c", true}}))}, trusting()));
  RunningRelay middle(relay_config({route({to(inner.port())}, with_v2())}, trusting()));
  RunningRelay outer(relay_config({route({to(middle.port())}, with_v2())}));
  RawSocket client(outer.port(), "127.0.0.77");
  client.send("through it all");
  RawSocket server = target.accept();
  const Header header = read_header(server);
  EXPECT_EQ(header.source->ip.text(), "127.0.0.77");
  EXPECT_EQ(header.destination->port, outer.port());
  EXPECT_TRUE(header.crc32c_verified);
  EXPECT_EQ(proxyproto::unique_id(header)->size(), 16u);
  EXPECT_EQ(server.read(14), "through it all");
  const auto tlvs = middle.relay->connections()->at(0).tlvs;
  EXPECT_EQ(tlvs, inner.relay->connections()->at(0).tlvs) << "the id is the same all along";
}

TEST(RelayProxy, TlvsGoOnAsTheRouteSays) {
  RawListener target;
  const std::vector<proxyproto::Tlv> sent = {{proxyproto::kTlvAuthority, {'a', '.', 'b'}},
                                             {proxyproto::kTlvAlpn, {'h', '2'}},
                                             {proxyproto::kTlvNetns, {'n'}},
                                             {proxyproto::kTlvAws, {1, 'v', 'p', 'c', 'e'}},
                                             {proxyproto::kTlvUniqueId, {'i', 'd'}}};
  RunningRelay all(relay_config({route({to(target.port())}, with_v2({{"unknown", true}}))}, trusting()));
  RawSocket client(all.port());
  client.send(v2("198.51.100.7:1", sent));
  RawSocket server = target.accept();
  const Header header = read_header(server);
  EXPECT_EQ(proxyproto::authority(header), "a.b");
  EXPECT_EQ(as_text(*proxyproto::alpn(header)), "h2");
  EXPECT_EQ(proxyproto::aws_vpc_endpoint(header), "vpce");
  EXPECT_EQ(as_text(*proxyproto::unique_id(header)), "id");
  EXPECT_FALSE(proxyproto::netns(header));
  json off = {{"authority", false}, {"alpn", false}, {"ssl", false}, {"unique_id", false}};
  RunningRelay none(relay_config({route({to(target.port())}, with_v2(off))}, trusting()));
  RawSocket other(none.port());
  other.send(v2("198.51.100.7:1", sent));
  RawSocket second = target.accept();
  EXPECT_TRUE(read_header(second).tlvs.empty());
}

TEST(RelayProxy, WhichVpnClientItIsIsToldByThoseWhoMaySay) {
  RawListener target;
  const auto told = make_identity_tlv({"alice", *inet::IpAddress::parse("10.8.0.2"), 7});
  for (const bool may : {true, false}) {
    json listen = trusting();
    if (may) listen["may_assert_identity"] = {"127.0.0.1"};
    RunningRelay relay(relay_config(route({to(target.port())}, with_v2({{"unknown", true}})), listen));
    RawSocket client(relay.port());
    client.send(v2("198.51.100.7:1", {told}));
    RawSocket server = target.accept();
    const Header header = read_header(server);
    const proxyproto::Tlv* tlv = proxyproto::find_tlv(header.tlvs, kTlvIdentity);
    EXPECT_EQ(tlv != nullptr, may) << "also where unknown TLVs are handed on";
    const auto event = relay.event(telemetry::EventType::connection_accepted);
    EXPECT_EQ(event->text("client_id") != nullptr, may);
    if (may) {
      EXPECT_EQ(*tlv, told);
      EXPECT_STREQ(event->text("client_id"), "alice");
    }
  }
}

TEST(RelayProxy, WhoSaysTwiceWhichVpnClientItIsSaysNothing) {
  RawListener target;
  json listen = trusting();
  listen["may_assert_identity"] = {"127.0.0.1"};
  RunningRelay relay(relay_config(route({to(target.port())}, with_v2({{"unknown", true}})), listen));
  RawSocket client(relay.port());
  client.send(v2("198.51.100.7:1", {make_identity_tlv({"mallory", *inet::IpAddress::parse("10.8.0.3"), 0}),
                                    make_identity_tlv({"alice", *inet::IpAddress::parse("10.8.0.2"), 7})}));
  RawSocket server = target.accept();
  EXPECT_FALSE(proxyproto::find_tlv(read_header(server).tlvs, kTlvIdentity));
  const auto event = relay.event(telemetry::EventType::connection_accepted);
  EXPECT_STREQ(event->text("remote_addr"), "198.51.100.7:1");
  EXPECT_FALSE(event->text("client_id"));
}

TEST(RelayProxy, AClientOfTheServerOfThisProcessIsKnownByItsInnerAddress) {
  RawListener target;
  RunningRelay relay(relay_config(route({to(target.port())}, with_v2())));
  VpnDoor door;
  door.client_at = [](const inet::IpAddress& ip) -> std::optional<ClientIdentity> {
    if (ip.text() != "127.0.0.5") return std::nullopt;
    return ClientIdentity{"bob", ip, 9};
  };
  relay.relay->set_vpn_door(door);
  for (const char* from : {"127.0.0.5", "127.0.0.6"}) {
    RawSocket client(relay.port(), from);
    client.send("x");
    RawSocket server = target.accept();
    const Header header = read_header(server);
    const proxyproto::Tlv* tlv = proxyproto::find_tlv(header.tlvs, kTlvIdentity);
    EXPECT_EQ(tlv != nullptr, std::string(from) == "127.0.0.5");
    if (tlv) {
      EXPECT_EQ(parse_identity_tlv(tlv->value)->client_id, "bob");
    }
  }
}

TEST(RelayProxy, AnIdThatComesByTwiceEndsTheChain) {
  RawListener target;
  RunningRelay relay(relay_config({route({to(target.port())}, with_v2())}, trusting()));
  const std::vector<proxyproto::Tlv> id = {{proxyproto::kTlvUniqueId, {'o', 'n', 'e'}}};
  RawSocket first(relay.port()), second(relay.port());
  first.send(v2("198.51.100.7:1", id));
  RawSocket server = target.accept();
  read_header(server);
  second.send(v2("198.51.100.7:1", id));
  second.read_to_end();
  EXPECT_EQ(relay.rejected(), "relay_loop");
  first.close();
  relay.expect_empty();
  RawSocket third(relay.port());  // the id is free again
  third.send(v2("198.51.100.7:1", id));
  RawSocket again = target.accept();
  EXPECT_TRUE(read_header(again).source);
}

TEST(RelayProxy, ATargetThatIsTheRelayItselfIsFoundOut) {
  RawListener taken;
  const uint16_t port = taken.port();
  taken.close();
  json config = relay_config({route({{{"host", "localhost"}, {"port", port}}})}, {{"port", port}});
  RunningRelay relay(config);
  RawSocket client(relay.port());
  client.send("x");
  client.read_to_end();
  EXPECT_EQ(client.ending(), Ending::reset);
  EXPECT_EQ(relay.rejected(), "relay_loop");
  relay.expect_empty();
}

}  // namespace
}  // namespace smartvpn::relay
