// The rules of RFC 6455 for messages, fragments, control frames and limits, each in both roles.
#include "transport/ws/message_machine.hpp"

#include <malloc.h>

#include "support/ws_machine_fixture.hpp"

namespace smartvpn::ws {
namespace {

using test::operator+;
using test::MachineRules;
using test::roomy;
using Role = Machine::Role;
using State = Machine::State;
using testing::ElementsAre;
using testing::IsEmpty;

INSTANTIATE_TEST_SUITE_P(BothRoles, MachineRules, testing::Values(Role::server, Role::client),
                         [](const auto& which) { return which.param == Role::server ? "Server" : "Client"; });

TEST_P(MachineRules, DeliversTextAndBinaryMessages) {
  feed(frame(Opcode::text, "Hello") + frame(Opcode::binary, "abc") + frame(Opcode::binary, ""));
  EXPECT_THAT(recorder_.events, ElementsAre("text 5 48656c6c6f", "binary 3 616263", "binary 0 "));
  EXPECT_THAT(sent(), IsEmpty());
}

TEST_P(MachineRules, AWholeMessageIsHandedUpWhereItLies) {
  Bytes data = frame(Opcode::binary, "first") + frame(Opcode::binary, "second");
  machine_.feed(data, recorder_);
  EXPECT_EQ(recorder_.last_message, data.data() + data.size() - 6);
}

TEST_P(MachineRules, ACutMessageIsGatheredAndItsBufferGivenBack) {
  const std::string text(1000, 'x');
  Bytes data = frame(Opcode::binary, text);
  machine_.feed(ByteSpan(data).first(600), recorder_);
  EXPECT_THAT(recorder_.events, IsEmpty());
  EXPECT_GT(machine_.buffered(), 500u);
  machine_.feed(ByteSpan(data).subspan(600), recorder_);
  EXPECT_THAT(recorder_.events, ElementsAre("binary 1000 " + to_hex(as_bytes(text))));
  EXPECT_EQ(machine_.buffered(), 0u);
}

TEST_P(MachineRules, JoinsFragmentsWithControlFramesBetween) {
  feed(frame(Opcode::text, "Hel", false) + frame(Opcode::ping, "p") + frame(Opcode::continuation, "", false) +
       frame(Opcode::pong, "q") + frame(Opcode::continuation, "lo"));
  EXPECT_THAT(recorder_.events, ElementsAre("ping 70", "pong 71", "text 5 48656c6c6f"));
  EXPECT_THAT(sent(), ElementsAre("10 70"));
}

TEST_P(MachineRules, FailsOnTheWrongMaskBit) {
  const Role other = role() == Role::server ? Role::client : Role::server;
  feed(test::peer_frame(other, Opcode::binary, std::string_view("abc")));
  expect_failed(1002);
}

TEST_P(MachineRules, FailsOnEveryReservedBit) {
  for (uint8_t rsv : {0x40, 0x20, 0x10, 0x70}) {
    machine_ = Machine(role(), roomy(), rng_);
    Bytes data = frame(Opcode::text, "x");
    data[0] |= rsv;
    feed(data);
    expect_failed(1002);
  }
}

TEST_P(MachineRules, FailsOnEveryReservedOpcode) {
  for (int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    machine_ = Machine(role(), roomy(), rng_);
    feed(frame(Opcode::text, "ok") + frame(static_cast<Opcode>(opcode), "x"));
    EXPECT_EQ(recorder_.events[recorder_.events.size() - 2], "text 2 6f6b");
    expect_failed(1002);
  }
}

TEST_P(MachineRules, FailsOnLongAndFragmentedControlFrames) {
  for (Opcode opcode : {Opcode::ping, Opcode::pong, Opcode::close}) {
    machine_ = Machine(role(), roomy(), rng_);
    feed(frame(opcode, std::string(126, 'x')));
    expect_failed(1002);
    machine_ = Machine(role(), roomy(), rng_);
    feed(frame(opcode, "", false));
    expect_failed(1002);
  }
}

TEST_P(MachineRules, FailsOnAContinuationOfNothing) {
  feed(frame(Opcode::continuation, "x"));
  expect_failed(1002);
  machine_ = Machine(role(), roomy(), rng_);
  feed(frame(Opcode::text, "done") + frame(Opcode::continuation, "x"));
  expect_failed(1002);
}

TEST_P(MachineRules, FailsOnANewMessageInsideAFragmentedOne) {
  feed(frame(Opcode::text, "a", false) + frame(Opcode::text, "b"));
  expect_failed(1002);
}

TEST_P(MachineRules, FailsOnLengthsNotShortestOrWithTheTopBit) {
  const std::string mask_bit = role() == Role::server ? "f" : "7";
  for (std::string length : {"e007d", "f000000000000ffff", "f8000000000000000"}) {
    machine_ = Machine(role(), roomy(), rng_);
    feed_hex("82" + mask_bit + length);
    expect_failed(1002);
  }
}

TEST_P(MachineRules, AnswersEachPingWithItsPayload) {
  const std::string longest(125, '\xfe');
  feed(frame(Opcode::ping, "") + frame(Opcode::ping, longest) + frame(Opcode::ping, "abc"));
  EXPECT_THAT(sent(), ElementsAre("10 ", "10 " + to_hex(as_bytes(longest)), "10 616263"));
}

TEST_P(MachineRules, TakesAnUnsolicitedPong) {
  feed(frame(Opcode::pong, "x"));
  EXPECT_THAT(recorder_.events, ElementsAre("pong 78"));
  EXPECT_EQ(machine_.state(), State::open);
}

TEST_P(MachineRules, GivesUpOnAPeerThatPingsAndDoesNotRead) {
  Bytes pings;
  for (int i = 0; i < 100; ++i) append(pings, frame(Opcode::ping, std::string(125, 'x')));
  feed(pings);
  EXPECT_EQ(machine_.state(), State::failed);
  EXPECT_EQ(recorder_.events.back(), "close 1008 '' us");
  EXPECT_LE(machine_.pending().size(), roomy().max_pending + 8);
}

TEST_P(MachineRules, RefusesInvalidText) {
  feed(frame(Opcode::text, "\xce\xba\xed\xa0\x80"));
  expect_failed(1007);
}

TEST_P(MachineRules, RefusesTextThatEndsInsideACharacter) {
  feed(frame(Opcode::text, "abc\xe2\x82"));
  expect_failed(1007);
}

TEST_P(MachineRules, AcceptsACharacterCutByFragments) {
  feed(frame(Opcode::text, "\xe2", false) + frame(Opcode::continuation, "\x82", false) +
       frame(Opcode::continuation, "\xac"));
  EXPECT_THAT(recorder_.events, ElementsAre("text 3 e282ac"));
}

TEST_P(MachineRules, RefusesInvalidTextBeforeTheFrameIsThere) {
  Bytes data = frame(Opcode::text, "\xf4\x90" + std::string(100, 'x'));
  const size_t upto_second_byte = data.size() - 100;
  EXPECT_EQ(machine_.feed(ByteSpan(data).first(upto_second_byte - 1), recorder_), State::open);
  EXPECT_EQ(machine_.feed(ByteSpan(data).subspan(upto_second_byte - 1, 1), recorder_), State::failed);
  expect_failed(1007);
}

TEST_P(MachineRules, BinaryMessagesMayHoldAnything) {
  feed(frame(Opcode::binary, "\xff\xfe\x80"));
  EXPECT_THAT(recorder_.events, ElementsAre("binary 3 fffe80"));
}

TEST_P(MachineRules, BinaryOnlyRefusesText) {
  Limits limits = roomy();
  limits.binary_only = true;
  machine_.set_limits(limits);
  feed(frame(Opcode::binary, "a") + frame(Opcode::text, "b"));
  expect_failed(1003);
}

TEST_P(MachineRules, AMessageOverTheLimitIsRefusedAtItsHeader) {
  Limits limits = roomy();
  limits.max_message = 1000;
  machine_.set_limits(limits);
  feed(frame(Opcode::binary, std::string(1000, 'x')));
  EXPECT_EQ(machine_.state(), State::open);
  Bytes data = frame(Opcode::binary, std::string(1001, 'x'));
  machine_.feed(ByteSpan(data).first(data.size() - 1001), recorder_);
  expect_failed(1009);
}

TEST_P(MachineRules, TheLimitCountsAllFragments) {
  Limits limits = roomy();
  limits.max_message = 10;
  machine_.set_limits(limits);
  feed(frame(Opcode::binary, "123456", false) + frame(Opcode::continuation, "7890", false));
  EXPECT_EQ(machine_.state(), State::open);
  feed(frame(Opcode::continuation, "x"));
  expect_failed(1009);
}

// Ten thousand idle sessions keep no buffer each for the pongs they once sent.
TEST_P(MachineRules, WhatWasTakenOutIsGivenBackWhole) {
  for (int i = 0; i < 20; ++i) feed(frame(Opcode::ping, std::string(100, 'x')));
  const size_t waiting = machine_.pending().size();
  ASSERT_GT(waiting, 2000u);
  machine_.consume(waiting - 1);
  EXPECT_EQ(machine_.pending().size(), 1u);
  machine_.consume(1);
  EXPECT_EQ(machine_.pending().data(), nullptr);
}

TEST_P(MachineRules, AnAbsurdLengthIsRefusedNotReserved) {
  feed_hex(role() == Role::server ? "82ff7fffffffffffffff01020304" : "827f7fffffffffffffff");
  expect_failed(1009);
}

// Who announces sixty megabytes and sends ten bytes costs about ten bytes.
TEST_P(MachineRules, MemoryFollowsWhatCameNotWhatWasAnnounced) {
  Limits limits = roomy();
  limits.max_message = size_t{64} << 20;
  machine_.set_limits(limits);
  const auto before = mallinfo2();
  Bytes data = frame(Opcode::binary, std::string(60 << 20, 'x'));
  data.resize(20);
  data.shrink_to_fit();
  machine_.feed(data, recorder_);
  EXPECT_EQ(machine_.state(), State::open);
  EXPECT_GT(machine_.buffered(), 0u);
  const auto after = mallinfo2();
  EXPECT_LT(after.hblkhd + after.uordblks, before.hblkhd + before.uordblks + (size_t{1} << 20));
}

TEST_P(MachineRules, FragmentsAreCounted) {
  Limits limits = roomy();
  limits.max_fragments = 4;
  machine_.set_limits(limits);
  feed(frame(Opcode::binary, "", false) + frame(Opcode::continuation, "", false) +
       frame(Opcode::continuation, "", false) + frame(Opcode::continuation, "x"));
  EXPECT_THAT(recorder_.events, ElementsAre("binary 1 78"));
  feed(frame(Opcode::binary, "", false) + frame(Opcode::continuation, "", false) +
       frame(Opcode::continuation, "", false) + frame(Opcode::continuation, "", false));
  EXPECT_EQ(machine_.state(), State::open);
  feed(frame(Opcode::continuation, "x"));
  expect_failed(1008);
}

TEST_P(MachineRules, LimitsRaisedInsideACallbackHoldForTheNextFrame) {
  struct Raising : test::Recorder {
    void on_message(bool binary, ByteSpan message) override {
      test::Recorder::on_message(binary, message);
      machine->set_limits(roomy());
    }
    Machine* machine = nullptr;
  } raising;
  machine_.set_limits(Limits{});
  raising.machine = &machine_;
  Bytes data = frame(Opcode::binary, "hello") + frame(Opcode::binary, std::string(5000, 'x'));
  EXPECT_EQ(machine_.feed(data, raising), State::open);
  EXPECT_EQ(raising.events.size(), 2u);
}

TEST_P(MachineRules, PingsWithinItsBounds) {
  EXPECT_TRUE(machine_.ping(as_bytes("abc")));
  EXPECT_FALSE(machine_.ping(Bytes(126)));
  EXPECT_THAT(sent(), ElementsAre("9 616263"));
  size_t queued = 0;
  while (machine_.ping(Bytes(125))) ++queued;
  EXPECT_GE(queued, 30u);
  EXPECT_LE(machine_.pending().size(), roomy().max_pending);
}

TEST_P(MachineRules, PendingIsSentInPieces) {
  feed(frame(Opcode::ping, "abc"));
  const Bytes whole(machine_.pending().begin(), machine_.pending().end());
  machine_.consume(2);
  EXPECT_EQ(machine_.pending().size(), whole.size() - 2);
  feed(frame(Opcode::ping, "d"));
  EXPECT_TRUE(std::equal(whole.begin() + 2, whole.end(), machine_.pending().begin()));
  machine_.consume(1000);
  EXPECT_TRUE(machine_.pending().empty());
}

TEST_P(MachineRules, FramesAPacketInItsHeadroom) {
  PacketPool pool;
  Machine peer(role() == Role::server ? Role::client : Role::server, roomy(), rng_);
  for (size_t size : {size_t{0}, size_t{125}, size_t{126}, size_t{65535}, size_t{65536}}) {
    const Bytes payload(size, 0x5a);
    Packet packet = pool.copy_of(payload);
    const uint8_t* before = packet.bytes().data();
    ASSERT_TRUE(machine_.frame_packet(packet));
    EXPECT_EQ(packet.bytes().data() + frame_header_size(size, role() == Role::client), before);
    test::Recorder got;
    EXPECT_EQ(peer.feed(packet.bytes(), got), State::open);
    EXPECT_THAT(got.events, ElementsAre("binary " + std::to_string(size) + " " + to_hex(payload)));
  }
}

TEST_P(MachineRules, FramesNothingWithoutHeadroomOrAfterAClose) {
  PacketPool pool;
  Packet packet = pool.copy_of(as_bytes("abc"));
  packet.set_range(1, 3);
  EXPECT_FALSE(machine_.frame_packet(packet));
  packet.set_range(64, 3);
  machine_.close(1000);
  EXPECT_FALSE(machine_.frame_packet(packet));
  EXPECT_EQ(packet.size(), 3u);
}

TEST(MachineMasks, AClientNeverReusesAMask) {
  test::CountingRng rng;
  Machine client(Role::client, Limits{}, rng);
  PacketPool pool;
  std::vector<std::string> masks;
  for (int i = 0; i < 200; ++i) {
    Packet packet = pool.copy_of(as_bytes("x"));
    ASSERT_TRUE(client.frame_packet(packet));
    masks.push_back(to_hex(packet.bytes().subspan(2, 4)));
  }
  std::sort(masks.begin(), masks.end());
  EXPECT_EQ(std::unique(masks.begin(), masks.end()), masks.end());
}

}  // namespace
}  // namespace smartvpn::ws
