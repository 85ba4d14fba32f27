#include "relay/domain_pattern.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

DomainPattern domain_pattern(std::string_view text) {
  auto parsed = DomainPattern::parse(text, "/x");
  EXPECT_TRUE(parsed) << text;
  return parsed.value();
}

TEST(DomainPattern, ExactMatchesThatNameAlone) {
  const auto exact = domain_pattern("Example.COM.");
  EXPECT_TRUE(exact.matches("example.com"));
  for (std::string_view host : {"", "a.example.com", "example.co", "xample.com", "example.com.a", "badexample.com"})
    EXPECT_FALSE(exact.matches(host)) << host;
  EXPECT_EQ(exact.text(), "example.com");
  EXPECT_EQ(exact, domain_pattern("example.com"));
}

TEST(DomainPattern, AWildcardMatchesWhatIsBelowAtAnyDepth) {
  const auto below = domain_pattern("*.Example.com.");
  EXPECT_TRUE(below.matches("a.example.com"));
  EXPECT_TRUE(below.matches("a.b.example.com"));
  for (std::string_view host : {"", "example.com", "badexample.com", "a.example.com.org", ".example.com"})
    EXPECT_FALSE(below.matches(host)) << host;
  EXPECT_EQ(below.text(), "*.example.com");
  EXPECT_FALSE(below == domain_pattern("example.com"));
}

TEST(DomainPattern, AStarMatchesEveryKnownName) {
  const auto every = domain_pattern("*");
  EXPECT_TRUE(every.matches("a"));
  EXPECT_TRUE(every.matches("2001:db8::1"));
  EXPECT_FALSE(every.matches(""));
  EXPECT_EQ(every.text(), "*");
}

TEST(DomainPattern, SpecificityOrdersWhatMatchesOneName) {
  const std::string longest =
      std::string(61, 'b') + "." + std::string(63, 'a') + "." + std::string(63, 'a') + "." + std::string(61, 'c');
  const uint32_t ascending[] = {domain_pattern("*").specificity(),
                                domain_pattern("*.com").specificity(),
                                domain_pattern("*.example.com").specificity(),
                                domain_pattern("*.a.example.com").specificity(),
                                domain_pattern("*." + longest).specificity(),
                                domain_pattern("x").specificity()};
  for (size_t i = 1; i < std::size(ascending); ++i) EXPECT_LT(ascending[i - 1], ascending[i]) << i;
  EXPECT_EQ(domain_pattern("x").specificity(), domain_pattern("a.b.example.com").specificity());
}

TEST(DomainPattern, AnythingElseIsInvalidUnderItsPath) {
  for (std::string_view text : {"",
                                ".",
                                "*.",
                                "**",
                                "*a",
                                "a*",
                                "*a.com",
                                "a.*",
                                "a.*.com",
                                "*.*.com",
                                "*.*",
                                "a..b",
                                "a b",
                                "a:80",
                                "http://a",
                                "192.0.2.1",
                                "*.192.0.2.1",
                                "[::1]",
                                "b\xc3\xbc"
                                "cher",
                                "a/b",
                                "..",
                                "*.."}) {
    const auto parsed = DomainPattern::parse(text, "/relay/routes/3/domains/1");
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().status, Status::INVALID);
    EXPECT_EQ(parsed.error().path, "/relay/routes/3/domains/1");
  }
}

TEST(DomainPattern, AnErrorShowsNoControlCharacters) {
  const auto parsed = DomainPattern::parse("a\nb\x1b[31m\xff", "/x");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().text.substr(0, 12), "\"a?b?[31m?\" ");
  EXPECT_LT(DomainPattern::parse(std::string(5000, '!'), "/x").error().text.size(), 200u);
}

}  // namespace
}  // namespace smartvpn::relay
