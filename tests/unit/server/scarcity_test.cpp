// A process that has no descriptor left: newcomers wait, sessions, statistics and the registry go on, nothing spins,
// and it is over as soon as there are descriptors again.
#include <fcntl.h>
#include <sys/resource.h>

#include "base/features.hpp"
#include "support/certificates.hpp"
#include "support/temporary_folder.hpp"
#include "support/wire_client.hpp"

namespace smartvpn::testing_support {
namespace {

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

bool pings(tunnel::Tunnel& tunnel) {
  write_packet(tunnel, echo_request(address_v4(tunnel), *inet::IpAddress::parse("10.8.0.1")));
  return !read_packet(tunnel).empty();
}

// Every number below the process's limit is taken while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    take(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    rlimit low{static_cast<rlim_t>(taken_.back()) + 64, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    while (take(fcntl(taken_.front(), F_DUPFD_CLOEXEC, 0))) continue;
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() {
    for (int fd : taken_) ::close(fd);
    setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  bool take(int fd) {
    if (fd >= 0) taken_.push_back(fd);
    return fd >= 0;
  }
  rlimit before_{};
  std::vector<int> taken_;
};

// Sockets that exist before descriptors run out, and connect when they have.
struct Newcomers {
  explicit Newcomers(size_t count) {
    for (size_t i = 0; i < count; ++i) sockets.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  ~Newcomers() {
    for (int fd : sockets) ::close(fd);
  }
  void knock(uint16_t port) const {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int fd : sockets) {
      ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&server), sizeof server), 0);
      ASSERT_EQ(::send(fd, kHealthRequest.data(), kHealthRequest.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(kHealthRequest.size()));
    }
  }
  static bool is_answered(int fd) {
    pollfd ready{fd, POLLIN, 0};
    char answer[15] = {};
    return ::poll(&ready, 1, kWaitMs) == 1 && ::recv(fd, answer, sizeof answer, MSG_WAITALL) == sizeof answer &&
           std::string_view(answer, sizeof answer) == "HTTP/1.1 200 OK";
  }
  std::vector<int> sockets;
};

size_t pauses_told(RunningServer& server) {
  size_t count = 0;
  while (auto event = server.events->next(0))
    if ((*event)->type() == telemetry::EventType::log)
      count += std::string_view((*event)->text("message")).starts_with("accepting pauses");
  return count;
}

TEST(Scarcity, WithoutDescriptorsNewcomersWaitAndEverybodyElseGoesOn) {
  smartvpn::testing::TemporaryFolder folder;
  ServerSetup setup;
  const auto identity = smartvpn::testing::make_server(smartvpn::testing::make_ca("exhausted"), {}, {"127.0.0.1"});
  setup.listen += R"(,{"transport":"websocket","address":"127.0.0.1","port":0,"tls":{"certificate":")" +
                  folder.write("certificate.pem", identity.certificate) + R"(","key":")" +
                  folder.write("key.pem", identity.key) + "\"}}";
#if SMARTVPN_WITH_SQLITE
  setup.extra = R"(,"registry":{"store":"sqlite","path":")" + (folder / "registry") + R"("})";
#endif
  RunningServer server{setup};
  auto alice = connect(client_config(server.create_client("alice"), "host"));
  ASSERT_TRUE(alice && pings(*alice));
  const Newcomers newcomers(8);
  std::optional<NoDescriptors> none;
  none.emplace();
  newcomers.knock(server.port());
  const double cpu = cpu_seconds();
  const Time begun = monotonic_now();
  size_t answered = 0;
  while (monotonic_now() < begun + milliseconds(1200)) {
    answered += pings(*alice);
    std::this_thread::sleep_until(monotonic_now() + milliseconds(20));
  }
  const double used = cpu_seconds() - cpu;
  EXPECT_GT(answered, 5u);
  EXPECT_LT(used, 0.5) << "of 1.2 s: it spins";
  EXPECT_EQ(stats_of(server).total.connections_open, 1u);
  // A durable change may need a descriptor: then it is refused as a whole, with a reason.
  registry::ClientSpec spec;
  spec.id = "bob";
  auto bob = server.server->client_create(spec);
  EXPECT_EQ(server.server->client_get("bob").ok(), bob.ok());
  EXPECT_EQ(server.server->client_list()->size(), bob ? 2u : 1u);
  auto reload = server.server->reload_certificates();
  ASSERT_FALSE(reload) << "files cannot be read without one";
  EXPECT_EQ(reload.error().path, "/listen/1/tls/certificate");
  EXPECT_FALSE(server.server->subscribe(telemetry::kAllEvents, 16)) << "needs a descriptor, and says so";
  none.reset();
  for (int fd : newcomers.sockets) EXPECT_TRUE(Newcomers::is_answered(fd)) << "nobody has to tell it";
  EXPECT_TRUE(pings(*alice));
  EXPECT_TRUE(server.server->reload_certificates());
  if (!bob) {
    EXPECT_TRUE(server.server->client_create(spec)) << "it was not the change";
  }
  EXPECT_EQ(pauses_told(server), 1u) << "an episode is told once, not ten times a second";
  EXPECT_EQ(sessions_of(server).size(), 1u);
}

// Pongs that nobody asked for are legal, answered by nothing and counted by no other bound.
TEST(Scarcity, AStrangerWhoNeverStopsTalkingIsCutLongBeforeHisDeadline) {
  RunningServer server{ServerSetup()};
  WireClient stranger(RawSocket(server.port()), server.public_key_);
  ASSERT_TRUE(stranger.upgrade() && stranger.hear_hello());
  Bytes pongs;
  for (int i = 0; i < 1000; ++i) append(pongs, WireClient::frame(ws::Opcode::pong, {}));
  const Time begun = monotonic_now();
  size_t said = 0;
  while (said < (size_t{64} << 20) && stranger.socket.send(pongs)) said += pongs.size();
  EXPECT_LT(said, size_t{64} << 20) << "and somebody has read it all";
  EXPECT_LT(monotonic_now() - begun, seconds(8));
  EXPECT_EQ(next_rejection(server), "handshake_failed");
  EXPECT_TRUE(becomes_idle(server));
}

}  // namespace
}  // namespace smartvpn::testing_support
