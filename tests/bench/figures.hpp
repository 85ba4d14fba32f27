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

}  // namespace smartvpn::bench
