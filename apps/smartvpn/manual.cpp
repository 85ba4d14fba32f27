// `smartvpn manual`: the page smartvpn(1) in roff (man(7)). Commands and options are those of the tree,
// so the page cannot know less or more than --help; the prose around them stands here.
#include <cstdio>
#include <string_view>

#include "c_api.hpp"
#include "commands.hpp"
#include "tree_walk.hpp"

namespace smartvpn::cli {
namespace {

constexpr const char* kDescription =
    ".SH DESCRIPTION\n"
    "smartvpn runs a VPN server that is configured by one JSON file, connects to one, and works on a\n"
    "running server: its clients, its live sessions, its statistics and its configuration. It also runs a\n"
    "layer-4 relay, which hands TCP connections on to other servers with the clients' real addresses.\n"
    ".PP\n"
    "A \\fIclient\\fR is an entry in the server's registry, a \\fIsession\\fR is a live connection of a client,\n"
    "and a \\fItunnel\\fR is the dialling end.\n"
    "Commands that work on a running server reach it through the Unix socket that\n"
    "\\fBserve \\-\\-control\\fR opens; only root and the server's own user may use it.\n"
    "What they print is for people, and one line of JSON with \\fB\\-\\-json\\fR.\n"
    "Private keys are never taken from arguments: they come in files or on standard input.\n";

constexpr const char* kRest =
    ".SH SIGNALS\n"
    ".TP\n\\fBSIGINT\\fR, \\fBSIGTERM\\fR\nserve and connect tell the other side and stop, relay lets connections go "
    "on for a while; a second one "
    "stops at once.\n"
    ".TP\n\\fBSIGHUP\\fR\nserve and relay read their configuration again, serve its certificates, too; connect stops.\n"
    ".SH ENVIRONMENT\n"
    "Under a service manager \\fBserve\\fR takes listening sockets (\\fBLISTEN_PID\\fR, \\fBLISTEN_FDS\\fR,\n"
    "\\fBLISTEN_FDNAMES\\fR): a socket named \\fBlistener0\\fR stands in the place of the address of the\n"
    "configuration's first listener, and so on; sockets without such names are taken in order.\n"
    "It tells when it is ready, reloads and stops, and that it is alive (\\fBNOTIFY_SOCKET\\fR, "
    "\\fBWATCHDOG_USEC\\fR).\n"
    ".SH FILES\n"
    ".TP\n\\fI/run/smartvpn/control.sock\\fR\nThe control socket, unless \\fB\\-\\-control\\fR names another.\n"
    ".TP\n\\fI/etc/smartvpn/server.json\\fR\nThe configuration that smartvpn.service runs.\n"
    ".SH EXIT STATUS\n"
    ".TP\n0\nDone.\n"
    ".TP\n1\nA failure at run time.\n"
    ".TP\n2\nWrong usage, or a configuration or setting that is refused.\n"
    ".SH EXAMPLES\n"
    ".nf\n"
    "smartvpn check \\-\\-config server.json\n"
    "smartvpn serve \\-\\-config server.json \\-\\-control \\-\\-metrics 9587\n"
    "smartvpn clients add alice\\-laptop \\-\\-out alice\\-laptop.json\n"
    "smartvpn clients add alice\\-phone \\-\\-wireguard \\-\\-qr\n"
    "smartvpn sessions \\-\\-watch\n"
    "smartvpn clients disable alice\\-laptop\n"
    ".fi\n"
    ".SH SEE ALSO\n"
    ".BR wg (8),\n"
    ".BR systemd.socket (5)\n";

// Text that roff prints as it is.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '-') out += '\\';
    out += c == '\\' ? std::string("\\e") : std::string(1, c);
    line_start = c == '\n';
  }
  return out;
}

// Behind a colon CLI11 says which values it takes.
std::string value_name(const CLI::Option& option) {
  std::string type = option.get_type_name();
  return "\\fI" + roff(type.substr(0, type.find(':', type.find(']') + 1))) + "\\fR";
}

std::string option_text(const CLI::Option& option) {
  std::string out = ".TP\n";
  std::string names;
  for (const auto& name : option_names(option)) names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  if (option.get_positional()) names = value_name(option);
  out += names;
  ValueKind kind = value_kind(option);
  if (!option.get_positional() && kind == ValueKind::optional_file)
    out += " [" + value_name(option) + "]";
  else if (!option.get_positional() && kind != ValueKind::none)
    out += " " + value_name(option);
  out += "\n" + roff(option.get_description());
  if (!option.get_default_str().empty()) out += " (" + roff(option.get_default_str()) + ")";
  return out + ".\n";
}

std::string command_text(const CommandView& view) {
  std::string out = ".SS \"smartvpn " + roff(view.path);
  for (const auto* option : options_of(*view.app, true)) out += " " + roff(option->get_type_name());
  out += "\"\n" + roff(view.app->get_description()) + ".\n";
  for (bool positional : {true, false})
    for (const auto* option : options_of(*view.app, positional))
      if (option != view.app->get_help_ptr()) out += option_text(*option);
  return out;
}

}  // namespace

int run_manual(const CLI::App& app) {
  std::string out = ".TH SMARTVPN 1 \"\" \"smartvpn " + roff(smartvpn_version()) + "\" \"User Commands\"\n";
  out += ".SH NAME\nsmartvpn \\- a VPN server and its dialling end\n";
  out +=
      ".SH SYNOPSIS\n.B smartvpn\n\\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.br\n.B smartvpn\n[\\fICOMMAND\\fR] "
      "\\fB\\-\\-help\\fR\n";
  out += kDescription;
  out += ".SH COMMANDS\n";
  for (const auto& view : walk(app))
    if (view.children.empty()) out += command_text(view);
  out += kRest;
  std::fputs(out.c_str(), stdout);
  return kExitOk;
}

}  // namespace smartvpn::cli
