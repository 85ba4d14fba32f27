// UNIQUE_IDs (haproxy doc/proxy-protocol.txt, section 2.2.5) of the connections that are open in one relay. The same
// one twice is a chain that has come back to itself. Any thread.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "base/bytes.hpp"
#include "base/mutex.hpp"
#include "base/rng.hpp"

namespace smartvpn::relay {

class UniqueIdTable {
 public:
  // False: it is there already, and is somebody else's to take away. True is followed by one leave; an exception by
  // none. A connection enters one id at most, of at most proxyproto::kMaxUniqueId bytes, so `limits.connections` bounds
  // how many there are.
  bool enter(ByteView id) {
    MutexLock lock(mutex_);
    return open_.insert(std::string(as_text(id))).second;
  }
  // Nothing happens for one that is not there.
  void leave(ByteView id) noexcept {
    MutexLock lock(mutex_);
    if (const auto found = open_.find(as_text(id)); found != open_.end()) open_.erase(found);
  }
  size_t size() const {
    MutexLock lock(mutex_);
    return open_.size();
  }

 private:
  mutable Mutex mutex_;
  // In order, because a proxy that chooses ids could choose some whose hashes collide. Found without a copy.
  std::set<std::string, std::less<>> open_ GUARDED_BY(mutex_);
};

// For the first proxy of a chain: 16 random bytes.
inline Bytes make_unique_id(Rng& rng) {
  Bytes id(16);
  rng.fill(id);
  return id;
}

}  // namespace smartvpn::relay
