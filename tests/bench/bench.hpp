// How the benchmark measures and prints: the median of several rounds, one figure a line.
#pragma once

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

// Nanoseconds a call of `work`: rounds of about 80 ms, the median of seven.
template <class Work>
double nanoseconds(Work&& work) {
  auto timed = [&](size_t calls) {
    auto begin = Clock::now();
    for (size_t i = 0; i < calls; ++i) work();
    return seconds_since(begin);
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
