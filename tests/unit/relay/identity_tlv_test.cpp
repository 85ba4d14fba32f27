// Which client a connection is of, there and back, and damaged.
#include "relay/identity_tlv.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

TEST(IdentityTlv, ComesBackAsItWas) {
  for (const char* address : {"10.8.0.2", "fd00:8::2"})
    for (const uint64_t session : {uint64_t{0}, uint64_t{0x0102030405060708}}) {
      const ClientIdentity identity{"alice-laptop", *inet::IpAddress::parse(address), session};
      const auto tlv = make_identity_tlv(identity);
      EXPECT_EQ(tlv.type, 0xE7);
      EXPECT_EQ(parse_identity_tlv(tlv.value), identity);
    }
}

TEST(IdentityTlv, IsOnTheWireAsTheHeaderFileSays) {
  const auto tlv = make_identity_tlv({"al", *inet::IpAddress::parse("10.8.0.2"), 5});
  EXPECT_EQ(to_hex(tlv.value),
            "01"
            "010002616c"
            "0200040a080002"
            "0300080000000000000005");
}

TEST(IdentityTlv, EveryTruncationAndEveryOtherVersionIsRefused) {
  const Bytes whole = make_identity_tlv({"al", *inet::IpAddress::parse("10.8.0.2"), 5}).value;
  for (size_t n = 0; n < whole.size(); ++n) {
    const bool complete = n == 13;  // without the session, which may be absent
    EXPECT_EQ(parse_identity_tlv(ByteView(whole).first(n)).has_value(), complete) << n;
  }
  Bytes other = whole;
  other[0] = 2;
  EXPECT_FALSE(parse_identity_tlv(other));
}

TEST(IdentityTlv, PartsComeOnceAndStrangeOnesAreSkipped) {
  const Bytes whole = make_identity_tlv({"al", *inet::IpAddress::parse("10.8.0.2"), 5}).value;
  for (const auto& [at, size] : {std::pair<size_t, size_t>{1, 5}, {6, 7}, {13, 11}}) {
    Bytes twice = whole;
    twice.insert(twice.end(), whole.begin() + static_cast<std::ptrdiff_t>(at),
                 whole.begin() + static_cast<std::ptrdiff_t>(at + size));
    EXPECT_FALSE(parse_identity_tlv(twice)) << at;
  }
  Bytes more = whole;
  append(more, Bytes{9, 0, 1, 0xff});
  EXPECT_TRUE(parse_identity_tlv(more));
  for (const char* id : {"", "with blank", "\x01", "\xff", "a/b", "a\"b", "a:b", "[", "`", "{", "/", ":"})
    EXPECT_FALSE(parse_identity_tlv(make_identity_tlv({id, *inet::IpAddress::parse("10.8.0.2"), 0}).value)) << id;
  for (const char* id : {"A", "Z", "a", "z", "0", "9", ".", "_", "@", "-"})
    EXPECT_TRUE(parse_identity_tlv(make_identity_tlv({id, *inet::IpAddress::parse("10.8.0.2"), 0}).value)) << id;
  for (const char* nowhere : {"0.0.0.0", "::"})
    EXPECT_FALSE(parse_identity_tlv(make_identity_tlv({"a", *inet::IpAddress::parse(nowhere), 0}).value)) << nowhere;
  EXPECT_FALSE(parse_identity_tlv(make_identity_tlv({std::string(65, 'a'), *inet::IpAddress::parse("::1"), 0}).value));
}

TEST(IdentityTlv, AreAllTakenOutAndOneAloneIsBelieved) {
  const proxyproto::Tlv other{0xe5, {1}}, alice = make_identity_tlv({"alice", *inet::IpAddress::parse("10.8.0.2"), 0}),
                                          bob = make_identity_tlv({"bob", *inet::IpAddress::parse("10.8.0.3"), 0}),
                                          broken{kTlvIdentity, {9}};
  const std::vector<proxyproto::Tlv> rest{other, other};
  std::vector<proxyproto::Tlv> tlvs{other, alice, other};
  EXPECT_EQ(take_identity_tlv(tlvs), parse_identity_tlv(alice.value));
  EXPECT_EQ(tlvs, rest);
  EXPECT_FALSE(take_identity_tlv(tlvs));
  for (const auto& [first, second] : {std::pair{alice, bob}, {alice, alice}, {alice, broken}, {broken, alice}}) {
    tlvs = {first, other, second, other};
    EXPECT_FALSE(take_identity_tlv(tlvs)) << to_hex(first.value) << " " << to_hex(second.value);
    EXPECT_EQ(tlvs, rest);
  }
}

TEST(IdentityTlv, AMappedAddressIsAnIPv4One) {
  const auto identity = parse_identity_tlv(*from_hex("0102001000000000000000000000ffff0a08000701000163"));
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->inner_address.text(), "10.8.0.7");
}

}  // namespace
}  // namespace smartvpn::relay
