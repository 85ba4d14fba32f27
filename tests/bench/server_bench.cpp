// A whole server under many clients over loopback WebSocket: handshakes for a second of its processor, and what
// an idle session keeps in memory. The clients are another process, so that memory and processor time of this
// one are the server's alone.
//   server_bench handshakes SECONDS [tls]
//   server_bench memory SESSIONS [tls]
//   server_bench swarm PORT KEY CLIENTS plain|tls churn|stay     (the child)
//   server_bench keys CLIENTS                                    (the public keys of a swarm)
#include <malloc.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "bench/figures.hpp"
#include "server/server.hpp"
#include "support/certificates.hpp"
#include "support/swarm.hpp"

extern "C" char** environ;

namespace smartvpn::bench {
namespace {

using testing::swarm_key;
using testing::SwarmOrder;

constexpr size_t kChurn = 32;

std::string quoted_pem(const std::string& pem) {
  std::string out = "\"";
  for (char c : pem) out += c == '\n' ? "\\n" : std::string(1, c);
  return out + "\"";
}

std::string configuration(const crypto::KeyPair& key, size_t entries, bool tls) {
  std::string clients, tls_text;
  for (size_t i = 0; i < entries; ++i)
    clients += (i ? "," : "") + std::string("{\"id\":\"c") + std::to_string(i) + "\",\"noise_public_key\":\"" +
               format_key(swarm_key(i).pub) + "\"}";
  if (tls) {
    const auto identity = testing::make_server(testing::make_ca("bench"), {"localhost"}, {"127.0.0.1"});
    tls_text =
        ",\"tls\":{\"certificate\":" + quoted_pem(identity.certificate) + ",\"key\":" + quoted_pem(identity.key) + "}";
  }
  return "{\"listen\":[{\"transport\":\"websocket\",\"address\":\"127.0.0.1\",\"port\":0" + tls_text +
         "}],\"keys\":{\"noise_private_key\":\"" + format_key(key.secret.view()) +
         "\"},\"network\":{\"subnets\":[\"10.8.0.0/16\",\"fd00:8::/64\"]},\"forwarding\":{\"mode\":\"testing\"},"
         "\"security\":{\"max_connections_per_ip\":1000000,\"new_connections_per_ip_per_minute\":1000000},"
         "\"clients\":[" +
         clients + "]}";
}

// `self swarm ...`; ends when its standard input is closed.
class Swarm {
 public:
  explicit Swarm(const SwarmOrder& order) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[0], 0);
    posix_spawn_file_actions_addclose(&actions, pipe_ends[1]);
    std::vector<std::string> words{"server_bench",
                                   "swarm",
                                   std::to_string(order.port),
                                   order.server_key,
                                   std::to_string(order.clients),
                                   order.tls ? "tls" : "plain",
                                   order.churn ? "churn" : "stay"};
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[0]);
    input_ = pipe_ends[1];
  }
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;
  ~Swarm() {
    if (input_ >= 0) close(input_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
};

void rest(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double kernel_slab_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string name;
  double kib = 0;
  while (meminfo >> name >> kib) {
    if (name == "Slab:") return kib * 1024;
    meminfo.ignore(64, '\n');
  }
  return 0;
}

telemetry::ScopeStats totals(server::Server& server) {
  auto stats = server.stats();
  return stats ? stats->total : telemetry::ScopeStats{};
}

bool wait_for_sessions(server::Server& server, uint64_t wanted) {
  for (int i = 0; i < 1200; ++i, rest(100))
    if (totals(server).sessions_now == wanted) return true;
  std::fprintf(stderr, "only %llu of %llu sessions\n", static_cast<unsigned long long>(totals(server).sessions_now),
               static_cast<unsigned long long>(wanted));
  return false;
}

struct Bench {
  std::unique_ptr<server::Server> server;
  SwarmOrder order;
};

bool measure_handshakes(Bench& bench, double seconds) {
  const std::string name = bench.order.tls ? "end_to_end/tls/" : "end_to_end/plain/";
  bench.order.clients = kChurn;
  bench.order.churn = true;
  Swarm swarm(bench.order);
  rest(seconds < 1 ? 200 : 1000);
  const uint64_t sessions_before = totals(*bench.server).sessions_total;
  const double cpu_before = seconds_of(CLOCK_PROCESS_CPUTIME_ID), begin = seconds_of(CLOCK_MONOTONIC);
  rest(static_cast<int>(seconds * 1000));
  const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_before, elapsed = seconds_of(CLOCK_MONOTONIC) - begin;
  const auto sessions = static_cast<double>(totals(*bench.server).sessions_total - sessions_before);
  if (sessions == 0) return false;
  print(name + "per_core_second", sessions / cpu, "1/s");
  print(name + "per_second", sessions / elapsed, "1/s");
  print(name + "cpu", cpu / sessions * 1e6, "us");
  return true;
}

bool measure_memory(Bench& bench, size_t sessions) {
  const std::string name = bench.order.tls ? "idle_session/tls/" : "idle_session/plain/";
  bench.order.clients = sessions;
  const double resident = resident_bytes(), slab = kernel_slab_bytes();
  const auto used = static_cast<double>(mallinfo2().uordblks);
  Swarm swarm(bench.order);
  if (!wait_for_sessions(*bench.server, sessions)) return false;
  rest(sessions < 1000 ? 300 : 3000);  // the last handshakes' memory is given back
  const auto count = static_cast<double>(sessions);
  print(name + "resident", (resident_bytes() - resident) / count, "bytes");
  print(name + "allocated", (static_cast<double>(mallinfo2().uordblks) - used) / count, "bytes");
  print(name + "kernel_slab", (kernel_slab_bytes() - slab) / count / 2, "bytes");
  return true;
}

// The child inherits it.
void raise_descriptor_limit() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int run(const std::string& what, const char* amount, bool tls) {
  raise_descriptor_limit();
  const bool memory = what == "memory";
  const size_t entries = memory ? static_cast<size_t>(std::atoi(amount)) : kChurn;
  const auto key = crypto::generate_key_pair(system_rng());
  auto config = config::parse_server_config(configuration(key, entries, tls));
  if (!config) return std::fprintf(stderr, "%s %s\n", config.error().path.c_str(), config.error().text.c_str()), 1;
  auto server = server::Server::create(std::move(*config));
  if (!server || !(*server)->start()) return 1;
  rest(static_cast<int>(entries / 2));  // what it computes of every client beforehand is no session's
  Bench bench{std::move(*server), {}};
  bench.order.port = bench.server->endpoints().at(0).address.port;
  bench.order.server_key = format_key(key.pub);
  bench.order.tls = tls;
  const bool ok = memory ? measure_memory(bench, entries) : measure_handshakes(bench, std::atof(amount));
  return bench.server->stop(0, 10000) && ok ? 0 : 1;
}

}  // namespace
}  // namespace smartvpn::bench

int main(int argc, char** argv) {
  using namespace smartvpn::bench;
  if (argc == 7 && std::strcmp(argv[1], "swarm") == 0) {
    smartvpn::testing::SwarmOrder order;
    order.port = std::atoi(argv[2]);
    order.server_key = argv[3];
    order.clients = static_cast<size_t>(std::atoi(argv[4]));
    order.tls = std::strcmp(argv[5], "tls") == 0;
    order.churn = std::strcmp(argv[6], "churn") == 0;
    return smartvpn::testing::run_swarm(order);
  }
  if (argc == 3 && std::strcmp(argv[1], "keys") == 0) {
    for (int i = 0; i < std::atoi(argv[2]); ++i)
      std::puts(smartvpn::format_key(smartvpn::testing::swarm_key(static_cast<size_t>(i)).pub).c_str());
    return 0;
  }
  const std::string what = argc > 2 ? argv[1] : "";
  if (what == "handshakes" || what == "memory") return run(what, argv[2], argc > 3 && std::strcmp(argv[3], "tls") == 0);
  std::fprintf(stderr, "usage: server_bench handshakes SECONDS|memory SESSIONS [tls]\n");
  return 2;
}
