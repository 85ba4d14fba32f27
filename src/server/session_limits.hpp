// The rate limits in force for one session: its client's, shared by all the client's sessions, and
// beneath it the one that the session itself was granted. Both hold, so the narrower does. Packets over a
// limit wait in a fair queue that CoDel keeps short; what does not fit there is dropped (rate_limit).
// Towards the client that is the session's own send queue, from it the one in here. Exists for sessions
// with a limit only.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "net/timer.hpp"
#include "registry/client.hpp"
#include "server/client_account.hpp"
#include "session/send_queue.hpp"

namespace smartvpn::server {

class RateGate final : public session::SendGate {
 public:
  explicit RateGate(SharedBucket& shared) noexcept : shared_(shared) {}
  bool limited() const noexcept { return shared_.limited() || own.limited(); }
  // A super-packet would be too long a turn: it goes as the packets it consists of.
  bool is_slow() const noexcept { return is_slow(shared_.bytes_per_second()) || is_slow(own.bytes_per_second()); }

  bool open(Time now) const noexcept override { return shared_.open(now) && own.open(now); }
  void passed(size_t bytes, Time now) noexcept override {
    shared_.spend(bytes, now);
    own.spend(bytes, now);
  }
  Time opens_at() const noexcept override { return std::max(shared_.opens_at(), own.opens_at()); }

  acl::TokenBucket own;

 private:
  static constexpr uint64_t kSlow = 8 << 20;  // bytes a second: 64 KiB take 8 ms
  static bool is_slow(uint64_t rate) noexcept { return rate != 0 && rate < kSlow; }
  SharedBucket& shared_;
};

class SessionLimits {
 public:
  // `release` runs when packets of `held` may go.
  SessionLimits(net::Loop& loop, std::shared_ptr<ClientAccount> account, uint32_t seed, std::function<void()> release);

  // From now on. The shared limits are set for all sessions of the account.
  void set(const registry::RateLimit& client, const std::optional<registry::RateLimit>& granted, Time now);
  // Asks for `release` at the right time.
  void await_release() noexcept { timer_.start_at(from_client.opens_at()); }

 private:
  std::shared_ptr<ClientAccount> account_;
  net::Timer timer_;

 public:
  RateGate from_client, to_client;
  session::SendQueue held;  // from the client, not yet judged
};

}  // namespace smartvpn::server
