#include "acl/address_set.hpp"

#include <gtest/gtest.h>

#include <random>

namespace smartvpn::acl {
namespace {

using inet::IpAddress;

AddressSet compiled(const std::vector<std::string>& entries) {
  auto set = AddressSet::compile(entries, "/list");
  EXPECT_TRUE(set.ok()) << (set.ok() ? "" : set.error().text);
  return set.ok() ? std::move(*set) : AddressSet();
}
bool in(const std::vector<std::string>& entries, const char* ip) {
  return compiled(entries).contains(IpAddress::parse(ip).value());
}

TEST(AddressSet, NoEntriesContainNothing) {
  AddressSet set = compiled({});
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.contains(IpAddress::parse("192.0.2.1").value()));
  EXPECT_FALSE(set.contains(IpAddress()));
}

TEST(AddressSet, ExactAddressesOfBothFamilies) {
  EXPECT_TRUE(in({"192.0.2.7"}, "192.0.2.7"));
  EXPECT_FALSE(in({"192.0.2.7"}, "192.0.2.8"));
  EXPECT_TRUE(in({"2001:db8::7"}, "2001:DB8:0::7"));
  EXPECT_FALSE(in({"2001:db8::7"}, "2001:db8::8"));
}

TEST(AddressSet, Prefixes) {
  EXPECT_TRUE(in({"10.0.0.0/8"}, "10.255.255.255"));
  EXPECT_FALSE(in({"10.0.0.0/8"}, "11.0.0.0"));
  EXPECT_TRUE(in({"10.1.2.3/8"}, "10.0.0.0"));  // host bits are ignored
  EXPECT_TRUE(in({"2001:db8::/32"}, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(in({"2001:db8::/32"}, "2001:db9::"));
  EXPECT_TRUE(in({"0.0.0.0/0"}, "255.255.255.255"));
  EXPECT_FALSE(in({"0.0.0.0/0"}, "::1"));
  EXPECT_FALSE(in({"::/0"}, "192.0.2.1"));
}

TEST(AddressSet, Ranges) {
  EXPECT_TRUE(in({"10.0.0.5-10.0.0.9"}, "10.0.0.5") && in({"10.0.0.5-10.0.0.9"}, "10.0.0.9"));
  EXPECT_FALSE(in({"10.0.0.5-10.0.0.9"}, "10.0.0.4") || in({"10.0.0.5-10.0.0.9"}, "10.0.0.10"));
  EXPECT_TRUE(in({"10.0.0.5-10.0.0.5"}, "10.0.0.5"));
  EXPECT_TRUE(in({"2001:db8::ffff-2001:db8::1:1"}, "2001:db8::1:0"));
  EXPECT_FALSE(in({"2001:db8::ffff-2001:db8::1:1"}, "2001:db8::1:2"));
}

TEST(AddressSet, Wildcards) {
  EXPECT_TRUE(in({"10.0.*.*"}, "10.0.255.1"));
  EXPECT_FALSE(in({"10.0.*.*"}, "10.1.0.0"));
  EXPECT_TRUE(in({"*.*.*.*"}, "203.0.113.1"));
  EXPECT_FALSE(in({"*.*.*.*"}, "::1"));
  EXPECT_TRUE(in({"10.*.0.1"}, "10.77.0.1"));
  EXPECT_FALSE(in({"10.*.0.1"}, "10.77.0.2") || in({"10.*.0.1"}, "11.77.0.1"));
  EXPECT_TRUE(in({"*.*.*.5"}, "1.2.3.5"));
  EXPECT_FALSE(in({"*.*.*.5"}, "1.2.3.4") || in({"*.*.*.5"}, "::5"));
}

TEST(AddressSet, StarIsEveryAddressOfBothFamilies) {
  for (auto ip : {"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
    EXPECT_TRUE(in({"*"}, ip));
  EXPECT_FALSE(compiled({"*"}).contains(IpAddress()));
}

TEST(AddressSet, MappedIsIpv4InEntriesAndQuestions) {
  for (auto entry : {"192.0.2.0/24", "::ffff:192.0.2.0/120", "::ffff:192.0.2.7", "::ffff:192.0.2.1-::ffff:192.0.2.9",
                     "192.0.2.1-::ffff:c000:209", "192.0.2.*"}) {
    EXPECT_TRUE(in({entry}, "192.0.2.7")) << entry;
    EXPECT_TRUE(in({entry}, "::ffff:192.0.2.7")) << entry;
    EXPECT_TRUE(in({entry}, "::ffff:c000:207")) << entry;
  }
}

TEST(AddressSet, BadEntriesNameTheirPlace) {
  const char* bad[] = {"",
                       " ",
                       "10.0.0.1 ",
                       " 10.0.0.1",
                       "10.0.0",
                       "10.0.0.256",
                       "010.0.0.1",
                       "10.0.0.0/33",
                       "10.0.0.0/",
                       "10.0.0.0/-1",
                       "10.0.0.0/08",
                       "/8",
                       "2001:db8::/129",
                       "2001:db8::/x",
                       "::ffff:10.0.0.0/95",
                       "fe80::1%eth0",
                       "[::1]",
                       "10.0.0.1:80",
                       "example.org",
                       "10.0.0.9-10.0.0.5",
                       "10.0.0.1-::1",
                       "::1-10.0.0.1",
                       "10.0.0.1-",
                       "-10.0.0.1",
                       "10.0.0.1 - 10.0.0.2",
                       "10.0.0.1-10.0.0.2-10.0.0.3",
                       "10.0.0.0/24-10.0.1.0/24",
                       "10.0.0.*-10.0.1.*",
                       "10.*",
                       "10.0.*",
                       "10.0.*.*.*",
                       "10.0.**.1",
                       "10.0.1*.1",
                       "*.0.0.256",
                       "10.*.*.*/8",
                       "2001:db8::*",
                       "**",
                       "*.",
                       "10..*.*",
                       "01.*.*.*"};
  for (auto entry : bad) {
    auto set = AddressSet::compile(std::vector<std::string>{"10.0.0.1", entry}, "/security/ip_block_list");
    ASSERT_FALSE(set.ok()) << entry;
    EXPECT_EQ(set.error().status, Status::INVALID);
    EXPECT_EQ(set.error().path, "/security/ip_block_list/1");
    EXPECT_NE(set.error().text.find("\"" + std::string(entry) + "\" is not a"), std::string::npos) << set.error().text;
  }
  auto text = [](const char* entry) { return AddressSet::compile(std::vector<std::string>{entry}, "").error().text; };
  EXPECT_EQ(text("10.0.0.9-10.0.0.5"), "\"10.0.0.9-10.0.0.5\" is not a range: it ends before it begins");
  EXPECT_EQ(text("10.0.0.1-::1"), "\"10.0.0.1-::1\" is not a range: its ends are of different families");
  EXPECT_LT(text(std::string(5000, 'x').c_str()).size(), 250u);
}

// Every entry on its own, by its text, for every question.
bool slow_match(const std::string& entry, const IpAddress& ip) {
  if (entry == "*") return true;
  if (size_t dash = entry.find('-'); dash != std::string::npos) {
    auto first = *IpAddress::parse(entry.substr(0, dash)), last = *IpAddress::parse(entry.substr(dash + 1));
    return ip.family() == first.family() && first <= ip && ip <= last;
  }
  if (entry.find('*') != std::string::npos) {
    if (!ip.is_v4()) return false;
    std::string rest = entry + ".";
    for (size_t octet = 0; octet < 4; ++octet) {
      std::string part = rest.substr(0, rest.find('.'));
      rest.erase(0, part.size() + 1);
      if (part != "*" && part != std::to_string(ip.bytes()[octet])) return false;
    }
    return true;
  }
  return inet::Cidr::parse(entry)->contains(ip);
}

class RandomLists {
 public:
  IpAddress ip() {
    if (random_() % 2) return IpAddress::v4((10u << 24) | (random_() & 0x00030307));
    uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
    bytes[7] = random_() & 3;
    bytes[15] = random_() & 7;
    return IpAddress::v6(bytes);
  }
  std::string entry() {
    auto a = ip(), b = ip();
    switch (random_() % 5) {
      case 0:
        return a.text();
      case 1:
        return a.text() + "/" + std::to_string(a.bits() - static_cast<int>(random_() % 20));
      case 2:
        if (a.family() != b.family()) return a.text();
        return std::min(a, b).text() + "-" + std::max(a, b).text();
      case 3: {
        std::string out;
        for (int octet = 0; octet < 4; ++octet)
          out += (octet ? "." : "") + (random_() % 3 ? std::to_string(octet ? random_() % 4 : 10) : std::string("*"));
        return out;
      }
      default:
        return random_() % 200 ? a.text() : "*";
    }
  }
  size_t below(size_t n) { return random_() % n; }

 private:
  std::mt19937 random_{11};
};

TEST(AddressSet, AgreesWithTheSlowVersion) {
  RandomLists random;
  int hits = 0, misses = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> entries(1 + random.below(round % 10 ? 4 : 60));
    for (auto& entry : entries) entry = random.entry();
    AddressSet set = compiled(entries);
    for (int i = 0; i < 200; ++i) {
      IpAddress ip = random.ip();
      bool expected = std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return slow_match(e, ip); });
      ASSERT_EQ(set.contains(ip), expected) << ip.text() << " in list with " << entries[0];
      ++(expected ? hits : misses);
    }
  }
  EXPECT_GT(hits, 5000);
  EXPECT_GT(misses, 5000);
}

TEST(AddressSet, HundredThousandEntries) {
  std::mt19937 random(5);
  std::vector<std::string> entries;
  std::vector<IpAddress> ips;
  for (int i = 0; i < 100000; ++i) {
    uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
    store_be64(bytes + 8, uint64_t{random()} << 32 | random());
    ips.push_back(i % 2 ? IpAddress::v4(static_cast<uint32_t>(random())) : IpAddress::v6(bytes));
    entries.push_back(ips.back().text());
  }
  AddressSet set = compiled(entries);
  std::sort(ips.begin(), ips.end());
  for (size_t i = 0; i < ips.size(); i += 7) {
    ASSERT_TRUE(set.contains(ips[i]));
    IpAddress next = ips[i].plus(1);
    ASSERT_EQ(set.contains(next), std::binary_search(ips.begin(), ips.end(), next));
  }
}

}  // namespace
}  // namespace smartvpn::acl
