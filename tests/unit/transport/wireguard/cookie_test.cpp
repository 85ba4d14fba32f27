// mac1, mac2 and the cookies between them; the recorded exchange of wireguard-go under load.
#include "transport/wireguard/cookie.hpp"

#include <gtest/gtest.h>

#include "support/fixed_rng.hpp"
#include "support/vector_files.hpp"

namespace smartvpn::wireguard {
namespace {

using testing::unhex;

inet::Endpoint at(const char* text) { return *inet::Endpoint::parse(text); }

struct CookieCase {
  SecretKey secret() {
    SecretKey out;
    rng.fill(out.span());
    return out;
  }
  Bytes marked(size_t size = kInitiationSize) {
    Bytes message(size, 7);
    generator.add_macs(message, now);
    return message;
  }
  testing::SeededRng rng{5};
  Identity own{secret()};
  CookieChecker checker{own, secret()};
  CookieGenerator generator{own.key.pub};
  Time now{seconds(120 * 1000)};  // the beginning of a period
  inet::Endpoint from = at("192.0.2.7:51820");
};

TEST(WireguardChecklist, Mac1WrongAnywhereIsFound) {
  CookieCase c;
  for (const size_t size : {kInitiationSize, kResponseSize}) {
    Bytes message = c.marked(size);
    EXPECT_TRUE(c.checker.mac1_ok(message));
    for (size_t i = 0; i < size - 16; ++i) {  // mac2 is not under mac1
      message[i] ^= 0x80;
      EXPECT_FALSE(c.checker.mac1_ok(message)) << i;
      message[i] ^= 0x80;
    }
  }
  const Identity another(c.secret());
  c.checker.set_identity(another);
  EXPECT_FALSE(c.checker.mac1_ok(c.marked())) << "made for another key";
}

TEST(WireguardChecklist, ACookieMakesMac2AndOnlyForItsAddressAndPort) {
  for (const size_t size : {kInitiationSize, kResponseSize}) {
    for (const char* source : {"192.0.2.7:51820", "[2001:db8::7]:51820"}) {
      CookieCase c;
      c.from = at(source);
      Bytes message = c.marked(size);
      EXPECT_FALSE(c.checker.mac2_ok(message, c.from, c.now));
      EXPECT_TRUE(std::all_of(message.end() - 16, message.end(), [](uint8_t b) { return b == 0; }));
      const auto reply = c.checker.reply(message, c.from, c.now, c.rng);
      EXPECT_EQ(receiver_index(reply, MessageType::cookie_reply), sender_index(message));
      ASSERT_TRUE(c.generator.take_reply(reply, c.now));
      message = c.marked(size);
      EXPECT_TRUE(c.checker.mac1_ok(message));
      EXPECT_TRUE(c.checker.mac2_ok(message, c.from, c.now));
      EXPECT_FALSE(c.checker.mac2_ok(message, at("192.0.2.8:51820"), c.now));
      EXPECT_FALSE(c.checker.mac2_ok(message, at("[2001:db8::8]:51820"), c.now));
      EXPECT_FALSE(c.checker.mac2_ok(message, {c.from.ip, 51821}, c.now));
      for (const size_t i : {size_t{0}, size_t{60}, size - 17, size - 16, size - 1}) {
        message[i] ^= 1;
        EXPECT_FALSE(c.checker.mac2_ok(message, c.from, c.now)) << i;
        message[i] ^= 1;
      }
    }
  }
}

TEST(WireguardChecklist, ACookieReplyIsBoundToTheMessageItAnswersAndTakenOnce) {
  CookieCase c;
  const Bytes message = c.marked();
  const auto reply = c.checker.reply(message, c.from, c.now, c.rng);
  EXPECT_FALSE(CookieGenerator(c.own.key.pub).take_reply(reply, c.now)) << "nothing was sent";
  for (size_t i = 8; i < reply.size(); ++i) {
    auto damaged = reply;
    damaged[i] ^= 1;
    EXPECT_FALSE(c.generator.take_reply(damaged, c.now)) << i;
  }
  EXPECT_FALSE(c.generator.has_cookie(c.now));
  Bytes changed(message);
  changed[20] ^= 1;
  c.generator.add_macs(changed, c.now);  // associated data is its mac1 from here on
  EXPECT_FALSE(c.generator.take_reply(reply, c.now));
  ASSERT_TRUE(c.generator.take_reply(c.checker.reply(changed, c.from, c.now, c.rng), c.now));
  EXPECT_FALSE(c.generator.take_reply(c.checker.reply(changed, c.from, c.now, c.rng), c.now));
}

TEST(WireguardChecklist, ACookieIsDroppedAfterTwoMinutesOnBothSides) {
  CookieCase c;
  Bytes message = c.marked();
  ASSERT_TRUE(c.generator.take_reply(c.checker.reply(message, c.from, c.now, c.rng), c.now));
  EXPECT_TRUE(c.generator.has_cookie(c.now + kCookieLifetime - Duration{1}));
  EXPECT_FALSE(c.generator.has_cookie(c.now + kCookieLifetime));
  message = c.marked();
  EXPECT_TRUE(c.checker.mac2_ok(message, c.from, c.now + kCookieLifetime - Duration{1}));
  EXPECT_FALSE(c.checker.mac2_ok(message, c.from, c.now + kCookieLifetime)) << "another secret";
  c.now += kCookieLifetime;
  message = c.marked();
  EXPECT_TRUE(std::all_of(message.end() - 16, message.end(), [](uint8_t b) { return b == 0; }));
}

TEST(WireguardMessages, ShardsOfOneSeedTakeEachOthersCookies) {
  CookieCase c;
  const SecretKey seed = c.secret();
  CookieChecker one(c.own, seed.clone()), other(c.own, seed.clone()), stranger(c.own, c.secret());
  ASSERT_TRUE(c.generator.take_reply(one.reply(c.marked(), c.from, c.now, c.rng), c.now));
  const Bytes message = c.marked();
  EXPECT_TRUE(other.mac2_ok(message, c.from, c.now));
  EXPECT_FALSE(stranger.mac2_ok(message, c.from, c.now));
}

TEST(WireguardChecklist, RecordedCookieExchangeByteExact) {
  const auto file = testing::load_vectors("wireguard_wire.json");
  const auto& session = file["sessions"][2];
  const auto& messages = session["messages"];
  const Time now{seconds(9)};
  CookieGenerator generator(testing::unhex_array<32>(session["responder_static_public"]));
  const Identity responder(testing::unhex_secret(session["responder_static_private"]));
  const CookieChecker checker(responder, SecretKey());
  Bytes first = unhex(messages[0]["hex"]), second = unhex(messages[2]["hex"]);
  EXPECT_TRUE(checker.mac1_ok(first));
  EXPECT_TRUE(checker.mac1_ok(second));
  Bytes blank = first;
  std::fill(blank.end() - 32, blank.end(), uint8_t{0});
  generator.add_macs(blank, now);
  EXPECT_EQ(to_hex(blank), to_hex(first));
  ASSERT_TRUE(generator.take_reply(unhex(messages[1]["hex"]), now));
  blank = second;
  std::fill(blank.end() - 32, blank.end(), uint8_t{0});
  generator.add_macs(blank, now);
  EXPECT_EQ(to_hex(blank), to_hex(second));
}

}  // namespace
}  // namespace smartvpn::wireguard
