// How a WebSocket connection ends (RFC 6455 section 7), each rule in both roles.
#include "support/ws_machine_fixture.hpp"

namespace smartvpn::ws {
namespace {

using test::operator+;
using test::roomy;
using Role = Machine::Role;
using State = Machine::State;
using testing::ElementsAre;
using testing::IsEmpty;

class MachineClosing : public test::MachineRules {};

INSTANTIATE_TEST_SUITE_P(BothRoles, MachineClosing, testing::Values(Role::server, Role::client),
                         [](const auto& which) { return which.param == Role::server ? "Server" : "Client"; });

TEST_P(MachineClosing, EchoesTheCloseCodeAndThenIsSilent) {
  EXPECT_EQ(feed(close_frame(4001, "bye") + frame(Opcode::binary, "late") + frame(Opcode::ping, "late")),
            State::closed);
  EXPECT_THAT(recorder_.events, ElementsAre("close 4001 'bye' peer"));
  EXPECT_THAT(sent(), ElementsAre(close_line(4001)));
  feed(frame(Opcode::text, "\xff") + close_frame(1000));
  EXPECT_EQ(recorder_.events.size(), 1u);
  EXPECT_THAT(sent(), IsEmpty());
  EXPECT_FALSE(machine_.ping({}));
}

TEST_P(MachineClosing, AnEmptyCloseIsEchoedEmpty) {
  feed(frame(Opcode::close, ""));
  EXPECT_THAT(recorder_.events, ElementsAre("close 1005 '' peer"));
  EXPECT_THAT(sent(), ElementsAre("8 "));
}

TEST_P(MachineClosing, ACloseInsideAFragmentedMessageEndsIt) {
  EXPECT_EQ(feed(frame(Opcode::text, "a", false) + close_frame(1001)), State::closed);
  EXPECT_EQ(machine_.buffered(), 0u);
}

TEST_P(MachineClosing, FailsOnBadCloseBodies) {
  // One byte, which with the byte behind the frame would make a valid 1000.
  feed(frame(Opcode::close, "\x03") + Bytes{0xe8});
  expect_failed(1002);
  for (uint16_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    machine_ = Machine(role(), roomy(), rng_);
    feed(close_frame(code));
    expect_failed(1002);
  }
  machine_ = Machine(role(), roomy(), rng_);
  feed(close_frame(1000, "\xce\xba\xed\xa0\x80"));
  expect_failed(1007);
}

TEST_P(MachineClosing, TakesEveryValidCloseCodeAndTheLongestReason) {
  for (uint16_t code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    machine_ = Machine(role(), roomy(), rng_);
    EXPECT_EQ(feed(close_frame(code, std::string(123, 'r'))), State::closed) << code;
    EXPECT_THAT(sent(), ElementsAre(close_line(code)));
  }
}

TEST_P(MachineClosing, OurCloseIsSentOnceAndDataIsThrownAwayUntilTheAnswer) {
  machine_.close(1001, "going");
  machine_.close(1000);
  EXPECT_EQ(machine_.state(), State::closing);
  EXPECT_THAT(sent(), ElementsAre("8 03e9" + to_hex(as_bytes("going"))));
  Limits tiny;
  tiny.max_message = 1;
  machine_.set_limits(tiny);
  feed(frame(Opcode::binary, "in flight") + frame(Opcode::ping, "x") + frame(Opcode::text, "\xff", false) +
       frame(Opcode::continuation, ""));
  EXPECT_THAT(recorder_.events, IsEmpty());
  EXPECT_EQ(feed(close_frame(1001)), State::closed);
  EXPECT_THAT(recorder_.events, ElementsAre("close 1001 '' peer"));
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_P(MachineClosing, ABrokenRuleWhileClosingFailsWithoutASecondClose) {
  machine_.close(1000);
  EXPECT_THAT(sent(), ElementsAre(close_line(1000)));
  EXPECT_EQ(feed(frame(Opcode::continuation, "x")), State::failed);
  EXPECT_THAT(recorder_.events, ElementsAre("close 1002 '' us"));
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_P(MachineClosing, ClosingInsideACallbackStopsDelivery) {
  struct Closing : test::Recorder {
    void on_message(bool binary, ByteSpan message) override {
      machine->close(1008);
      test::Recorder::on_message(binary, message);
    }
    Machine* machine = nullptr;
  } closing;
  closing.machine = &machine_;
  Bytes data = frame(Opcode::binary, "12", false) + frame(Opcode::continuation, "34") + frame(Opcode::binary, "5") +
               close_frame(1008);
  EXPECT_EQ(machine_.feed(data, closing), State::closed);
  EXPECT_THAT(closing.events, ElementsAre("binary 4 31323334", "close 1008 '' peer"));
}

TEST_P(MachineClosing, ACloseReasonIsCutAtACharacterAndABadCodeIsNotSent) {
  std::string reason(122, 'r');
  machine_.close(1000, reason + "\xe2\x82\xac");
  EXPECT_THAT(sent(), ElementsAre("8 03e8" + to_hex(as_bytes(reason))));
  machine_ = Machine(role(), roomy(), rng_);
  machine_.close(kCloseNoStatus, "ignored");
  EXPECT_THAT(sent(), ElementsAre("8 "));
}

}  // namespace
}  // namespace smartvpn::ws
