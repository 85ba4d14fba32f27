// First at once, then a count an interval. Entries wait in the order they fall due.
#include "telemetry/rejection_throttle.hpp"

#include <algorithm>

namespace smartvpn::telemetry {
namespace {

constexpr size_t kMaxAddressBytes = 64;

std::string make_key(Reason reason, std::string_view address) {
  std::string key(1, static_cast<char>(reason));
  key += address.substr(0, kMaxAddressBytes);
  return key;
}

}  // namespace

RejectionThrottle::RejectionThrottle(size_t capacity, Duration interval)
    : capacity_(std::max<size_t>(capacity, 1)), interval_(interval) {}

bool RejectionThrottle::count(Reason reason, std::string_view address, Time now) {
  std::string key = make_key(reason, address);
  if (auto found = by_key_.find(key); found != by_key_.end()) {
    ++found->second->suppressed;
    return false;
  }
  if (by_key_.size() >= capacity_) {
    if (overflow_due_ == kNever) overflow_due_ = now + interval_;
    ++overflow_[static_cast<size_t>(reason)];
    return false;
  }
  std::list<Entry> made;
  made.push_back({std::move(key), 0, now + interval_});
  by_key_.emplace(made.front().key, made.begin());  // without memory for it there is no entry either
  by_due_.splice(by_due_.end(), made);
  return true;
}

void RejectionThrottle::tick(Time now, std::vector<RejectionSummary>& due) {
  while (!by_due_.empty() && by_due_.front().due <= now) {
    auto entry = by_due_.begin();
    if (entry->suppressed == 0) {
      by_key_.erase(entry->key);
      by_due_.erase(entry);
      continue;
    }
    due.push_back({static_cast<Reason>(entry->key[0]), entry->key.substr(1), entry->suppressed});
    entry->suppressed = 0;
    entry->due = now + interval_;
    by_due_.splice(by_due_.end(), by_due_, entry);
  }
  if (overflow_due_ > now) return;
  for (size_t i = 0; i < overflow_.size(); ++i)
    if (overflow_[i] != 0) due.push_back({static_cast<Reason>(i), {}, overflow_[i]});
  overflow_.fill(0);
  overflow_due_ = kNever;
}

Time RejectionThrottle::next_deadline() const noexcept {
  return by_due_.empty() ? overflow_due_ : std::min(by_due_.front().due, overflow_due_);
}

}  // namespace smartvpn::telemetry
