// See connect_dns.hpp.
#include "connect_dns.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "c_api.hpp"
#include "resolv_conf.hpp"

namespace smartvpn::cli {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr const char* kResolvedFolder = "/run/systemd/resolve";
// Always the same, so that the next run finds what a killed one has left; there is only one at a time.
constexpr const char* kRecord = "tun.smartvpn";
constexpr const char* kLockName = "smartvpn connect --dns";
constexpr int kStepMs = 10, kPatienceMs = 5000;

bool is_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::stringstream folders(path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return true;
  return false;
}

// systemd-resolved runs, and this machine's file sends queries to it.
bool uses_resolved() {
  if (::access(kResolvedFolder, F_OK) != 0 || !is_program("resolvectl")) return false;
  std::stringstream text;
  text << std::ifstream(kResolvConf).rdbuf();
  return text.str().find("127.0.0.53") != std::string::npos || text.str().find("127.0.0.54") != std::string::npos;
}

// The end of a child, or its end by our hand when it takes too long.
int wait_for(pid_t child) {
  int status = 0;
  for (int waited = 0; waited < kPatienceMs; waited += kStepMs) {
    if (::waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ::poll(nullptr, 0, kStepMs);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return -1;
}

// Runs a program with a text on its standard input; what it prints goes to our standard error, where `--events` has
// none. Its exit code, or -1.
int run_program(const std::vector<std::string>& words, const std::string& input = {}) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
  // Small enough for any pipe, so nobody has to read it yet.
  bool written = ::write(ends[1], input.data(), input.size()) == static_cast<ssize_t>(input.size());
  ::close(ends[1]);
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);  // ours are blocked for the loop
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  int error = written ? ::posix_spawnp(&child, argv[0], &files, &attributes, argv.data(), environ) : EIO;
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  ::close(ends[0]);
  return error == 0 ? wait_for(child) : -1;
}

void must_run(const std::vector<std::string>& words, const std::string& input = {}) {
  if (run_program(words, input) != 0) throw Failure{kExitRuntime, "--dns", words[0] + " " + words[1] + " has failed"};
}

}  // namespace

DnsSwitch::DnsSwitch() {
  hold_lock();
  try {
    // The record of one that died, if there is any. systemd-resolved drops a device's settings with the device.
    if (!uses_resolved() && is_program("resolvconf")) (void)run_program({"resolvconf", "-d", kRecord});
    (void)restore_name_servers(kResolvConf);
  } catch (const Failure&) {
    ::close(lock_);
    throw;
  }
}

DnsSwitch::~DnsSwitch() {
  undo_or_say();
  ::close(lock_);
}

void DnsSwitch::undo_or_say() noexcept {
  try {
    undo();
  } catch (const Failure& failure) {
    print_failure(failure);
  }
}

// A name that the kernel frees with the process, in this network namespace.
void DnsSwitch::hold_lock() {
  lock_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path + 1, kLockName, sizeof name.sun_path - 2);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + std::strlen(kLockName));
  if (lock_ >= 0 && ::bind(lock_, reinterpret_cast<const sockaddr*>(&name), size) == 0) return;
  const bool taken = errno == EADDRINUSE;
  std::string why = taken ? "another smartvpn connect has switched the name servers" : std::strerror(errno);
  if (lock_ >= 0) ::close(lock_);
  throw Failure{kExitRuntime, "--dns", why};
}

void DnsSwitch::apply(const std::string& device, const std::vector<std::string>& servers) {
  if (servers.empty()) return undo();
  if (applied_ && way_ != Way::file && device == device_ && servers == servers_) return;
  applied_ = false;
  device_ = device;
  servers_ = servers;
  if (uses_resolved()) {
    way_ = Way::resolved;
    apply_resolved();
  } else if (is_program("resolvconf")) {
    way_ = Way::resolvconf;
    apply_resolvconf(servers);
  } else {
    way_ = Way::file;
    set_name_servers(kResolvConf, servers);
  }
  applied_ = true;
}

// All names go to the tunnel's servers, also where other links have domains of their own.
void DnsSwitch::apply_resolved() {
  std::vector<std::string> words = {"resolvectl", "dns", device_};
  words.insert(words.end(), servers_.begin(), servers_.end());
  must_run(words);
  must_run({"resolvectl", "domain", device_, "~."});
  must_run({"resolvectl", "default-route", device_, "yes"});
}

// openresolv can be told that nobody else is to be asked; Debian's own resolvconf cannot, and puts tun.* first.
void DnsSwitch::apply_resolvconf(const std::vector<std::string>& servers) {
  std::string text;
  for (const auto& server : servers) text += "nameserver " + server + "\n";
  if (run_program({"resolvconf", "-a", kRecord, "-m", "0", "-x"}, text) == 0) return;
  must_run({"resolvconf", "-a", kRecord}, text);
}

void DnsSwitch::undo() {
  const Way way = std::exchange(way_, Way::none);
  // The record of a device that is gone is gone, too: no error.
  if (way == Way::resolved) (void)run_program({"resolvectl", "revert", device_});
  if (way == Way::resolvconf) must_run({"resolvconf", "-d", kRecord});
  if (way == Way::file) (void)restore_name_servers(kResolvConf);
}

}  // namespace smartvpn::cli
