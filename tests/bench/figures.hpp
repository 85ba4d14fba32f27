// How the benchmark programs print: one figure a line, "name<TAB>value<TAB>unit", for report.py.
#pragma once

#include <time.h>

#include <cstdio>
#include <string>

namespace smartvpn::bench {

inline void print(const std::string& name, double value, const char* unit) {
  std::printf("%s\t%.6g\t%s\n", name.c_str(), value, unit);
  std::fflush(stdout);
}

inline double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// What a swarm is told on its command line (swarm.cpp).
struct SwarmOrder {
  int port = 0;
  std::string server_key;
  size_t clients = 0;
  bool tls = false;
  bool churn = false;  // each leaves when it is connected and comes again; else all stay
};

// Clients to 127.0.0.1, until standard input closes.
int run_swarm(const SwarmOrder& order);

}  // namespace smartvpn::bench
