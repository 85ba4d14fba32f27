// What the lists have said, a moment ago, about who sends: a source that sends much is judged once a second. Fixed
// size; a source that falls on another's place takes it. Lists that change are heard of within that second, and no
// session begins without being judged anew.
#pragma once

#include <array>

#include "base/clock.hpp"
#include "transport/wireguard/path.hpp"

namespace smartvpn::wireguard {

class SourceCache {
 public:
  // `judge()` is asked where nothing is known.
  template <class Judge>
  bool may_send(const Path& path, Time now, Judge&& judge) {
    Entry& entry = entries_[place_of(path)];
    if (entry.until != Time{} && now < entry.until && entry.path.same_sender(path)) return entry.allowed;
    entry.until = Time{};
    entry.allowed = judge();
    entry.path = path;
    entry.until = now + kTrusted;
    return entry.allowed;
  }

 private:
  static constexpr Duration kTrusted = seconds(1);
  struct Entry {
    Path path;
    Time until{};
    bool allowed = false;
  };
  size_t place_of(const Path& path) const noexcept {
    const inet::Endpoint& who = path.counted();
    return (inet::IpAddressHash{}(who.ip) ^ who.port * size_t{0x9e3779b9}) % entries_.size();
  }
  std::array<Entry, 64> entries_;
};

}  // namespace smartvpn::wireguard
