// The smartvpn command: arguments in, exit code out. 0 ok, 1 a failure at run time, 2 wrong usage or
// a configuration that is refused. Errors are one line, "smartvpn: <path>: <text>".
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "c_api.hpp"
#include "command_tree.hpp"

namespace smartvpn::cli {
namespace {

// Descriptors 0 to 2 exist from here on: nothing that is opened later can be taken for them.
bool fill_standard_descriptors() {
  for (;;) {
    int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0) return false;
    if (fd <= 2) continue;
    ::close(fd);
    return true;
  }
}

int run(int argc, char** argv) {
  CommandTree tree;
  try {
    tree.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tree.app().exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return tree.run();
}

}  // namespace

std::string failure_text(const Failure& failure) {
  return "smartvpn: " + (failure.path.empty() ? "" : failure.path + ": ") + failure.text;
}

void print_failure(const Failure& failure) { std::fputs((failure_text(failure) + "\n").c_str(), stderr); }

}  // namespace smartvpn::cli

int main(int argc, char** argv) {
  using namespace smartvpn::cli;
  if (!fill_standard_descriptors()) return kExitRuntime;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of write(), not our end
  int code = kExitRuntime;
  try {
    code = run(argc, argv);
  } catch (const Failure& failure) {
    print_failure(failure);
    return failure.exit_code;
  } catch (const std::exception& error) {
    print_failure({kExitRuntime, "", error.what()});
    return kExitRuntime;
  }
  if (std::fflush(stdout) != 0 && code == kExitOk) {
    print_failure({kExitRuntime, "", "standard output could not be written"});
    return kExitRuntime;
  }
  return code;
}
