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
Trace trace(Role role, Bytes stream, NextSize next_size) {
  test::CountingRng rng;
  Machine machine(role, test_limits(), rng);
  test::Recorder recorder;
  for (ByteSpan rest = stream; !rest.empty();) {
    const size_t n = std::min(rest.size(), next_size());
    // A copy at its true size, so that the sanitizer sees any step outside it.
    Bytes piece(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(n));
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
      ASSERT_EQ(whole, trace(GetParam(), stream, [&] { return 1 + generator.below(1 + generator.below(2000)); }))
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
    ASSERT_EQ(whole, trace(GetParam(), stream, [&] { return 1 + generator.below(300); })) << seed;
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

}  // namespace
}  // namespace smartvpn::ws
