// Payload encodings: round trips, skipping what is unknown, refusing what is wrong.
#include "session/payloads.hpp"

#include <gtest/gtest.h>

#include <random>

namespace smartvpn::session {
namespace {

SessionParameters sample() {
  SessionParameters p;
  p.addresses = {*inet::IpAddress::parse("10.8.0.2"), *inet::IpAddress::parse("fd00::2")};
  p.dns = {*inet::IpAddress::parse("fd00::1")};
  p.routes = {*inet::Cidr::parse("10.0.0.0/8"), *inet::Cidr::parse("::/0"), *inet::Cidr::parse("192.0.2.1/32")};
  p.mtu = 1380;
  p.keepalive_interval = milliseconds(20500);
  p.capabilities = kCapSuperPackets;
  p.max_plaintext = 32768;
  p.next_server_key = PublicKey{1, 2, 3};
  return p;
}

TEST(Payloads, ParametersRoundTrip) {
  for (const SessionParameters& p : {sample(), SessionParameters{}}) {
    Bytes out;
    ASSERT_TRUE(encode(p, out));
    EXPECT_EQ(decode_parameters(out), p);
  }
}

TEST(Payloads, ResponseRoundTrip) {
  ResponsePayload r;
  r.status = HandshakeStatus::busy;
  r.retry_after_s = 90;
  r.parameters = sample();  // not sent with a refusal
  Bytes out;
  ASSERT_TRUE(encode(r, false, out));
  EXPECT_EQ(out.size(), 2u + 3u + 4u);
  auto back = decode_response(out);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->status, HandshakeStatus::busy);
  EXPECT_EQ(back->retry_after_s, 90u);

  r.status = HandshakeStatus::ok;
  r.retry_after_s = 0;
  out.clear();
  ASSERT_TRUE(encode(r, false, out));
  EXPECT_EQ(decode_response(out)->parameters, sample());
  out.clear();
  ASSERT_TRUE(encode(r, true, out));
  EXPECT_EQ(out.size(), 2u);  // a rekey repeats nothing
}

TEST(Payloads, InitiationRoundTrip) {
  InitiationPayload i;
  i.capabilities = 5;
  i.wanted_mtu = 1400;
  i.max_plaintext = 20000;
  i.wanted_addresses = sample().addresses;
  Bytes out;
  ASSERT_TRUE(encode(i, out));
  auto back = decode_initiation(out);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->version, 1);
  EXPECT_EQ(back->capabilities, 5u);
  EXPECT_EQ(back->wanted_mtu, 1400);
  EXPECT_EQ(back->max_plaintext, 20000u);
  EXPECT_EQ(back->wanted_addresses, i.wanted_addresses);
}

TEST(Payloads, LargestInitiationFitsTheStrangersLimit) {
  InitiationPayload i;
  i.wanted_mtu = 1400;
  i.wanted_addresses.assign(kMaxAddresses, *inet::IpAddress::parse("fd00::1"));
  Bytes out;
  ASSERT_TRUE(encode(i, out));
  EXPECT_LE(kHeaderSize + 96 + out.size(), kMaxInitiation);
  i.wanted_addresses.push_back(i.wanted_addresses[0]);
  EXPECT_FALSE(encode(i, out));
}

TEST(Payloads, LargestResponseFitsItsLimit) {
  ResponsePayload r;
  r.parameters.addresses.assign(kMaxAddresses, *inet::IpAddress::parse("fd00::1"));
  r.parameters.dns = r.parameters.addresses;
  r.parameters.routes.assign(kMaxRoutes, *inet::Cidr::parse("fd00::/64"));
  r.parameters.next_server_key.emplace();
  Bytes out;
  ASSERT_TRUE(encode(r, false, out));
  EXPECT_LE(kHeaderSize + 48 + out.size(), kMaxResponse);
  r.parameters.routes.push_back(r.parameters.routes[0]);
  const Bytes before = out;
  EXPECT_FALSE(encode(r, false, out));
  EXPECT_EQ(out, before);
}

TEST(Payloads, UnknownFieldsAreSkipped) {
  Bytes out;
  ASSERT_TRUE(encode(sample(), out));
  for (uint8_t type : {uint8_t{20}, uint8_t{200}}) {
    const Bytes unknown = {type, 2, 0, 9, 9};
    append(out, unknown);
  }
  EXPECT_EQ(decode_parameters(out), sample());
}

TEST(Payloads, WrongFieldsAreRefused) {
  const Bytes wrong[] = {
      {1},                             // half a field
      {1, 4, 0, 0, 0, 0},              // cut short
      {1, 3, 0, 0, 0, 0},              // wrong size
      {2, 2, 0, 0, 0},                 // MTU 0
      {2, 2, 0, 1, 5, 2, 2, 0, 1, 5},  // twice
      {3, 4, 0, 0xff, 0x0f, 0, 0},     // limit below 4096
      {4, 5, 0, 1, 2, 3, 4, 5},        // no address has 5 bytes
      {6, 0, 0},                       // empty route
      {6, 5, 0, 33, 10, 0, 0, 0},      // /33
      {6, 5, 0, 8, 10, 1, 0, 0},       // host bits
      {7, 4, 0, 0, 0, 0, 0},           // no interval
      {9, 31, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
  };
  for (const Bytes& w : wrong) EXPECT_FALSE(decode_parameters(w)) << to_hex(w);
  EXPECT_FALSE(decode_initiation({}));
  EXPECT_FALSE(decode_initiation(Bytes{0}));
  EXPECT_FALSE(decode_response(Bytes{0}));
  EXPECT_FALSE(decode_response(Bytes{0, 0}));
}

TEST(Payloads, ListsAreBoundedWhenReadToo) {
  struct List {
    Bytes entry;
    size_t most;
  };
  const List lists[] = {{{4, 4, 0, 10, 0, 0, 1}, kMaxAddresses},
                        {{5, 4, 0, 10, 0, 0, 1}, kMaxDns},
                        {{6, 5, 0, 32, 10, 0, 0, 1}, kMaxRoutes}};
  for (const auto& [entry, most] : lists) {
    Bytes encoded;
    for (size_t i = 0; i < most; ++i) append(encoded, entry);
    EXPECT_TRUE(decode_parameters(encoded)) << int(entry[0]);
    append(encoded, entry);
    EXPECT_FALSE(decode_parameters(encoded)) << int(entry[0]);
  }
}

TEST(Payloads, AnAnnouncedLimitIsNeverMoreThanTheProtocols) {
  const Bytes boast = {1, 3, 4, 0, 0xff, 0xff, 0xff, 0xff};
  EXPECT_EQ(decode_initiation(boast)->max_plaintext, kMaxPlaintext);
  EXPECT_EQ(decode_parameters(ByteView(boast).subspan(1))->max_plaintext, kMaxPlaintext);
}

TEST(Payloads, UnknownStatusReadsAsDenied) {
  auto r = decode_response(Bytes{99, 1});
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, HandshakeStatus::denied);
}

TEST(Payloads, WhatDecodesEncodesToTheSameMeaning) {
  std::mt19937 random(3);
  Bytes good;
  ASSERT_TRUE(encode(sample(), good));
  size_t decoded = 0;
  for (int i = 0; i < 50000; ++i) {
    Bytes b = good;
    for (int n = static_cast<int>(random() % 4); n >= 0; --n) b[random() % b.size()] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) b.resize(random() % b.size());
    auto p = decode_parameters(b);
    if (!p) continue;
    ++decoded;
    Bytes again;
    ASSERT_TRUE(encode(*p, again));
    ASSERT_EQ(decode_parameters(again), p);
  }
  EXPECT_GT(decoded, 1000u);
}

}  // namespace
}  // namespace smartvpn::session
