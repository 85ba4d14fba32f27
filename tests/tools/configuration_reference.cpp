// Holds docs/CONFIGURATION.md to the key tables it is printed from.
//
//   configuration_reference docs/CONFIGURATION.md            checks
//   configuration_reference docs/CONFIGURATION.md --update   writes
#include <fstream>
#include <iostream>
#include <sstream>

#include "config/key_table.hpp"

namespace {

constexpr const char* kHead = R"(# Configuration

<!-- Printed from src/config/ by `configuration_reference docs/CONFIGURATION.md --update`; a test compares. -->

A configuration is one JSON object, for a server or for a tunnel (the dialling end). A key is written here as its
JSON Pointer, with `*` for any index of a list: `/listen/*/port` is the key `port` of each entry of `listen`, and
`smartvpn_config_set(config, "/listen/0/port", "8443", ...)` sets the first one's.

- An unknown key, a wrong type or a value out of range is an error with the key's path; for a misspelt key the error
  names the nearest one that exists.
- *Not in this build* marks what the model has and this version cannot do yet: using it answers `UNSUPPORTED`, never
  "unknown key".
- Keys marked secret are left out of `smartvpn_config_to_json` unless it is asked for them.
- Address patterns are an address, a prefix, a range `192.0.2.10-192.0.2.20`, an IPv4 wildcard `10.0.*.*`, or `*`.
  IPv4-mapped IPv6 addresses (`::ffff:192.0.2.7`) are IPv4 addresses everywhere.
- No environment variable is read and no path is searched: a configuration is complete in itself.

`smartvpn check --config FILE` says whether a file is a valid configuration.

)";

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: configuration_reference FILE [--update]\n";
    return 2;
  }
  const std::string wanted = kHead + smartvpn::config::describe_keys();
  if (argc > 2 && std::string(argv[2]) == "--update") {
    std::ofstream(argv[1]) << wanted;
    return 0;
  }
  std::stringstream present;
  present << std::ifstream(argv[1]).rdbuf();
  if (present.str() == wanted) return 0;
  std::istringstream a(present.str()), b(wanted);
  std::string left, right;
  for (int line = 1; a || b; ++line) {
    std::getline(a, left) ? void() : left.clear();
    std::getline(b, right) ? void() : right.clear();
    if (left == right) continue;
    std::cout << argv[1] << ":" << line << " differs from the key table\n  is:     " << left << "\n  wanted: " << right
              << "\nconfiguration_reference " << argv[1] << " --update writes it\n";
    break;
  }
  return 1;
}
