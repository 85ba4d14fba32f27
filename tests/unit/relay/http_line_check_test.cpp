#include "relay/http_line_check.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

using LineVerdict = HttpLineCheck::Verdict;

struct CheckedLines {
  LineVerdict verdict = LineVerdict::good;
  size_t good = 0;  // bytes
  bool ended = false;
  friend bool operator==(const CheckedLines&, const CheckedLines&) = default;
};

CheckedLines check_lines(std::string_view text, size_t piece = SIZE_MAX) {
  HttpLineCheck lines;
  size_t good = 0;
  while (good < text.size() && lines.verdict() == LineVerdict::good)
    good += lines.take(as_bytes(text.substr(good, piece)));
  return {lines.verdict(), good, lines.ended()};
}

void expect_lines(std::string_view text, LineVerdict verdict, size_t good) {
  for (size_t piece : {size_t{1}, size_t{2}, size_t{3}, SIZE_MAX}) {
    EXPECT_EQ(check_lines(text, piece).verdict, verdict) << text << " " << piece;
    EXPECT_EQ(check_lines(text, piece).good, good) << text << " " << piece;
  }
}

TEST(HttpLineCheck, GoodUpToTheEmptyLineAndBlindBehindIt) {
  const std::string_view head = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
  EXPECT_EQ(check_lines(head), (CheckedLines{LineVerdict::good, head.size(), true}));
  EXPECT_EQ(check_lines(head, 1), (CheckedLines{LineVerdict::good, head.size(), true}));
  EXPECT_FALSE(check_lines(head.substr(0, head.size() - 1)).ended);
  expect_lines("GET / HTTP/1.0\r\n\r\n\n\r \r\r body", LineVerdict::good, 28);
}

TEST(HttpLineCheck, EveryLineEndsInCrLf) {
  expect_lines("GET / HTTP/1.1\n", LineVerdict::bad_line, 14);
  expect_lines("GET / HTTP/1.1\r\r", LineVerdict::bad_line, 15);
  expect_lines("GET /\nHTTP/1.1\r\n", LineVerdict::bad_line, 5);
  expect_lines("GET / HTTP/1.1\r\nA: b\nC: d\r\n", LineVerdict::bad_line, 20);
  expect_lines("GET / HTTP/1.1\r\nA: b\rC: d\r\n", LineVerdict::bad_line, 21);
  expect_lines("GET / HTTP/1.1\r\nA: b\r\n\rX", LineVerdict::bad_line, 23);
  expect_lines("GET / HTTP/1.1\r\nA: b\r\n\n", LineVerdict::bad_line, 22);
}

TEST(HttpLineCheck, FoldedLinesAreBad) {
  expect_lines("GET / HTTP/1.1\r\n A: b\r\n", LineVerdict::bad_line, 16);
  expect_lines("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n", LineVerdict::bad_line, 22);
}

TEST(HttpLineCheck, TheFirstLineIsOfHttp1) {
  for (std::string_view line :
       {"GET /", "GET / HTTP/2.0", "GET / HTTP/0.9", "GET / RTSP/1.0", "GET / HTTP/1.2", "GET HTTP/1.1", "HTTP/1.1",
        "GET / HTTP/1.1\t", "GET / http/1.1", "GET /\tHTTP/1.1", "GET / xHTTP/1.1"})
    expect_lines(std::string(line) + "\r\n", LineVerdict::not_http, line.size());
  expect_lines("\r\nGET / HTTP/1.1\r\n", LineVerdict::not_http, 0);
  expect_lines("\nGET / HTTP/1.1\r\n", LineVerdict::not_http, 0);
}

TEST(HttpLineCheck, TheFirstLineHasTwoSpaces) {
  expect_lines("GET /a b HTTP/1.1\r\n", LineVerdict::bad_line, 8);
  expect_lines("GET  / HTTP/1.1\r\n", LineVerdict::bad_line, 4);
  expect_lines("GET /  HTTP/1.1\r\n", LineVerdict::bad_line, 6);
  expect_lines("GET  HTTP/1.1\r\n", LineVerdict::bad_line, 4);
  expect_lines("GET / HTTP/1.1 \r\n", LineVerdict::bad_line, 14);
  expect_lines(" GET / HTTP/1.1\r\n", LineVerdict::bad_line, 0);
}

}  // namespace
}  // namespace smartvpn::relay
