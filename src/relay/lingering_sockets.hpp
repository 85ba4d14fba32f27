// UDP sockets that a reconfiguration has taken away while flows still go through them, of all workers of a relay. Who
// opens one of them anew shares its port with those. Any thread.
#pragma once

#include <set>

#include "base/mutex.hpp"
#include "relay/relay_plan.hpp"

namespace smartvpn::relay {

class LingeringSockets {
 public:
  // Each is followed by one leave().
  void enter(const SocketKey& key) {
    MutexLock lock(mutex_);
    keys_.insert(key);
  }
  void leave(const SocketKey& key) {
    MutexLock lock(mutex_);
    if (const auto found = keys_.find(key); found != keys_.end()) keys_.erase(found);
  }
  bool has(const SocketKey& key) const {
    MutexLock lock(mutex_);
    return keys_.count(key) != 0;
  }

 private:
  mutable Mutex mutex_;
  std::multiset<SocketKey> keys_ GUARDED_BY(mutex_);
};

}  // namespace smartvpn::relay
