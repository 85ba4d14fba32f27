// See tree_walk.hpp.
#include "tree_walk.hpp"

namespace smartvpn::cli {
namespace {

void add(std::vector<CommandView>& out, const CLI::App& app, const std::string& path) {
  CommandView view{path, &app, {}};
  // Only the overload for a const App gives them in order; an empty group is a hidden one.
  view.children = app.get_subcommands([](const CLI::App* child) { return !child->get_group().empty(); });
  out.push_back(view);
  for (const auto* child : view.children)
    add(out, *child, path.empty() ? child->get_name() : path + " " + child->get_name());
}

}  // namespace

std::vector<CommandView> walk(const CLI::App& app) {
  std::vector<CommandView> out;
  add(out, app, "");
  return out;
}

ValueKind value_kind(const CLI::Option& option) {
  std::string type = option.get_type_name();
  if (option.get_items_expected_max() == 0) return ValueKind::none;
  if (type.find('|') != std::string::npos) return ValueKind::choice;
  bool file = type == "FILE" || type == "SOCKET";
  if (file && option.get_expected_min() == 0) return ValueKind::optional_file;
  return file ? ValueKind::file : ValueKind::other;
}

std::vector<std::string> choices(const CLI::Option& option) {
  std::string type = option.get_type_name();
  type.resize(std::min(type.size(), type.find(':')));  // CLI11 puts its own list of them behind
  return CLI::detail::split(type, '|');
}

std::vector<std::string> option_names(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const auto& name : option.get_snames()) names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<const CLI::Option*> options_of(const CLI::App& app, bool positional) {
  return app.get_options([&](const CLI::Option* option) {
    return option->get_positional() == positional && !option->get_group().empty();
  });
}

}  // namespace smartvpn::cli
