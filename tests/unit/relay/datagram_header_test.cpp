#include "relay/datagram_header.hpp"

#include <gtest/gtest.h>

#include "proxyproto/tlv.hpp"
#include "proxyproto/writer.hpp"

namespace smartvpn::relay {
namespace {

using proxyproto::Header;

Header dgram(const char* source, const char* destination,
             proxyproto::Transport transport = proxyproto::Transport::dgram) {
  return proxyproto::relayed(inet::Endpoint::parse(source), inet::Endpoint::parse(destination), transport);
}

Bytes with_payload(const Header& header, std::string_view payload, bool crc = false) {
  Bytes out = *proxyproto::write_v2(header, crc);
  append(out, as_bytes(payload));
  return out;
}

HeaderVerdict verdict(ByteView datagram, size_t most = 4096) {
  Header header;
  return read_datagram_header(datagram, most, header);
}

TEST(DatagramHeader, SaysWhoItIsAndWhereThePayloadBegins) {
  for (const char* source : {"198.51.100.7:4711", "[2001:db8::7]:4711"}) {
    const Bytes datagram = with_payload(dgram(source, "203.0.113.9:51820"), "hello", true);
    Header header;
    ASSERT_EQ(read_datagram_header(datagram, 4096, header), HeaderVerdict::sound);
    EXPECT_EQ(header.source->text(), source);
    EXPECT_EQ(as_text(ByteView(datagram).subspan(header.size)), "hello");
  }
}

TEST(DatagramHeader, AGlanceSeesTheSameSourceAndSize) {
  const char* sources[] = {"198.51.100.7:4711", "[2001:db8::7]:65535", "[::ffff:198.51.100.7]:1"};
  for (const char* source : sources) {
    for (const char* destination : {"203.0.113.9:1", "[2001:db8::9]:1"}) {
      Header sent = dgram(source, destination);
      sent.tlvs = {{proxyproto::kTlvAuthority, {'a'}}};
      const Bytes datagram = with_payload(sent, "payload");
      Header header;
      ASSERT_EQ(read_datagram_header(datagram, 4096, header), HeaderVerdict::sound);
      const auto glance = glance_at_header(datagram);
      ASSERT_TRUE(glance);
      EXPECT_EQ(glance->size, header.size);
      EXPECT_EQ(glance->source, *header.source) << "mapped addresses are IPv4 here too";
    }
  }
}

TEST(DatagramHeader, WithoutAnAddressItIsSoundAndNamesNobody) {
  const Bytes datagram = with_payload(Header(), "x");
  Header header;
  ASSERT_EQ(read_datagram_header(datagram, 4096, header), HeaderVerdict::sound);
  EXPECT_TRUE(header.addressless());
  EXPECT_EQ(glance_at_header(datagram)->source, inet::Endpoint{});
}

TEST(DatagramHeader, LocalIsToldApart) {
  EXPECT_EQ(verdict(with_payload(proxyproto::local_header(), "x")), HeaderVerdict::local);
}

TEST(DatagramHeader, WhatIsNoneOfADatagramsIsMalformed) {
  const std::string line = "PROXY UDP4 198.51.100.7 203.0.113.9 1 2\r\nx";
  EXPECT_EQ(verdict(as_bytes(line)), HeaderVerdict::malformed);
  EXPECT_EQ(verdict({}), HeaderVerdict::malformed);
  EXPECT_EQ(verdict(as_bytes("hello")), HeaderVerdict::malformed);
  const Bytes stream = with_payload(dgram("198.51.100.7:1", "203.0.113.9:1", proxyproto::Transport::stream), "x");
  EXPECT_EQ(verdict(stream), HeaderVerdict::malformed);
  EXPECT_EQ(glance_at_header(stream)->source, inet::Endpoint{});
  const Bytes whole = with_payload(dgram("198.51.100.7:1", "203.0.113.9:1"), "");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(verdict(ByteView(whole).first(size)), HeaderVerdict::malformed) << size;
    EXPECT_FALSE(glance_at_header(ByteView(whole).first(size))) << size;
  }
  EXPECT_EQ(verdict(whole), HeaderVerdict::sound) << "a payload may be empty";
}

TEST(DatagramHeader, TheLimitIsOfTheWholeHeader) {
  Header sent = dgram("198.51.100.7:1", "203.0.113.9:1");
  sent.tlvs = {{0xe5, Bytes(300, 'x')}};
  const Bytes datagram = with_payload(sent, "x");
  const size_t size = datagram.size() - 1;
  EXPECT_EQ(verdict(datagram, size), HeaderVerdict::sound);
  EXPECT_EQ(verdict(datagram, size - 1), HeaderVerdict::malformed);
}

TEST(DatagramHeader, AWrongChecksumIsMalformed) {
  Bytes datagram = with_payload(dgram("198.51.100.7:1", "203.0.113.9:1"), "x", true);
  EXPECT_EQ(verdict(datagram), HeaderVerdict::sound);
  datagram[17] ^= 1;
  EXPECT_EQ(verdict(datagram), HeaderVerdict::malformed);
}

TEST(DatagramHeader, TheSignatureIsTwelveBytes) {
  const Bytes datagram = with_payload(dgram("198.51.100.7:1", "203.0.113.9:1"), "");
  for (size_t size = 0; size < 20; ++size)
    EXPECT_EQ(begins_with_v2(ByteView(datagram).first(size)), size >= 12) << size;
  EXPECT_FALSE(begins_with_v2(as_bytes("PROXY TCP4 198.51.100.7 203.0.113.9 1 2\r\n")));
}

}  // namespace
}  // namespace smartvpn::relay
