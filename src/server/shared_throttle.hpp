// The throttle of refusals of all shards, so that a flood which the kernel spreads over them is still one event. A
// lock of its own, taken for a refusal that somebody wants to hear of and once a second.
#pragma once

#include "base/mutex.hpp"
#include "telemetry/rejection_throttle.hpp"

namespace smartvpn::server {

class SharedThrottle {
 public:
  bool count(Reason reason, std::string_view address, Time now) {
    MutexLock lock(mutex_);
    return throttle_.count(reason, address, now);
  }
  void tick(Time now, std::vector<telemetry::RejectionSummary>& due) {
    MutexLock lock(mutex_);
    if (throttle_.next_deadline() <= now) throttle_.tick(now, due);
  }

 private:
  Mutex mutex_;
  telemetry::RejectionThrottle throttle_ GUARDED_BY(mutex_);
};

}  // namespace smartvpn::server
