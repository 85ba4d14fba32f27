// From a file's name to a configuration handle.
#pragma once

#include <string>

#include "c_api.hpp"
#include "commands.hpp"

namespace smartvpn::cli {

struct LoadedConfig {
  Config config;
  Kind kind = Kind::server;  // never `detect`
};

// Throws Failure with exit code 2: the file cannot be read, or the library refuses a key of it.
LoadedConfig load_config(const std::string& file, Kind kind);

// Throws Failure with exit code 2 for what gives its text only once or may make its reader wait: standard input, a
// pipe, a device.
void must_be_readable_again(const std::string& file);

// The whole of a file, or of standard input for "-". Throws Failure with exit code 2.
SecretText read_input(const std::string& name);

}  // namespace smartvpn::cli
