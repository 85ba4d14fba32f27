// See handshake_stamps.hpp.
#include "server/handshake_stamps.hpp"

#include <algorithm>
#include <new>

#include "base/rng.hpp"

namespace smartvpn::server {
namespace {

using registry::HandshakeStamp;

constexpr Duration kMemoryPause = milliseconds(100);

}  // namespace

HandshakeStamps::HandshakeStamps()
    : known_(0, registry::KeyHash{system_rng().u64()}), unwritten_(0, known_.hash_function()) {}

void HandshakeStamps::load(const std::vector<HandshakeStamp>& stamps) {
  MutexLock lock(mutex_);
  for (const HandshakeStamp& stamp : stamps) {
    Noted& noted = known_[stamp.key];
    noted.label.bytes = std::max(noted.label.bytes, stamp.label);
    noted.noted_ms = stamp.noted_ms;
  }
}

wireguard::Tai64n HandshakeStamps::greatest(const PublicKey& key) const {
  MutexLock lock(mutex_);
  auto it = known_.find(key);
  return it == known_.end() ? wireguard::Tai64n{} : it->second.label;
}

void HandshakeStamps::note(const Grown& grown, int64_t now_ms) {
  MutexLock lock(mutex_);
  for (const auto& [key, label] : grown) {
    Noted& noted = known_[key];
    if (label <= noted.label) continue;
    unwritten_.insert(key);  // first: a label that is not written is worth nothing after a restart
    noted = {label, now_ms};
  }
}

Result<void> HandshakeStamps::start(Save save, Log log, Duration interval) {
  auto thread = net::Thread::start(
      "svpn-stamps", [this, save = std::move(save), log = std::move(log), interval] { run(save, log, interval); });
  if (!thread) return std::move(thread).error();
  thread_ = std::move(*thread);
  return {};
}

void HandshakeStamps::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.reset();  // joins
}

void HandshakeStamps::abandon_after_fork() noexcept {
  if (thread_) thread_->abandon_after_fork();
}

void HandshakeStamps::run(const Save& save, const Log& log, Duration interval) {
  bool failing = false;
  for (;;) {
    std::vector<HandshakeStamp> due;
    try {
      due = wait_for_work(interval);
      if (due.empty()) return;
      auto saved = save(due);
      if (!saved && !failing) log("the store does not take WireGuard's timestamps: " + saved.error().text);
      failing = !saved;
    } catch (const std::bad_alloc&) {
      failing = true;
    }
    if (failing && !put_back(due)) return;
  }
}

std::vector<HandshakeStamp> HandshakeStamps::wait_for_work(Duration interval) {
  MutexLock lock(mutex_);
  do {
    changed_.wait_for(lock, interval, [this]() REQUIRES(mutex_) { return stopping_; });
  } while (unwritten_.empty() && !stopping_);
  std::vector<HandshakeStamp> out;
  out.reserve(unwritten_.size());
  for (const PublicKey& key : unwritten_) {
    const Noted& noted = known_.find(key)->second;
    out.push_back({key, noted.label.bytes, noted.noted_ms});
  }
  unwritten_.clear();
  return out;
}

bool HandshakeStamps::put_back(const std::vector<HandshakeStamp>& stamps) {
  size_t done = 0;
  MutexLock lock(mutex_);
  while (done < stamps.size() && !stopping_) {
    try {
      for (; done < stamps.size(); ++done) unwritten_.insert(stamps[done].key);
    } catch (const std::bad_alloc&) {
      changed_.wait_for(lock, kMemoryPause, [this]() REQUIRES(mutex_) { return stopping_; });
    }
  }
  return !stopping_;
}

}  // namespace smartvpn::server
