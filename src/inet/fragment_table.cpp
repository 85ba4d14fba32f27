#include "inet/fragment_table.hpp"

namespace smartvpn::inet {
namespace {

// Pieces of at least 8 bytes in any order need few ranges unless somebody plays games.
uint64_t mix(uint64_t h, uint64_t word) noexcept {
  h = (h ^ word) * 0x9e3779b97f4a7c15ull;
  return h ^ h >> 29;
}

}  // namespace

FragmentTable::FragmentTable(size_t capacity, uint64_t seed)
    : entries_(std::max<size_t>(1, (capacity + kWays - 1) / kWays) * kWays), seed_(seed) {}

// The live entry of this datagram. With `create`, a fresh one in place of an expired or the oldest.
FragmentTable::Entry* FragmentTable::find(uint64_t scope, const InnerPacket& packet, Time now, bool create) noexcept {
  uint64_t h = mix(seed_, scope);
  h = mix(mix(h, IpAddressHash{}(packet.src)), IpAddressHash{}(packet.dst));
  h = mix(h, uint64_t{packet.fragment_id} << 8 | packet.version);
  Entry* set = &entries_[h % (entries_.size() / kWays) * kWays];
  Entry* oldest = set;
  for (Entry* entry = set; entry != set + kWays; ++entry) {
    const bool same = entry->scope == scope && entry->id == packet.fragment_id && entry->version == packet.version &&
                      entry->src == packet.src && entry->dst == packet.dst &&
                      (packet.version == 6 || entry->protocol == packet.protocol);
    if (same && entry->expires > now) return entry;
    if (entry->expires < oldest->expires) oldest = entry;
  }
  if (!create) return nullptr;
  *oldest = Entry{};
  oldest->expires = now + kLifetime;
  oldest->scope = scope;
  oldest->src = packet.src;
  oldest->dst = packet.dst;
  oldest->id = packet.fragment_id;
  oldest->version = packet.version;
  oldest->protocol = packet.protocol;
  return oldest;
}

// Keeps sorted, joined ranges. False: overlap, or more holes than there is room for.
bool FragmentTable::add_range(Entry& entry, uint32_t begin, uint32_t end) noexcept {
  auto& ranges = entry.ranges;
  size_t at = 0;
  while (at < entry.range_count && ranges[at].begin < begin) ++at;
  if (at > 0 && ranges[at - 1].end > begin) return false;
  if (at < entry.range_count && ranges[at].begin < end) return false;
  const bool joins_left = at > 0 && ranges[at - 1].end == begin;
  const bool joins_right = at < entry.range_count && ranges[at].begin == end;
  if (joins_left && joins_right) {
    ranges[at - 1].end = ranges[at].end;
    std::move(ranges.begin() + static_cast<long>(at) + 1, ranges.begin() + entry.range_count,
              ranges.begin() + static_cast<long>(at));
    --entry.range_count;
  } else if (joins_left) {
    ranges[at - 1].end = end;
  } else if (joins_right) {
    ranges[at].begin = begin;
  } else {
    if (entry.range_count == kRanges) return false;
    std::move_backward(ranges.begin() + static_cast<long>(at), ranges.begin() + entry.range_count,
                       ranges.begin() + entry.range_count + 1);
    ranges[at] = {begin, end};
    ++entry.range_count;
  }
  return true;
}

FragmentTable::Answer FragmentTable::note(uint64_t scope, const InnerPacket& packet, Time now) noexcept {
  Entry& entry = *find(scope, packet, now, true);
  if (entry.first_known && entry.verdict == Drop::bad_fragment) return {Drop::bad_fragment, true};
  const uint32_t begin = packet.fragment_offset;
  const uint32_t end = begin + (packet.total_length - packet.fragment_data_offset);
  const uint32_t covered = entry.range_count ? entry.ranges[entry.range_count - 1u].end : 0;
  bool ok = entry.datagram_end == 0 || end <= entry.datagram_end;
  if (!packet.more_fragments) {
    ok = ok && entry.datagram_end == 0 && covered <= end;
    entry.datagram_end = end;
  }
  // An empty last piece adds nothing and can overlap nothing.
  if (ok && end > begin) ok = add_range(entry, begin, end);
  if (!ok) {
    entry.first_known = true;
    entry.verdict = Drop::bad_fragment;
    return {Drop::bad_fragment, true};
  }
  const Answer answer{entry.verdict, entry.first_known};
  const bool complete =
      entry.range_count == 1 && entry.ranges[0].begin == 0 && entry.ranges[0].end == entry.datagram_end;
  // A complete datagram is forgotten, so that its identification may come again soon (RFC 4963).
  if (complete) entry = Entry{};
  return answer;
}

void FragmentTable::set_verdict(uint64_t scope, const InnerPacket& packet, Drop verdict, Time now) noexcept {
  Entry* entry = find(scope, packet, now, false);
  if (!entry || (entry->first_known && entry->verdict == Drop::bad_fragment)) return;
  entry->first_known = true;
  entry->verdict = verdict;
}

size_t FragmentTable::live(Time now) const noexcept {
  return static_cast<size_t>(
      std::count_if(entries_.begin(), entries_.end(), [now](const Entry& entry) { return entry.expires > now; }));
}

}  // namespace smartvpn::inet
