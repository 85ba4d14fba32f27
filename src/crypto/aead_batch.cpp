// How a batch reaches the lanes: packets of like sizes side by side, what does not fit one after the other.
#include <algorithm>

#include "crypto/aead.hpp"

namespace smartvpn::crypto {

namespace {

constexpr size_t kJobsSortedAtOnce = 128;

// 0 for a job that is not for lanes, else 16-byte pieces of its text, plus one.
uint32_t lane_pieces(uint64_t counter, ByteView ad, size_t size, uint32_t most) noexcept {
  if (counter == kReservedCounter || ad.size() > kMaxLaneAdBytes || size > most) return 0;
  return static_cast<uint32_t>(size / kTagSize) + 1;
}
uint32_t lane_pieces(const SealJob& job, uint32_t most) noexcept {
  return lane_pieces(job.counter, job.ad, job.size, most);
}
uint32_t lane_pieces(const OpenJob& job, uint32_t most) noexcept {
  return job.size < kTagSize ? 0 : lane_pieces(job.counter, job.ad, job.size - kTagSize, most);
}

size_t text_size(const SealJob& job) noexcept { return job.size; }
size_t text_size(const OpenJob& job) noexcept { return job.size - kTagSize; }

void store_result(SealJob&, bool) noexcept {}
void store_result(OpenJob& job, bool ok) noexcept { job.ok = ok; }

// Lanes whose packets end early do nothing for the rest of the longest, so sizes are made to fall. Batches that came
// out of a super-packet are in this order already.
template <class Job, class Lanes, class Singly>
void deal(std::span<Job> jobs, uint32_t most, Lanes in_lanes, Singly singly) noexcept {
  std::array<uint32_t, kJobsSortedAtOnce> order;
  size_t count = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const uint32_t pieces = lane_pieces(jobs[i], most);
    if (pieces == 0)
      singly(jobs[i]);
    else
      order[count++] = (kMaxLaneBytes - pieces) << 7 | static_cast<uint32_t>(i);
  }
  const auto end = order.begin() + static_cast<ptrdiff_t>(count);
  if (!std::is_sorted(order.begin(), end)) std::sort(order.begin(), end);

  for (size_t first = 0; first < count; first += kLaneJobs) {
    auto job = [&](size_t i) -> Job& { return jobs[order[first + i] % kJobsSortedAtOnce]; };
    const size_t some = std::min(kLaneJobs, count - first);
    LaneJob lanes[kLaneJobs];
    for (size_t i = 0; i < some; ++i) {
      const Job& from = job(i);
      lanes[i] = {from.counter,
                  from.ad.data(),
                  from.data,
                  static_cast<uint32_t>(from.ad.size()),
                  static_cast<uint32_t>(text_size(from)),
                  false};
    }
    if (some < kFewestLaneJobs) {
      for (size_t i = 0; i < some; ++i) singly(job(i));
      continue;
    }
    in_lanes(lanes, some);
    for (size_t i = 0; i < some; ++i) store_result(job(i), lanes[i].ok);
  }
}

uint32_t most_bytes(VectorUnit unit) noexcept {
  return unit == VectorUnit::avx2 ? kMaxProfitableBytesAvx2 : kMaxLaneBytes;
}

template <class Job>
std::span<Job> taken_from(std::span<Job>& jobs) noexcept {
  const auto part = jobs.first(std::min(jobs.size(), kJobsSortedAtOnce));
  jobs = jobs.subspan(part.size());
  return part;
}

void wipe_all(LaneKey& key) noexcept {
  wipe({reinterpret_cast<uint8_t*>(&key), sizeof key});
  wipe_lanes();
}

}  // namespace

void AeadEngine::seal(const AeadKey& key, std::span<SealJob> jobs) noexcept {
  if (unit_ == VectorUnit::none || jobs.size() < kFewestLaneJobs) return seal_singly(key, jobs);
  LaneKey lane_key = make_lane_key(key.view().data(), 0);
  while (!jobs.empty())
    deal(
        taken_from(jobs), most_bytes(unit_),
        [&](LaneJob* lanes, size_t count) { seal_lanes(unit_, lane_key, lanes, count); },
        [&](SealJob& job) {
          seal_singly(key, {&job, 1});
        });
  wipe_all(lane_key);
}

size_t AeadEngine::open(const AeadKey& key, std::span<OpenJob> jobs) noexcept {
  if (unit_ == VectorUnit::none || jobs.size() < kFewestLaneJobs) return open_singly(key, jobs);
  LaneKey lane_key = make_lane_key(key.view().data(), 0);
  size_t opened = 0;
  auto in_lanes = [&](LaneJob* lanes, size_t count) {
    open_lanes(unit_, lane_key, lanes, count);
    for (size_t i = 0; i < count; ++i) opened += lanes[i].ok;
  };
  while (!jobs.empty())
    deal(taken_from(jobs), most_bytes(unit_), in_lanes, [&](OpenJob& job) { opened += open_singly(key, {&job, 1}); });
  wipe_all(lane_key);
  return opened;
}

}  // namespace smartvpn::crypto
