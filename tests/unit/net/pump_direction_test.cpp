// One way of a pump, by hand: when it copies and when it splices, and what it holds when it has returned.
#include "net/pump_direction.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <array>

#include "support/pumped_pair.hpp"

namespace smartvpn::net {
namespace {

using smartvpn::testing::descriptors;
using smartvpn::testing::FarEnd;
using smartvpn::testing::numbered;
using smartvpn::testing::tcp_sockets;
using Moved = PumpDirection::Result;

struct PumpDirecting : ::testing::Test {
  PumpDirecting() {
    signal(SIGPIPE, SIG_IGN);
    std::tie(source, from) = tcp_sockets();
    std::tie(sink, to) = tcp_sockets();
    widen(from.fd(), source.get());
    widen(sink.get(), to.fd());
  }
  // The kernel gives a connection larger buffers when much has passed.
  static void widen(int out, int in) {
    const std::string junk(1 << 20, 'j');
    std::string taken = junk;
    for (int unread = 0, i = 0; unread < 1'000'000 && i < 1000; ++i) {
      while (::send(out, junk.data(), junk.size(), MSG_DONTWAIT) > 0) continue;
      ioctl(in, FIONREAD, &unread);
      for (int sent = 1; sent > 0; ioctl(out, SIOCOUTQ, &sent))
        while (::recv(in, taken.data(), taken.size(), MSG_DONTWAIT) > 0) continue;
    }
  }
  void connect_small_sink() { std::tie(sink, to) = tcp_sockets(AF_INET, 64 * 1024); }
  void begin() { way.emplace(source.get(), sink.get(), pipes); }
  // What is said has arrived when this returns.
  void say(std::string_view text) {
    const int before = unread();
    ASSERT_EQ(from.send(text), text.size());
    EXPECT_TRUE(comes_true([&] { return unread() == before + static_cast<int>(text.size()); }));
  }
  int unread() const {
    int size = 0;
    ioctl(source.get(), FIONREAD, &size);
    return size;
  }
  Moved move() {
    const uint64_t before = way->delivered();
    const Moved result = way->move(buffer);
    EXPECT_FALSE((result == Moved::wants_source || result == Moved::ended) && way->holds_pipe());
    EXPECT_LE(way->delivered() - before, PumpDirection::kBytesPerTurn + 2 * buffer.size());
    return result;
  }
  // Until it holds bytes in a pipe: what was said.
  std::string say_too_much() {
    std::string said;
    EXPECT_TRUE(comes_true([&] {
      const std::string piece = numbered(256 * 1024, static_cast<unsigned>(said.size()));
      said.append(piece, 0, from.send(piece));
      if (move() == Moved::wants_sink && !way->holds_pipe()) to.read();
      return way->holds_pipe();
    }));
    return said;
  }
  std::string deliver_all(size_t size) {
    EXPECT_TRUE(comes_true([&] {
      for (size_t before = SIZE_MAX; before != to.got().size();) {
        before = to.got().size();
        to.read();
        move();
      }
      return to.read().size() >= size;
    }));
    return to.got();
  }
  static bool becomes(int fd, short event) {
    pollfd one{fd, event, 0};
    return poll(&one, 1, 20000) == 1 && (one.revents & event) != 0;
  }
  template <class Fn>
  static bool comes_true(Fn&& fn) {
    for (int i = 0; i < 3000; ++i) {
      if (fn()) return true;
      usleep(1000);
    }
    return false;
  }

  Fd source, sink;
  FarEnd from, to;
  DescriptorRegister known;
  PipePool pipes{known};
  std::array<uint8_t, 65536> buffer{};
  std::optional<PumpDirection> way;
};

TEST_F(PumpDirecting, LittleIsCopiedAndMuchIsSplicedByAPipeThatIsKeptForTheNext) {
  begin();
  say("little");
  EXPECT_EQ(move(), Moved::wants_source);
  EXPECT_EQ(pipes.idle(), 0u) << "which needs no pipe";
  const std::string much = numbered(200'000, 1);
  say(much);
  EXPECT_EQ(move(), Moved::wants_source);
  EXPECT_EQ(pipes.idle(), 1u);
  EXPECT_TRUE(comes_true([&] { return to.read() == "little" + much; }));
  const auto before = descriptors();
  for (int i = 0; i < 5; ++i) {
    say(much);
    EXPECT_EQ(move(), Moved::wants_source);
    to.read();
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_EQ(way->delivered(), 6 + 6 * much.size());
}

// A turn ends after so many bytes, whether more have come or not.
TEST_F(PumpDirecting, HoldsNoPipeAlsoWhereATurnEndsWithItsShare) {
  begin();
  say(numbered(PumpDirection::kBytesPerTurn, 1));
  EXPECT_EQ(move(), Moved::wants_source);
  EXPECT_EQ(way->delivered(), PumpDirection::kBytesPerTurn);
  EXPECT_EQ(pipes.idle(), 1u);
}

TEST_F(PumpDirecting, HoldsNoPipeAfterFin) {
  begin();
  say(numbered(200'000, 1));
  from.finish();
  ASSERT_TRUE(becomes(source.get(), POLLRDHUP));
  EXPECT_EQ(move(), Moved::ended);
  EXPECT_EQ(pipes.idle(), 1u);
}

TEST_F(PumpDirecting, HoldsAPipeForWhatTheSinkHasNotTaken) {
  connect_small_sink();
  begin();
  const std::string said = say_too_much();
  EXPECT_TRUE(way->holds_pipe());
  EXPECT_EQ(move(), Moved::wants_sink);
  EXPECT_TRUE(deliver_all(said.size()) == said);
  EXPECT_EQ(move(), Moved::wants_source);
  EXPECT_EQ(pipes.idle(), 1u);
}

TEST_F(PumpDirecting, APipeWithBytesInItIsNoOthers) {
  connect_small_sink();
  begin();
  const auto before = descriptors();
  say_too_much();
  ASSERT_TRUE(way->holds_pipe());
  way.reset();
  EXPECT_EQ(pipes.idle(), 0u);
  EXPECT_EQ(descriptors(), before) << "it is closed";
}

TEST_F(PumpDirecting, APipeWithBytesInItIsNoOthersAlsoWhenTheSinkFails) {
  connect_small_sink();
  begin();
  say_too_much();
  ASSERT_TRUE(way->holds_pipe());
  to.reset();
  ASSERT_TRUE(becomes(sink.get(), POLLERR));
  EXPECT_EQ(move(), Moved::sink_failed);
  EXPECT_EQ(way->error(), ECONNRESET);
  way.reset();
  EXPECT_EQ(pipes.idle(), 0u);
}

TEST_F(PumpDirecting, ASinkThatFailsUnderACopySaysHow) {
  begin();
  to.reset();
  ASSERT_TRUE(becomes(sink.get(), POLLERR));
  say("x");
  EXPECT_EQ(move(), Moved::sink_failed);
  EXPECT_EQ(way->error(), ECONNRESET);
}

TEST_F(PumpDirecting, ASourceThatFailsSaysHowBehindItsLastBytes) {
  for (const size_t size : {5u, 100'000u}) {
    std::tie(source, from) = tcp_sockets();
    widen(from.fd(), source.get());
    begin();
    say(numbered(size, 1));
    from.reset();
    ASSERT_TRUE(becomes(source.get(), POLLERR));
    Moved result = move();
    if (result == Moved::wants_source) result = move();
    EXPECT_EQ(result, Moved::source_failed);
    EXPECT_EQ(way->error(), ECONNRESET);
    EXPECT_EQ(way->delivered(), size);
  }
}

// splice(2) stops before an urgent byte and says EAGAIN for ever, while the socket stays readable.
TEST_F(PumpDirecting, AnUrgentByteDoesNotStopASplice) {
  begin();
  const std::string first = numbered(65536, 1), then = numbered(1000, 2);
  say(first);
  ASSERT_EQ(::send(from.fd(), "!", 1, MSG_OOB), 1);
  ASSERT_EQ(from.send(then), then.size());
  EXPECT_TRUE(comes_true([&] {
    EXPECT_EQ(move(), Moved::wants_source);
    return to.read().size() >= first.size() + then.size();
  }));
  EXPECT_TRUE(to.got() == first + then);
}

TEST_F(PumpDirecting, CopiesWhereThereIsNoPipe) {
  rlimit before{}, none{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  begin();
  const std::string said = numbered(200'000, 1);
  say(said);
  none = {0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  Moved result = Moved::wants_source;
  for (int turn = 0; turn < 2; ++turn) result = move();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(result, Moved::wants_source);
  EXPECT_EQ(pipes.idle(), 0u);
  EXPECT_TRUE(comes_true([&] { return to.read() == said; })) << to.got().size();
}

TEST_F(PumpDirecting, CopiesWhereAsManyPipesAreOutAsMayBe) {
  PipePool empty(known, 0, 0);
  way.emplace(source.get(), sink.get(), empty);
  const std::string said = numbered(200'000, 1);
  say(said);
  EXPECT_EQ(move(), Moved::wants_source);
  EXPECT_TRUE(comes_true([&] { return to.read() == said; })) << to.got().size();
}

TEST_F(PumpDirecting, WhatIsOwedGoesFirstAlsoBehindAFullSink) {
  connect_small_sink();
  begin();
  const std::string owed = numbered(3'000'000, 7);
  way->owe(Bytes(owed.begin(), owed.end()));
  say("then");
  EXPECT_EQ(move(), Moved::wants_sink);
  EXPECT_TRUE(deliver_all(owed.size() + 4) == owed + "then");
}

TEST_F(PumpDirecting, FlushReadsNothing) {
  begin();
  way->owe({'a', 'b'});
  say("c");
  way->flush();
  EXPECT_TRUE(comes_true([&] { return to.read() == "ab"; }));
  EXPECT_EQ(move(), Moved::wants_source);
  EXPECT_TRUE(comes_true([&] { return to.read() == "abc"; }));
}

TEST_F(PumpDirecting, ChangesBetweenCopyAndSpliceAnywhere) {
  connect_small_sink();
  begin();
  std::mt19937 random(11);
  std::string said;
  bool spliced = false, copied = false;
  for (int i = 0; i < 400; ++i) {
    const bool little = i / 40 % 2 == 0;
    const std::string piece = numbered(random() % (little ? 20'000 : 300'000), static_cast<unsigned>(i));
    said.append(piece, 0, from.send(piece));
    const Moved result = move();
    if (result == Moved::wants_sink) (way->holds_pipe() ? spliced : copied) = true;
    if (!little || i % 40 == 39) to.read(little ? SIZE_MAX : random() % 200'000);
  }
  EXPECT_TRUE(deliver_all(said.size()) == said);
  EXPECT_TRUE(spliced);
  EXPECT_TRUE(copied);
}

}  // namespace
}  // namespace smartvpn::net
