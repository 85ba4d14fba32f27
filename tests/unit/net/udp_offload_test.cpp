// Many datagrams a message: with the kernel's segmentation and without, and what is done when it refuses.
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/udp_socket.hpp"
#include "support/network_namespace.hpp"
#include "support/udp_end.hpp"

namespace smartvpn::net {
namespace {

using testing::cut_text;
using testing::make_loop;
using testing::numbered_text;
using testing::run_until;
using testing::UdpEnd;
using testing::UdpText;

UdpOptions offloads(const char* ip, bool gso, bool gro) {
  UdpOptions options;
  options.address = {*inet::IpAddress::parse(ip), 0};
  options.gso = gso;
  options.gro = gro;
  return options;
}

// What stands in for sendmmsg: `refusal` of messages with control data (here: of segmented ones), or after
// `room` messages of all.
thread_local int refusal = 0;
thread_local size_t room = SIZE_MAX;
thread_local unsigned largest_call = 0;

int refuse_segments(int fd, mmsghdr* messages, unsigned count, int flags) {
  unsigned good = 0;
  while (good < count && messages[good].msg_hdr.msg_controllen == 0) ++good;
  if (good == 0) {
    errno = refusal;
    return -1;
  }
  largest_call = std::max(largest_call, good);
  return sendmmsg(fd, messages, good, flags);
}

int take_few(int fd, mmsghdr* messages, unsigned count, int flags) {
  const auto taken = static_cast<unsigned>(std::min<size_t>(count, room));
  if (taken == 0) {
    errno = refusal;
    return -1;
  }
  const int sent = sendmmsg(fd, messages, taken, flags);
  room -= static_cast<size_t>(std::max(sent, 0));
  return sent;
}

struct Pair {
  std::unique_ptr<Loop> loop = make_loop();
  UdpEnd a, b;
  Pair(const char* ip, const UdpOptions& from, const UdpOptions& to) {
    a.open(*loop, from);
    b.open(*loop, to);
    to_b = b.at(ip);
  }
  inet::Endpoint to_b;
  // Sends and compares what comes, whole and in order.
  void carry(size_t bytes, uint16_t segment_size) {
    const size_t before = b.got.size();
    UdpText text(numbered_text(bytes), to_b, segment_size);
    EXPECT_EQ(text.send_by(*a.socket), 1u);
    const auto wanted = cut_text(text.text, segment_size);
    ASSERT_TRUE(run_until(*loop, [&] { return b.got.size() == before + wanted.size(); }));
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(b.got[before + i].text, wanted[i]) << i;
  }
};

TEST(UdpOffload, SegmentsLeaveAndArriveAsOneMessage) {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    Pair pair(ip, offloads(ip, true, true), offloads(ip, true, true));
    ASSERT_TRUE(pair.a.socket->has_gso() && pair.b.socket->has_gro());
    pair.carry(44 * 1452, 1452);
    pair.carry(20 * 1452 + 99, 1452);
    pair.carry(64 * 96, 96);
    pair.carry(33, 32);
    EXPECT_EQ(pair.a.counters().messages_out, 4u);
    EXPECT_EQ(pair.a.counters().datagrams_out, 44u + 21 + 64 + 2);
    EXPECT_LT(pair.b.counters().messages_in, 20u);
    EXPECT_EQ(pair.b.counters().datagrams_in, 44u + 21 + 64 + 2);
    EXPECT_EQ(pair.a.counters().gso_refused, 0u);
  }
}

TEST(UdpOffload, MappedDestinationsAreSegmentedToo) {
  Pair pair("127.0.0.1", offloads("::", true, true), offloads("::", true, true));
  pair.carry(30 * 1400, 1400);
  EXPECT_EQ(pair.a.counters().messages_out, 1u);
  EXPECT_EQ(pair.a.counters().gso_refused, 0u);
  EXPECT_LT(pair.b.counters().messages_in, 30u);
  EXPECT_EQ(pair.b.got[0].to.text(), "127.0.0.1");
}

TEST(UdpOffload, EcnAndSourceGoWithEverySegment) {
  for (const char* ip : {"127.0.0.5", "::1"}) {
    Pair pair(ip, offloads("::", true, true), offloads("::", true, true));
    UdpText text(numbered_text(6000), pair.to_b, 1000);
    text.message.ecn = 1;
    text.message.from = *inet::IpAddress::parse(ip);
    EXPECT_EQ(text.send_by(*pair.a.socket), 1u);
    ASSERT_TRUE(run_until(*pair.loop, [&] { return pair.b.got.size() == 6; }));
    for (const auto& got : pair.b.got) {
      EXPECT_EQ(got.ecn, 1);
      EXPECT_EQ(got.from.ip.text(), ip);
    }
  }
}

TEST(UdpOffload, ReceiverWithoutItGetsSingleDatagrams) {
  Pair pair("127.0.0.1", offloads("127.0.0.1", true, true), offloads("127.0.0.1", true, false));
  EXPECT_FALSE(pair.b.socket->has_gro());
  pair.carry(44 * 1452, 1452);
  EXPECT_EQ(pair.b.counters().messages_in, 44u);
}

TEST(UdpOffload, SenderWithoutItSendsManyACallAndAnySegmentsThePiecesGive) {
  Pair pair("127.0.0.1", offloads("127.0.0.1", false, true), offloads("127.0.0.1", true, true));
  EXPECT_FALSE(pair.a.socket->has_gso());
  pair.carry(64 * 1000, 1000);
  EXPECT_EQ(pair.a.counters().send_calls, 1u);
  EXPECT_EQ(pair.a.counters().datagrams_out, 64u);
  // Pieces that do not lie as segments do.
  const std::string text = numbered_text(5000);
  const ByteView all = as_bytes(text);
  const ByteView pieces[] = {all.first(7), all.subspan(7, 2500), all.subspan(2507, 1), all.subspan(2508)};
  OutDatagram odd;
  odd.pieces = pieces;
  odd.segment_size = 1200;
  odd.to = pair.to_b;
  pair.b.got.clear();
  EXPECT_EQ(pair.a.socket->send({&odd, 1}), 1u);
  ASSERT_TRUE(run_until(*pair.loop, [&] { return pair.b.got.size() == 5; }));
  EXPECT_EQ(testing::texts_of(pair.b), cut_text(text, 1200));
}

TEST(UdpOffload, DeviceWithoutChecksumsTurnsSegmentationOffForGood) {
  UdpOptions from = offloads("127.0.0.1", true, true);
  from.send_call = &refuse_segments;
  refusal = EIO;
  Pair pair("127.0.0.1", from, offloads("127.0.0.1", true, true));
  pair.carry(30 * 1000, 1000);
  EXPECT_FALSE(pair.a.socket->has_gso());
  pair.carry(30 * 1000, 1000);
  EXPECT_EQ(pair.a.counters().gso_refused, 1u);
  EXPECT_EQ(pair.a.counters().failed, 0u);
}

TEST(UdpOffload, PathThatRefusesIsServedWithoutAndOthersWithIt) {
  for (int error : {EINVAL, EMSGSIZE}) {
    UdpOptions from = offloads("127.0.0.1", true, true);
    from.send_call = &refuse_segments;
    refusal = error;
    Pair pair("127.0.0.1", from, offloads("127.0.0.1", true, true));
    pair.carry(30 * 1000, 1000);
    pair.carry(30 * 1000, 1000);
    EXPECT_TRUE(pair.a.socket->has_gso());
    EXPECT_EQ(pair.a.counters().gso_refused, 2u);
    EXPECT_EQ(pair.a.counters().datagrams_out, 60u);
  }
}

// The kernel's own refusal: it does not segment without checksums.
TEST(UdpOffload, RefusalOfTheKernelsOwnLosesNothing) {
  Pair pair("127.0.0.1", offloads("127.0.0.1", true, true), offloads("127.0.0.1", true, true));
  int on = 1;
  ASSERT_EQ(setsockopt(pair.a.socket->fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  pair.carry(30 * 1000, 1000);
  EXPECT_EQ(pair.a.counters().gso_refused, 1u);
}

// In a namespace of the caller's.
void make_loopback(int mtu) {
  Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq lo{};
  std::strncpy(lo.ifr_name, "lo", sizeof lo.ifr_name - 1);
  lo.ifr_flags = IFF_UP | IFF_LOOPBACK;
  ASSERT_EQ(ioctl(any.get(), SIOCSIFFLAGS, &lo), 0);
  lo.ifr_mtu = mtu;
  ASSERT_EQ(ioctl(any.get(), SIOCSIFMTU, &lo), 0);
}

TEST(UdpOffload, SegmentsAboveTheDevicesMtuGoAsFragments) {
  auto body = [] {
    make_loopback(1300);
    if (::testing::Test::HasFatalFailure()) return;
    for (const char* ip : {"127.0.0.1", "::1"}) {
      Pair pair(ip, offloads(ip, true, true), offloads(ip, true, true));
      pair.carry(20 * 1452, 1452);
      EXPECT_EQ(pair.a.counters().gso_refused, 1u) << ip;
      EXPECT_TRUE(pair.a.socket->has_gso());
    }
  };
  if (int refused = testing::in_new_namespace(body); refused != 0)
    GTEST_SKIP() << "no network namespace permitted here: " << strerror(refused);
}

// Fifty datagrams to a kernel that takes 21 and then says `error`.
struct Fifty {
  explicit Fifty(int error) {
    refusal = error;
    room = 21;
    for (int i = 0; i < 50; ++i) {
      texts.push_back(std::make_unique<UdpText>(std::to_string(i), pair.to_b));
      batch.push_back(texts.back()->message);
    }
  }
  static UdpOptions sender() {
    UdpOptions from = offloads("127.0.0.1", true, true);
    from.send_call = &take_few;
    return from;
  }
  Pair pair{"127.0.0.1", sender(), offloads("127.0.0.1", true, false)};
  std::vector<std::unique_ptr<UdpText>> texts;
  std::vector<OutDatagram> batch;
};

TEST(UdpSending, FullSocketStopsInOrderAndSaysWhenItGoesOn) {
  Fifty it(EAGAIN);
  size_t sent = it.pair.a.socket->send(it.batch);
  EXPECT_EQ(sent, 21u);
  room = SIZE_MAX;
  it.pair.a.on_writable = [&] { sent += it.pair.a.socket->send(std::span(it.batch).subspan(sent)); };
  ASSERT_TRUE(run_until(*it.pair.loop, [&] { return it.pair.b.got.size() == 50; }));
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(it.pair.b.got[i].text, std::to_string(i));
  EXPECT_EQ(it.pair.a.writable, 1);
  EXPECT_EQ(it.pair.a.counters().failed, 0u);
}

TEST(UdpSending, WantOfBuffersLosesWhatItMeetsAndHoldsNothingUp) {
  Fifty it(ENOBUFS);
  EXPECT_EQ(it.pair.a.socket->send(it.batch), 50u);
  EXPECT_EQ(it.pair.a.counters().failed, 29u);
  room = SIZE_MAX;
  EXPECT_EQ(it.pair.a.socket->send(std::span(it.batch).first(1)), 1u);
  ASSERT_TRUE(run_until(*it.pair.loop, [&] { return it.pair.b.got.size() == 22; }));
  EXPECT_EQ(it.pair.a.writable, 0);
}

TEST(UdpSending, CutMessageThatFindsTheSocketFullHalfWayIsDoneWithAndTheRestCounted) {
  UdpOptions from = offloads("127.0.0.1", false, true);
  from.send_call = &take_few;
  refusal = EAGAIN;
  room = 5;
  Pair pair("127.0.0.1", from, offloads("127.0.0.1", true, false));
  UdpText text(numbered_text(8000), pair.to_b, 1000);
  EXPECT_EQ(text.send_by(*pair.a.socket), 1u);
  EXPECT_EQ(pair.a.counters().failed, 3u);
  EXPECT_EQ(text.send_by(*pair.a.socket), 0u);
  room = SIZE_MAX;
  ASSERT_TRUE(run_until(*pair.loop, [&] { return pair.a.writable == 1 && pair.b.got.size() == 5; }));
}

TEST(UdpSending, OneDestinationsMisfortuneDoesNotDisturbTheOthers) {
  Pair pair("127.0.0.1", offloads("127.0.0.1", true, true), offloads("127.0.0.1", true, false));
  const inet::Endpoint forbidden{*inet::IpAddress::parse("255.255.255.255"), 9};  // EACCES
  const inet::Endpoint nowhere{*inet::IpAddress::parse("127.0.0.1"), 0};          // EINVAL
  const inet::Endpoint alien{*inet::IpAddress::parse("2001:db8::1"), 9};          // EAFNOSUPPORT
  std::vector<std::unique_ptr<UdpText>> texts;
  std::vector<OutDatagram> batch;
  for (const auto& to : {pair.to_b, forbidden, pair.to_b, nowhere, alien, pair.to_b}) {
    texts.push_back(std::make_unique<UdpText>(numbered_text(2500), to, uint16_t{1000}));
    batch.push_back(texts.back()->message);
  }
  EXPECT_EQ(pair.a.socket->send(batch), batch.size());
  ASSERT_TRUE(run_until(*pair.loop, [&] { return pair.b.got.size() == 9; }));
  EXPECT_EQ(pair.a.counters().failed, 9u);
  EXPECT_EQ(pair.a.counters().datagrams_out, 9u);
  EXPECT_TRUE(pair.a.socket->has_gso());
}

thread_local sockaddr_in6 last_name{};

int keep_name(int, mmsghdr* messages, unsigned count, int) {
  std::memcpy(&last_name, messages[count - 1].msg_hdr.msg_name, sizeof last_name);
  return static_cast<int>(count);
}

TEST(UdpSending, OnlyLinkLocalDestinationsNameTheirInterface) {
  UdpOptions from = offloads("::", true, true);
  from.send_call = &keep_name;
  auto loop = make_loop();
  UdpEnd a;
  a.open(*loop, from);
  for (const auto& [to, scope] : {std::pair{"fe80::1", 7u}, std::pair{"2001:db8::1", 0u}, std::pair{"192.0.2.1", 0u}}) {
    UdpText one("x", {*inet::IpAddress::parse(to), 51820});
    one.message.interface = 7;
    EXPECT_EQ(one.send_by(*a.socket), 1u);
    EXPECT_EQ(last_name.sin6_scope_id, scope) << to;
    EXPECT_EQ(ntohs(last_name.sin6_port), 51820);
  }
}

// Nor where the host of a lent socket has asked the kernel for such answers.
TEST(UdpSending, ClosedPortsAnswerDisturbsNobody) {
  for (bool lent : {false, true}) {
    Fd host(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    ASSERT_EQ(bind(host.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    int on = 1;
    ASSERT_EQ(setsockopt(host.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    UdpOptions from = offloads("127.0.0.1", true, true);
    if (lent) from.fd = host.get();
    Pair pair("127.0.0.1", from, offloads("127.0.0.1", true, false));
    inet::Endpoint closed;
    {
      UdpEnd gone;
      gone.open(*pair.loop, "127.0.0.1");
      closed = gone.socket->local();
    }
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(UdpText("lost", closed).send_by(*pair.a.socket), 1u);
      EXPECT_EQ(UdpText("well", pair.to_b).send_by(*pair.a.socket), 1u);
    }
    EXPECT_TRUE(run_until(*pair.loop, [&] { return pair.b.got.size() == 10; }));
    EXPECT_EQ(pair.a.counters().failed, 0u);
  }
}

TEST(UdpSending, DontFragmentStaysClear) {
  auto body = [] {
    make_loopback(65536);
    if (::testing::Test::HasFatalFailure()) return;
    for (const char* ip : {"127.0.0.1", "::"}) {
      Pair pair("127.0.0.1", offloads(ip, true, true), offloads("127.0.0.1", true, false));
      Fd raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP));
      ASSERT_TRUE(raw);
      pair.carry(1000, 1000);
      uint8_t packet[2000] = {};
      ASSERT_EQ(recv(raw.get(), packet, sizeof packet, 0), 1028);
      EXPECT_EQ(packet[6] & 0x40, 0) << ip;
    }
  };
  if (int refused = testing::in_new_namespace(body); refused != 0)
    GTEST_SKIP() << "no network namespace permitted here: " << strerror(refused);
}

}  // namespace
}  // namespace smartvpn::net
