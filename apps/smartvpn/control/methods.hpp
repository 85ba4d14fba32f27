// What the control socket can be asked for: names, parameters, and the library's functions behind them.
// docs/CONTROL.md describes each.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "c_api.hpp"
#include "control/params.hpp"

namespace smartvpn::cli {

struct ControlContext {
  smartvpn_server* server = nullptr;
  // Reads the configuration file again; gives the changes as JSON. Throws Failure.
  std::function<std::string(bool dry_run)> reload;
};

struct ControlMethod {
  std::string_view name;
  std::string_view params;  // their keys with blanks between; "*": the library knows them
  SecretText (*run)(const ControlContext&, const Params&);  // the result as JSON; throws Failure
  bool changes = false;  // something: its answer, a short one, is given whatever waits already
};

std::span<const ControlMethod> client_methods();
std::span<const ControlMethod> server_methods();

// Throws Failure: NOT_FOUND for a method that does not exist.
const ControlMethod& find_control_method(std::string_view name);

}  // namespace smartvpn::cli
