// A server under ten thousand sessions, or a hundred thousand that come and go. The clients are another process, so
// that memory, descriptors and processor time of this one are the server's alone. Exit code 1: something was not so.
#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "server/server.hpp"
#include "siege/siege.hpp"
#include "support/certificates.hpp"
#include "support/swarm.hpp"

extern "C" char** environ;

namespace smartvpn::siege {
namespace {

constexpr size_t kChurners = 32;  // at one time
constexpr size_t kWarmUp = 1000;  // sessions until pools and tables have their size
constexpr auto kCrowdPatience = std::chrono::minutes(8);

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out + "\"";
}

std::string configuration(const crypto::KeyPair& key, size_t clients, bool tls) {
  std::string listen = R"({"transport":"websocket","address":"127.0.0.1","port":0)", entries;
  if (tls) {
    const auto ca = testing::make_ca("siege");
    const auto identity = testing::make_server(ca, {}, {"127.0.0.1"});
    listen += R"(,"tls":{"certificate":)" + quoted(identity.certificate) + R"(,"key":)" + quoted(identity.key) + "}";
  }
  for (size_t i = 0; i < clients; ++i)
    entries += (i ? "," : "") + std::string(R"({"id":"c)") + std::to_string(i) + R"(","noise_public_key":")" +
               format_key(testing::swarm_key(i).pub) + "\"}";
  return R"({"listen":[)" + listen + R"(}],"keys":{"noise_private_key":")" + format_key(key.secret.view()) +
         R"("},"network":{"subnets":["10.8.0.0/16","fd00:8::/64"]},"forwarding":{"mode":"testing"},)"
         R"("security":{"max_connections_per_ip":1000000,"new_connections_per_ip_per_minute":1000000},"clients":[)" +
         entries + "]}";
}

// A process of run_clients(); ends when its standard input is closed.
class Clients {
 public:
  explicit Clients(const Words& words) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string self = "smartvpn_siege", program = "clients";
    std::vector<char*> argv{self.data(), program.data()};
    Words copies = words;
    for (auto& word : copies) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    output_ = fdopen(out[0], "r");
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients() { end(); }
  void end() {
    if (input_ >= 0) close(input_);
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    input_ = pid_ = -1;
    if (output_) fclose(output_);
    output_ = nullptr;
  }
  // Waits for that line; false when the clients ended first. Whoever started us bounds the time.
  bool hear(const std::string& line) {
    char buffer[100];
    while (output_ && fgets(buffer, sizeof buffer, output_))
      if (line + "\n" == buffer) return true;
    return false;
  }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  FILE* output_ = nullptr;
};

struct Weight {
  double resident = 0, allocated = 0;
};

Weight weigh() {
  malloc_trim(0);
  Weight out;
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  statm >> total >> out.resident;
  out.resident *= static_cast<double>(sysconf(_SC_PAGESIZE));
  const struct mallinfo2 heap = mallinfo2();
  out.allocated = static_cast<double>(heap.uordblks + heap.hblkhd);
  return out;
}

size_t descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

class Siege {
 public:
  Siege(size_t clients, bool tls) : clients_(clients), tls_(tls), key_(crypto::generate_key_pair(system_rng())) {}

  bool start() {
    auto config = config::parse_server_config(configuration(key_, clients_, tls_));
    if (!config)
      return std::fprintf(stderr, "%s %s\n", config.error().path.c_str(), config.error().text.c_str()), false;
    auto server = server::Server::create(std::move(*config));
    if (!server || !(*server)->start()) return false;
    server_ = std::move(*server);
    descriptors_ = descriptors();
    return true;
  }

  // Twice: what tables and pools keep of the first crowd is there for the second.
  bool all_at_once() {
    const Weight empty = weigh();
    if (!gather(&empty)) return false;
    const Weight before = weigh();
    figure(name("  kept for reuse when all are gone"), (before.allocated - empty.allocated) / 1024, "KiB");
    return gather(nullptr) && compare(before, weigh(), clients_);
  }

  // `empty`: what the server weighed without them; null: not of interest any more.
  bool gather(const Weight* empty) {
    const auto begin = Clock::now();
    Clients clients(words("stay"));
    if (!check(clients.hear("connected " + std::to_string(clients_)), "all are connected")) return false;
    const double connected = seconds_since(begin);
    if (!check(clients.hear("answered " + std::to_string(clients_)), "all were answered their ping")) return false;
    if (!check(total().sessions_now == clients_, "all are there still")) return false;
    if (empty) {
      const Weight full = weigh();
      figure(name("sessions at once"), static_cast<double>(clients_), "");
      figure(name("  time until all are connected"), connected, "s");
      figure(name("  resident memory of a session"), (full.resident - empty->resident) / static_cast<double>(clients_),
             "bytes");
      figure(name("  resident memory of the whole process"), full.resident / 1048576, "MiB");
    }
    clients.end();
    return settle();
  }

  bool come_and_go(uint64_t rounds) {
    Weight before;
    const auto begin = Clock::now();
    for (uint64_t until : {uint64_t{kWarmUp}, kWarmUp + rounds}) {
      {
        Clients clients(words("leave"));
        if (!check(wait([&] { return total().sessions_total >= until; }), "sessions came and went")) return false;
      }
      if (!settle()) return false;
      if (until == kWarmUp) before = weigh();
    }
    figure(name("sessions that came and went"), static_cast<double>(total().sessions_total), "");
    figure(name("  sessions a second"), static_cast<double>(total().sessions_total) / seconds_since(begin), "/s");
    return compare(before, weigh(), kChurners);
  }

  bool stop() { return check(server_->stop(0, 10000).ok(), "the server stops"); }

 private:
  std::string name(const std::string& what) const { return what + (tls_ ? " (TLS)" : ""); }
  Words words(const std::string& how) const {
    return {std::to_string(server_->endpoints().at(0).address.port), format_key(key_.pub),
            std::to_string(how == "stay" ? clients_ : kChurners), how, tls_ ? "tls" : "plain"};
  }
  telemetry::ScopeStats total() const {
    auto stats = server_->stats();
    return stats ? stats->total : telemetry::ScopeStats{};
  }
  template <class Fn>
  static bool wait(Fn&& holds) {
    const auto begin = Clock::now();
    while (Clock::now() - begin < kCrowdPatience) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }
  // Who was told the end may stay a moment to read it, so descriptors take a little longer than the counters.
  bool settle() {
    auto gone = [&] {
      const auto now = total();
      return now.sessions_now == 0 && now.connections_open == 0 && now.handshakes_in_progress == 0;
    };
    return check(wait(gone), "nothing is left of them in the counters") &&
           check(wait([&] { return descriptors() == descriptors_; }), "nor a descriptor");
  }
  // The table of those who were there at once has its buckets, the pool its free blocks, the heap its gaps.
  bool compare(const Weight& before, const Weight& after, size_t at_once) const {
    const double slack = 65536 + 128 * static_cast<double>(at_once);
    figure(name("  allocated memory afterwards, more than before"), after.allocated - before.allocated, "bytes");
    figure(name("  resident memory afterwards, more than before"), (after.resident - before.resident) / 1024, "KiB");
    const bool allocated = check(after.allocated - before.allocated <= slack, "allocated memory is what it was");
    const bool resident = check(after.resident - before.resident <= 8 * slack + 2 * 1048576, "so is resident memory");
    return allocated && resident;
  }
  static bool check(bool good, const char* what) {
    if (!good) std::printf("not so: %s\n", what);
    return good;
  }

  const size_t clients_;
  const bool tls_;
  const crypto::KeyPair key_;
  std::unique_ptr<server::Server> server_;
  size_t descriptors_ = 0;  // before the first client
};

}  // namespace

int run_clients(const Words& words) {
  testing::SwarmOrder order;
  order.port = std::stoi(words[0]);
  order.server_key = words[1];
  order.clients = std::stoul(words[2]);
  order.ping = words[3] == "stay";
  order.churn = !order.ping;
  order.tls = words.size() > 4 && words[4] == "tls";
  order.a_millisecond = 16;
  return testing::run_swarm(order);
}

int run_crowd(const Words& words) {
  const size_t clients = std::stoul(words[0]), rounds = std::stoul(words[1]);
  Siege siege(rounds ? kChurners : clients, words.size() > 2 && words[2] == "tls");
  const bool good = siege.start() && (rounds ? siege.come_and_go(rounds) : siege.all_at_once());
  return siege.stop() && good ? 0 : 1;
}

}  // namespace smartvpn::siege
