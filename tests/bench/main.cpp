// smartvpn_bench: figures of this machine, one a line. Nothing here passes or fails.
#include <cstdlib>
#include <cstring>

#include "bench/bench.hpp"

int main(int argc, char** argv) {
  using namespace smartvpn::bench;
  if (argc == 6 && std::strcmp(argv[1], "swarm") == 0)
    return run_swarm(std::atoi(argv[2]), argv[3], static_cast<size_t>(std::atoi(argv[4])), std::atoi(argv[5]));
  const bool all = argc == 1;
  if (all || std::strcmp(argv[1], "primitives") == 0) run_primitives();
  if (all || std::strcmp(argv[1], "server") == 0) return run_server(argv[0]);
  return 0;
}
