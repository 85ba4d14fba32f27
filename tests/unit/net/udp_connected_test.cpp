// UDP sockets that are connected to one peer, several on one set of buffers, and ports that are shared later.
#include <cerrno>

#include "net/udp_socket.hpp"
#include "support/udp_end.hpp"

namespace smartvpn::net {
namespace {

using testing::make_loop;
using testing::run_until;
using testing::UdpEnd;
using testing::UdpText;

struct ConnectedEnd : UdpEnd {
  int refused_with = 0;
  void on_udp_refused(int error) override { refused_with = error; }
  void connect(Loop& loop, const inet::Endpoint& to, std::shared_ptr<UdpBuffers> buffers = nullptr) {
    UdpOptions options;
    options.connect_to = to;
    options.kernel_buffer = 1 << 16;
    options.buffers = std::move(buffers);
    open(loop, options);
  }
};

TEST(UdpConnected, TalksToItsPeerAloneInBothFamilies) {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    auto loop = make_loop();
    UdpEnd server, stranger;
    ConnectedEnd client;
    server.open(*loop, ip);
    stranger.open(*loop, ip);
    client.connect(*loop, server.at(ip));
    EXPECT_EQ(client.socket->peer(), server.at(ip));
    EXPECT_EQ(client.socket->local().ip, server.socket->local().ip);
    UdpText to_peer("to the peer", {});
    EXPECT_EQ(to_peer.send_by(*client.socket), 1u);
    EXPECT_EQ(to_peer.message.error, 0);
    ASSERT_TRUE(run_until(*loop, [&] { return server.got.size() == 1; }));
    EXPECT_EQ(server.got[0].text, "to the peer");
    EXPECT_EQ(server.got[0].from, client.socket->local());
    UdpText("not his", client.socket->local()).send_by(*stranger.socket);
    UdpText("his", client.socket->local()).send_by(*server.socket);
    ASSERT_TRUE(run_until(*loop, [&] { return !client.got.empty(); }));
    EXPECT_EQ(testing::texts_of(client), std::vector<std::string>{"his"});
    EXPECT_FALSE(server.socket->peer());
  }
}

TEST(UdpConnected, SegmentsArriveCut) {
  auto loop = make_loop();
  UdpEnd server;
  ConnectedEnd client;
  server.open(*loop, "127.0.0.1");
  client.connect(*loop, server.at("127.0.0.1"));
  const std::string text = testing::numbered_text(5500);
  EXPECT_EQ(UdpText(text, {}, 1000).send_by(*client.socket), 1u);
  ASSERT_TRUE(run_until(*loop, [&] { return server.got.size() == 6; }));
  EXPECT_EQ(testing::texts_of(server), testing::cut_text(text, 1000));
}

TEST(UdpConnected, HearsThatNobodyIsThereAndGoesOn) {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    auto loop = make_loop();
    ConnectedEnd client;
    inet::Endpoint at;
    {
      UdpEnd gone;
      gone.open(*loop, ip);
      at = gone.at(ip);
    }
    client.connect(*loop, at);
    UdpText("anybody?", {}).send_by(*client.socket);
    ASSERT_TRUE(run_until(*loop, [&] { return client.refused_with != 0; }));
    EXPECT_EQ(client.refused_with, ECONNREFUSED);
    UdpEnd back;
    UdpOptions options;
    options.address = at;
    back.open(*loop, options);
    UdpText("now?", {}).send_by(*client.socket);
    ASSERT_TRUE(run_until(*loop, [&] { return !back.got.empty(); }));
    EXPECT_EQ(back.got[0].text, "now?");
  }
}

TEST(UdpConnected, SaysWhyAMessageWasGivenUp) {
  auto loop = make_loop();
  UdpEnd server;
  ConnectedEnd client;
  server.open(*loop, "127.0.0.1");
  client.connect(*loop, server.at("127.0.0.1"));
  UdpText too_big(std::string(65508, 'x'), {}), fits(std::string(65507, 'x'), {});
  EXPECT_EQ(too_big.send_by(*client.socket), 1u);
  EXPECT_EQ(too_big.message.error, EMSGSIZE);
  EXPECT_EQ(fits.send_by(*client.socket), 1u);
  EXPECT_EQ(fits.message.error, 0);
  ASSERT_TRUE(run_until(*loop, [&] { return !server.got.empty(); }));
  EXPECT_EQ(server.got[0].text.size(), 65507u);
}

TEST(UdpConnected, ManyShareOneSetOfBuffers) {
  auto loop = make_loop();
  const auto buffers = make_udp_buffers();
  UdpEnd server;
  UdpOptions options;
  options.address = {*inet::IpAddress::parse("127.0.0.1"), 0};
  options.buffers = buffers;
  server.open(*loop, options);
  // Answers while it reads, as a relay does.
  server.on_batch = [&](std::span<Datagram> batch) {
    for (const Datagram& datagram : batch) {
      server.got.push_back({std::string(as_text(datagram.bytes)), datagram.from, datagram.to, 0, 0});
      UdpText("answer to " + std::string(as_text(datagram.bytes)), datagram.from).send_by(*server.socket);
    }
  };
  std::vector<std::unique_ptr<ConnectedEnd>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<ConnectedEnd>());
    clients.back()->connect(*loop, server.at("127.0.0.1"), buffers);
    UdpText("number " + std::to_string(i), {}).send_by(*clients.back()->socket);
  }
  EXPECT_EQ(buffers.use_count(), 53) << "the local, the options', the server's and theirs";
  for (int i = 0; i < 50; ++i) {
    const auto& got = clients[static_cast<size_t>(i)]->got;
    ASSERT_TRUE(run_until(*loop, [&] { return !got.empty(); }));
    EXPECT_EQ(got[0].text, "answer to number " + std::to_string(i));
  }
}

TEST(UdpConnected, WhereThereIsNoWayItCannotBeOpened) {
  auto loop = make_loop();
  ConnectedEnd end;
  UdpOptions options;
  options.connect_to = *inet::Endpoint::parse("[fe80::1]:9");  // of no interface
  const auto made = UdpSocket::open(*loop, options, end);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().status, Status::SYSTEM);
}

TEST(UdpSharing, WhoSharesLaterBindsAsIfAloneAndLetsOthersIn) {
  auto loop = make_loop();
  UdpEnd alone, founder, joining, late;
  UdpOptions options;
  options.address = {*inet::IpAddress::parse("127.0.0.1"), 0};
  alone.open(*loop, options);
  options.share_later = true;
  founder.open(*loop, options);
  options.address = founder.at("127.0.0.1");
  UdpOptions joins = options;
  joins.share_later = false;
  joins.reuse_port = true;
  joining.open(*loop, joins);
  EXPECT_EQ(joining.socket->local(), founder.socket->local());
  EXPECT_EQ(UdpSocket::open(*loop, options, late).error().system_errno, EADDRINUSE) << "another founder";
  joins.address = alone.at("127.0.0.1");
  EXPECT_EQ(UdpSocket::open(*loop, joins, late).error().system_errno, EADDRINUSE) << "nobody lets them in";
  options.address = alone.at("127.0.0.1");
  EXPECT_EQ(UdpSocket::open(*loop, options, late).error().system_errno, EADDRINUSE);
}

}  // namespace
}  // namespace smartvpn::net
