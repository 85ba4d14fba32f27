// Datagrams over loopback: both families on one socket, addresses and ECN both ways, opening and lending, fairness.
#include "net/udp_socket.hpp"

#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "net/sockaddr.hpp"
#include "support/network_namespace.hpp"
#include "support/udp_end.hpp"

namespace smartvpn::net {
namespace {

using testing::make_loop;
using testing::run_until;
using testing::UdpEnd;
using testing::UdpText;

TEST(UdpSocket, CarriesDatagramsOfEverySizeInBothFamilies) {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    auto loop = make_loop();
    UdpEnd a, b;
    a.open(*loop, ip);
    b.open(*loop, ip);
    std::vector<std::string> sent;
    for (size_t size : {0, 1, 148, 1452, 9000, 65000}) {
      sent.push_back(testing::numbered_text(size));
      EXPECT_EQ(UdpText(sent.back(), b.at(ip)).send_by(*a.socket), 1u);
    }
    ASSERT_TRUE(run_until(*loop, [&] { return b.got.size() == sent.size(); }));
    EXPECT_EQ(testing::texts_of(b), sent);
    EXPECT_EQ(b.got[0].from, a.socket->local());
    EXPECT_EQ(b.got[0].to, b.socket->local().ip);
    EXPECT_NE(b.got[0].interface, 0u);
    EXPECT_EQ(a.counters().datagrams_out, sent.size());
    EXPECT_EQ(b.counters().datagrams_in, sent.size());
    EXPECT_EQ(b.counters().bytes_in, a.counters().bytes_out);
  }
}

TEST(UdpSocket, UnspecifiedIpv6AddressServesBothFamiliesAndShowsIpv4AsSuch) {
  auto loop = make_loop();
  UdpEnd both, v4, v6;
  both.open(*loop, "::");
  v4.open(*loop, "127.0.0.1");
  v6.open(*loop, "::1");
  UdpText("four", both.at("127.0.0.1")).send_by(*v4.socket);
  ASSERT_TRUE(run_until(*loop, [&] { return both.got.size() == 1; }));
  UdpText("six", both.at("::1")).send_by(*v6.socket);
  ASSERT_TRUE(run_until(*loop, [&] { return both.got.size() == 2; }));
  EXPECT_EQ(both.got[0].from.text(), v4.socket->local().text());
  EXPECT_EQ(both.got[0].to.text(), "127.0.0.1");
  EXPECT_EQ(both.got[1].from.text(), v6.socket->local().text());
  EXPECT_EQ(both.got[1].to.text(), "::1");
  UdpText("answer", v4.socket->local()).send_by(*both.socket);
  UdpText("answer", v6.socket->local()).send_by(*both.socket);
  ASSERT_TRUE(run_until(*loop, [&] { return v4.got.size() + v6.got.size() == 2; }));
  EXPECT_EQ(v4.got.at(0).from.text(), both.at("127.0.0.1").text());
  EXPECT_EQ(v6.got.at(0).from.text(), both.at("::1").text());
}

TEST(UdpSocket, AnIpv6AddressLeavesIpv4Alone) {
  auto loop = make_loop();
  UdpEnd v6, v4;
  v6.open(*loop, "::1");
  UdpOptions same_port;
  same_port.address = v6.at("127.0.0.1");
  v4.open(*loop, same_port);
  EXPECT_EQ(v4.socket->local().port, v6.socket->local().port);
}

TEST(UdpSocket, AnswersFromTheAddressThatWasAsked) {
  for (const char* ip : {"0.0.0.0", "::"}) {
    auto loop = make_loop();
    UdpEnd server, client;
    server.open(*loop, ip);
    client.open(*loop, "127.0.0.1");
    for (const char* own : {"127.0.0.2", "127.0.0.3"}) {
      UdpText("ask", server.at(own)).send_by(*client.socket);
      const size_t before = client.got.size();
      ASSERT_TRUE(run_until(*loop, [&] { return !server.got.empty(); }));
      EXPECT_EQ(server.got[0].to.text(), own);
      UdpText answer("answer", server.got[0].from);
      answer.message.from = server.got[0].to;
      answer.message.interface = server.got[0].interface;
      EXPECT_EQ(answer.send_by(*server.socket), 1u);
      EXPECT_FALSE(answer.message.source_gone);
      ASSERT_TRUE(run_until(*loop, [&] { return client.got.size() > before; }));
      EXPECT_EQ(client.got.back().from.text(), server.at(own).text());
      server.got.clear();
    }
  }
}

TEST(UdpSocket, SourceThatIsGoneIsToldAndTheDatagramSentAllTheSame) {
  struct Case {
    const char *bound, *to, *gone;
  };
  for (const Case& at : {Case{"0.0.0.0", "127.0.0.1", "192.0.2.77"}, Case{"::", "127.0.0.1", "192.0.2.77"},
                         Case{"::", "::1", "2001:db8::77"}})
    for (uint16_t segment_size : {0, 3}) {
      auto loop = make_loop();
      UdpEnd a, b;
      a.open(*loop, at.bound);
      b.open(*loop, at.to);
      UdpText lost("abcdef", b.socket->local(), segment_size), well("after", b.socket->local());
      lost.message.from = *inet::IpAddress::parse(at.gone);
      OutDatagram batch[] = {lost.message, well.message};
      EXPECT_EQ(a.socket->send(batch), 2u);
      EXPECT_TRUE(batch[0].source_gone);
      EXPECT_FALSE(batch[1].source_gone);
      std::vector<std::string> sent = testing::cut_text(lost.text, segment_size ? segment_size : 6);
      sent.push_back(well.text);
      ASSERT_TRUE(run_until(*loop, [&] { return b.got.size() == sent.size(); }));
      EXPECT_EQ(testing::texts_of(b), sent);
      EXPECT_EQ(a.counters().failed, 0u);
    }
}

// In a namespace of the caller's: the loopback device up, with fe80::1.
void make_link_local_loopback() {
  Fd v4(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), v6(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq lo{};
  std::strncpy(lo.ifr_name, "lo", sizeof lo.ifr_name - 1);
  lo.ifr_flags = IFF_UP | IFF_LOOPBACK;
  ASSERT_EQ(ioctl(v4.get(), SIOCSIFFLAGS, &lo), 0);
  in6_ifreq address{};
  address.ifr6_addr.s6_addr[0] = 0xfe;
  address.ifr6_addr.s6_addr[1] = 0x80;
  address.ifr6_addr.s6_addr[15] = 1;
  address.ifr6_prefixlen = 64;
  address.ifr6_ifindex = static_cast<int>(if_nametoindex("lo"));
  ASSERT_EQ(ioctl(v6.get(), SIOCSIFADDR, &address), 0);
}

TEST(UdpSocket, LinkLocalPeerIsAnsweredThroughItsInterface) {
  auto body = [] {
    make_link_local_loopback();
    if (::testing::Test::HasFatalFailure()) return;
    auto loop = make_loop();
    UdpEnd a, b;
    a.open(*loop, "::");
    b.open(*loop, "::");
    UdpText ask("ask", b.at("fe80::1")), answer("answer", {});
    ask.message.interface = if_nametoindex("lo");
    ASSERT_TRUE(testing::reach(*loop, ask, *a.socket, b));
    EXPECT_EQ(b.got[0].to.text(), "fe80::1");
    EXPECT_EQ(b.got[0].interface, if_nametoindex("lo"));
    answer.message.to = b.got[0].from;
    answer.message.from = b.got[0].to;
    answer.message.interface = b.got[0].interface;
    answer.send_by(*b.socket);
    ASSERT_TRUE(run_until(*loop, [&] { return !a.got.empty(); }));
    EXPECT_EQ(a.got[0].from.text(), b.at("fe80::1").text());
    EXPECT_FALSE(answer.message.source_gone);
  };
  if (int refused = testing::in_new_namespace(body); refused != 0)
    GTEST_SKIP() << "no network namespace permitted here: " << strerror(refused);
}

TEST(UdpSocket, EcnBitsTravelBothWaysInBothFamilies) {
  struct Case {
    const char *from, *to, *address;
  };
  for (const Case& at : {Case{"127.0.0.1", "127.0.0.1", "127.0.0.1"}, Case{"::1", "::1", "::1"},
                         Case{"::", "::", "127.0.0.1"}, Case{"::", "::", "::1"}}) {
    auto loop = make_loop();
    UdpEnd a, b;
    a.open(*loop, at.from);
    b.open(*loop, at.to);
    for (uint8_t ecn = 0; ecn < 4; ++ecn) {
      UdpText one("x", b.at(at.address));
      one.message.ecn = ecn;
      ASSERT_EQ(one.send_by(*a.socket), 1u);
    }
    ASSERT_TRUE(run_until(*loop, [&] { return b.got.size() == 4; }));
    for (uint8_t ecn = 0; ecn < 4; ++ecn) EXPECT_EQ(b.got[ecn].ecn, ecn) << at.address;
  }
}

TEST(UdpSocket, BurstArrivesWholeInOrderAndInFewCalls) {
  auto loop = make_loop();
  UdpOptions singly;
  singly.address = {*inet::IpAddress::parse("127.0.0.1"), 0};
  singly.gro = false;
  UdpEnd a, b;
  a.open(*loop, "127.0.0.1");
  b.open(*loop, singly);
  constexpr size_t kCount = 1000;
  std::vector<std::unique_ptr<UdpText>> texts;
  std::vector<OutDatagram> batch;
  for (size_t i = 0; i < kCount; ++i) {
    texts.push_back(std::make_unique<UdpText>(std::to_string(i), b.socket->local()));
    batch.push_back(texts.back()->message);
  }
  EXPECT_EQ(a.socket->send(batch), kCount);
  ASSERT_TRUE(run_until(*loop, [&] { return b.got.size() == kCount; }));
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(b.got[i].text, std::to_string(i));
  EXPECT_LE(a.counters().send_calls, kCount / 16 + 1);
  EXPECT_LE(b.counters().receive_calls, kCount / 64 + 2);
}

TEST(UdpSocket, AFloodLeavesTheOthersOnTheLoopTheirTurn) {
  auto loop = make_loop();
  UdpEnd end;
  end.open(*loop, "127.0.0.1");
  uint64_t seen = 0;
  end.on_batch = [&](std::span<Datagram> batch) {  // each is answered by two of its kind
    seen += batch.size();
    for (size_t i = 0; i < 2 * batch.size() && seen < 100'000; ++i)
      UdpText("again", end.socket->local()).send_by(*end.socket);
  };
  for (int i = 0; i < 100; ++i) UdpText("first", end.socket->local()).send_by(*end.socket);
  loop->run_turn();
  EXPECT_GE(seen, 100u);
  EXPECT_LE(seen, 2000u) << "one turn read on while more came";
}

TEST(UdpSocket, PausedSocketReadsNothingUntilItIsResumed) {
  auto loop = make_loop();
  UdpEnd a, b;
  a.open(*loop, "127.0.0.1");
  b.open(*loop, "127.0.0.1");
  b.socket->pause_reading();
  UdpText("waits", b.socket->local()).send_by(*a.socket);
  UdpText("marker", a.socket->local()).send_by(*a.socket);
  ASSERT_TRUE(run_until(*loop, [&] { return !a.got.empty(); }));
  EXPECT_TRUE(b.got.empty());
  b.socket->resume_reading();
  EXPECT_TRUE(run_until(*loop, [&] { return b.got.size() == 1; }));
}

TEST(UdpSocketOpening, PortInUseNamesTheConfigurationsPath) {
  auto loop = make_loop();
  UdpEnd first, second;
  first.open(*loop, "127.0.0.1");
  UdpOptions options;
  options.address = first.socket->local();
  options.path = "/listen/3";
  auto refused = UdpSocket::open(*loop, options, second);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().system_errno, EADDRINUSE);
  EXPECT_EQ(refused.error().path, "/listen/3");
}

TEST(UdpSocketOpening, SeveralShareAPortWhereAllSaySo) {
  auto loop = make_loop();
  UdpOptions options;
  options.address = {*inet::IpAddress::parse("127.0.0.1"), 0};
  options.reuse_port = true;
  UdpEnd first, second;
  first.open(*loop, options);
  options.address = first.socket->local();
  second.open(*loop, options);
  EXPECT_EQ(second.socket->local(), first.socket->local());
}

TEST(UdpSocketOpening, SocketOfTheHostsIsUsedAndStaysTheHosts) {
  auto loop = make_loop();
  Fd host(socket(AF_INET, SOCK_DGRAM, 0));
  auto at = to_socket_address({*inet::IpAddress::parse("127.0.0.1"), 0});
  ASSERT_EQ(bind(host.get(), at.get(), at.size), 0);
  UdpOptions options;
  options.fd = host.get();
  UdpEnd a, b;
  a.open(*loop, options);
  b.open(*loop, "127.0.0.1");
  EXPECT_EQ(a.socket->local(), local_endpoint(host.get()));
  UdpText("lent", a.socket->local()).send_by(*b.socket);
  ASSERT_TRUE(run_until(*loop, [&] { return a.got.size() == 1; }));
  EXPECT_EQ(a.got[0].to.text(), "127.0.0.1");
  a.socket.reset();
  EXPECT_NE(fcntl(host.get(), F_GETFD), -1);
}

TEST(UdpSocketOpening, WhatIsNoBoundUdpSocketIsRefused) {
  auto loop = make_loop();
  UdpEnd end;
  Fd unbound(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), stream(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const auto& [fd, status] : {std::pair{unbound.get(), Status::INVALID}, std::pair{stream.get(), Status::INVALID},
                                   std::pair{file.get(), Status::SYSTEM}}) {
    UdpOptions options;
    options.fd = fd;
    options.path = "/listen/0/fd";
    auto refused = UdpSocket::open(*loop, options, end);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().status, status);
    EXPECT_EQ(refused.error().path, "/listen/0/fd");
  }
}

TEST(UdpSocketOpening, DescriptorIsCloseOnExecAndKnownToTheLoop) {
  auto loop = make_loop();
  const size_t before = loop->descriptors().size();
  UdpEnd end;
  end.open(*loop, "127.0.0.1");
  EXPECT_EQ(loop->descriptors().size(), before + 1);
  EXPECT_NE(fcntl(end.socket->fd(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(end.socket->fd(), F_GETFL) & O_NONBLOCK, 0);
  end.socket.reset();
  EXPECT_EQ(loop->descriptors().size(), before);
}

}  // namespace
}  // namespace smartvpn::net
