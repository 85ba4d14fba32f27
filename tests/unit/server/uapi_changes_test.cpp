// What a `set` of the `wg` tool becomes: changes of the registry in an order in which they can be made.
#include "server/uapi_changes.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cerrno>

#include "base/rng.hpp"
#include "crypto/x25519.hpp"

namespace smartvpn::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = ClientChange::Kind;

std::string hex_of(const PublicKey& key) {
  std::string out;
  for (const uint8_t byte : key) out += fmt::format("{:02x}", byte);
  return out;
}

class UapiPlanning : public ::testing::Test {
 protected:
  UapiPlanning() {
    facts_.own_key = server_.pub;
    facts_.ports = {51820, 51821};
    facts_.addresses = {*inet::Cidr::parse("10.8.0.0/24"), *inet::Cidr::parse("fd00:8::/64")};
    add("alice", alice_, {"10.8.0.2", "fd00:8::2"}, {"192.168.1.0/24"});
    add("bob", bob_, {"10.8.0.3"}, {});
    registry::Client native;
    native.id = "native";
    facts_.clients.push_back(std::make_shared<registry::Client>(native));
  }

  void add(const std::string& id, const PublicKey& key, const std::vector<std::string>& addresses,
           const std::vector<std::string>& subnets) {
    registry::Client client;
    client.id = id;
    client.wireguard_public_key = key;
    for (const auto& text : addresses) client.addresses.push_back(*inet::IpAddress::parse(text));
    for (const auto& text : subnets) client.subnets.push_back(*inet::Cidr::parse(text));
    facts_.clients.push_back(std::make_shared<registry::Client>(client));
  }
  static std::string peer(const PublicKey& key, const std::string& lines = "") {
    return "public_key=" + hex_of(key) + "\n" + lines;
  }
  // A line for each change: what, whose, and what it says.
  std::vector<std::string> plan(const std::string& lines) {
    wireguard::UapiParser parser;
    wireguard::UapiRequest request;
    parser.feed("set=1\n" + lines + "\n");
    EXPECT_EQ(parser.take(request), 0) << lines;
    changes_ = UapiChanges();
    error_ = plan_uapi_changes(request, facts_, changes_);
    std::vector<std::string> out;
    for (const auto& change : changes_.registry) {
      if (change.kind == Kind::remove) out.push_back("remove " + change.id);
      if (change.kind == Kind::update) out.push_back("update " + change.id + " " + change.patch);
      if (change.kind != Kind::create) continue;
      std::string line = "create " + change.spec.id;
      for (const auto& ip : change.spec.addresses) line += " " + ip.text();
      for (const auto& subnet : change.spec.subnets) line += " " + subnet.text();
      out.push_back(line + (change.spec.wireguard_preshared_key ? " psk" : ""));
    }
    return out;
  }
  std::string wishes() const {
    std::string out;
    for (const auto& wish : changes_.wishes)
      out += (wish.endpoint ? wish.endpoint->text() : "-") + " " +
             (wish.persistent_keepalive ? std::to_string(wish.persistent_keepalive->count() / 1000000000) : "-") + ";";
    return out;
  }
  std::string new_id() const { return "wg-" + hex_of(carol_).substr(0, 12); }

  static PublicKey key() { return crypto::generate_key_pair(system_rng()).pub; }
  const crypto::KeyPair server_ = crypto::generate_key_pair(system_rng());
  const PublicKey alice_ = key(), bob_ = key(), carol_ = key();
  const std::string psk_ = std::string(64, 'a');
  UapiFacts facts_;
  UapiChanges changes_;
  int error_ = 0;
};

TEST_F(UapiPlanning, AnUnknownKeyBecomesAClient) {
  EXPECT_THAT(plan(peer(carol_, "preshared_key=" + psk_ +
                                    "\nallowed_ip=172.16.0.0/12\nallowed_ip=fd00:8::9/128\nallowed_ip=10.8.0.9/32\n")),
              ElementsAre("create " + new_id() + " 10.8.0.9 fd00:8::9 172.16.0.0/12 psk"));
  EXPECT_EQ(changes_.registry[0].spec.wireguard_public_key, carol_);
  EXPECT_THAT(plan(peer(carol_)), ElementsAre("create " + new_id())) << "the registry chooses its addresses";
  EXPECT_THAT(plan(peer(carol_, "update_only=true\n")), IsEmpty());
  EXPECT_THAT(plan(peer(carol_, "remove=true\n")), IsEmpty());
}

TEST_F(UapiPlanning, ANameThatIsTakenGetsMoreOfTheKey) {
  add(new_id(), key(), {}, {});
  EXPECT_THAT(plan(peer(carol_)), ElementsAre("create wg-" + hex_of(carol_).substr(0, 14)));
}

TEST_F(UapiPlanning, AKnownKeysClientIsPatchedInWhatDiffers) {
  EXPECT_THAT(plan(peer(alice_)), IsEmpty());
  EXPECT_THAT(plan(peer(alice_,
                        "replace_allowed_ips=true\nallowed_ip=10.8.0.2/32\nallowed_ip=fd00:8::2/128\n"
                        "allowed_ip=192.168.1.0/24\npreshared_key=" +
                            std::string(64, '0') + "\n")),
              IsEmpty());
  EXPECT_THAT(plan(peer(alice_, "allowed_ip=192.168.2.0/24\n")),
              ElementsAre(R"(update alice {"subnets":["192.168.1.0/24","192.168.2.0/24"]})"));
  EXPECT_THAT(plan(peer(alice_, "allowed_ip=-192.168.1.0/24\n")), ElementsAre(R"(update alice {"subnets":[]})"));
  EXPECT_THAT(plan(peer(bob_, "preshared_key=" + psk_ + "\n")),
              ElementsAre(R"(update bob {"wireguard_preshared_key":"qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="})"));
  EXPECT_THAT(plan(peer(bob_, "replace_allowed_ips=true\nallowed_ip=10.8.0.77/32\n")),
              ElementsAre(R"(update bob {"addresses":["10.8.0.77"]})"));
}

TEST_F(UapiPlanning, AnAddressThatIsLeftOutStaysItsClients) {
  EXPECT_THAT(plan(peer(alice_, "replace_allowed_ips=true\nallowed_ip=10.8.0.20/32\n")),
              ElementsAre(R"(update alice {"addresses":["10.8.0.20","fd00:8::2"],"subnets":[]})"));
}

TEST_F(UapiPlanning, APresharedKeyIsTakenAwayByZero) {
  registry::Client client = *facts_.clients[1];
  client.wireguard_preshared_key = std::make_shared<const SecretKey>(server_.secret.clone());
  facts_.clients[1] = std::make_shared<registry::Client>(client);
  EXPECT_THAT(plan(peer(bob_)), IsEmpty());
  EXPECT_THAT(plan(peer(bob_, "preshared_key=" + std::string(64, '0') + "\n")),
              ElementsAre(R"(update bob {"wireguard_preshared_key":null})"));
}

TEST_F(UapiPlanning, WhatGoesGoesFirst) {
  EXPECT_THAT(plan(peer(carol_, "allowed_ip=10.8.0.3/32\n") + peer(bob_, "remove=true\n")),
              ElementsAre("remove bob", "create " + new_id() + " 10.8.0.3"));
}

TEST_F(UapiPlanning, WhoGivesSomethingUpComesBeforeWhoGetsIt) {
  const std::string to_bob = peer(bob_, "allowed_ip=192.168.1.0/24\n");
  const std::string from_alice = peer(alice_, "replace_allowed_ips=true\nallowed_ip=172.16.0.0/12\n");
  const std::string taken = R"(update alice {"subnets":["172.16.0.0/12"]})";
  EXPECT_THAT(plan(to_bob + from_alice), ElementsAre(taken, R"(update bob {"subnets":["192.168.1.0/24"]})"));
  EXPECT_THAT(plan(peer(bob_, "allowed_ip=192.168.1.64/26\n") + from_alice),
              ElementsAre(taken, R"(update bob {"subnets":["192.168.1.64/26"]})"));
  EXPECT_THAT(plan(peer(bob_, "allowed_ip=192.168.0.0/16\n") + from_alice),
              ElementsAre(taken, R"(update bob {"subnets":["192.168.0.0/16"]})"));
  EXPECT_THAT(
      plan(peer(carol_, "allowed_ip=10.8.0.3/32\n") + peer(bob_, "allowed_ip=10.8.0.4/32\nallowed_ip=-10.8.0.3/32\n")),
      ElementsAre(R"(update bob {"addresses":["10.8.0.4"]})", "create " + new_id() + " 10.8.0.3"));
  EXPECT_EQ(plan(peer(alice_, "replace_allowed_ips=true\nallowed_ip=10.8.0.3/32\n") +
                 peer(bob_, "replace_allowed_ips=true\nallowed_ip=10.8.0.2/32\n"))
                .size(),
            2u)
      << "a circle ends, too";
}

TEST_F(UapiPlanning, TheKeyBeforeARotationIsItsClientsAndNotToBeTouched) {
  registry::Client rotated;
  rotated.id = "rotated";
  rotated.wireguard_public_key = key();
  rotated.rotation.emplace().wireguard_public_key = carol_;
  facts_.clients.push_back(std::make_shared<registry::Client>(rotated));
  for (const char* lines : {"", "remove=true\n", "allowed_ip=10.8.0.9/32\n"}) {
    EXPECT_THAT(plan(peer(*rotated.wireguard_public_key, "remove=true\n") + peer(carol_, lines)), IsEmpty());
    EXPECT_EQ(error_, EBUSY) << lines;
  }
}

TEST_F(UapiPlanning, AKeyMayBeNamedAgain) {
  EXPECT_THAT(plan(peer(bob_, "remove=true\n") + peer(bob_, "allowed_ip=10.8.0.7/32\n")),
              ElementsAre("remove bob", "create bob 10.8.0.7"));
  EXPECT_THAT(plan(peer(carol_) + peer(carol_, "remove=true\n")), IsEmpty());
  EXPECT_THAT(plan(peer(carol_, "allowed_ip=10.8.0.7/32\n") + peer(carol_, "replace_allowed_ips=true\n")),
              ElementsAre("create " + new_id()));
}

TEST_F(UapiPlanning, ReplacingPeersLeavesThoseThatAreNamedAndClientsOfOtherTransports) {
  EXPECT_THAT(plan("replace_peers=true\n"), ElementsAre("remove alice", "remove bob"));
  EXPECT_THAT(plan("replace_peers=true\n" + peer(bob_, "update_only=true\n") + peer(alice_) + peer(carol_)),
              ElementsAre("remove bob", R"(update alice {"subnets":[]})", "create " + new_id()));
  EXPECT_THAT(plan("replace_peers=true\n" + peer(bob_) + peer(alice_, "allowed_ip=192.168.1.0/24\n")), IsEmpty());
}

TEST_F(UapiPlanning, EndpointAndKeepaliveAreWishes) {
  EXPECT_THAT(plan(peer(bob_, "endpoint=192.0.2.7:1\n") + peer(alice_, "persistent_keepalive_interval=0\n")),
              IsEmpty());
  EXPECT_EQ(wishes(), "192.0.2.7:1 -;- 0;");
  plan(peer(bob_, "endpoint=192.0.2.7:1\n") + peer(bob_, "remove=true\n"));
  EXPECT_EQ(wishes(), "");
  plan("replace_peers=true\n" + peer(bob_));
  EXPECT_EQ(wishes(), "- 0;") << "a new peer has none";
}

TEST_F(UapiPlanning, AnEndpointInsideTheTunnelsWouldBeALoop) {
  for (const char* endpoint : {"10.8.0.3:9", "10.8.0.200:9", "[fd00:8::77]:9"}) {
    EXPECT_THAT(plan(peer(carol_, std::string("endpoint=") + endpoint + "\n")), IsEmpty());
    EXPECT_EQ(error_, EINVAL) << endpoint;
  }
  const std::string behind_alice = peer(bob_, "endpoint=192.168.1.7:9\n");
  const std::string behind_itself = peer(carol_, "endpoint=192.0.2.7:9\nallowed_ip=192.0.2.0/24\n");
  for (const std::string& lines : {behind_alice, behind_itself}) {
    facts_.device = false;
    plan(lines);
    EXPECT_EQ(error_, 0) << "without a device the kernel routes nothing there";
    facts_.device = true;
    plan(lines);
    EXPECT_EQ(error_, EINVAL);
  }
  plan(peer(carol_, "endpoint=192.0.2.7:9\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n"));
  EXPECT_EQ(error_, 0) << "a default route is everywhere";
}

TEST_F(UapiPlanning, TheServersOwnKeyIsNoPeer) { EXPECT_THAT(plan(peer(server_.pub)), IsEmpty()); }

TEST_F(UapiPlanning, WhatIsTheServersCanOnlyBeConfirmed) {
  std::string secret;
  for (const uint8_t byte : server_.secret.view()) secret += fmt::format("{:02x}", byte);
  const std::string zero(64, '0');
  for (const std::string& line : {"private_key=" + secret, "private_key=" + zero, std::string("listen_port=51821"),
                                  std::string("listen_port=0"), std::string("fwmark=0")}) {
    plan(line + "\n" + peer(carol_));
    EXPECT_EQ(error_, 0) << line;
  }
  for (const std::string& line : {"private_key=" + psk_, std::string("listen_port=51822")}) {
    EXPECT_THAT(plan(line + "\n" + peer(carol_)), IsEmpty());
    EXPECT_EQ(error_, EPERM) << line;
  }
  plan("fwmark=1\n");
  EXPECT_EQ(error_, EOPNOTSUPP);
}

TEST_F(UapiPlanning, ASecondAddressOfAFamilyCannotBe) {
  plan(peer(bob_, "allowed_ip=10.8.0.4/32\n"));
  EXPECT_EQ(error_, EINVAL);
  plan(peer(bob_, "allowed_ip=-10.8.0.3/32\nallowed_ip=10.8.0.4/32\n"));
  EXPECT_EQ(error_, 0);
}

TEST_F(UapiPlanning, MoreSubnetsThanAClientMayHaveAreMergedWhereTheyCanBe) {
  std::string even, apart;
  for (int i = 0; i < 512; ++i) {
    const std::string middle = std::to_string(i / 256) + "." + std::to_string(i % 256);
    even += "allowed_ip=172.16." + middle + "/32\n";
    apart += i % 2 == 0 ? "allowed_ip=172.16." + middle + "/32\n" : "";
  }
  EXPECT_THAT(plan(peer(carol_, even)), ElementsAre("create " + new_id() + " 172.16.0.0/23"));
  EXPECT_EQ(plan(peer(carol_, apart)).size(), 1u);
  EXPECT_EQ(changes_.registry[0].spec.subnets.size(), 256u) << "as many as there may be";
  plan(peer(carol_, apart + "allowed_ip=172.17.0.0/32\n"));
  EXPECT_EQ(error_, E2BIG);
}

TEST(UapiErrno, OfTheRegistrysAnswers) {
  EXPECT_EQ(uapi_errno({Status::INVALID, "", 0, ""}), EINVAL);
  EXPECT_EQ(uapi_errno({Status::EXISTS, "", 0, ""}), EADDRINUSE);
  EXPECT_EQ(uapi_errno({Status::LIMIT, "", 0, ""}), ENOSPC);
  EXPECT_EQ(uapi_errno({Status::NO_MEMORY, "", 0, ""}), ENOMEM);
  EXPECT_EQ(uapi_errno({Status::BAD_STATE, "", 0, ""}), ENODEV);
  EXPECT_EQ(uapi_errno({Status::CONFLICT, "", 0, ""}), EAGAIN);
  EXPECT_EQ(uapi_errno({Status::NOT_FOUND, "", 0, ""}), EAGAIN);
  EXPECT_EQ(uapi_errno({Status::UNSUPPORTED, "", 0, ""}), EOPNOTSUPP);
  EXPECT_EQ(uapi_errno({Status::SYSTEM, "", ENOSPC, ""}), ENOSPC);
  EXPECT_EQ(uapi_errno({Status::INTERNAL, "", 0, ""}), EIO);
}

std::string merged(const std::vector<std::string>& texts) {
  std::vector<inet::Cidr> prefixes;
  for (const auto& text : texts) prefixes.push_back(*inet::Cidr::parse(text));
  std::string out;
  for (const auto& prefix : merged_prefixes(prefixes)) out += (out.empty() ? "" : " ") + prefix.text();
  return out;
}

TEST(UapiMerging, HalvesBecomeAWholeAndPartsVanish) {
  EXPECT_EQ(merged({}), "");
  EXPECT_EQ(merged({"10.0.0.0/9", "10.128.0.0/9"}), "10.0.0.0/8");
  EXPECT_EQ(merged({"10.128.0.0/9", "11.0.0.0/9"}), "10.128.0.0/9 11.0.0.0/9") << "neighbours, but no halves of one";
  EXPECT_EQ(merged({"10.0.0.0/8", "10.1.2.3/32", "10.0.0.0/8"}), "10.0.0.0/8");
  EXPECT_EQ(merged({"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"}), "0.0.0.0/0 ::/0");
  EXPECT_EQ(merged({"10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30"}), "10.0.0.0/29");
}

TEST(UapiMerging, TheSameAddressesAreNamed) {
  Rng& rng = system_rng();
  for (int round = 0; round < 200; ++round) {
    std::vector<inet::Cidr> prefixes;
    for (int i = 0; i < 40; ++i) {
      const auto bits = static_cast<uint8_t>(24 + rng.u64() % 9);
      prefixes.push_back(
          {inet::IpAddress::v4(0x0a000000u | static_cast<uint32_t>(rng.u64() & 0xff)).masked(bits), bits});
    }
    const auto fewer = merged_prefixes(prefixes);
    EXPECT_LE(fewer.size(), prefixes.size());
    auto holds = [](const std::vector<inet::Cidr>& list, const inet::IpAddress& ip) {
      return std::count_if(list.begin(), list.end(), [&](const inet::Cidr& prefix) { return prefix.contains(ip); });
    };
    for (uint32_t last = 0; last < 256; ++last) {
      const auto ip = inet::IpAddress::v4(0x0a000000u | last);
      ASSERT_EQ(holds(fewer, ip), holds(prefixes, ip) > 0 ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace smartvpn::server
