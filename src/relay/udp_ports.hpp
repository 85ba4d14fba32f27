// What the workers of a relay know of each other's UDP sockets: how many flows go through a port, and where sockets
// linger that a reconfiguration has taken away while there are some. The kernel spreads a port's clients over its
// sockets by their number, so all of them stay until the last flow has ended, or clients would come to a worker that
// does not know them. Who opens one anew shares its port with those. Any thread.
#pragma once

#include <map>

#include "base/mutex.hpp"
#include "relay/relay_plan.hpp"

namespace smartvpn::relay {

class UdpPorts {
 public:
  // Each is followed by one flow_ended().
  void flow_began(const SocketKey& key) {
    MutexLock lock(mutex_);
    ++ports_[key].flows;
  }
  void flow_ended(const SocketKey& key) noexcept {
    change(key, [](Port& port) { --port.flows; });
  }
  bool has_flows(const SocketKey& key) const {
    MutexLock lock(mutex_);
    const auto found = ports_.find(key);
    return found != ports_.end() && found->second.flows != 0;
  }

  // Each is followed by one stay_over().
  void stays(const SocketKey& key) {
    MutexLock lock(mutex_);
    ++ports_[key].lingering;
  }
  void stay_over(const SocketKey& key) noexcept {
    change(key, [](Port& port) { --port.lingering; });
  }
  bool somebody_stays(const SocketKey& key) const {
    MutexLock lock(mutex_);
    const auto found = ports_.find(key);
    return found != ports_.end() && found->second.lingering != 0;
  }

 private:
  struct Port {
    size_t flows = 0, lingering = 0;
  };
  template <class Change>
  void change(const SocketKey& key, Change&& change) noexcept {
    MutexLock lock(mutex_);
    const auto found = ports_.find(key);
    if (found == ports_.end()) return;
    change(found->second);
    if (found->second.flows == 0 && found->second.lingering == 0) ports_.erase(found);
  }

  mutable Mutex mutex_;
  std::map<SocketKey, Port> ports_ GUARDED_BY(mutex_);  // those with something
};

}  // namespace smartvpn::relay
