// The options of `clients add` and `clients update` that become keys of a client.
#pragma once

#include <CLI/CLI.hpp>

#include "commands.hpp"

namespace smartvpn::cli {

// One option a key, which go to `options.settings`.
void add_client_settings(CLI::App& command, ClientsOptions& options);

// What `--from`, the options and the file of the preshared key say together; options win.
Json collect_client_settings(const ClientsOptions& options);

// {"a": {"b": null}} for "a.b", merged into `settings`.
void unset_client_setting(Json& settings, const std::string& key);

}  // namespace smartvpn::cli
