// Keeps a flood of refused strangers from becoming a flood of events: the first of each (reason,
// address) is reported at once, then one report an interval with a count (protocol.md, "Limits
// before identity"). Bounded; what does not fit is summed by reason. Not thread-safe; one a shard.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/reason.hpp"

namespace smartvpn::telemetry {

struct RejectionSummary {
  Reason reason = Reason::none;
  std::string address;  // "": of all addresses that had no place in the table
  uint64_t count = 0;   // rejections since the last report
};

class RejectionThrottle {
 public:
  explicit RejectionThrottle(size_t capacity = 4096, Duration interval = seconds(10));

  // Counts one. True: report it now; false: it will be part of a summary. `address` is the text of
  // the address without port (IPv6: of the /64, as the other limits count).
  bool count(Reason reason, std::string_view address, Time now);
  // Appends the summaries that are due. Pairs without a rejection for one interval are forgotten.
  void tick(Time now, std::vector<RejectionSummary>& due);
  // When tick() has something to do; kNever if nothing is kept.
  Time next_deadline() const noexcept;
  size_t size() const noexcept { return by_key_.size(); }

 private:
  struct Entry {
    std::string key;  // one byte of reason, then the address
    uint64_t suppressed = 0;
    Time due{};
  };
  const size_t capacity_;
  const Duration interval_;
  std::list<Entry> by_due_;  // the interval is the same for all, so append order is due order
  // Views into entries. In order, because strangers choose their addresses and could choose some whose hashes collide.
  std::map<std::string_view, std::list<Entry>::iterator> by_key_;
  std::array<uint64_t, kReasonCount> overflow_{};
  Time overflow_due_ = kNever;
};

}  // namespace smartvpn::telemetry
