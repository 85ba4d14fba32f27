// The greatest TAI64N label of every WireGuard key (white paper, section 5.1: whoever repeats an older one is not its
// owner), kept across restarts. Shards note what has grown, a thread of its own brings it to the store behind them: no
// shard waits for the disk, and what a crash loses is a few seconds of labels. A label outlives its client, so that a
// key that is registered again does not take what was recorded before.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "net/thread.hpp"
#include "registry/registry.hpp"
#include "registry/store.hpp"
#include "transport/wireguard/tai64n.hpp"

namespace smartvpn::server {

// Any thread.
class HandshakeStamps {
 public:
  // Labels of keys that are no client's any more are forgotten after this.
  static constexpr int64_t kForgetAfterMs = int64_t{30} * 24 * 3600 * 1000;
  static constexpr Duration kWriteInterval = seconds(5);

  using Save = std::function<Result<void>(const std::vector<registry::HandshakeStamp>&)>;
  using Log = std::function<void(const std::string&)>;  // told once until a write succeeds again

  HandshakeStamps();
  ~HandshakeStamps() { stop(); }

  // What the store has, before anything else.
  void load(const std::vector<registry::HandshakeStamp>& stamps);
  // Zero: none is known.
  wireguard::Tai64n greatest(const PublicKey& key) const;
  // May throw std::bad_alloc with some of them noted.
  using Grown = std::vector<std::pair<PublicKey, wireguard::Tai64n>>;
  void note(const Grown& grown, int64_t now_ms);

  // Begins to write, every few seconds when something has grown. `log` may be called on that thread.
  Result<void> start(Save save, Log log, Duration interval = kWriteInterval);
  // Writes what is left and ends the thread. A write that hangs holds it up.
  void stop();
  // In a forked child.
  void abandon_after_fork() noexcept;

 private:
  void run(const Save& save, const Log& log, Duration interval);
  // What is to be written now. Empty: nothing, and stop() was called.
  std::vector<registry::HandshakeStamp> wait_for_work(Duration interval);
  // False: no further try, the end has come.
  bool put_back(const std::vector<registry::HandshakeStamp>& stamps);

  struct Noted {
    wireguard::Tai64n label;
    int64_t noted_ms = 0;
  };
  mutable Mutex mutex_;
  CondVar changed_;
  std::unordered_map<PublicKey, Noted, registry::KeyHash> known_ GUARDED_BY(mutex_);
  std::unordered_set<PublicKey, registry::KeyHash> unwritten_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<net::Thread> thread_;  // by whoever starts and stops
};

}  // namespace smartvpn::server
