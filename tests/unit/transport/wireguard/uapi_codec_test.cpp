// The lines of `wg`'s protocol: what each means, what is refused and with which errno, whole and cut at every byte, and
// the largest requests that WireGuard's own tests make (netns.sh).
#include "transport/wireguard/uapi_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace smartvpn::wireguard {
namespace {

using ::testing::ElementsAre;
using State = UapiParser::State;

const std::string kHexA = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
const std::string kHexB(64, 'b'), kHexZero(64, '0');

struct Read {
  int error = -1;  // still: no whole request
  UapiRequest request;
};

Read read_request(std::string_view text) {
  UapiParser parser;
  Read out;
  if (parser.feed(text) == text.size() && parser.state() == State::done) out.error = parser.take(out.request);
  return out;
}
Read read_set(const std::string& lines) { return read_request("set=1\n" + lines + "\n"); }
Read read_peer(const std::string& lines) { return read_set("public_key=" + kHexA + "\n" + lines); }

// All that a request says, in one line.
std::string told(const UapiRequest& request) {
  auto key = [](const auto& secret) { return secret ? format_key(secret->view()).substr(0, 4) : std::string("-"); };
  auto number = [](const auto& value) { return value ? std::to_string(*value) : std::string("-"); };
  std::string out = std::string(request.set ? "set " : "get ") + key(request.private_key) + " " +
                    number(request.listen_port) + " " + number(request.fwmark) + (request.replace_peers ? " new" : "");
  for (const UapiPeer& peer : request.peers) {
    out += "; " + format_key(peer.key).substr(0, 4) + (peer.remove ? " remove" : "") +
           (peer.update_only ? " only" : "") + (peer.replace_allowed_ips ? " replace" : "") + " " +
           key(peer.preshared_key) + " " + (peer.endpoint ? peer.endpoint->text() : "-") + " " +
           number(peer.persistent_keepalive_s);
    for (const auto& ip : peer.allowed_ips) out += (ip.remove ? " -" : " ") + ip.prefix.text();
  }
  return out;
}

const std::string kEverything =
    "set=1\nprivate_key=" + kHexB + "\nlisten_port=51820\nfwmark=4294967295\n" +
    "replace_peers=true\npublic_key=" + kHexA + "\nupdate_only=true\npreshared_key=" + kHexB +
    "\nprotocol_version=1\nendpoint=[2001:db8::1]:51820\npersistent_keepalive_interval=65535\n" +
    "replace_allowed_ips=true\nallowed_ip=10.8.0.2/32\nallowed_ip=-fd00:8::/64\npublic_key=" + kHexB +
    "\nremove=true\n\n";
const std::string kEverythingTold =
    "set u7u7 51820 4294967295 new; ASNF only replace u7u7 [2001:db8::1]:51820 65535 10.8.0.2/32 -fd00:8::/64; u7u7 "
    "remove - - -";

TEST(UapiCodec, EveryKeyOfASetIsUnderstood) {
  Read read = read_request(kEverything);
  EXPECT_EQ(read.error, 0);
  EXPECT_EQ(told(read.request), kEverythingTold);
  EXPECT_EQ(told(read_set("private_key=" + kHexZero + "\nlisten_port=0\nfwmark=0\n").request), "set AAAA 0 0");
  EXPECT_EQ(told(read_set("").request), "set - - -");
  EXPECT_EQ(told(read_peer("endpoint=192.0.2.7:1\nallowed_ip=10.0.0.1\nallowed_ip=10.9.8.7/8\n").request),
            "set - - -; ASNF - 192.0.2.7:1 - 10.0.0.1/32 10.0.0.0/8")
      << "host bits are masked away, as the kernel does";
}

TEST(UapiCodec, AGetIsTwoLines) {
  Read read = read_request("get=1\n\n");
  EXPECT_EQ(read.error, 0);
  EXPECT_EQ(told(read.request), "get - - -");
  EXPECT_EQ(read_request("get=1\nlisten_port=1\n\n").error, EINVAL);
}

TEST(UapiCodec, WhatIsAskedMustBeKnown) {
  for (const char* text : {"\n", "get=2\n\n", "set=0\n\n", "get\n\n", "set=1 \n\n", "GET=1\n\n", "public_key=\n\n"})
    EXPECT_EQ(read_request(text).error, EPROTO) << text;
}

TEST(UapiCodec, EveryKeyRefusesWhatItCannotTake) {
  for (const char* line : {"private_key=",
                           "private_key=00",
                           "listen_port=",
                           "listen_port=65536",
                           "listen_port=-1",
                           "listen_port=+1",
                           "listen_port= 1",
                           "listen_port=1 ",
                           "listen_port=0x10",
                           "fwmark=4294967296",
                           "fwmark=x",
                           "replace_peers=false",
                           "replace_peers=",
                           "remove=true",
                           "preshared_key=",
                           "unknown=1",
                           "no equals sign",
                           "=",
                           "errno=0",
                           "get=1",
                           "set=1",
                           "protocol_version=1",
                           "allowed_ip=10.0.0.1/32"})
    EXPECT_EQ(read_set(std::string(line) + "\n").error, EINVAL) << line;
  for (const char* line : {"public_key=",
                           "public_key=zz",
                           "remove=false",
                           "remove=TRUE",
                           "update_only=1",
                           "replace_allowed_ips=no",
                           "preshared_key=AA",
                           "endpoint=",
                           "endpoint=10.0.0.1",
                           "endpoint=10.0.0.1:0",
                           "endpoint=10.0.0.1:65536",
                           "endpoint=example.com:1",
                           "endpoint=[fe80::1%eth0]:1",
                           "persistent_keepalive_interval=65536",
                           "persistent_keepalive_interval=off",
                           "allowed_ip=",
                           "allowed_ip=-",
                           "allowed_ip=--10.0.0.1/32",
                           "allowed_ip=10.0.0.1/33",
                           "allowed_ip=10.0.0/8",
                           "allowed_ip=::/129",
                           "allowed_ip=10.0.0.1/32,10.0.0.2/32",
                           "protocol_version=2",
                           "listen_port=1",
                           "fwmark=1",
                           "private_key=",
                           "replace_peers=true"})
    EXPECT_EQ(read_peer(std::string(line) + "\n").error, EINVAL) << line;
  for (const char bad : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\x80', '\xb0'}) {
    for (const size_t place : {0, 31, 63}) {
      std::string key = kHexA;
      key[place] = bad;
      EXPECT_EQ(read_set("public_key=" + key + "\n").error, EINVAL) << static_cast<int>(bad) << " at " << place;
    }
  }
  EXPECT_EQ(read_set("public_key=" + kHexA + "0\n").error, EINVAL);
}

TEST(UapiCodec, ARefusedRequestIsReadToItsEndAndLeavesNothingForTheNext) {
  UapiParser parser;
  UapiRequest request;
  const std::string bad = "set=1\npublic_key=" + kHexA + "\nallowed_ip=nonsense\npreshared_key=" + kHexB + "\n\n";
  const std::string both = bad + kEverything;
  EXPECT_EQ(parser.feed(both), bad.size()) << "one request at a time";
  ASSERT_EQ(parser.state(), State::done);
  EXPECT_EQ(parser.feed("more"), 0u);
  EXPECT_EQ(parser.take(request), EINVAL);
  EXPECT_EQ(told(request), "set - - -");
  EXPECT_FALSE(parser.begun());
  EXPECT_EQ(parser.feed(kEverything), kEverything.size());
  EXPECT_EQ(parser.take(request), 0);
  EXPECT_EQ(told(request), kEverythingTold);
}

TEST(UapiCodec, CutAtEveryByteItMeansTheSame) {
  for (size_t cut = 0; cut <= kEverything.size(); ++cut) {
    UapiParser parser;
    UapiRequest request;
    EXPECT_EQ(parser.feed(std::string_view(kEverything).substr(0, cut)), cut);
    EXPECT_EQ(parser.begun(), cut > 0);
    ASSERT_EQ(parser.state() == State::done, cut == kEverything.size()) << cut;
    parser.feed(std::string_view(kEverything).substr(cut));
    ASSERT_EQ(parser.state(), State::done) << cut;
    EXPECT_EQ(parser.take(request), 0);
    EXPECT_EQ(told(request), kEverythingTold) << cut;
  }
}

TEST(UapiCodec, AnOverlongLineIsRefusedAndSkipped) {
  const std::string longest = "fwmark=" + std::string(UapiParser::kMaxLine - 8, '0') + "7\n";
  EXPECT_EQ(told(read_set(longest).request), "set - - 7");
  EXPECT_EQ(read_set("0" + longest).error, EINVAL);
  EXPECT_EQ(read_set(std::string(100000, 'x') + "\n").error, EINVAL);
}

TEST(UapiCodec, ARequestWithoutAnEndIsLostAtItsBound) {
  UapiParser parser;
  const std::string piece(1 << 20, '#');
  size_t read = 0, taken = 0;
  do {
    read += taken = parser.feed(piece);
  } while (taken == piece.size() && read <= 2 * UapiParser::kMaxRequest);
  EXPECT_EQ(read, UapiParser::kMaxRequest + 1);
  EXPECT_EQ(parser.state(), State::lost);
}

TEST(UapiCodec, ListsAreBounded) {
  std::string peers;
  for (size_t i = 0; i < UapiParser::kMaxPeers; ++i) peers += "public_key=" + kHexA + "\n";
  Read read = read_set(peers);
  EXPECT_EQ(read.error, 0);
  EXPECT_EQ(read.request.peers.size(), UapiParser::kMaxPeers);
  EXPECT_EQ(read_set(peers + "public_key=" + kHexA + "\n").error, E2BIG);
  std::string ips = "public_key=" + kHexA + "\n";
  for (size_t i = 0; i < UapiParser::kMaxAllowedIps; ++i) ips += "allowed_ip=::/0\n";
  EXPECT_EQ(read_set(ips).error, 0);
  EXPECT_EQ(read_set(ips + "allowed_ip=::/0\n").error, E2BIG);
}

TEST(WireguardChecklist, TheLargeConfigurationsOfNetnsShAreTakenOverTheUapi) {
  std::string one = "replace_peers=true\npublic_key=" + kHexA + "\n";
  for (int a = 1; a <= 255; ++a) {
    for (int b = 0; b <= 255; ++b) {
      const std::string first = std::to_string(a), second = std::to_string(b);
      one += "allowed_ip=" + first + "." + second + ".0.0/16\nallowed_ip=" + first + ":" + second + "::/32\n";
    }
  }
  Read read = read_set(one);
  EXPECT_EQ(read.error, 0);
  ASSERT_EQ(read.request.peers.size(), 1u);
  EXPECT_EQ(read.request.peers[0].allowed_ips.size(), 255u * 256u * 2u);
  EXPECT_EQ(read.request.peers[0].allowed_ips.back().prefix.text(), "255:255::/32");
  std::string many = "replace_peers=true\n";
  for (int a = 1; a <= 40; ++a) {
    std::string key = kHexB;
    key.replace(0, 2, std::to_string(10 + a));
    many += "public_key=" + key + "\n";
    for (int b = 1; b <= 52; ++b) many += "allowed_ip=" + std::to_string(a) + "." + std::to_string(b) + ".0.0/16\n";
  }
  read = read_set(many);
  EXPECT_EQ(read.error, 0);
  ASSERT_EQ(read.request.peers.size(), 40u);
  for (const UapiPeer& peer : read.request.peers) EXPECT_EQ(peer.allowed_ips.size(), 52u);
}

TEST(UapiCodec, AnAnswerSaysWhatIsKnownOfAPeer) {
  UapiRequest keys = read_request(kEverything).request;
  const inet::Cidr allowed[] = {*inet::Cidr::parse("10.8.0.2/32"), *inet::Cidr::parse("fd00:8::2/128")};
  UapiPeerState peer;
  peer.key = keys.peers[0].key;
  peer.preshared_key = &*keys.private_key;
  peer.endpoint = inet::Endpoint::parse("[2001:db8::7]:4000");
  peer.last_handshake_ms = 1700000000123;
  peer.bytes_in = UINT64_MAX;
  peer.bytes_out = 4096;
  peer.persistent_keepalive_s = 25;
  peer.allowed_ips = allowed;
  std::string out;
  append_uapi_device(out, 51820);
  append_uapi_peer(out, peer);
  append_uapi_errno(out, 0, false);
  EXPECT_EQ(out,
            "listen_port=51820\n"
            "public_key=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
            "preshared_key=" +
                kHexB +
                "\n"
                "protocol_version=1\n"
                "endpoint=[2001:db8::7]:4000\n"
                "last_handshake_time_sec=1700000000\n"
                "last_handshake_time_nsec=123000000\n"
                "tx_bytes=4096\n"
                "rx_bytes=18446744073709551615\n"
                "persistent_keepalive_interval=25\n"
                "allowed_ip=10.8.0.2/32\n"
                "allowed_ip=fd00:8::2/128\n"
                "errno=0\n\n");
}

TEST(UapiCodec, APeerThatWasNeverHeardOfHasNoEndpointAndNoHandshake) {
  UapiPeerState peer;
  peer.last_handshake_ms = -1;  // a clock before 1970
  std::string out;
  append_uapi_peer(out, peer);
  EXPECT_EQ(out, "public_key=" + kHexZero + "\npreshared_key=" + kHexZero +
                     "\nprotocol_version=1\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\n"
                     "rx_bytes=0\npersistent_keepalive_interval=0\n");
}

TEST(UapiCodec, ErrorsGoOutNegativeAsWireguardGoHasThemAndWithoutASignWhereWgReadsNone) {
  std::string set, get;
  append_uapi_errno(set, EINVAL, true);
  append_uapi_errno(get, EINVAL, false);
  EXPECT_EQ(set, "errno=-22\n\n");
  EXPECT_EQ(get, "errno=22\n\n");
}

TEST(UapiCodec, WhatAPeerTakesIsForeseen) {
  std::vector<inet::Cidr> allowed(300, *inet::Cidr::parse("1111:2222:3333:4444:5555:6666:7777:8888/128"));
  const SecretKey psk;
  UapiPeerState peer;
  peer.preshared_key = &psk;
  peer.endpoint = inet::Endpoint::parse("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
  peer.last_handshake_ms = INT64_MAX;
  peer.bytes_in = peer.bytes_out = UINT64_MAX;
  peer.persistent_keepalive_s = 65535;
  for (const size_t count : {0, 300}) {
    peer.allowed_ips = std::span(allowed).first(count);
    std::string out;
    append_uapi_peer(out, peer);
    EXPECT_LE(out.size(), uapi_peer_size(peer)) << count;
  }
}

}  // namespace
}  // namespace smartvpn::wireguard
