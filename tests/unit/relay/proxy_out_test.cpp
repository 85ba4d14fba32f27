// The header that a target gets, read back as the target would.
#include "relay/proxy_out.hpp"

#include <gtest/gtest.h>

#include "proxyproto/crc32c.hpp"
#include "proxyproto/parser.hpp"
#include "proxyproto/tlv.hpp"
#include "proxyproto/writer.hpp"

namespace smartvpn::relay {
namespace {

using proxyproto::Tlv;
using OutFamily = proxyproto::Family;
using OutVersion = proxyproto::Version;

inet::Endpoint out_at(const char* text) { return *inet::Endpoint::parse(text); }

proxyproto::Header parsed_back(const std::optional<Bytes>& bytes, proxyproto::Mode mode = proxyproto::Mode::any) {
  if (!bytes) {
    ADD_FAILURE() << "nothing was written";
    return {};
  }
  proxyproto::Parser parser(mode, {65535});
  size_t consumed = 0;
  // What follows is the client's, and none of the header.
  EXPECT_EQ(parser.feed(*bytes, consumed), proxyproto::ParseResult::done) << parser.error();
  EXPECT_EQ(consumed, bytes->size());
  return parser.take_header();
}
proxyproto::Header sent(const ProxyOutInput& in) { return parsed_back(make_proxy_out(in), proxyproto::Mode::v2); }
std::string sent_line(ProxyOutInput in) {
  in.version = OutVersion::v1;
  const auto bytes = make_proxy_out(in);
  parsed_back(bytes, proxyproto::Mode::v1);
  return std::string(as_text(bytes.value_or(Bytes())));
}

ProxyOutInput between(const char* client, const char* destination) {
  ProxyOutInput in;
  in.client = out_at(client);
  in.destination = out_at(destination);
  return in;
}
ProxyOutInput plain_input() { return between("192.0.2.1:1000", "198.51.100.1:443"); }

Tlv out_tlv(uint8_t type, std::string_view value) { return {type, Bytes(value.begin(), value.end())}; }
proxyproto::Header with_tlvs(std::vector<Tlv> tlvs) {
  proxyproto::Header out = proxyproto::relayed(out_at("192.0.2.1:1000"), out_at("198.51.100.1:443"));
  out.tlvs = std::move(tlvs);
  return out;
}
Tlv received_ssl() {
  proxyproto::SslView ssl;
  ssl.client = 5;
  ssl.version = "TLSv1.2";
  ssl.cn = "somebody";
  return proxyproto::make_ssl_tlv(ssl);
}
// One of everything, and two of what we know nothing of.
std::vector<Tlv> everything() {
  return {out_tlv(proxyproto::kTlvCrc32c, "abcd"),
          out_tlv(proxyproto::kTlvNoop, "padding"),
          out_tlv(0xe3, "first"),
          out_tlv(proxyproto::kTlvAlpn, "h2"),
          out_tlv(proxyproto::kTlvAlpn, "second"),
          out_tlv(proxyproto::kTlvAuthority, "received.test"),
          out_tlv(proxyproto::kTlvUniqueId, "id"),
          received_ssl(),
          out_tlv(proxyproto::kTlvNetns, "ns"),
          out_tlv(proxyproto::kTlvAws, "\x01vpce-1"),
          out_tlv(0xe3, ""),
          out_tlv(0x21, "a part without its whole")};
}

TEST(ProxyOut, SaysWhoTheClientIsInBothVersionsAndFamilies) {
  struct Case {
    const char *client, *destination;
    OutFamily family;
    const char* line;
  } cases[] = {
      {"192.0.2.1:1000", "198.51.100.1:443", OutFamily::inet4, "PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\r\n"},
      {"255.255.255.255:65535", "0.0.0.0:0", OutFamily::inet4, "PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"},
      {"[2001:db8::1]:1", "[2001:db8::2]:2", OutFamily::inet6, "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"},
      {"[::ffff:192.0.2.1]:5", "198.51.100.1:6", OutFamily::inet4, "PROXY TCP4 192.0.2.1 198.51.100.1 5 6\r\n"},
      {"192.0.2.1:5", "[2001:db8::2]:6", OutFamily::inet6, "PROXY TCP6 ::ffff:c000:201 2001:db8::2 5 6\r\n"},
      {"[2001:db8::1]:5", "198.51.100.1:6", OutFamily::inet6, "PROXY TCP6 2001:db8::1 ::ffff:c633:6401 5 6\r\n"},
  };
  for (const auto& c : cases) {
    const ProxyOutInput in = between(c.client, c.destination);
    const proxyproto::Header header = sent(in);
    EXPECT_EQ(header.command, proxyproto::Command::proxy);
    EXPECT_EQ(header.family, c.family) << c.line;
    EXPECT_EQ(header.transport, proxyproto::Transport::stream);
    EXPECT_EQ(header.source, out_at(c.client)) << c.line;
    EXPECT_EQ(header.destination, out_at(c.destination)) << c.line;
    EXPECT_TRUE(header.tlvs.empty());
    EXPECT_FALSE(header.crc32c_verified);
    EXPECT_EQ(sent_line(in), c.line);
  }
  EXPECT_LE(sent_line(between("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535"))
                .size(),
            proxyproto::kV1MaxSize);
}

TEST(ProxyOut, AClientWithoutAnAddressStaysWithoutOne) {
  ProxyOutInput neither, no_client, no_destination, empty;
  no_client.destination = no_destination.client = out_at("192.0.2.1:1");
  empty.client = inet::Endpoint{};
  empty.destination = out_at("192.0.2.1:1");
  for (ProxyOutInput* in : {&neither, &no_client, &no_destination, &empty}) {
    const proxyproto::Header header = sent(*in);
    EXPECT_TRUE(header.addressless());
    EXPECT_EQ(header.family, OutFamily::unspec);
    EXPECT_EQ(sent_line(*in), "PROXY UNKNOWN\r\n");
  }
  // What is known of it besides is said all the same.
  neither.authority = "a.test";
  neither.crc32c = true;
  const proxyproto::Header header = sent(neither);
  EXPECT_TRUE(header.addressless() && header.crc32c_verified);
  EXPECT_EQ(proxyproto::authority(header), "a.test");
}

TEST(ProxyOut, AProxysOwnConnectionGoesOnAsOne) {
  ProxyOutInput in = plain_input();
  in.local = true;
  for (bool crc32c : {false, true}) {
    in.crc32c = crc32c;
    const proxyproto::Header header = sent(in);
    EXPECT_TRUE(header.is_local());
    EXPECT_FALSE(header.source || header.destination) << "it is nobody's";
    EXPECT_EQ(header.crc32c_verified, crc32c);
  }
  EXPECT_EQ(sent_line(in), "PROXY UNKNOWN\r\n");
}

TEST(ProxyOut, AUnixClientOfAProxyHasNoAddressHere) {
  proxyproto::Header received;
  received.family = OutFamily::unix_socket;
  received.transport = proxyproto::Transport::stream;
  received.unix_source = "/run/client";
  ProxyOutInput in;
  in.received = &received;
  const proxyproto::Header header = sent(in);
  EXPECT_TRUE(header.addressless());
  EXPECT_EQ(header.unix_source, "");
}

TEST(ProxyOut, VersionOneHasNoTlvs) {
  const proxyproto::Header received = with_tlvs(everything());
  ProxyOutInput in = plain_input();
  in.received = &received;
  in.authority = "a.test";
  in.unique_id = as_bytes("id");
  in.crc32c = in.forward_unknown_tlvs = true;
  EXPECT_EQ(sent_line(in), "PROXY TCP4 192.0.2.1 198.51.100.1 1000 443\r\n");
}

TEST(ProxyOut, WhatTheProxyBeforeUsSaidGoesOnOnceEach) {
  const proxyproto::Header received = with_tlvs(everything());
  ProxyOutInput in = plain_input();
  in.received = &received;
  EXPECT_EQ(sent(in).tlvs, (std::vector<Tlv>{out_tlv(proxyproto::kTlvAlpn, "h2"),
                                             out_tlv(proxyproto::kTlvAuthority, "received.test"), received_ssl()}))
      << "the id is the chain's, which the relay keeps";
  in.client = out_at("[2001:db8::7]:7");
  EXPECT_EQ(sent(in).source, out_at("[2001:db8::7]:7")) << "its address is what the relay was told to say";
}

TEST(ProxyOut, EachSwitchIsForItsTlv) {
  const proxyproto::Header received = with_tlvs(everything());
  ProxyOutInput in = plain_input();
  in.received = &received;
  in.unique_id = as_bytes("chain");
  in.forward_unknown_tlvs = true;
  struct Switch {
    bool ProxyOutInput::*member;
    std::vector<uint8_t> types;
  } switches[] = {{&ProxyOutInput::send_alpn, {proxyproto::kTlvAlpn}},
                  {&ProxyOutInput::send_authority, {proxyproto::kTlvAuthority}},
                  {&ProxyOutInput::send_unique_id, {proxyproto::kTlvUniqueId}},
                  {&ProxyOutInput::send_ssl, {proxyproto::kTlvSsl}},
                  {&ProxyOutInput::forward_unknown_tlvs, {0xe3, proxyproto::kTlvAws, 0x21}}};
  const std::vector<Tlv> all = sent(in).tlvs;
  EXPECT_EQ(all.size(), 8u);
  for (const Switch& one : switches) {
    for (const bool own : {false, true}) {
      ProxyOutInput off = in;
      if (own) {
        off.authority = "own.test";
        off.alpn = "own";
        off.tls = ProxyOutInput::Tls{"TLSv1.3", "x"};
      }
      std::vector<Tlv> expected = sent(off).tlvs;
      const auto is_its = [&](const Tlv& t) {
        return std::find(one.types.begin(), one.types.end(), t.type) != one.types.end();
      };
      EXPECT_GT(std::erase_if(expected, is_its), 0u);
      off.*one.member = false;
      EXPECT_EQ(sent(off).tlvs, expected);
    }
  }
  ProxyOutInput off = in;
  for (const Switch& one : switches) off.*one.member = false;
  EXPECT_TRUE(sent(off).tlvs.empty());
}

TEST(ProxyOut, WhatWeSawOurselvesWins) {
  const proxyproto::Header received = with_tlvs(everything());
  ProxyOutInput in = plain_input();
  in.received = &received;
  in.authority = "own.test";
  in.alpn = "http/1.1";
  in.tls = ProxyOutInput::Tls{"TLSv1.3", "TLS_AES_128_GCM_SHA256"};
  in.unique_id = as_bytes("chain");
  const proxyproto::Header header = sent(in);
  EXPECT_EQ(proxyproto::authority(header), "own.test");
  EXPECT_EQ(as_text(proxyproto::alpn(header).value()), "http/1.1");
  EXPECT_EQ(as_text(proxyproto::unique_id(header).value()), "chain");
  const auto ssl = proxyproto::ssl(header);
  ASSERT_TRUE(ssl);
  EXPECT_EQ(ssl->version, "TLSv1.3");
  EXPECT_EQ(ssl->cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(ssl->cn, std::nullopt) << "a certificate shown to another proxy was not shown to us";
  EXPECT_TRUE(ssl->tls());
  EXPECT_FALSE(ssl->verified() || ssl->cert_on_connection() || ssl->cert_in_session());
  EXPECT_NE(ssl->verify, 0u);
  EXPECT_EQ(header.tlvs.size(), 4u) << "each once";
  in.received = nullptr;
  EXPECT_EQ(sent(in).tlvs, header.tlvs);
  in.tls->cipher = {};
  EXPECT_EQ(proxyproto::ssl(sent(in))->cipher, std::nullopt);
}

TEST(ProxyOut, WithoutAnythingSeenOrReceivedThereIsNoTlv) {
  ProxyOutInput in = plain_input();
  in.forward_unknown_tlvs = true;
  EXPECT_TRUE(sent(in).tlvs.empty());
  const proxyproto::Header received = with_tlvs({});
  in.received = &received;
  EXPECT_TRUE(sent(in).tlvs.empty());
}

TEST(ProxyOut, TheChecksumIsOurs) {
  const proxyproto::Header received = with_tlvs(everything());
  ProxyOutInput in = plain_input();
  in.received = &received;
  in.unique_id = as_bytes("chain");
  in.forward_unknown_tlvs = true;
  const auto without = make_proxy_out(in);
  EXPECT_EQ(proxyproto::crc32c_value(parsed_back(without)), std::nullopt) << "another's is of another header";
  in.crc32c = true;
  const auto bytes = make_proxy_out(in);
  const proxyproto::Header header = parsed_back(bytes);
  EXPECT_TRUE(header.crc32c_verified);
  EXPECT_EQ(std::count_if(header.tlvs.begin(), header.tlvs.end(),
                          [](const Tlv& t) { return t.type == proxyproto::kTlvCrc32c; }),
            1);
  // Reckoned by hand: over all of the header, with zeros in its place.
  Bytes zeroed = bytes.value();
  const std::array<uint8_t, 3> head{proxyproto::kTlvCrc32c, 0, 4};
  const auto at = std::search(zeroed.begin() + 28, zeroed.end(), head.begin(), head.end());
  ASSERT_NE(at, zeroed.end());
  std::fill(at + 3, at + 7, uint8_t{0});
  EXPECT_EQ(proxyproto::crc32c_value(header), proxyproto::crc32c(zeroed));
  // A byte that changes on the way is noticed, but for the one that says that there is a checksum.
  for (size_t i = 16; i < bytes->size(); ++i) {
    if (i == 28) continue;
    Bytes damaged = *bytes;
    damaged[i] ^= 0x40;
    proxyproto::Parser parser(proxyproto::Mode::v2, {65535});
    size_t consumed = 0;
    ASSERT_NE(parser.feed(damaged, consumed), proxyproto::ParseResult::done) << i;
  }
}

TEST(ProxyOut, WhatIsOfOneHeaderOrOneMachineNeverGoesOn) {
  const proxyproto::Header received = with_tlvs(everything());
  for (unsigned bits = 0; bits < 64; ++bits) {
    ProxyOutInput in = plain_input();
    in.received = &received;
    in.send_alpn = (bits & 1) != 0;
    in.send_authority = (bits & 2) != 0;
    in.send_ssl = (bits & 4) != 0;
    in.send_unique_id = (bits & 8) != 0;
    in.forward_unknown_tlvs = (bits & 16) != 0;
    in.local = (bits & 32) != 0;
    for (const Tlv& t : sent(in).tlvs)
      EXPECT_TRUE(t.type != proxyproto::kTlvCrc32c && t.type != proxyproto::kTlvNoop &&
                  t.type != proxyproto::kTlvNetns && t.type != proxyproto::kTlvUniqueId)
          << bits << ": " << int{t.type};
  }
}

TEST(ProxyOut, UnknownOnesGoOnAsTheyAreAndOnlyIfAsked) {
  std::vector<Tlv> received_tlvs, expected;
  for (int type = 0; type < 256; ++type) {
    const auto byte = static_cast<uint8_t>(type);
    const bool known = type <= 5 && type != 0;
    if (known || byte == proxyproto::kTlvSsl || byte == proxyproto::kTlvNetns || byte == kTlvIdentity) continue;
    received_tlvs.push_back({byte, Bytes(static_cast<size_t>(type % 7), byte)});
  }
  expected = received_tlvs;
  EXPECT_EQ(expected.size(), 256u - 8);
  const proxyproto::Header received = with_tlvs(received_tlvs);
  ProxyOutInput in = plain_input();
  in.received = &received;
  EXPECT_TRUE(sent(in).tlvs.empty());
  in.forward_unknown_tlvs = true;
  EXPECT_EQ(sent(in).tlvs, expected) << "all of them, in order";
}

TEST(ProxyOut, AnyBytesAreValues) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const proxyproto::Header received = with_tlvs(
      {out_tlv(proxyproto::kTlvAuthority, bytes), out_tlv(proxyproto::kTlvAlpn, std::string_view(bytes).substr(0, 1))});
  ProxyOutInput in = plain_input();
  in.received = &received;
  in.unique_id = as_bytes(bytes).first(proxyproto::kMaxUniqueId);
  const proxyproto::Header header = sent(in);
  EXPECT_EQ(proxyproto::authority(header), bytes);
  EXPECT_EQ(as_text(proxyproto::alpn(header).value()), std::string_view("\0", 1));
  EXPECT_EQ(as_text(proxyproto::unique_id(header).value()), bytes.substr(0, 128));
}

TEST(ProxyOut, WhatIsTooLargeIsNotSentAtAll) {
  // The block is addresses and TLVs; its length has two bytes.
  constexpr size_t kRoom = 65535 - 12 - 3;
  for (size_t over : {size_t{0}, size_t{1}}) {
    const proxyproto::Header received = with_tlvs({{0xe3, Bytes(kRoom + over)}});
    ProxyOutInput in = plain_input();
    in.received = &received;
    in.forward_unknown_tlvs = true;
    EXPECT_EQ(make_proxy_out(in).has_value(), over == 0);
    in.crc32c = true;
    EXPECT_FALSE(make_proxy_out(in).has_value());
    in.crc32c = false;
    in.authority = "a";
    EXPECT_FALSE(make_proxy_out(in).has_value());
    in.forward_unknown_tlvs = false;
    EXPECT_TRUE(make_proxy_out(in).has_value());
    in.version = OutVersion::v1;
    in.forward_unknown_tlvs = true;
    EXPECT_TRUE(make_proxy_out(in).has_value());
  }
  const proxyproto::Header received = with_tlvs({{0xe3, Bytes(kRoom)}});
  ProxyOutInput in = plain_input();
  in.received = &received;
  in.forward_unknown_tlvs = true;
  const proxyproto::Header header = sent(in);
  EXPECT_EQ(header.size, 16u + 65535);
  EXPECT_EQ(header.tlvs, received.tlvs);
  in.client = out_at("[2001:db8::1]:1");
  EXPECT_FALSE(make_proxy_out(in).has_value()) << "longer addresses leave less room";
  const std::string longest(65536, 'a');
  in = plain_input();
  in.authority = longest;
  EXPECT_FALSE(make_proxy_out(in).has_value());
}

}  // namespace
}  // namespace smartvpn::relay
