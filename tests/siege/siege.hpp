// The programs that lay siege, all in one executable so that each can start another of them as its own process:
// `flood` (strangers as fast as one core makes them) and `crowd` (very many clients), with the server beside it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace smartvpn::siege {

using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A line that scripts/siege.sh collects.
void figure(const std::string& name, double value, const std::string& unit);

// KIND IP PORT SOURCES SECONDS [SERVER_KEY]; see flood.cpp.
int run_flood(const Words& words);

// Sessions that stay, all at once (ROUNDS 0), or come and go until ROUNDS of them have been: the server's side, which
// starts the clients and weighs itself. CLIENTS ROUNDS [tls]
int run_crowd(const Words& words);
// The clients of the above: PORT SERVER_KEY CLIENTS stay|leave [tls]. Ends when its standard input is closed.
int run_clients(const Words& words);

}  // namespace smartvpn::siege
