// What is known of a connection by its first bytes, in any pieces.
#include "relay/first_words.hpp"

#include <gtest/gtest.h>

#include "support/hello_bytes.hpp"

namespace smartvpn::relay::hello_testing {
namespace {

struct Heard {
  bool known = false;
  std::string host;
  uint16_t tls_version = 0;
  size_t fed = 0;  // bytes given until it was known
  friend bool operator==(const Heard&, const Heard&) = default;
  friend void PrintTo(const Heard& heard, std::ostream* out) {
    *out << (heard.known ? "known \"" : "unknown \"") << heard.host << "\" " << heard.tls_version << " after "
         << heard.fed;
  }
};

Heard hear(ByteView stream, size_t piece = SIZE_MAX) {
  FirstWords words;
  size_t at = 0;
  bool known = false;
  while (at < stream.size() && !known) {
    const ByteView part = stream.subspan(at, std::min(piece, stream.size() - at));
    known = words.feed(part) == FirstWords::Result::known;
    at += part.size();
  }
  return {known, words.host, words.tls_version, at};
}
// Byte by byte; any other cut has to tell the same.
Heard hear_any(ByteView stream) {
  const Heard bytewise = hear(stream, 1);
  for (size_t piece : {size_t{2}, size_t{3}, size_t{5}, size_t{64}, size_t{1460}, SIZE_MAX}) {
    Heard got = hear(stream, piece);
    EXPECT_GE(got.fed, bytewise.fed);
    EXPECT_LT(got.fed - bytewise.fed, piece);
    got.fed = bytewise.fed;
    EXPECT_EQ(got, bytewise) << piece;
  }
  return bytewise;
}
Heard hear_any(std::string_view stream) { return hear_any(as_bytes(stream)); }

TEST(FirstWords, ANameInAClientHello) {
  EXPECT_EQ(hear_any(openssl_tls12()), (Heard{true, "vpn.example.com", kTls12, openssl_tls12().size()}));
  EXPECT_EQ(hear_any(openssl_tls13()), (Heard{true, "vpn.example.com", kTls13, openssl_tls13().size()}));
  EXPECT_EQ(hear_any(greased()), (Heard{true, "grease.example", kTls13, greased().size()}));
}

TEST(FirstWords, AHelloWithoutANameIsTlsAllTheSame) {
  for (const Bytes& extensions : {Bytes(), alpn({"h2"}), server_name("192.0.2.1"), server_name("not a name")}) {
    const Bytes stream = hello(extensions);
    EXPECT_EQ(hear_any(stream), (Heard{true, "", kTls12, stream.size()}));
  }
  const Bytes old = records(hello_message(server_name("old.test"), 0x0301));
  EXPECT_EQ(hear_any(old), (Heard{true, "old.test", 0x0301, old.size()}));
}

TEST(FirstWords, AHelloInManyRecordsAndWithMoreBehindIt) {
  const Bytes message = hello_message(extension(21, Bytes(20000)) + server_name("large.test"));
  for (size_t fragment : {16384, 100}) {
    const Bytes stream = records(message, fragment);
    EXPECT_EQ(hear(stream + Bytes(500, 7)), (Heard{true, "large.test", kTls12, stream.size() + 500}));
    EXPECT_EQ(hear(stream, 1), (Heard{true, "large.test", kTls12, stream.size()}));
  }
}

TEST(FirstWords, TheHostOfARequest) {
  const std::string request = "GET /a HTTP/1.1\r\nHost: A.Example.COM.:8080\r\nX: y\r\n\r\n";
  EXPECT_EQ(hear_any(request), (Heard{true, "a.example.com", 0, request.size()}));
  const std::string literal = "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n";
  EXPECT_EQ(hear_any(literal), (Heard{true, "2001:db8::1", 0, literal.size()}));
  const std::string proxied = "CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n";
  EXPECT_EQ(hear_any(proxied), (Heard{true, "b.test", 0, proxied.size()}));
  EXPECT_EQ(hear(as_bytes(request + std::string(1000, 'b'))).host, "a.example.com");
}

TEST(FirstWords, WhatIsNeitherIsKnownAtTheByteThatTells) {
  struct Case {
    std::string_view stream;
    size_t at;
  } cases[] = {{"SSH-2.0-OpenSSH_9.6\r\n", 2},
               {"\x15\x03\x03\x00\x02", 1},
               {"\r\n\r\n", 1},
               {"\x16\x02\x01", 2},
               {"\x16G", 2},
               {"PROXY TCP4 ", 4}};
  for (const auto& [stream, at] : cases) {
    const Heard heard = hear_any(stream);
    EXPECT_EQ(heard, (Heard{true, "", 0, at})) << stream;
  }
}

TEST(FirstWords, WhatIsBrokenHasNoName) {
  const Bytes good = hello(server_name("a.test"));
  Bytes wrong_type = good, long_record = good, cut_inside = good;
  wrong_type[5] = 2;  // a ServerHello
  long_record[3] = 0xff;
  cut_inside[8] = static_cast<uint8_t>(cut_inside[8] - 1);
  for (const Bytes& stream : {wrong_type, long_record, cut_inside}) {
    const Heard heard = hear_any(stream);
    EXPECT_TRUE(heard.known);
    EXPECT_EQ(heard.host + "/" + std::to_string(heard.tls_version), "/0");
  }
  for (std::string_view request : {"GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                                   "GET / HTTP/1.1\nHost: a.test\n\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                                   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/0.9\r\nHost: a.test\r\n\r\n"}) {
    const Heard heard = hear_any(request);
    EXPECT_TRUE(heard.known) << request;
    EXPECT_EQ(heard.host, "") << request;
  }
}

TEST(FirstWords, WhatIsTooLargeIsKnownToHaveNoNameWithinItsBounds) {
  const Bytes announced = record(Bytes{1, 0xff, 0xff, 0xff});
  EXPECT_EQ(hear_any(announced), (Heard{true, "", 0, announced.size()}));
  Bytes message = hello_message(extension(21, Bytes(65000)) + server_name("a.test"));
  Bytes stream = records(message, 20);  // with its records' headers too much
  const Heard heard = hear(stream, 1);
  EXPECT_EQ(heard, (Heard{true, "", 0, ClientHelloMachine::kMaxSize}));
  const std::string request = "GET / HTTP/1.1\r\nX: " + std::string(100000, 'x');
  EXPECT_EQ(hear(as_bytes(request), 1), (Heard{true, "", 0, HttpHostMachine::kMaxSize}));
}

TEST(FirstWords, NothingIsKnownBeforeTheEnd) {
  for (const Bytes& stream : {openssl_tls13(), greased()}) {
    const ByteView most = ByteView(stream).first(stream.size() - 1);
    EXPECT_EQ(hear_any(most), (Heard{false, "", 0, most.size()}));
  }
  EXPECT_EQ(hear_any("GET / HTTP/1.1\r\nHost: a.test\r\n\r"), (Heard{false, "", 0, 31}));
}

TEST(FirstWords, WhatIsKnownStaysKnown) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
  for (const Bytes& stream : {openssl_tls13(), Bytes(request.begin(), request.end()), Bytes{'S', 'S', 'H'}}) {
    FirstWords words;
    ASSERT_EQ(words.feed(stream), FirstWords::Result::known);
    const std::string host = words.host;
    const uint16_t version = words.tls_version;
    for (const Bytes& more : {Bytes(), Bytes{1}, hello(server_name("b.test")), stream}) {
      EXPECT_EQ(words.feed(more), FirstWords::Result::known);
      EXPECT_EQ(words.host, host);
      EXPECT_EQ(words.tls_version, version);
    }
  }
}

TEST(FirstWords, EmptyPiecesMeanNothing) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const std::string secure(as_text(hello(server_name("a.test"))));
  for (const std::string& stream : {request, secure}) {
    FirstWords words;
    for (size_t i = 0; i < stream.size(); ++i) {
      ASSERT_EQ(words.feed({}), FirstWords::Result::need_more);
      ASSERT_EQ(words.feed(as_bytes(stream.substr(i, 1))) == FirstWords::Result::known, i + 1 == stream.size());
    }
    EXPECT_EQ(words.host, "a.test");
  }
}

}  // namespace
}  // namespace smartvpn::relay::hello_testing
