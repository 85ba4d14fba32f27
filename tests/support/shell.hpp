// A shell command of a test's: what it printed and how it ended.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace smartvpn::testing {

struct ShellResult {
  int exit_code = -1;  // -1: it did not run, or a signal ended it
  std::string output;
};

// `command` says what becomes of stderr.
inline ShellResult shell(const std::string& command) {
  ShellResult out;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return out;
  char chunk[4096];
  while (size_t n = fread(chunk, 1, sizeof chunk, pipe)) out.output.append(chunk, n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) out.exit_code = WEXITSTATUS(status);
  return out;
}

}  // namespace smartvpn::testing
