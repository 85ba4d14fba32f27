// The tree of commands as a list, for what is printed from it: completions, the manual page.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace smartvpn::cli {

struct CommandView {
  std::string path;  // "clients add"; "" for the command itself
  const CLI::App* app = nullptr;
  std::vector<const CLI::App*> children;  // without hidden ones
};

// The whole tree, parents before children, in the order of their definition; without hidden ones.
std::vector<CommandView> walk(const CLI::App& app);

enum class ValueKind { none, optional_file, file, choice, other };

// What follows an option, or what a positional is.
ValueKind value_kind(const CLI::Option& option);
// Of a choice.
std::vector<std::string> choices(const CLI::Option& option);
// "-c" and "--config".
std::vector<std::string> option_names(const CLI::Option& option);
// Options that are no positionals; or only those.
std::vector<const CLI::Option*> options_of(const CLI::App& app, bool positional);

}  // namespace smartvpn::cli
