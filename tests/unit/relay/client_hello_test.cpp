#include "relay/client_hello.hpp"

#include <gtest/gtest.h>

#include "support/hello_bytes.hpp"

namespace smartvpn::relay::hello_testing {
namespace {

using State = ClientHelloMachine::State;

// 20 KB of which the name stands at the end, behind the first record.
Bytes large_message() { return hello_message(extension(21, Bytes(20000)) + server_name("large.example")); }

TEST(ClientHello, RecordedTls12) {
  const auto got = read_hello(openssl_tls12());
  ASSERT_EQ(got.state, State::done);
  EXPECT_EQ(got.hello.server_name, "vpn.example.com");
  EXPECT_EQ(got.hello.alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(got.hello.versions, std::vector<uint16_t>{kTls12});
}

TEST(ClientHello, RecordedTls13) {
  const auto got = read_hello(openssl_tls13());
  ASSERT_EQ(got.state, State::done);
  EXPECT_EQ(got.hello.server_name, "vpn.example.com");
  EXPECT_EQ(got.hello.alpn, (std::vector<std::string>{"h2", "http/1.1"}));
  EXPECT_EQ(got.hello.versions, (std::vector<uint16_t>{kTls13, kTls12}));
  EXPECT_STREQ(version_name(got.hello.highest_version()), "TLSv1.3");
}

TEST(ClientHello, GreaseMeansNothing) {
  const auto got = read_hello(greased());
  ASSERT_EQ(got.state, State::done);
  EXPECT_EQ(got.hello, (ClientHello{"grease.example", {"h2", "http/1.1"}, {kTls13, kTls12}}));
}

TEST(ClientHello, EverySingleCutGivesTheSameHello) {
  for (const Bytes& stream : {openssl_tls12(), openssl_tls13(), greased()}) {
    const auto whole = read_hello(stream);
    for (size_t cut = 0; cut <= stream.size(); ++cut) {
      ClientHelloMachine machine;
      const State first = machine.feed(ByteView(stream).first(cut));
      EXPECT_EQ(first, cut == stream.size() ? State::done : State::need_more);
      ASSERT_EQ(machine.feed(ByteView(stream).subspan(cut)), State::done) << cut;
      EXPECT_EQ(machine.hello(), whole.hello) << cut;
    }
  }
}

TEST(ClientHello, AnyRecordsInAnyPieces) {
  const Bytes message = hello_message(server_name("a.example") + alpn({"h2"}));
  const auto whole = read_hello(records(message));
  ASSERT_EQ(whole.state, State::done);
  for (size_t fragment = 1; fragment <= message.size(); ++fragment)
    for (size_t piece : {1, 2, 3, 5, 7, 64}) {
      const auto got = read_hello(records(message, fragment), piece);
      ASSERT_EQ(got.state, State::done) << fragment << " " << piece;
      EXPECT_EQ(got.hello, whole.hello);
    }
}

TEST(ClientHello, LargerThanOneRecord) {
  for (size_t fragment : {16384, 1000, 7})
    for (size_t piece : {size_t{1}, size_t{1460}, SIZE_MAX}) {
      const auto got = read_hello(records(large_message(), fragment), piece);
      ASSERT_EQ(got.state, State::done) << fragment << " " << piece;
      EXPECT_EQ(got.hello.server_name, "large.example");
    }
}

TEST(ClientHello, OtherProtocolsAreKnownAtTheFirstByteThatTells) {
  for (std::string_view text :
       {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x15\x03\x03", "\x17\x03\x03", "\x80\x2e\x01", "\n"})
    EXPECT_EQ(read_hello(as_bytes(text), 1), (Told{State::not_tls, {}, 1})) << text;
  EXPECT_EQ(read_hello(as_bytes("\x16\x02\x01\x01"), 1), (Told{State::not_tls, {}, 2}));
  EXPECT_EQ(read_hello(as_bytes("\x16"), 1).state, State::need_more);
  EXPECT_EQ(read_hello(as_bytes("\x16\x03\xff"), 1).state, State::need_more);
}

TEST(ClientHello, AnotherRecordInTheMiddleIsMalformed) {
  const Bytes message = hello_message(server_name("a"));
  const Bytes half = record(ByteView(message).first(50));
  EXPECT_EQ(read_hello(half + record(ByteView(message).subspan(50)), 1).state, State::done);
  EXPECT_EQ(read_hello(half + record(ByteView(message).subspan(50), 23), 1),
            (Told{State::malformed, {}, half.size() + 1}));
  EXPECT_EQ(read_hello(half + from_hex("1602").value(), 1), (Told{State::malformed, {}, half.size() + 2}));
}

TEST(ClientHello, OtherHandshakeMessagesAreMalformedAtTheirType) {
  for (uint8_t type : Bytes{0, 2, 11, 16, 255})
    EXPECT_EQ(read_hello(record(Bytes{type}), 1), (Told{State::malformed, {}, 6})) << int{type};
}

TEST(ClientHello, ARecordOverTheProtocolsLimitIsMalformed) {
  EXPECT_EQ(read_hello(from_hex("1603014001").value(), 1), (Told{State::malformed, {}, 5}));
  EXPECT_EQ(read_hello(from_hex("1603014000").value(), 1).state, State::need_more);
}

TEST(ClientHello, TheMessageEndsItsRecord) {
  const Bytes message = hello_message(server_name("a"));
  EXPECT_EQ(read_hello(record(message + Bytes{0})).state, State::malformed);
  EXPECT_EQ(read_hello(record(message + message)).state, State::malformed);
}

TEST(ClientHello, WhatFollowsInRecordsOfItsOwnIsNotLookedAt) {
  const Bytes stream = hello(server_name("a")) + from_hex("140303000101ffffff").value();
  const auto got = read_hello(stream);
  EXPECT_EQ(got.state, State::done);
  EXPECT_EQ(got.hello.server_name, "a");
}

TEST(ClientHello, ALengthThatDoesNotFitTheMessageIsMalformed) {
  const Bytes body = fixed_part() + vector_of(2, server_name("a"));
  EXPECT_EQ(read_hello(record(Bytes{1} + number(body.size() - 1, 3) + body)).state, State::malformed);
  EXPECT_EQ(read_hello(record(Bytes{1} + number(body.size() + 1, 3) + body)).state, State::need_more);
  EXPECT_EQ(read_hello(record(Bytes{1} + number(body.size() + 1, 3) + body + Bytes{0})).state, State::malformed);
  EXPECT_EQ(read_hello(record(from_hex("01000000").value())).state, State::malformed);
}

TEST(ClientHello, AFewEmptyRecordsAreOverlookedNotMore) {
  const Bytes message = hello_message(server_name("a"));
  Bytes empty;
  for (size_t i = 0; i < ClientHelloMachine::kMaxEmptyRecords; ++i) append(empty, record({}));
  EXPECT_EQ(read_hello(empty + record(message)).state, State::done);
  EXPECT_EQ(read_hello(empty + record({}) + record(message), 1), (Told{State::malformed, {}, empty.size() + 5}));
  const Bytes between = record(ByteView(message).first(9)) + empty;
  EXPECT_EQ(read_hello(between + record(ByteView(message).subspan(9))).state, State::done);
  EXPECT_EQ(read_hello(between + record({}) + record(ByteView(message).subspan(9))).state, State::malformed);
}

TEST(ClientHello, AnAnnouncedSizeOverTheLimitIsTooLargeAtOnce) {
  const size_t most = ClientHelloMachine::kMaxSize - 4;
  EXPECT_EQ(read_hello(record(Bytes{1} + number(most + 1, 3)), 1), (Told{State::too_large, {}, 9}));
  EXPECT_EQ(read_hello(record(Bytes{1} + number(0xffffff, 3))).state, State::too_large);
  EXPECT_EQ(read_hello(record(Bytes{1} + number(most, 3))).state, State::need_more);
}

TEST(ClientHello, RecordsAreBoundedTogetherWithTheirHeaders) {
  // The largest that fits into kMaxSize: four records.
  const size_t padding = ClientHelloMachine::kMaxSize - 4 * 5 - hello_message(extension(21, {})).size();
  const Bytes largest = records(hello_message(extension(21, Bytes(padding))));
  ASSERT_EQ(largest.size(), ClientHelloMachine::kMaxSize);
  for (size_t piece : {size_t{1}, size_t{4096}, SIZE_MAX}) {
    EXPECT_EQ(read_hello(largest, piece).state, State::done);
    EXPECT_EQ(read_hello(records(hello_message(extension(21, Bytes(padding + 1)))), piece).state, State::too_large);
    // The same message of many small records, of which most is headers.
    EXPECT_EQ(read_hello(records(large_message(), 2), piece).state, State::too_large);
  }
  EXPECT_EQ(read_hello(records(large_message(), 2), 1).fed, ClientHelloMachine::kMaxSize);
}

TEST(ClientHello, AFinalStateRepeats) {
  for (const Bytes& stream : {hello(server_name("a")), Bytes{'G'}, record(Bytes{2})}) {
    ClientHelloMachine machine;
    const State final = machine.feed(stream);
    ASSERT_NE(final, State::need_more);
    const ClientHello before = machine.hello();
    EXPECT_EQ(machine.feed(hello(server_name("b"))), final);
    EXPECT_EQ(machine.feed({}), final);
    EXPECT_EQ(machine.state(), final);
    EXPECT_EQ(machine.hello(), before);
  }
}

TEST(ClientHello, NothingIsToldOfWhatIsMalformed) {
  const Bytes bad = hello(server_name("a.example") + alpn({"h2"}) + server_name("b.example"));
  EXPECT_EQ(read_hello(bad), (Told{State::malformed, {}, bad.size()}));
}

TEST(ClientHello, TakingLeavesTheHelloToTheTaker) {
  ClientHelloMachine machine;
  EXPECT_EQ(machine.feed({}), State::need_more);
  machine.feed(greased());
  EXPECT_EQ(machine.take().server_name, "grease.example");
}

}  // namespace
}  // namespace smartvpn::relay::hello_testing
