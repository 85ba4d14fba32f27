// What the server remembers of a registered client over all its sessions: counters that survive its
// reconnects, and the rate limits that its sessions share. An account is opened by a client's first
// session and gone when the client is removed, so there are never more than registered clients; sessions
// that still end hold theirs. Under the lock of what shards share (server/control.hpp), but for the limits.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "acl/token_bucket.hpp"
#include "base/mutex.hpp"
#include "telemetry/counters.hpp"

namespace smartvpn::server {

// A bucket that sessions on several shards take from. The lock is a limited client's alone: a session without a limit
// has no gate, and never comes here.
class SharedBucket {
 public:
  void set(uint64_t bytes_per_second, uint64_t burst, Time now) noexcept {
    MutexLock lock(mutex_);
    bucket_.set(bytes_per_second, burst, now);
  }
  uint64_t bytes_per_second() const noexcept {
    MutexLock lock(mutex_);
    return bucket_.bytes_per_second();
  }
  bool limited() const noexcept { return bytes_per_second() != 0; }
  bool open(Time now) const noexcept {
    MutexLock lock(mutex_);
    return bucket_.open(now);
  }
  void spend(uint64_t bytes, Time now) noexcept {
    MutexLock lock(mutex_);
    bucket_.spend(bytes, now);
  }
  Time opens_at() const noexcept {
    MutexLock lock(mutex_);
    return bucket_.opens_at();
  }

 private:
  mutable Mutex mutex_;
  acl::TokenBucket bucket_ GUARDED_BY(mutex_);
};

struct ClientAccount {
  telemetry::SessionCounters ended;  // of its sessions that are over
  uint64_t sessions_total = 0;
  int64_t last_seen_ms = 0;  // wall clock, of its sessions that are over
  SharedBucket from_client, to_client;
};

class ClientAccounts {
 public:
  // The client's account, made if it has none.
  std::shared_ptr<ClientAccount> open(const std::string& client_id) {
    if (auto known = accounts_.find(client_id); known != accounts_.end()) return known->second;
    return accounts_.emplace(client_id, std::make_shared<ClientAccount>()).first->second;
  }
  // Null for a client that never had a session.
  const ClientAccount* find(const std::string& client_id) const {
    auto it = accounts_.find(client_id);
    return it == accounts_.end() ? nullptr : it->second.get();
  }
  void remove(const std::string& client_id) noexcept { accounts_.erase(client_id); }
  size_t size() const noexcept { return accounts_.size(); }

  template <class Fn>
  void for_each(Fn&& fn) const {
    for (const auto& [id, account] : accounts_) fn(id, *account);
  }

 private:
  std::unordered_map<std::string, std::shared_ptr<ClientAccount>> accounts_;
};

}  // namespace smartvpn::server
