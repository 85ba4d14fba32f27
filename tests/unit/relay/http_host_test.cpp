#include "relay/http_host.hpp"

#include <gtest/gtest.h>

namespace smartvpn::relay {
namespace {

using namespace std::string_literals;
using HostState = HttpHostMachine::State;

struct HostRead {
  HostState state = HostState::need_more;
  std::string host;
  size_t fed = 0;  // bytes given until the state was final
  friend bool operator==(const HostRead&, const HostRead&) = default;
};

HostRead read_host(std::string_view text, size_t piece = SIZE_MAX) {
  HttpHostMachine machine;
  size_t at = 0;
  while (at < text.size() && machine.state() == HostState::need_more) {
    const std::string_view part = text.substr(at, piece);
    machine.feed(as_bytes(part));
    at += part.size();
  }
  return {machine.state(), machine.host(), at};
}

// The same in any pieces.
HostRead read_host_any(std::string_view text) {
  const HostRead bytewise = read_host(text, 1);
  for (size_t piece : {size_t{2}, size_t{7}, SIZE_MAX}) {
    const HostRead got = read_host(text, piece);
    EXPECT_EQ(got.state, bytewise.state) << text << " " << piece;
    EXPECT_EQ(got.host, bytewise.host) << text << " " << piece;
  }
  return bytewise;
}
HostState host_state(std::string_view text) { return read_host_any(text).state; }
std::string host_told(std::string_view text) {
  const HostRead got = read_host_any(text);
  EXPECT_EQ(got.state, HostState::done) << text;
  return got.host;
}
std::string get_request(std::string_view fields) { return "GET / HTTP/1.1\r\n" + std::string(fields) + "\r\n"; }

TEST(HttpHost, ReadsTheHostOfAnyCut) {
  const std::string head =
      "GET /a?b=c HTTP/1.1\r\nAccept: */*\r\nhOsT: \t Example.COM.:8080 \t\r\nX-Host: other\r\n\r\n";
  for (size_t cut = 0; cut <= head.size(); ++cut) {
    HttpHostMachine machine;
    const HostState first = machine.feed(as_bytes(head.substr(0, cut)));
    EXPECT_EQ(first, cut == head.size() ? HostState::done : HostState::need_more) << cut;
    ASSERT_EQ(machine.feed(as_bytes(head.substr(cut) + "body")), HostState::done) << cut;
    EXPECT_EQ(machine.host(), "example.com");
  }
  EXPECT_EQ(read_host(head + "body", 1), (HostRead{HostState::done, "example.com", head.size()}));
}

TEST(HttpHost, AddressesAreHosts) {
  EXPECT_EQ(host_told(get_request("Host: 192.0.2.1\r\n")), "192.0.2.1");
  EXPECT_EQ(host_told(get_request("Host: [2001:DB8::1]:80\r\n")), "2001:db8::1");
  EXPECT_EQ(host_told(get_request("Host: [::ffff:192.0.2.1]\r\n")), "192.0.2.1");
}

TEST(HttpHost, OtherProtocolsAreKnownAtTheFirstByteThatTells) {
  const std::pair<std::string, size_t> cases[] = {{"\x16\x03\x01"s, 1},
                                                  {"\0"s, 1},
                                                  {"SSH-2.0-OpenSSH_9.2\r\n", 2},
                                                  {"EHLO a\r\n", 1},
                                                  {"\r\n", 1},
                                                  {"\nGET / HTTP/1.1\r\n", 1},
                                                  {"GET\x01"s, 4},
                                                  {"GETS / HTTP/1.1\r\n", 4},
                                                  {"get /", 1},
                                                  {"Q", 1},
                                                  {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 3},
                                                  {"PROXY TCP4 ", 4}};
  for (const auto& [text, bytes] : cases) {
    EXPECT_EQ(read_host(text, 1), (HostRead{HostState::not_http, "", bytes})) << text;
    EXPECT_EQ(read_host(text).state, HostState::not_http) << text;
  }
}

TEST(HttpHost, ARequestLineOfAnotherProtocolOrVersionIsNotHttp) {
  for (std::string_view line :
       {"GET /", "GET / HTTP/0.9", "GET / HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/1.10", "OPTIONS rtsp://a/ RTSP/1.0",
        "DESCRIBE rtsp://a/ RTSP/1.0", "SOURCE /a ICE/1.0", "OPTIONS * SIP/2.0", "GET /a b HTTP/1.1", "GET / http/1.1"})
    EXPECT_EQ(host_state(std::string(line) + "\r\nHost: a\r\n\r\n"), HostState::not_http) << line;
}

TEST(HttpHost, NoHostOrTwoAreMalformed) {
  EXPECT_EQ(host_state(get_request("")), HostState::malformed);
  EXPECT_EQ(host_state(get_request("Hos: a\r\nHostx: b\r\nX-Host: c\r\n")), HostState::malformed);
  EXPECT_EQ(host_state(get_request("Host: a\r\nHost: b\r\n")), HostState::malformed);
  EXPECT_EQ(host_state(get_request("Host: a\r\nX: y\r\nhost: a\r\n")), HostState::malformed);
  EXPECT_EQ(host_state(get_request("Host: a, b\r\n")), HostState::malformed);
  EXPECT_EQ(host_state("GET / HTTP/1.0\r\n\r\n"), HostState::malformed);
}

TEST(HttpHost, ASecondHostIsFoundHoweverLate) {
  const std::string filler = "X: " + std::string(15000, 'x') + "\r\n";
  EXPECT_EQ(host_told(get_request("Host: a\r\n" + filler)), "a");
  EXPECT_EQ(host_state(get_request("Host: a\r\n" + filler + "Host: a\r\n")), HostState::malformed);
}

TEST(HttpHost, WhatIsNoHostIsMalformed) {
  for (std::string_view value :
       {"", " ", "a b", "a:", "a:x", "a:65536", "a@b", "user@a", "a/b", "[::1", "::1", "*", "a..b", "http://a",
        "b\xc3\xbc"
        "cher",
        "\"a\""})
    EXPECT_EQ(host_state(get_request("Host: " + std::string(value) + "\r\n")), HostState::malformed) << value;
  EXPECT_EQ(host_state(get_request("Host: a\0b\r\n"s)), HostState::malformed);
  EXPECT_EQ(host_state(get_request("Host: " + std::string(64, 'a') + "\r\n")), HostState::malformed);
  // Longer than what is kept of it, and right as far as that goes.
  EXPECT_EQ(
      host_state(get_request("Host: " + std::string("a.") + std::string(63, 'b') + std::string(400, ' ') + "c\r\n")),
      HostState::malformed);
}

TEST(HttpHost, TheLongestHostWithPortIsRead) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  EXPECT_EQ(host_told(get_request("Host: " + longest + ".:65535\r\n")), longest);
  EXPECT_EQ(host_told("GET https://" + longest + ".:65535/" + std::string(5000, 'p') + " HTTP/1.1\r\nHost: a\r\n\r\n"),
            longest);
}

TEST(HttpHost, AbsoluteFormWinsOverHost) {
  EXPECT_EQ(host_told("GET http://A.example:8080/x HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example");
  EXPECT_EQ(host_told("GET http://a.example HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example");
  EXPECT_EQ(host_told("GET http://a.example?q=http://c/ HTTP/1.1\r\nHost: b\r\n\r\n"), "a.example");
  EXPECT_EQ(host_told("GET https://[2001:db8::1]:8/ HTTP/1.1\r\nHost: b\r\n\r\n"), "2001:db8::1");
  EXPECT_EQ(host_told("GET http://a.example/ HTTP/1.0\r\n\r\n"), "a.example");
}

TEST(HttpHost, AbsoluteFormDoesNotExcuseAWrongHost) {
  for (std::string_view fields : {"", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host:\r\n"})
    EXPECT_EQ(host_state("GET http://a/ HTTP/1.1\r\n" + std::string(fields) + "\r\n"), HostState::malformed) << fields;
}

TEST(HttpHost, AWrongAuthorityInTheTargetIsMalformed) {
  for (std::string_view target : {"http:///x", "http://?x", "http://u@a/", "http://a:b/", "http://a..b/", "http:a", "a",
                                  "http://a#b", "*a", "http://\xff/"})
    EXPECT_EQ(host_state("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n"), HostState::malformed)
        << target;
  EXPECT_EQ(host_state("GET " + std::string(400, 's') + "://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), HostState::malformed);
  // Cut where it would still be a name.
  EXPECT_EQ(host_state("GET http://" + std::string(313, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), HostState::malformed);
}

TEST(HttpHost, OriginAndAsteriskFormsLeaveItToHost) {
  EXPECT_EQ(host_told("GET //a.example/x HTTP/1.1\r\nHost: b\r\n\r\n"), "b");
  EXPECT_EQ(host_told("GET /http://a.example/x HTTP/1.1\r\nHost: b\r\n\r\n"), "b");
  EXPECT_EQ(host_told("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: b\r\n\r\n"), "b");
  EXPECT_EQ(host_told("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n"), "b");
}

TEST(HttpHost, ConnectNamesAuthorityAndPort) {
  EXPECT_EQ(host_told("CONNECT A.example:443 HTTP/1.1\r\nHost: b\r\n\r\n"), "a.example");
  EXPECT_EQ(host_told("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: b\r\n\r\n\x16\x03\x01"), "2001:db8::1");
  EXPECT_EQ(host_told("CONNECT 192.0.2.1:443 HTTP/1.0\r\n\r\n"), "192.0.2.1");
  for (std::string_view target :
       {"a", "a:", "a:70000", "/", "*", "http://a:443", "http://a:443/", "a:443/x", "u@a:443"})
    EXPECT_EQ(host_state("CONNECT " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n"), HostState::malformed)
        << target;
}

// Each is a way for two readers to see different hosts.
TEST(HttpHost, LibertiesOfOtherReadersAreMalformed) {
  for (const std::string& head :
       {"GET / HTTP/1.1\nHost: a\n\n"s, "GET / HTTP/1.1\r\nX: y\nHost: a\r\n\r\n"s,
        "GET / HTTP/1.1\r\nX: y\rHost: a\r\n\r\n"s, "GET / HTTP/1.1\r\nX: y\r\n Host: b\r\nHost: a\r\n\r\n"s,
        "GET / HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n"s, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"s,
        "GET / HTTP/1.1\r\nHost\t: b\r\nHost: a\r\n\r\n"s, "GET / HTTP/1.1\r\nHost\0: b\r\nHost: a\r\n\r\n"s,
        "GET / HTTP/1.1\r\n(Host): b\r\nHost: a\r\n\r\n"s, "GET / HTTP/1.1\r\nHost\r\nHost: a\r\n\r\n"s,
        "GET / HTTP/1.1\r\n: b\r\nHost: a\r\n\r\n"s, "GET / HTTP/1.1\r\nX: a\0b\r\nHost: a\r\n\r\n"s,
        "GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n"s, "GET /\fx HTTP/1.1\r\nHost: a\r\n\r\n"s,
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"s, "GET / HTTP/1.1\r\nHost: a\r\n\rX"s})
    EXPECT_EQ(host_state(head), HostState::malformed) << head;
}

// llhttp takes it for HTTP/0.9, in which the version is the target's end.
TEST(HttpHost, AVersionThatIsPartOfTheTargetIsNone) {
  EXPECT_EQ(host_state("GET  /wsHTTP/1.1\r\nHost: a\r\n\r\n"), HostState::malformed);
  EXPECT_EQ(host_state("GET  HTTP/1.1\r\nHost: a\r\n\r\n"), HostState::malformed);
  EXPECT_EQ(host_state("GET /wsHTTP/1.1\r\nHost: a\r\n\r\n"), HostState::not_http);
}

TEST(HttpHost, WhatIsBehindTheHeadIsNotLookedAt) {
  EXPECT_EQ(host_told(get_request("Host: a\r\nContent-Length: 4\r\n") + "\0\r\n\nGET / HTTP/1.1\r\nHost: b\r\n\r\n"s),
            "a");
  EXPECT_EQ(host_told(get_request("Host: a\r\nTransfer-Encoding: chunked\r\n") + "zzz"), "a");
  EXPECT_EQ(host_told(get_request("Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n") + "\x82\x01x"), "a");
}

TEST(HttpHost, TheHeadIsBounded) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ", end = "\r\n\r\n";
  const size_t filler = HttpHostMachine::kMaxSize - start.size() - end.size();
  EXPECT_EQ(host_told(start + std::string(filler, 'x') + end), "a");
  EXPECT_EQ(host_state(start + std::string(filler + 1, 'x') + end), HostState::too_large);
  EXPECT_EQ(read_host(start + std::string(99999, 'x'), 1).fed, HttpHostMachine::kMaxSize);
  EXPECT_EQ(host_state("GET /" + std::string(99999, 'x')), HostState::too_large);
  EXPECT_EQ(host_state(get_request("Host: a\r\n").substr(0, 20)), HostState::need_more);
}

TEST(HttpHost, AFinalStateRepeats) {
  for (const std::string& text : {get_request("Host: a\r\n"), "\x16"s, get_request("")}) {
    HttpHostMachine machine;
    EXPECT_EQ(machine.feed({}), HostState::need_more);
    const HostState final = machine.feed(as_bytes(text));
    ASSERT_NE(final, HostState::need_more);
    EXPECT_EQ(machine.feed(as_bytes(get_request("Host: b\r\n"))), final);
    EXPECT_EQ(machine.feed({}), final);
    EXPECT_EQ(machine.host(), final == HostState::done ? "a" : "");
  }
}

TEST(HttpHost, AMachineMovesInTheMiddle) {
  HttpHostMachine first;
  first.feed(as_bytes("GET / HTTP/1.1\r\nHost: exam"));
  HttpHostMachine second = std::move(first);
  EXPECT_EQ(second.feed(as_bytes("ple\r\n\r\n")), HostState::done);
  EXPECT_EQ(second.take_host(), "example");
}

}  // namespace
}  // namespace smartvpn::relay
