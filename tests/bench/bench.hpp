// How the benchmark measures and prints: the median of several rounds, one figure a line.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace smartvpn::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Processor time of this thread: what others on the machine do is not in it.
inline double cpu_seconds_of_thread() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// Nanoseconds of processor time for a call of `work`: rounds of about 80 ms, the median of seven.
template <class Work>
double nanoseconds(Work&& work) {
  auto timed = [&](size_t calls) {
    const double begin = cpu_seconds_of_thread();
    for (size_t i = 0; i < calls; ++i) work();
    return cpu_seconds_of_thread() - begin;
  };
  size_t calls = 1;
  while (timed(calls) < 0.01) calls *= 2;
  calls *= 8;
  std::vector<double> rounds;
  for (int i = 0; i < 7; ++i) rounds.push_back(timed(calls) / static_cast<double>(calls) * 1e9);
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

inline void print(const std::string& what, double value, const char* unit) {
  std::printf("%-58s %12.*f %s\n", what.c_str(), value < 100 ? 2 : 0, value, unit);
  std::fflush(stdout);
}

// Keeps a result that nobody reads from being optimised away.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

// primitives.cpp: no sockets.
void run_primitives();

// server_bench.cpp: a server here, its clients in a child process that runs `self swarm ...`.
int run_server(const char* self);

// swarm.cpp: that child. Connects `clients` at once to 127.0.0.1:port; with `seconds` above zero each
// leaves when it is connected and comes again, else all stay until standard input closes.
int run_swarm(int port, const std::string& server_key, size_t clients, int seconds);

}  // namespace smartvpn::bench
