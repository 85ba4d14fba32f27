// smartvpn_siege PROGRAM ARGUMENTS...; see siege.hpp.
#include <sys/resource.h>

#include <cstdio>

#include "siege/siege.hpp"

namespace smartvpn::siege {

void figure(const std::string& name, double value, const std::string& unit) {
  std::printf("figure: %s: %.*f %s\n", name.c_str(), value < 100 ? 2 : 0, value, unit.c_str());
  std::fflush(stdout);
}

}  // namespace smartvpn::siege

int main(int argc, char** argv) {
  using namespace smartvpn::siege;
  const Words words(argv + 1, argv + argc);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;  // children inherit it
  setrlimit(RLIMIT_NOFILE, &files);
  const std::string program = words.empty() ? "" : words[0];
  const Words rest(words.begin() + !words.empty(), words.end());
  if (program == "flood" && rest.size() >= 5) return run_flood(rest);
  if (program == "crowd" && rest.size() >= 2) return run_crowd(rest);
  if (program == "clients" && rest.size() >= 4) return run_clients(rest);
  std::fprintf(stderr, "smartvpn_siege flood KIND IP PORT SOURCES SECONDS [KEY] | crowd CLIENTS ROUNDS [tls]\n");
  return 2;
}
