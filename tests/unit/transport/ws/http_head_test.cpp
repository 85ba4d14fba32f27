#include "transport/ws/http_head.hpp"

#include <gtest/gtest.h>

namespace smartvpn::ws {
namespace {

using Outcome = HttpHead::Outcome;

Outcome read_whole(std::string_view text, HttpHeadLimits limits = {}, size_t* consumed = nullptr) {
  HttpHead head(HttpHead::Kind::request, limits);
  size_t n = 0;
  const Outcome out = head.feed(as_bytes(text), n);
  if (consumed) *consumed = n;
  return out;
}

Outcome read_bytewise(std::string_view text, HttpHeadLimits limits = {}, size_t* consumed = nullptr) {
  HttpHead head(HttpHead::Kind::request, limits);
  size_t total = 0;
  Outcome out = Outcome::need_more;
  for (size_t i = 0; i < text.size() && out == Outcome::need_more; ++i) {
    size_t n = 0;
    out = head.feed(as_bytes(text.substr(i, 1)), n);
    total += n;
  }
  if (consumed) *consumed = total;
  return out;
}

TEST(HttpHead, StopsRightBehindTheEmptyLine) {
  const std::string head = "GET /a?b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
  size_t n = 0;
  EXPECT_EQ(read_whole(head + "\x82\x7f rest\n", {}, &n), Outcome::done);
  EXPECT_EQ(n, head.size());
  EXPECT_EQ(read_bytewise(head + "\x82\x7f rest\n", {}, &n), Outcome::done);
  EXPECT_EQ(n, head.size());
}

TEST(HttpHead, KeepsTargetAndFieldsHoweverTheyWereCut) {
  const std::string text =
      "GET /path?q=1 HTTP/1.1\r\nHost: example\r\nEmpty:\r\nX-List: a, B ,,c\r\nx-list:  d  \r\n\r\n";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    HttpHead head(HttpHead::Kind::request, {});
    size_t n = 0, m = 0;
    head.feed(as_bytes(text.substr(0, cut)), n);
    ASSERT_EQ(head.feed(as_bytes(text.substr(n)), m), Outcome::done) << cut;
    EXPECT_EQ(head.target(), "/path?q=1");
    EXPECT_EQ(head.method(), "GET");
    EXPECT_TRUE(head.is_http11());
    EXPECT_EQ(head.field_count(), 4u);
    EXPECT_EQ(head.value("HOST"), "example");
    EXPECT_EQ(head.count("empty"), 1u);
    EXPECT_EQ(head.value("empty"), "");
    EXPECT_EQ(head.count("absent"), 0u);
    EXPECT_EQ(head.values("x-list"), (std::vector<std::string_view>{"a, B ,,c", "d"}));
    EXPECT_TRUE(head.has_token("x-list", "b"));
    EXPECT_TRUE(head.has_token("x-list", "d"));
    EXPECT_FALSE(head.has_token("x-list", "a, B"));
  }
}

TEST(HttpHead, RefusesWhatTwoReadersCouldReadDifferently) {
  for (std::string bad : {
           "GET / HTTP/1.1\nHost: x\r\n\r\n",                // bare LF after the request line
           "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",        // bare LF between fields
           "GET / HTTP/1.1\r\nHost: x\r\n\n",                // bare LF as the empty line
           "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",   // folded line
           "GET / HTTP/1.1\r\nHost: x\r\n\tfolded\r\n\r\n",  //
           "GET / HTTP/1.1\r\nHost : x\r\n\r\n",             // blank before the colon
           "GET / HTTP/1.1\r\nHo st: x\r\n\r\n",             //
           "GET / HTTP/1.1\r\n: x\r\n\r\n",                  // no name
           "GET / HTTP/1.1\r\nHost\r\n\r\n",                 // no colon
           "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",           // bare CR
           "GET / HTTP/1.1\r\nHost: x\r\n\rX",               //
           "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",          // empty line first
           " GET / HTTP/1.1\r\n\r\n",                        //
           "GET /\r\n\r\n",                                  // HTTP/0.9
           "GET / HTTP/1.1 x\r\n\r\n",                       //
           "GET / FTP/1.1\r\n\r\n",                          //
           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",   // a TLS ClientHello
       }) {
    EXPECT_EQ(read_whole(bad), Outcome::malformed) << bad;
    EXPECT_EQ(read_bytewise(bad), Outcome::malformed) << bad;
  }
  EXPECT_EQ(read_whole(std::string("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27)), Outcome::malformed);
}

TEST(HttpHead, IsBoundedInBytes) {
  const std::string line = "GET / HTTP/1.1\r\n", field = "A: " + std::string(100, 'x') + "\r\n";
  HttpHeadLimits limits;
  limits.max_bytes = line.size() + field.size() + 3;
  EXPECT_EQ(read_whole(line + field + "\r\n", limits), Outcome::done);
  EXPECT_EQ(read_bytewise(line + field + "\r\n", limits), Outcome::done);
  limits.max_bytes -= 2;
  EXPECT_EQ(read_whole(line + field + "\r\n", limits), Outcome::too_large);
  EXPECT_EQ(read_bytewise(line + field + "\r\n", limits), Outcome::too_large);
  EXPECT_EQ(read_whole("GET /" + std::string(100000, 'a')), Outcome::too_large);
}

TEST(HttpHead, NoConfigurationRaisesItAbove64KiB) {
  HttpHeadLimits limits;
  limits.max_bytes = size_t{1} << 20;
  const std::string start = "GET / HTTP/1.1\r\nA: ";
  auto of_size = [&](size_t size) { return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n"; };
  EXPECT_EQ(read_whole(of_size(65534), limits), Outcome::done);
  EXPECT_EQ(read_whole(of_size(65536), limits), Outcome::too_large);
  EXPECT_EQ(read_whole(of_size(200000), limits), Outcome::too_large);
}

TEST(HttpHead, IsBoundedInFields) {
  std::string text = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 64; ++i) text += "A: b\r\n";
  EXPECT_EQ(read_whole(text + "\r\n"), Outcome::done);
  EXPECT_EQ(read_whole(text + "A: b\r\n\r\n"), Outcome::too_large);
  EXPECT_EQ(read_bytewise(text + "A: b\r\n\r\n"), Outcome::too_large);
}

TEST(HttpHead, SurvivesBeingMovedHalfWay) {
  HttpHead first(HttpHead::Kind::response, {});
  size_t n = 0;
  ASSERT_EQ(first.feed(as_bytes("HTTP/1.1 503 Busy\r\nRetry-"), n), Outcome::need_more);
  HttpHead second = std::move(first);
  ASSERT_EQ(second.feed(as_bytes("After: 7\r\n\r\nbody"), n), Outcome::done);
  EXPECT_EQ(n, 12u);
  EXPECT_EQ(second.status(), 503);
  EXPECT_EQ(second.value("retry-after"), "7");
}

TEST(HttpText, TokensAndLists) {
  EXPECT_TRUE(is_token("smartvpn.v1"));
  for (const char* bad : {"", "a b", "a,b", "a/b", "\"a\"", "\x80"}) EXPECT_FALSE(is_token(bad)) << bad;
  EXPECT_EQ(split_list(" a ,\tb,, c"), (std::vector<std::string_view>{"a", "b", "c"}));
  EXPECT_TRUE(split_list(" , ").empty());
  EXPECT_TRUE(equal_any_case("UpGrade", "upgrade"));
  EXPECT_FALSE(equal_any_case("upgrade", "upgraded"));
}

}  // namespace
}  // namespace smartvpn::ws
