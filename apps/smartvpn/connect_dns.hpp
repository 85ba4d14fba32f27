// `smartvpn connect --dns`: the machine asks the server's name servers while the tunnel is there. By way of whatever
// manages its names: systemd-resolved, else resolvconf, else the file itself.
#pragma once

#include <string>
#include <vector>

namespace smartvpn::cli {

class DnsSwitch {
 public:
  // Puts back what a process that died has left in the file or with resolvconf. Throws Failure when another `connect
  // --dns` is at work in this network namespace, or when a file of ours cannot be restored.
  DnsSwitch();
  ~DnsSwitch();  // as undo_or_say()
  DnsSwitch(const DnsSwitch&) = delete;
  DnsSwitch& operator=(const DnsSwitch&) = delete;

  // These servers through this device, in place of those of an earlier call. None: undo(). Waits for the programs it
  // runs, some seconds at most. Throws Failure.
  void apply(const std::string& device, const std::vector<std::string>& servers);
  // Everything as it was before.
  void undo();
  // What fails then is said on standard error.
  void undo_or_say() noexcept;

 private:
  enum class Way { none, resolved, resolvconf, file };
  void apply_resolved();
  void apply_resolvconf(const std::vector<std::string>& servers);
  void hold_lock();

  Way way_ = Way::none;   // what was begun, and so is to be undone
  bool applied_ = false;  // and all of it is in force
  std::string device_;
  std::vector<std::string> servers_;
  int lock_ = -1;
};

}  // namespace smartvpn::cli
