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

// The whole of a file, or of standard input for "-". Throws Failure with exit code 2.
SecretText read_input(const std::string& name);

}  // namespace smartvpn::cli
