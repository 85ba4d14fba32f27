// A whole server under many clients over loopback WebSocket: full handshakes a second, what one costs
// the server, and what an idle session keeps in memory. The clients are another process, so that memory
// and processor time of this one are the server's alone.
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "bench/bench.hpp"
#include "bench/swarm_keys.hpp"
#include "server/server.hpp"

extern "C" char** environ;

namespace smartvpn::bench {
namespace {

constexpr size_t kIdle = 1000, kChurn = 32;
constexpr int kChurnSeconds = 5;

std::string configuration(const crypto::KeyPair& key) {
  std::string clients;
  for (size_t i = 0; i < kIdle; ++i)
    clients += (i ? "," : "") + std::string("{\"id\":\"c") + std::to_string(i) + "\",\"noise_public_key\":\"" +
               format_key(swarm_key(i).pub) + "\"}";
  return "{\"listen\":[{\"transport\":\"websocket\",\"address\":\"127.0.0.1\",\"port\":0}],"
         "\"keys\":{\"noise_private_key\":\"" +
         format_key(key.secret.view()) +
         "\"},\"network\":{\"subnets\":[\"10.8.0.0/16\",\"fd00:8::/64\"]},\"forwarding\":{\"mode\":\"testing\"},"
         "\"security\":{\"max_connections_per_ip\":1000000,\"new_connections_per_ip_per_minute\":1000000},"
         "\"clients\":[" +
         clients + "]}";
}

// `self swarm ...`; ends when its standard input is closed.
class Swarm {
 public:
  Swarm(const char* self, int port, const std::string& server_key, size_t clients, int seconds) {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[0], 0);
    posix_spawn_file_actions_addclose(&actions, pipe_ends[1]);
    std::vector<std::string> words{
        self, "swarm", std::to_string(port), server_key, std::to_string(clients), std::to_string(seconds)};
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

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

telemetry::ScopeStats totals(server::Server& server) {
  auto stats = server.stats();
  return stats ? stats->total : telemetry::ScopeStats{};
}

bool wait_for_sessions(server::Server& server, uint64_t wanted) {
  for (int i = 0; i < 600; ++i, rest(100))
    if (totals(server).sessions_now == wanted) return true;
  std::printf("only %llu of %llu sessions\n", static_cast<unsigned long long>(totals(server).sessions_now),
              static_cast<unsigned long long>(wanted));
  return false;
}

void handshakes(server::Server& server, const char* self, int port, const std::string& key) {
  Swarm swarm(self, port, key, kChurn, kChurnSeconds + 60);
  rest(1000);
  const uint64_t sessions_before = totals(server).sessions_total;
  const double cpu_before = cpu_seconds();
  const auto begin = Clock::now();
  rest(kChurnSeconds * 1000);
  const double elapsed = seconds_since(begin), cpu = cpu_seconds() - cpu_before;
  const auto sessions = static_cast<double>(totals(server).sessions_total - sessions_before);
  print("sessions over loopback WebSocket, clients on this machine", sessions / elapsed, "/s");
  if (sessions > 0) print("  processor time of the server for one", cpu / sessions * 1e6, "us");
}

void idle_memory(server::Server& server, const char* self, int port, const std::string& key) {
  if (!wait_for_sessions(server, 0)) return;
  const double before = resident_bytes();
  Swarm swarm(self, port, key, kIdle, 0);
  if (!wait_for_sessions(server, kIdle)) return;
  rest(2000);
  print("resident memory for an idle session, of " + std::to_string(kIdle), (resident_bytes() - before) / kIdle,
        "bytes");
  print("resident memory of the whole process then", resident_bytes() / 1048576, "MiB");
}

}  // namespace

int run_server(const char* self) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;  // the child inherits it
  setrlimit(RLIMIT_NOFILE, &files);
  const auto key = crypto::generate_key_pair(system_rng());
  auto config = config::parse_server_config(configuration(key));
  if (!config) return std::fprintf(stderr, "%s %s\n", config.error().path.c_str(), config.error().text.c_str()), 1;
  auto server = server::Server::create(std::move(*config));
  if (!server) return 1;
  if (auto started = (*server)->start(); !started) return 1;
  const int port = (*server)->endpoints().at(0).address.port;
  const std::string public_key = format_key(key.pub);
  // Memory first: what a busy server has kept for reuse would hide what sessions take.
  idle_memory(**server, self, port, public_key);
  handshakes(**server, self, port, public_key);
  return (*server)->stop(0, 10000) ? 0 : 1;
}

}  // namespace smartvpn::bench
