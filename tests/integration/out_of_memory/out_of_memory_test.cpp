// Memory runs out at every place, one after the other, and once for a while: over the life of a server and a tunnel
// from the first call to the last, over visits of clients, and over everything that is done to a running server. The
// program lives on, no call does half of its work, nothing acknowledged is lost, no session's end goes untold, and
// afterwards everything that was taken has been given back.
#include <dirent.h>
#include <sys/wait.h>

#include "support/certificates.hpp"
#include "support/proxy_headers.hpp"
#include "support/scarce_server.hpp"
#include "support/siege.hpp"
#include "support/temporary_folder.hpp"

namespace smartvpn::testing {
namespace {

using std::chrono::milliseconds;
using Source = FailingMemory::Source;

#if defined(__SANITIZE_ADDRESS__)
constexpr long kSparse = 8;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr long kSparse = 8;
#else
constexpr long kSparse = 1;
#endif
#else
constexpr long kSparse = 1;
#endif

constexpr unsigned kRoundSeconds = 120;
long round_now = 0;

// What the test was about when the process ended.
void on_death(int number) {
  static char line[128];
  const int size = snprintf(line, sizeof line, "signal %d at allocation %ld\n", number, round_now);
  [[maybe_unused]] ssize_t done = ::write(2, line, static_cast<size_t>(size));
  FailingMemory::explain();
  signal(number, SIG_DFL);
  raise(number);
}

size_t entries_of(const char* folder) {
  size_t count = 0;
  DIR* dir = opendir(folder);
  while (readdir(dir)) ++count;
  closedir(dir);
  return count;
}
size_t descriptors() { return entries_of("/proc/self/fd"); }
size_t threads() { return entries_of("/proc/self/task"); }

struct Shortage {
  const char* name;
  Source source;
  long count;           // so many fail in a row
  milliseconds window;  // and all for so long
};

// Of how many allocations one fails: in the suite, and under siege. Above 1 a run takes other ones than the last, as it
// starts anywhere below.
struct Stride {
  long usual;
  long siege = 1;
  long now() const { return under_siege() ? siege : usual > 1 ? usual * kSparse : usual; }
};

// `round()` with the n-th allocation failing, for every `of`-th n until none fails.
template <class Round>
void sweep(const Shortage& shortage, const Stride& of, Round&& round) {
  const char* only = std::getenv("SMARTVPN_OOM_ROUND");
  const long stride = of.now();
  const long offset = static_cast<long>(system_rng().u32() % static_cast<uint32_t>(stride));
  long rounds = 0, n = only ? std::atol(only) : offset;
  for (bool reached = true; reached && !::testing::Test::HasFailure(); n += stride, ++rounds) {
    SCOPED_TRACE(std::string(shortage.name) + ", allocation " + std::to_string(n) +
                 " (SMARTVPN_OOM_ROUND runs from there)");
    round_now = n;
    alarm(kRoundSeconds);
    FailingMemory::arm(shortage.source, n, shortage.count, shortage.window);
    round();
    reached = FailingMemory::disarm() > 0;
    if (::testing::Test::HasFailure()) FailingMemory::explain();
  }
  alarm(0);
  ::testing::Test::RecordProperty("offset", std::to_string(offset));
  ::testing::Test::RecordProperty("rounds", std::to_string(rounds));
  printf("%s: %ld rounds, from allocation %ld to %ld by %ld\n", shortage.name, rounds, offset, n - stride, stride);
}

class OutOfMemory : public ::testing::Test {
 protected:
  static bool scarce_for(Source source, smartvpn_status status) {
    // OpenSSL does not always say why it could not.
    return source == FailingMemory::openssl && (status == SMARTVPN_SYSTEM || status == SMARTVPN_INVALID);
  }
  ScarceSetting setting(const std::string& name) {
    ScarceSetting out{.name = name};
    const std::string security = R"("security":{"new_connections_per_ip_per_minute":1000000,"upgrade_timeout_ms":2000)";
    out.extra = "," + security + "}";
    if (name == "tls") {
      const Identity ca = make_ca("test"), server = make_server(ca, {}, {"127.0.0.1"});
      out.listen.insert(out.listen.size() - 1, R"(,"tls":{"certificate":")" +
                                                   folder_.write("cert", server.certificate) + R"(","key":")" +
                                                   folder_.write("key", server.key) + "\"}");
    } else if (name == "asked") {
      out.asks = true;
      out.listen.insert(out.listen.size() - 1, R"(,"proxy_protocol":{"mode":"v2","trusted_proxies":["127.0.0.1"]})");
      out.tunnel = R"(,"proxy_protocol":{"send":"v2"})";
      out.extra = "," + security + R"(,"authorize":"required"})";
    } else if (name == "durable") {
      out.extra += R"(,"registry":{"store":"sqlite","path":")" + folder_ / ("db" + std::to_string(++count_)) + "\"}";
    }
    return out;
  }
  // Lives of servers, each of which ends.
  void sweep_lives(const std::string& name, const Shortage& shortage, const Stride& stride) {
    ScarceHost host([&](smartvpn_status status) { return scarce_for(shortage.source, status); });
    long live[FailingMemory::kSources];
    auto life = [&] {
      const ScarceSetting how = setting(name);
      {
        ScarceServer server(host, how);
        server.begin() && server.visit(0) && server.end();
      }
      // Each place in a thread's queue of errors keeps the text it once had: some more blocks, up to its 16 places.
      OPENSSL_thread_stop();
    };
    for (int i = 0; i < 3; ++i) life();
    const size_t files = descriptors(), tasks = threads();
    for (int i = 0; i < FailingMemory::kSources; ++i) live[i] = FailingMemory::live(static_cast<Source>(i));
    sweep(shortage, stride, [&] {
      life();
      EXPECT_EQ(descriptors(), files);
      // The kernel shows a thread for a moment after it was joined.
      EXPECT_TRUE(ScarceHost::eventually([&] { return threads() == tasks; })) << threads();
      for (int i = 0; i < FailingMemory::kSources; ++i) {
        const auto source = static_cast<Source>(i);
        const long now = FailingMemory::live(source);
        if (now <= live[i]) continue;
        // A table of the process's that has grown once does not grow again; a leak does.
        FailingMemory::arm(shortage.source, round_now, shortage.count, shortage.window);
        life();
        EXPECT_LE(FailingMemory::live(source), now) << "blocks of kind " << i << ", " << live[i] << " before";
        live[i] = now;
      }
    });
  }
  // Rounds of `what` with one server that lives on. What it keeps has bounds: it does not grow with the rounds.
  template <class Round>
  void sweep_rounds(const std::string& name, const Shortage& shortage, const Stride& stride, Round&& what) {
    ScarceHost host([&](smartvpn_status status) { return scarce_for(shortage.source, status); });
    const ScarceSetting how = setting(name);
    ScarceServer server(host, how);
    ASSERT_TRUE(server.begin());
    long most[FailingMemory::kSources] = {};
    int count = 0;
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(what(server, ++count));
      for (int s = 0; s < FailingMemory::kSources; ++s)
        most[s] = std::max(most[s], FailingMemory::live(static_cast<Source>(s)));
    }
    // The store in memory remembers its last 4096 changes, some twelve a round.
    const int feed = name == "durable" ? 0 : 2;
    sweep(shortage, stride, [&] {
      what(server, ++count);
      for (int i = 0; i < FailingMemory::kSources; ++i) {
        const long bound = most[i] + 40 + feed * std::min(count, 400);
        auto live = [i] { return FailingMemory::live(static_cast<Source>(i)); };
        // Events on their way to the callback are live until its thread had its turn, which a busy machine delays.
        EXPECT_TRUE(ScarceHost::eventually([&] { return live() <= bound; }))
            << live() << " blocks of kind " << i << ", more than " << bound;
      }
    });
  }
  void sweep_visits(const std::string& name, const Shortage& shortage, const Stride& stride) {
    sweep_rounds(name, shortage, stride, [](ScarceServer& server, int count) { return server.visit(count % 2); });
  }
  void sweep_administration(const std::string& name, const Shortage& shortage, const Stride& stride) {
    sweep_rounds(name, shortage, stride, [](ScarceServer& server, int) { return server.administer(); });
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

constexpr int kEndedByLibuv = 42;

// In a process of its own, because libuv ends it in one place: when its table of descriptors has to grow and cannot.
int life_without_libuv_memory(long n, const std::function<void()>& life) {
  const pid_t child = fork();
  if (child != 0) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  signal(SIGABRT, [](int) { _exit(FailingMemory::resize_failed() ? kEndedByLibuv : 1); });
  alarm(kRoundSeconds);
  FailingMemory::arm(FailingMemory::uv, n, 1);
  life();
  const bool reached = FailingMemory::disarm() > 0;
  _exit(::testing::Test::HasFailure() ? 1 : reached ? 0 : 2);
}

constexpr Shortage kOnce{"one", FailingMemory::cpp, 1, {}};
constexpr Shortage kFew{"five", FailingMemory::cpp, 5, {}};
constexpr Shortage kWhile{"for 30 ms", FailingMemory::cpp, 0, milliseconds(30)};
constexpr Shortage kOpensslOnce{"one of OpenSSL's", FailingMemory::openssl, 1, {}};
constexpr Shortage kSqliteOnce{"one of SQLite's", FailingMemory::sqlite, 1, {}};

TEST_F(OutOfMemory, ALifeGoesThroughOrFailsWhole) { sweep_lives("plain", kOnce, {61}); }
TEST_F(OutOfMemory, ALifeGoesThroughOrFailsWholeWithTls) { sweep_lives("tls", kOpensslOnce, {1201, 13}); }
TEST_F(OutOfMemory, ALifeGoesThroughOrFailsWholeWithADurableRegistry) { sweep_lives("durable", kSqliteOnce, {401, 3}); }
TEST_F(OutOfMemory, LibuvEndsTheProcessInOnePlaceOnly) {
  ScarceHost host([](smartvpn_status) { return false; });
  const ScarceSetting how = setting("plain");
  auto life = [&] {
    ScarceServer server(host, how);
    server.begin() && server.visit(0) && server.end();
  };
  int ended = 0, outcome = 0;
  long n = 0;
  for (; outcome != 2 && n < 1000; ++n) {
    outcome = life_without_libuv_memory(n, life);
    ended += outcome == kEndedByLibuv;
    ASSERT_TRUE(outcome == 0 || outcome == 2 || outcome == kEndedByLibuv) << "allocation " << n << ": " << outcome;
  }
  EXPECT_GT(n, 3);
  printf("libuv: %ld allocations, of which %d end the process\n", n - 1, ended);
}
TEST_F(OutOfMemory, ALifeSurvivesAMomentWithout) { sweep_lives("asked", kWhile, {151}); }
TEST_F(OutOfMemory, AVisitEndsOneConnectionAtMost) { sweep_visits("plain", kOnce, {13}); }
TEST_F(OutOfMemory, AVisitEndsOneConnectionAtMostBehindAProxyAndWithTheHostAsked) { sweep_visits("asked", kFew, {29}); }
TEST_F(OutOfMemory, AVisitEndsOneConnectionAtMostWithTls) { sweep_visits("tls", kOnce, {29}); }
TEST_F(OutOfMemory, AVisitEndsOneConnectionAtMostWhenOpensslHasNone) { sweep_visits("tls", kOpensslOnce, {151, 3}); }
TEST_F(OutOfMemory, AVisitSurvivesAMomentWithout) { sweep_visits("asked", kWhile, {61}); }
TEST_F(OutOfMemory, AChangeIsMadeWholeOrNot) { sweep_administration("plain", kOnce, {67}); }
TEST_F(OutOfMemory, AChangeIsMadeWholeOrNotInADurableRegistry) { sweep_administration("durable", kOnce, {151}); }
TEST_F(OutOfMemory, AChangeIsMadeWholeOrNotWhenSqliteHasNone) { sweep_administration("durable", kSqliteOnce, {67}); }
TEST_F(OutOfMemory, AChangeSurvivesAMomentWithout) { sweep_administration("durable", kWhile, {301, 2}); }

}  // namespace
}  // namespace smartvpn::testing

int main(int argc, char** argv) {
  using smartvpn::testing::FailingMemory;
  FailingMemory::install();
  for (int number : {SIGABRT, SIGSEGV, SIGALRM}) signal(number, &smartvpn::testing::on_death);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
