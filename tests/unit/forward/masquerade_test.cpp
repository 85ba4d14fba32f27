// The masquerading table as the kernel has it, read back by nft. In namespaces of the test's own; skipped without the
// privilege for them.
#include "forward/tun/masquerade.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "support/tun_end.hpp"

namespace smartvpn::forward {
namespace {

using testing::cidrs;
using testing::make_loop;

// In the calling thread's namespace.
std::string ruleset() {
  std::string out;
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen("nft list ruleset", "r"), pclose);
  std::array<char, 512> buffer;
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get())) out += buffer.data();
  return out;
}

MasqueradeOptions options(std::initializer_list<const char*> subnets, std::string out_interface = {}) {
  return {"svpn7", std::move(out_interface), cidrs(subnets)};
}

TEST(Masquerade, HasARuleForEachSubnetAndGoesWithItsOwner) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    auto table = Masquerade::create(*loop, options({"10.8.0.0/24", "fd00:8::/64"}));
    ASSERT_TRUE(table.ok()) << table.error().text;
    EXPECT_EQ((*table)->table(), "smartvpn_svpn7");
    const std::string rules = ruleset();
    EXPECT_NE(rules.find("table inet smartvpn_svpn7 {"), std::string::npos) << rules;
    EXPECT_NE(rules.find("flags owner"), std::string::npos) << rules;
    EXPECT_NE(rules.find("type nat hook postrouting priority srcnat; policy accept;"), std::string::npos) << rules;
    EXPECT_NE(rules.find("oifname != \"svpn7\" ip saddr 10.8.0.0/24 masquerade"), std::string::npos) << rules;
    EXPECT_NE(rules.find("oifname != \"svpn7\" ip6 saddr fd00:8::/64 masquerade"), std::string::npos) << rules;
    table->reset();
    EXPECT_EQ(ruleset(), "");
  });
}

TEST(Masquerade, TakesPrefixesOfAnyLengthAndOneInterface) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    auto table = Masquerade::create(*loop, options({"10.8.0.0/22", "10.0.0.0/9", "fd00:8::/45"}, "wan-15-letters0"));
    ASSERT_TRUE(table.ok()) << table.error().text;
    const std::string rules = ruleset(), head = "oifname != \"svpn7\" oifname \"wan-15-letters0\" ";
    for (const char* rule : {"ip saddr 10.8.0.0/22", "ip saddr 10.0.0.0/9", "ip6 saddr fd00:8::/45"})
      EXPECT_NE(rules.find(head + rule + " masquerade"), std::string::npos) << rules;
  });
}

TEST(Masquerade, ATableOfTheLivingIsNotTakenAwayAndOneOfTheDeadIsReplaced) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    // As a server without the kernel's help, that has died.
    ASSERT_EQ(std::system("nft 'add table inet smartvpn_svpn7; add chain inet smartvpn_svpn7 left'"), 0);
    auto table = Masquerade::create(*loop, options({"10.8.0.0/24"}));
    ASSERT_TRUE(table.ok()) << table.error().text;
    const std::string rules = ruleset();
    EXPECT_EQ(rules.find("chain left"), std::string::npos) << rules;
    auto another = Masquerade::create(*loop, options({"10.9.0.0/24"}));
    ASSERT_FALSE(another.ok());
    EXPECT_EQ(another.error().status, Status::SYSTEM);
    EXPECT_EQ(another.error().system_errno, EPERM);
    EXPECT_EQ(ruleset(), rules);
  });
}

TEST(Masquerade, AForkedChildThatKeepsTheDescriptorDoesNotKeepTheTable) {
  IN_NEW_NAMESPACE([] {
    auto loop = make_loop();
    auto table = Masquerade::create(*loop, options({"10.8.0.0/24"}));
    ASSERT_TRUE(table.ok()) << table.error().text;
    const size_t registered = loop->descriptors().size();
    std::array<int, 2> hold{};
    ASSERT_EQ(pipe(hold.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(hold[1]);
      char byte;
      _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    ASSERT_GT(child, 0);
    close(hold[0]);
    table->reset();
    EXPECT_EQ(loop->descriptors().size(), registered - 1) << "a child closes it by the loop's register";
    EXPECT_EQ(ruleset(), "");
    close(hold[1]);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  });
}

}  // namespace
}  // namespace smartvpn::forward
