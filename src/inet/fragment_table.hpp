// Remembers, for at most 15 s, what was decided about the first fragment of a datagram, so that later
// fragments, which have no ports, follow it; and which bytes have been seen, so that overlaps are
// caught (behaviour.md "Inner packets"). Bounded; time is an argument; no allocation after construction.
#pragma once

#include <array>
#include <vector>

#include "base/clock.hpp"
#include "inet/inner_packet.hpp"

namespace smartvpn::inet {

class FragmentTable {
 public:
  static constexpr Duration kLifetime = seconds(15);

  // `capacity` datagrams, rounded up to a multiple of 8; when it is full the oldest one that shares
  // its hash set is forgotten, after which its later fragments count as unknown. `seed` should be
  // random, so that a peer cannot choose whom it pushes out.
  explicit FragmentTable(size_t capacity = 1024, uint64_t seed = 0);

  // Records the packet's byte range under (scope, addresses, protocol, identification) and says what
  // is known. `packet.fragment` must be true; `scope` keeps sessions apart.
  //   bad_fragment in `drop`: it overlaps an earlier piece or contradicts the datagram's length; all
  //     further pieces get the same answer.
  //   first_known: `drop` is the verdict of the first fragment.
  //   neither: no first fragment has been seen (or it was forgotten).
  struct Answer {
    Drop drop = Drop::none;
    bool first_known = false;
  };
  Answer note(uint64_t scope, const InnerPacket& packet, Time now) noexcept;

  // Stores the verdict on a first fragment after note() was called for it.
  void set_verdict(uint64_t scope, const InnerPacket& packet, Drop verdict, Time now) noexcept;

  size_t live(Time now) const noexcept;  // entries not yet expired, for tests and statistics

 private:
  static constexpr size_t kWays = 8, kRanges = 12;
  struct Range {
    uint32_t begin, end;
  };
  struct Entry {
    Time expires{};  // Time{}: free
    uint64_t scope = 0;
    IpAddress src, dst;
    uint32_t id = 0;
    uint8_t version = 0, protocol = 0;
    bool first_known = false;
    uint8_t range_count = 0;
    Drop verdict = Drop::none;
    uint32_t datagram_end = 0;  // 0: the last piece has not been seen
    std::array<Range, kRanges> ranges{};
  };
  Entry* find(uint64_t scope, const InnerPacket& packet, Time now, bool create) noexcept;
  static bool add_range(Entry& entry, uint32_t begin, uint32_t end) noexcept;

  std::vector<Entry> entries_;
  uint64_t seed_;
};

}  // namespace smartvpn::inet
