// The machine must not care how the stream is cut: random frame sequences, right and wrong, give the
// same callbacks and the same bytes to send whole, byte by byte and in random pieces. A slow, obvious
// reader of whole streams says what the right ones should give.
#include <gtest/gtest.h>

#include <random>

#include "support/ws_recorder.hpp"
#include "transport/ws/message_machine.hpp"

namespace smartvpn::ws {
namespace {

using Role = Machine::Role;

Limits test_limits() {
  Limits limits;
  limits.max_message = 3000;
  limits.max_fragments = 6;
  limits.max_pending = SIZE_MAX;  // draining differs between the runs
  return limits;
}

struct Trace {
  std::vector<std::string> events;
  Bytes sent;
  Machine::State state;
  bool operator==(const Trace&) const = default;
};

template <class NextSize>
Trace trace(Role role, Bytes stream, NextSize next_size, bool into_gaps = false) {
  test::CountingRng rng;
  Machine machine(role, test_limits(), rng);
  test::Recorder recorder;
  for (ByteSpan rest = stream; !rest.empty();) {
    const size_t n = std::min(rest.size(), next_size());
    // A copy at its true size, so that the sanitizer sees any step outside it.
    Bytes piece(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(n));
    if (into_gaps)
      test::feed_as_socket(machine, piece, recorder);
    else
      machine.feed(piece, recorder);
    rest = rest.subspan(n);
  }
  return {recorder.events, Bytes(machine.pending().begin(), machine.pending().end()), machine.state()};
}

class Generator {
 public:
  Generator(Role role, uint32_t seed) : role_(role), random_(seed) {}
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  Bytes payload() {
    static constexpr size_t kSizes[] = {0, 1, 3, 125, 126, 127, 600, 1500};
    Bytes out(kSizes[below(std::size(kSizes))]);
    for (uint8_t& b : out) b = static_cast<uint8_t>('a' + below(26));
    return out;
  }
  // Mostly legal; `expected` says what a legal stream must give.
  Bytes stream(std::vector<std::string>& expected) {
    Bytes out;
    for (size_t n = 1 + below(8); n > 0; --n) {
      const bool binary = below(2) != 0;
      Bytes message;
      const size_t fragments = 1 + below(4);
      for (size_t i = 0; i < fragments; ++i) {
        if (below(4) == 0) control(out, expected);
        const Bytes part = message.size() > 1400 ? Bytes{} : payload();
        append(message, part);
        const Opcode first = binary ? Opcode::binary : Opcode::text;
        append(out, test::peer_frame(role_, i == 0 ? first : Opcode::continuation, ByteView(part), i + 1 == fragments));
      }
      expected.push_back((binary ? "binary " : "text ") + std::to_string(message.size()) + " " + to_hex(message));
    }
    return out;
  }
  void control(Bytes& out, std::vector<std::string>& expected) {
    const bool ping = below(2) != 0;
    Bytes body(below(126), 'c');
    append(out, test::peer_frame(role_, ping ? Opcode::ping : Opcode::pong, ByteView(body)));
    expected.push_back((ping ? "ping " : "pong ") + to_hex(body));
  }
  void damage(Bytes& stream) {
    for (size_t n = 1 + below(3); n > 0 && !stream.empty(); --n) {
      const size_t at = below(2) ? below(stream.size()) : below(std::min<size_t>(stream.size(), 16));
      stream[at] = static_cast<uint8_t>(below(256));
    }
  }

 private:
  Role role_;
  std::mt19937 random_;
};

class MachineCuts : public testing::TestWithParam<Role> {};
INSTANTIATE_TEST_SUITE_P(BothRoles, MachineCuts, testing::Values(Role::server, Role::client));

TEST_P(MachineCuts, LegalStreamsGiveTheirMessagesHoweverTheyAreCut) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Generator generator(GetParam(), seed);
    std::vector<std::string> expected;
    Bytes stream = generator.stream(expected);
    append(stream, test::peer_close(GetParam(), 1000, "end"));
    expected.push_back("close 1000 'end' peer");
    const Trace whole = trace(GetParam(), stream, [&] { return stream.size(); });
    ASSERT_EQ(whole.events, expected) << seed;
    ASSERT_EQ(whole, trace(GetParam(), stream, [] { return size_t{1}; })) << seed;
    for (int i = 0; i < 4; ++i)
      ASSERT_EQ(whole, trace(
                           GetParam(), stream, [&] { return 1 + generator.below(1 + generator.below(2000)); }, i % 2))
          << seed;
  }
}

TEST_P(MachineCuts, DamagedStreamsFailTheSameWayHoweverTheyAreCut) {
  size_t failed = 0;
  for (uint32_t seed = 0; seed < 800; ++seed) {
    Generator generator(GetParam(), seed);
    std::vector<std::string> ignored;
    Bytes stream = generator.stream(ignored);
    generator.damage(stream);
    const Trace whole = trace(GetParam(), stream, [&] { return stream.size(); });
    failed += whole.state == Machine::State::failed;
    ASSERT_EQ(whole, trace(GetParam(), stream, [] { return size_t{1}; })) << seed;
    for (bool into_gaps : {false, true})
      ASSERT_EQ(whole, trace(
                           GetParam(), stream, [&] { return 1 + generator.below(300); }, into_gaps))
          << seed;
  }
  EXPECT_GT(failed, 150u) << "the damage must hit rules, not only payload";
}

TEST_P(MachineCuts, BigMessagesOverFixedReadsArriveIntact) {
  test::CountingRng rng;
  Limits limits;
  limits.max_message = 1 << 20;
  for (size_t size : {size_t{65536}, size_t{66560}, size_t{300000}}) {
    Machine machine(GetParam(), limits, rng);
    Bytes payload(size), stream;
    rng.fill(payload);
    for (int i = 0; i < 5; ++i) append(stream, test::peer_frame(GetParam(), Opcode::binary, ByteView(payload)));
    struct Compare : Handler {
      void on_message(bool, ByteSpan message) override {
        equal += std::equal(message.begin(), message.end(), want->begin(), want->end());
      }
      void on_close(const CloseEvent&) override {}
      const Bytes* want = nullptr;
      int equal = 0;
    } compare;
    compare.want = &payload;
    for (size_t at = 0; at < stream.size(); at += 65536)
      machine.feed(ByteSpan(stream).subspan(at, std::min<size_t>(65536, stream.size() - at)), compare);
    EXPECT_EQ(compare.equal, 5) << size;
    EXPECT_EQ(machine.buffered(), 0u);
  }
}

// The reader of a busy socket copies the beginning of a message, and no more of it.
TEST(MessageGap, TheRestOfAMessageIsReadToWhereItIsHandedUp) {
  test::CountingRng rng;
  Limits limits;
  limits.max_message = 70000;
  Machine machine(Role::server, limits, rng);
  test::Recorder recorder;
  Bytes payload(60000, 'x');
  Bytes stream = test::peer_frame(Role::server, Opcode::binary, ByteView(payload));
  const size_t header = stream.size() - payload.size();
  EXPECT_TRUE(machine.gap().empty()) << "nothing is under way";
  machine.feed(ByteSpan(stream).first(header), recorder);
  EXPECT_TRUE(machine.gap().empty()) << "the whole payload may come in the next read";
  machine.feed(ByteSpan(stream).subspan(header, 100), recorder);
  ByteSpan gap = machine.gap();
  ASSERT_EQ(gap.size(), payload.size() - 100);
  std::copy(stream.begin() + static_cast<ptrdiff_t>(header + 100), stream.end(), gap.begin());
  machine.feed_gap(gap.size(), {}, recorder);
  ASSERT_EQ(recorder.events.size(), 1u);
  EXPECT_EQ(recorder.last_message, gap.data() - 100);
  EXPECT_TRUE(machine.gap().empty());
}

TEST(MessageGap, ThereIsNoneForControlFramesNorAfterTheEnd) {
  test::CountingRng rng;
  Machine machine(Role::server, Limits{}, rng);
  test::Recorder recorder;
  Bytes ping = test::peer_frame(Role::server, Opcode::ping, "0123456789");
  machine.feed(ByteSpan(ping).first(12), recorder);
  EXPECT_TRUE(machine.gap().empty());
  Bytes rest(ping.begin() + 12, ping.end());
  Bytes message = test::peer_frame(Role::server, Opcode::binary, "a message");
  append(rest, ByteView(message).first(12));
  machine.feed(rest, recorder);
  EXPECT_FALSE(machine.gap().empty());
  machine.close(1000);
  EXPECT_TRUE(machine.gap().empty());
}

TEST(MessageBuffer, LargeMemoryServesTheNextLargeMessageOfTheThread) {
  ThreadSpares spares;
  MessageBuffer first, second, small;
  ASSERT_TRUE(first.reserve(20000));
  const uint8_t* memory = first.room().data();
  first.release();
  EXPECT_EQ(first.capacity(), 0u);
  ASSERT_TRUE(small.reserve(1000));
  EXPECT_EQ(small.capacity(), 1000u) << "a stranger's message holds no more than it is";
  ASSERT_TRUE(second.reserve(18000));
  EXPECT_EQ(second.room().data(), memory);
}

TEST(MessageBuffer, GrowingKeepsTheBytes) {
  MessageBuffer buffer;
  ASSERT_TRUE(buffer.reserve(3));
  buffer.append(as_bytes("abc"));
  ASSERT_TRUE(buffer.reserve(50000));
  buffer.append(as_bytes("def"));
  EXPECT_EQ(as_text(buffer.bytes()), "abcdef");
}

}  // namespace
}  // namespace smartvpn::ws
