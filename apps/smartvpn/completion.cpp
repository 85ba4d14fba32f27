// `smartvpn completion`: scripts that know every command, option and kind of value of the tree. In each
// shell the words so far are walked to the command they lead to; what follows an option comes first.
#include <cstdio>

#include "c_api.hpp"
#include "commands.hpp"
#include "tree_walk.hpp"

namespace smartvpn::cli {
namespace {

// In single quotes; `escape` stands for a quote inside.
std::string quoted(const std::string& text, const char* escape) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? escape : std::string(1, c);
  return out + "'";
}
std::string posix(const std::string& text) { return quoted(text, "'\\''"); }
std::string fish(const std::string& text) { return quoted(text, "\\'"); }

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

// "<command> <next word>" for every step down the tree, as a pattern of `case`.
std::string steps(const std::vector<CommandView>& views) {
  std::vector<std::string> out;
  for (const auto& view : views)
    for (const auto* child : view.children) out.push_back(posix(view.path + " " + child->get_name()));
  return joined(out, "|");
}

// "<command> <word before>" behind which a file, something of a list, or anything else comes.
struct Values {
  std::vector<std::string> files, others;
  std::vector<std::pair<std::string, std::vector<std::string>>> lists;
};

Values values_of(const std::vector<CommandView>& views) {
  Values values;
  for (const auto& view : views) {
    for (const auto* option : options_of(*view.app, false)) {
      ValueKind kind = value_kind(*option);
      for (const auto& name : option_names(*option)) {
        std::string pattern = posix(view.path + " " + name);
        if (kind == ValueKind::file || kind == ValueKind::optional_file) values.files.push_back(pattern);
        if (kind == ValueKind::other) values.others.push_back(pattern);
        if (kind == ValueKind::choice) values.lists.emplace_back(pattern, choices(*option));
      }
    }
  }
  return values;
}

// The body of a `case` over them. `list_before` and `list_after` stand around the words of a list.
std::string value_cases(const Values& values, const std::string& file, const std::string& list_before,
                        const std::string& list_after) {
  std::string out = "    " + joined(values.files, "|") + ") " + file + "; return ;;\n";
  for (const auto& [pattern, words] : values.lists)
    out += "    " + pattern + ") " + list_before + joined(words, " ") + list_after + "; return ;;\n";
  return out + "    " + joined(values.others, "|") + ") return ;;\n";
}

// What a positional may be, if that is a list.
std::vector<std::string> positional_choices(const CommandView& view) {
  for (const auto* option : options_of(*view.app, true))
    if (value_kind(*option) == ValueKind::choice) return choices(*option);
  return {};
}

std::string bash_script(const std::vector<CommandView>& views) {
  std::string out =
      "# bash completion for smartvpn, printed by `smartvpn completion bash`.\n"
      "_smartvpn() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} at= word words= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${COMP_WORDS[i]}\n"
      "    case \"$at $word\" in\n      ";
  out += steps(views) + ") at=${at:+$at }$word ;;\n    esac\n  done\n  COMPREPLY=()\n  case \"$at $previous\" in\n";
  out += value_cases(values_of(views),
                     "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$current\")",
                     "mapfile -t COMPREPLY < <(compgen -W '", "' -- \"$current\")");
  out += "  esac\n  case \"$at\" in\n";
  for (const auto& view : views) {
    std::vector<std::string> words = positional_choices(view);
    for (const auto* child : view.children) words.push_back(child->get_name());
    for (const auto* option : options_of(*view.app, false))
      for (const auto& name : option_names(*option)) words.push_back(name);
    out += "    " + posix(view.path) + ") words=" + posix(joined(words, " ")) + " ;;\n";
  }
  return out +
         "  esac\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
         "complete -F _smartvpn smartvpn\n";
}

std::string zsh_script(const std::vector<CommandView>& views) {
  std::string out =
      "#compdef smartvpn\n# zsh completion for smartvpn, printed by `smartvpn completion zsh`.\n"
      "_smartvpn() {\n"
      "  local at= word previous=${words[CURRENT-1]}\n"
      "  local -a commands options\n"
      "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
      "    case \"$at $word\" in\n      ";
  out += steps(views) + ") at=${at:+$at }$word ;;\n    esac\n  done\n  case \"$at $previous\" in\n";
  out += value_cases(values_of(views), "_files", "compadd ", "");
  out += "  esac\n  case \"$at\" in\n";
  for (const auto& view : views) {
    out += "    " + posix(view.path) + ")\n      commands=(";
    for (const auto* child : view.children) out += " " + posix(child->get_name() + ":" + child->get_description());
    for (const auto& word : positional_choices(view)) out += " " + posix(word);
    out += ")\n      options=(";
    for (const auto* option : options_of(*view.app, false))
      for (const auto& name : option_names(*option)) out += " " + posix(name + ":" + option->get_description());
    out += ") ;;\n";
  }
  return out +
         "  esac\n"
         "  (( $#commands )) && _describe command commands\n"
         "  _describe option options\n}\n"
         "if [[ $funcstack[1] == _smartvpn ]]; then _smartvpn \"$@\"; else compdef _smartvpn smartvpn; fi\n";
}

std::string fish_option(const std::string& condition, const CLI::Option& option) {
  std::string out = "complete -c smartvpn -n " + condition;
  for (const auto& name : option.get_snames()) out += " -s " + name;
  for (const auto& name : option.get_lnames()) out += " -l " + name;
  ValueKind kind = value_kind(option);
  if (kind == ValueKind::file) out += " -r -F";
  if (kind == ValueKind::choice) out += " -x -a " + fish(joined(choices(option), " "));
  if (kind == ValueKind::other) out += " -x";
  return out + " -d " + fish(option.get_description()) + "\n";
}

std::string fish_script(const std::vector<CommandView>& views) {
  std::string out =
      "# fish completion for smartvpn, printed by `smartvpn completion fish`.\n"
      "function __smartvpn_at\n"
      "    set -l at\n    set -l words (commandline -opc)\n    set -e words[1]\n"
      "    for word in $words\n"
      "        switch \"$at $word\"\n            case ";
  std::string cases = steps(views);
  for (char& c : cases) c = c == '|' ? ' ' : c;
  out += cases +
         "\n                set at (string trim -- \"$at $word\")\n        end\n    end\n"
         "    test \"$at\" = \"$argv[1]\"\nend\ncomplete -c smartvpn -f\n";
  for (const auto& view : views) {
    std::string condition = "\"__smartvpn_at '" + view.path + "'\"";
    for (const auto* child : view.children)
      out += "complete -c smartvpn -n " + condition + " -a " + child->get_name() + " -d " +
             fish(child->get_description()) + "\n";
    if (auto words = positional_choices(view); !words.empty())
      out += "complete -c smartvpn -n " + condition + " -a " + fish(joined(words, " ")) + "\n";
    for (const auto* option : options_of(*view.app, false)) out += fish_option(condition, *option);
  }
  return out;
}

}  // namespace

int run_completion(const CLI::App& app, const std::string& shell) {
  auto script = shell == "bash" ? bash_script : shell == "zsh" ? zsh_script : fish_script;
  std::fputs(script(walk(app)).c_str(), stdout);
  return kExitOk;
}

}  // namespace smartvpn::cli
