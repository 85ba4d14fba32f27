#include "server/authorizer.hpp"

#include <gtest/gtest.h>

namespace smartvpn::server {
namespace {

// The table with a host that can be looked over the shoulder: "5:none" is connection 5, let in.
class AuthorizerTest : public testing::Test {
 protected:
  using Texts = std::vector<std::string>;

  // The outcome at once, or "asked".
  std::string ask(uint64_t connection, const char* from = "198.51.100.7:1", uint64_t client = 1, uint8_t key = 1) {
    session::Connection who;
    who.id = connection;
    who.transport = transport;
    if (from) who.real_addr = *inet::Endpoint::parse(from);
    PublicKey own{};
    own[0] = key;
    const std::string name = "client" + std::to_string(client);
    auto outcome = table.ask({who, name, client, own}, limits, now, 1000);
    return outcome ? reason_name(outcome->reason) : "asked";
  }
  // The tokens of the requests that nobody has taken yet, which takes them.
  std::vector<uint64_t> requests() {
    std::vector<uint64_t> tokens;
    for (auto request = queue->next(0); request; request = queue->next(0)) tokens.push_back((*request)->token);
    return tokens;
  }
  bool allow(uint64_t token, Duration valid = Duration::zero()) {
    Authorizer::Answer answer;
    answer.allow = true;
    answer.valid = valid;
    return table.answer(token, answer, limits, now);
  }
  bool deny(uint64_t token, const std::string& detail = "") {
    Authorizer::Answer answer;
    answer.detail = detail;
    return table.answer(token, answer, limits, now);
  }

  std::shared_ptr<RequestQueue> queue = *RequestQueue::create();
  Authorizer::Limits limits{seconds(5), 4};
  Time now = Time(seconds(1000));
  session::Transport transport = session::Transport::websocket;
  Texts delivered;
  Authorizer::Outcome last;
  Authorizer table{queue, [this](uint64_t connection, const Authorizer::Outcome& outcome) {
                     delivered.push_back(std::to_string(connection) + ":" + reason_name(outcome.reason));
                     last = outcome;
                   }};
};

TEST_F(AuthorizerTest, TheFirstAnswerWinsAndLaterOnesFindNothing) {
  EXPECT_EQ(ask(5), "asked");
  auto tokens = requests();
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_LT(tokens[0], uint64_t{1} << 53);
  EXPECT_TRUE(deny(tokens[0], "not today"));
  EXPECT_EQ(last.detail, "not today");
  EXPECT_FALSE(allow(tokens[0]));
  EXPECT_FALSE(allow(0));
  EXPECT_FALSE(allow(tokens[0] + 1));
  EXPECT_EQ(delivered, Texts{"5:authorize_denied"});
  EXPECT_EQ(table.open(), 0u);
  EXPECT_EQ(table.next_deadline(), kNever);
}

TEST_F(AuthorizerTest, AReusedSlotIsAnotherToken) {
  ask(5);
  auto first = requests();
  allow(first[0]);
  ask(6);
  auto second = requests();
  EXPECT_NE(first[0], second[0]);
  EXPECT_FALSE(deny(first[0]));
  EXPECT_EQ(table.open(), 1u);
}

TEST_F(AuthorizerTest, ARetryJoinsAndTheAnswerIsForAll) {
  EXPECT_EQ(ask(5, "198.51.100.7:1"), "asked");
  EXPECT_EQ(ask(6, "198.51.100.7:2"), "asked");  // another port is the same address
  auto tokens = requests();
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_TRUE(allow(tokens[0]));
  EXPECT_EQ(delivered, (Texts{"5:none", "6:none"}));
}

TEST_F(AuthorizerTest, WhoIsSomebodyElseDoesNotJoin) {
  ask(1);
  ask(2, "198.51.100.8:1");
  ask(3, "198.51.100.7:1", 2);
  ask(4, "198.51.100.7:1", 1, 2);
  EXPECT_EQ(requests().size(), 4u);
  limits.max_open = 5;
  transport = session::Transport::quic;
  ask(5);
  EXPECT_EQ(requests().size(), 1u);
}

TEST_F(AuthorizerTest, WithoutARealAddressNobodyIsJoinedOrRemembered) {
  ask(1, nullptr);
  ask(2, nullptr);
  auto tokens = requests();
  ASSERT_EQ(tokens.size(), 2u);
  allow(tokens[0], seconds(60));
  EXPECT_EQ(delivered, Texts{"1:none"});
  EXPECT_EQ(ask(3, nullptr), "asked");
  EXPECT_EQ(table.remembered(), 0u);
}

TEST_F(AuthorizerTest, WhatIsNotAnsweredInTimeIsDenied) {
  ask(1);
  now += seconds(1);
  ask(2, "198.51.100.8:1");
  EXPECT_EQ(table.next_deadline(), now + seconds(4));
  now += seconds(4);
  table.tick(now);
  EXPECT_EQ(delivered, Texts{"1:authorize_timeout"});
  auto left = requests();  // the one that ran out is not handed to anybody any more
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(table.next_deadline(), now + seconds(1));
  EXPECT_TRUE(allow(left[0]));
  EXPECT_EQ(delivered.back(), "2:none");
}

TEST_F(AuthorizerTest, JoiningDoesNotPutTheDeadlineOff) {
  ask(1);
  now += seconds(4);
  ask(2);
  now += seconds(1);
  table.tick(now);
  EXPECT_EQ(delivered, (Texts{"1:authorize_timeout", "2:authorize_timeout"}));
}

TEST_F(AuthorizerTest, AnAllowHoldsForAWhile) {
  ask(1);
  auto tokens = requests();
  Authorizer::Answer answer;
  answer.allow = true;
  answer.valid = seconds(10);
  answer.session_seconds = 77;
  answer.rate_limit = registry::RateLimit{1, 2, 3, 4};
  table.answer(tokens[0], answer, limits, now);
  now += seconds(9);
  EXPECT_EQ(ask(2), "none");
  EXPECT_EQ(ask(3, "198.51.100.8:1"), "asked");     // not for another address
  EXPECT_EQ(ask(4, "198.51.100.7:1", 2), "asked");  // nor another client
  EXPECT_EQ(table.remembered(), 1u);
  session::Connection again;
  again.real_addr = *inet::Endpoint::parse("198.51.100.7:9");
  PublicKey key{};
  key[0] = 1;
  auto outcome = table.ask({again, "client1", 1, key}, limits, now, 0);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->session_seconds, 77u);
  EXPECT_EQ(outcome->rate_limit, (registry::RateLimit{1, 2, 3, 4}));
  now += seconds(1);
  EXPECT_EQ(ask(5), "asked");
  table.tick(now);
  EXPECT_EQ(table.remembered(), 0u);
}

TEST_F(AuthorizerTest, ADenyIsNotRemembered) {
  ask(1);
  Authorizer::Answer answer;
  answer.valid = seconds(10);
  table.answer(requests()[0], answer, limits, now);
  EXPECT_EQ(ask(2), "asked");
}

TEST_F(AuthorizerTest, AFullMemoryForgetsWhatEndsSoonest) {
  for (uint64_t i = 0; i < 6; ++i) {
    ask(i + 1, "198.51.100.7:1", i + 1);
    allow(requests()[0], seconds(i == 2 ? 1 : 60));
  }
  EXPECT_EQ(table.remembered(), limits.max_open);
  EXPECT_EQ(ask(10, "198.51.100.7:1", 3), "asked");
  EXPECT_EQ(ask(11, "198.51.100.7:1", 6), "none");
}

TEST_F(AuthorizerTest, OpenRequestsAreBounded) {
  for (uint64_t i = 1; i <= limits.max_open; ++i) EXPECT_EQ(ask(i, "198.51.100.7:1", i), "asked");
  EXPECT_EQ(ask(9, "198.51.100.7:1", 9), "too_many_handshakes");
  EXPECT_EQ(ask(10), "asked");  // joins
  EXPECT_EQ(requests().size(), limits.max_open);
}

TEST_F(AuthorizerTest, AConnectionThatEndsLeavesNothing) {
  ask(1);
  ask(2);
  table.forget(1);
  table.forget(1);
  EXPECT_EQ(table.open(), 1u);
  auto tokens = requests();
  table.forget(2);
  EXPECT_EQ(table.open(), 0u);
  EXPECT_EQ(table.next_deadline(), kNever);
  EXPECT_FALSE(allow(tokens[0]));
  ask(3);
  table.forget(3);
  EXPECT_TRUE(requests().empty());  // taken back
  EXPECT_TRUE(delivered.empty());
  ask(4);
  EXPECT_EQ(requests().size(), 1u);  // a new question
}

TEST_F(AuthorizerTest, EndingAllDeniesThemAndWhoeverComesLater) {
  ask(1);
  ask(2);
  ask(3, "198.51.100.8:1");
  table.close(Reason::server_stopping);
  EXPECT_EQ(delivered, (Texts{"1:server_stopping", "2:server_stopping", "3:server_stopping"}));
  EXPECT_TRUE(requests().empty());
  EXPECT_EQ(ask(4), "server_stopping");
}

// Delivering ends connections, whose ends come back here.
TEST_F(AuthorizerTest, MayBeCalledWhileItDelivers) {
  std::unique_ptr<Authorizer> inner;
  int calls = 0;
  inner = std::make_unique<Authorizer>(queue, [&](uint64_t, const Authorizer::Outcome&) {
    ++calls;
    inner->forget(1);
    inner->forget(2);
  });
  session::Connection connection;
  connection.real_addr = *inet::Endpoint::parse("198.51.100.7:1");
  for (uint64_t id : {1, 2}) {
    connection.id = id;
    EXPECT_FALSE(inner->ask({connection, "a", 1, {}}, limits, now, 0));
  }
  auto tokens = requests();
  EXPECT_TRUE(inner->answer(tokens[0], {}, limits, now));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace smartvpn::server
